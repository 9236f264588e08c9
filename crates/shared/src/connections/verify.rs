//! Whether new credentials work, asked of the provider before they are stored
//! (CONTRACT 3.3).

use linkspan_auth::{Client, Credentials, TokenEndpoint as _, TransportError, request};
use linkspan_providers::Config;

use crate::outbound::Outbound;
use crate::{Core, Error};

/// Why credentials are not known to work.
#[derive(Debug)]
pub(super) enum Unverified {
    /// The provider answered the last call with this status.
    Refused(u16),
    /// It gave no answer, for this reason.
    NoAnswer(String),
    /// It could not be asked.
    Unasked(Error),
}

impl From<Unverified> for Error {
    fn from(unverified: Unverified) -> Self {
        match unverified {
            Unverified::Refused(status) => {
                Self::ConnectionTest(format!("the provider answered with status {status}"))
            }
            Unverified::NoAnswer(reason) => Self::ConnectionTest(reason),
            Unverified::Unasked(error) => error,
        }
    }
}

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
    Ok(ask(core, config, client, credentials).await?)
}

/// The same, told apart by why they are not known to work.
pub(super) async fn ask(
    core: &Core,
    config: &Config<'_>,
    client: Option<&Client>,
    credentials: &Credentials,
) -> Result<(), Unverified> {
    let requests = request::verification(config, client, credentials);
    let requests = requests.map_err(|error| Unverified::Unasked(error.into()))?;
    let mut last = Ok(());
    for request in requests {
        last = match Outbound::new(core).send(request).await {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) => Err(Unverified::Refused(answer.status().as_u16())),
            Err(error @ TransportError::Identity(_)) => {
                let error = linkspan_auth::Error::from(error);
                return Err(Unverified::Unasked(error.into()));
            }
            Err(error) => Err(Unverified::NoAnswer(error.to_string())),
        };
    }
    last
}
