use linkspan_providers::Catalogue;
use serde_json::json;

use super::*;
use crate::app::tests::Scripted;

fn client() -> Client {
    Client {
        client_id: "id".to_owned(),
        client_secret: Some("s".into()),
        ..Client::default()
    }
}

async fn completed(webhook: Value) -> Result<Finished, Error> {
    let endpoint = Scripted::new(
        201,
        r#"{"token":"a","refreshToken":"r","expiresAt":"2099-01-01T00:00:00Z"}"#,
    );
    let catalogue = Catalogue::builtin().unwrap();
    let config = Config {
        template: catalogue.get("sentry-oauth").unwrap(),
        connection: &Map::new(),
        integration: &Map::new(),
    };
    let webhook = webhook.as_object().unwrap();
    complete(Some(&client()), &config, webhook, &endpoint).await
}

#[tokio::test]
async fn a_webhook_brings_the_code_and_the_installation() {
    let installation = json!({ "uuid": "u-1", "code": "c-1" });
    let webhook = json!({ "installation": installation, "data": { "installation": installation } });
    let finished = completed(webhook).await.unwrap();
    let wire = finished.credentials.to_wire();
    assert_eq!(
        (&wire["access_token"], &wire["refresh_token"]),
        (&json!("a"), &json!("r"))
    );
    assert_eq!(wire["expires_at"], "2099-01-01T00:00:00.000Z");
    assert_eq!(finished.metadata["installation.uuid"], "u-1");
}

#[tokio::test]
async fn a_webhook_that_lacks_something_is_refused() {
    for (webhook, lacks) in [
        (json!({}), "data.installation.code"),
        (
            json!({ "data": { "installation": { "code": 7 } } }),
            "data.installation.code",
        ),
        (
            json!({ "data": { "installation": { "code": "c" } } }),
            "installation.uuid",
        ),
    ] {
        let error = completed(webhook).await.unwrap_err().to_string();
        assert_eq!(error, format!("the webhook has no {lacks}"));
    }
}

#[test]
fn a_connection_waits_if_its_code_could_be_exchanged() {
    let nothing = Entered::default();
    let pending = accept(Some(&client()), &nothing).unwrap();
    assert!(pending.is_pending() && pending.to_wire() == json!({}));
    assert_eq!(pending.authorization().unwrap_err(), Error::Pending);
    assert_eq!(accept(None, &nothing).unwrap_err(), Error::NoClient.into());
    let more = Entered {
        fields: [("code".to_owned(), "hush".to_owned())].into(),
        ..Entered::default()
    };
    let refused = accept(Some(&client()), &more).unwrap_err().to_string();
    assert!(!refused.contains("hush"), "{refused}");
}
