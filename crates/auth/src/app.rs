//! APP: an app that is installed in an account, and asks for tokens by its own key.

use linkspan_providers::Config;

use crate::redirect::{Begun, Callback, Request};
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
    Err(Error::unsupported(config.template, "APP").into())
}

/// Where to send the browser.
///
/// # Errors
/// [`Error`].
pub(crate) async fn begin<E: TokenEndpoint>(
    _client: Option<&Client>,
    config: &Config<'_>,
    _request: &Request<'_>,
    _endpoint: &E,
) -> Result<Begun, Error> {
    Err(Error::unsupported(config.template, "APP"))
}

/// Takes what the browser brought back.
///
/// # Errors
/// [`Error`].
pub(crate) async fn finish<E: TokenEndpoint>(
    _client: Option<&Client>,
    config: &Config<'_>,
    _callback: &Callback<'_>,
    _endpoint: &E,
) -> Result<Finished, Error> {
    Err(Error::unsupported(config.template, "APP"))
}
