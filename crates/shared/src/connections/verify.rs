//! Whether new credentials work, asked of the provider before they are stored
//! (CONTRACT 3.3).

use linkspan_auth::{Client, Credentials, TokenEndpoint as _, request};
use linkspan_providers::Config;

use crate::outbound::Outbound;
use crate::{Core, Error};

/// Asks the provider, if its template says how: any of the template's calls that
/// is answered with a 2xx shows that the credentials work. To be called with no
/// database connection held.
///
/// # Errors
/// [`Error::ConnectionTest`] with the provider's last status, or why it gave no
/// answer; never with anything that the answer said, which may repeat secrets.
pub(super) async fn credentials(
    core: &Core,
    config: &Config<'_>,
    client: Option<&Client>,
    credentials: &Credentials,
) -> Result<(), Error> {
    let mut last = None;
    for request in request::verification(config, client, credentials)? {
        match Outbound::new(&core.http).send(request).await {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) => {
                let status = answer.status().as_u16();
                last = Some(format!("the provider answered with status {status}"));
            }
            Err(error) => last = Some(error.to_string()),
        }
    }
    match last {
        Some(reason) => Err(Error::ConnectionTest(reason)),
        None => Ok(()),
    }
}
