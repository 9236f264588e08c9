//! A template as it is for one authorisation server and one client.

use std::collections::BTreeMap;

use linkspan_providers::interpolate::UrlText;
use linkspan_providers::{AuthorizationMethod, Param, Template, TokenUrl};
use serde_json::Value;

use super::{RESOURCE, Registration, Server};
use crate::Error;

/// The template with the server that was found in place of its addresses, PKCE
/// always on (OAuth 2.1 section 4.1.1), the resource named in every request (RFC
/// 8707 section 2), and the secret where the client was registered to send it.
pub(super) fn template(
    template: &Template,
    registration: Option<&Registration>,
) -> Result<Template, Error> {
    let mut own = template.clone();
    own.disable_pkce = false;
    if let Some(registration) = registration {
        if registration.in_header {
            own.authorization_method = Some(AuthorizationMethod::Header);
        }
        if let Some(server) = &registration.server {
            go_to(&mut own, server)?;
        }
    }
    if let Some(resource) = own.authorization_params.get(RESOURCE).cloned() {
        name(&mut own.token_params, &resource);
        if let Some(params) = &mut own.refresh_params {
            name(params, &resource);
        }
    }
    Ok(own)
}

fn name(params: &mut BTreeMap<String, Param>, resource: &Param) {
    params
        .entry(RESOURCE.to_owned())
        .or_insert_with(|| resource.clone());
}

fn go_to(template: &mut Template, server: &Server) -> Result<(), Error> {
    template.authorization_url = Some(literal(&server.authorization_endpoint)?);
    template.token_url = Some(TokenUrl::One(literal(&server.token_endpoint)?));
    template.refresh_url = None;
    // No text with placeholders: it is a stranger's.
    let resource = Param::Scalar(Value::String(server.resource.clone()));
    template
        .authorization_params
        .insert(RESOURCE.to_owned(), resource);
    Ok(())
}

/// A stranger's address as a template's that stands for itself: what would begin
/// a placeholder is escaped, or it could ask for our secrets.
fn literal(url: &str) -> Result<UrlText, Error> {
    let escaped = url
        .replace('{', "%7B")
        .replace('}', "%7D")
        .replace('|', "%7C");
    UrlText::parse(&escaped).map_err(|error| {
        Error::Unusable(format!(
            "an address of the authorization server is malformed: {error}"
        ))
    })
}
