//! INSTALL_PLUGIN: a plugin that is installed at the provider, with keys of the
//! developer's own.

use linkspan_providers::Config;

use crate::redirect::{Begun, Callback, Request};
use crate::{Client, Error, Finished, TokenEndpoint};

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
    Err(Error::unsupported(config.template, "INSTALL_PLUGIN"))
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
    Err(Error::unsupported(config.template, "INSTALL_PLUGIN"))
}
