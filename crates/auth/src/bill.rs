//! BILL: a login for a session.

use linkspan_providers::Config;

use crate::{Client, Entered, Error, Finished, Login, Rejected, TokenEndpoint};

/// Logs in with what a person entered, or again with what was kept of it.
///
/// # Errors
/// [`Rejected::Field`] for what does not fit the template, and the errors of a
/// token request.
pub(crate) async fn log_in<E: TokenEndpoint>(
    _client: Option<&Client>,
    config: &Config<'_>,
    _entered: &Entered,
    _earlier: Option<&Login>,
    _endpoint: &E,
) -> Result<Finished, Rejected> {
    Err(Error::unsupported(config.template, "BILL").into())
}
