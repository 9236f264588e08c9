//! OAUTH2 with `installation: outbound`: the person installs the integration on
//! the provider's own pages. Until a webhook brings the code the connection is
//! pending, and its configuration says whose installation it waits for.

use linkspan_providers::{Config, FieldError, Template};
use secrecy::SecretString;
use serde_json::{Map, Value};

use crate::app::laid_over;
use crate::oauth2::{self, CodeGrant, answer};
use crate::{Client, Credentials, Entered, Error, Finished, Rejected, TokenEndpoint};

/// A connection that waits.
///
/// # Errors
/// [`Error::NoClient`]: the code could not be exchanged; and a field, since there
/// are none to enter.
pub(crate) fn accept(client: Option<&Client>, entered: &Entered) -> Result<Credentials, Rejected> {
    client.ok_or(Error::NoClient)?;
    match entered.fields.keys().next() {
        None => Ok(Credentials::Pending),
        Some(unknown) => Err(FieldError::new(unknown, "is not a field of this provider").into()),
    }
}

/// Exchanges the code that a webhook brought, and takes from it what the template
/// says. `webhook` is its body.
///
/// # Errors
/// [`Error::Template`] if the provider's webhooks bring no code, [`Error::Unusable`]
/// if this one lacks something, and those of a token request.
pub async fn complete<E: TokenEndpoint>(
    client: Option<&Client>,
    config: &Config<'_>,
    webhook: &Map<String, Value>,
    endpoint: &E,
) -> Result<Finished, Error> {
    let template = config.template;
    let path = template.authorization_code_param_in_webhook.as_ref();
    let path = path.ok_or_else(|| Error::Template {
        provider: template.slug.clone(),
        key: "authorization_code_param_in_webhook",
    })?;
    let code = text(webhook, path)?;
    let metadata = metadata(template, webhook)?;
    let grant = CodeGrant {
        code: &SecretString::from(code),
        redirect_uri: None,
        pkce_verifier: None,
    };
    let laid = laid_over(config, &metadata);
    let client = client.ok_or(Error::NoClient)?;
    let mut finished = oauth2::exchange(client, &laid.config(), &grant, endpoint).await?;
    let said = std::mem::take(&mut finished.metadata);
    finished.metadata = metadata.into_iter().chain(said).collect();
    Ok(finished)
}

fn metadata(
    template: &Template,
    webhook: &Map<String, Value>,
) -> Result<Map<String, Value>, Error> {
    let paths = template.webhook_response_metadata.iter();
    paths
        .map(|path| Ok((path.clone(), text(webhook, path)?.into())))
        .collect()
}

fn text<'a>(webhook: &'a Map<String, Value>, path: &str) -> Result<&'a str, Error> {
    let value = answer::at(webhook, path).and_then(Value::as_str);
    value
        .filter(|text| !text.is_empty())
        .ok_or_else(|| Error::Unusable(format!("the webhook has no {path}")))
}

#[cfg(test)]
mod tests;
