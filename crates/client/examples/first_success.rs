//! From nothing to a connected account and its first call. Run
//! `cargo xtask dev`, then this with `LINKSPAN_URL` and `LINKSPAN_API_KEY` as
//! it shows them, and `DEMO_URL` if the demo provider is elsewhere than usual.

use std::error::Error;
use std::time::Duration;

use linkspan_client::{Client, EndUser, ErrorCode, Method};

#[expect(
    clippy::disallowed_methods,
    reason = "an example is a program of its own"
)]
fn setting(name: &str) -> Result<String, Box<dyn Error>> {
    std::env::var(name).map_err(|_| format!("{name} is not set").into())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let linkspan = Client::new(setting("LINKSPAN_URL")?, setting("LINKSPAN_API_KEY")?)?;

    let mut create = linkspan
        .integrations()
        .create("demo", "demo")
        .oauth2("demo-client", "demo-secret");
    if let Ok(url) = setting("DEMO_URL") {
        create = create.config("baseUrl", url);
    }
    match create.send().await {
        Ok(integration) => println!("Created the integration {}.", integration.unique_key),
        // It is there from the last time.
        Err(error) if error.code() == Some(ErrorCode::DuplicateProviderConfig) => {}
        Err(error) => return Err(error.into()),
    }

    let user = EndUser::new("user-1").display_name("A first user");
    let session = linkspan
        .connect_sessions()
        .create()
        .end_user(user)
        .allow("demo");
    let session = session.send().await?;
    println!(
        "Open this page and log in with demo / demo:\n\n  {}\n",
        session.connect_link()
    );

    let connection = loop {
        let found = linkspan
            .connections()
            .list()
            .integration("demo")
            .end_user("user-1");
        match found.limit(1).send().await?.pop() {
            Some(connection) => break connection,
            None => tokio::time::sleep(Duration::from_secs(1)).await,
        }
    };
    println!("Connected as {}.", connection.connection_id);

    let handle = linkspan.connection("demo", connection.connection_id);
    let answer = handle.proxy(Method::GET, "/api/me").send().await?;
    let me: serde_json::Value = answer.error_for_status().await?.json().await?;
    println!("The demo API says: {me}");
    Ok(())
}
