//! One request of a login.

use http::{HeaderMap, Method, Request};
use linkspan_providers::interpolate::{Unresolved, UrlError, UrlText};
use linkspan_providers::{BodyFormat, Headers, Param, Params, Template};
use serde_json::Value;

use super::scope::LoginScope;
use crate::login::answer;
use crate::login::request::{self, Content, Parts};
use crate::{Error, TokenEndpoint};

/// A request as the template describes it.
pub(super) struct Step<'a> {
    pub(super) url: &'a UrlText,
    pub(super) method: Method,
    pub(super) headers: &'a Headers,
    pub(super) params: &'a Params,
    /// Of the body; JSON unless set.
    pub(super) format: Option<BodyFormat>,
}

impl Step<'_> {
    /// The request with its placeholders replaced.
    pub(super) fn request(
        &self,
        template: &Template,
        scope: &LoginScope<'_>,
    ) -> Result<Request<Vec<u8>>, Error> {
        self.check_earlier_answers(scope)?;
        let format = self.format.unwrap_or(BodyFormat::Json);
        let params = match format {
            BodyFormat::Xml => {
                let entries = self.params.iter();
                let owned = |(name, param): (&String, &Param)| (name.clone(), param.clone());
                Content::Document(entries.map(owned).collect())
            }
            _ => Content::Map(request::params(template, self.params, scope)?),
        };
        let parts = Parts {
            method: self.method.clone(),
            url: self.url.to_url(scope)?,
            headers: request::headers(template, self.headers, scope)?,
            params,
            format,
        };
        parts.build(scope)
    }

    /// What an earlier answer should have brought and did not is the provider's
    /// refusal, and nothing to leave out.
    fn check_earlier_answers(&self, scope: &LoginScope<'_>) -> Result<(), Error> {
        let url = match self.url.to_url(scope) {
            Err(UrlError::Unresolved(unset)) => Some(unset),
            _ => None,
        };
        let headers = self.headers.iter();
        let headers = headers.filter_map(|(_, text)| text.evaluate(scope).err());
        let params = self.params.values();
        let params = params.filter_map(|param| param.evaluate(scope).err());
        for unset in url.into_iter().chain(headers).chain(params) {
            if let Unresolved::Unset { path } = unset
                && let Some((step, key)) = path.strip_prefix("step").and_then(|p| p.split_once('.'))
            {
                let message = format!("the answer to step {step} of the login has no `{key}`");
                return Err(Error::Refused {
                    status: 200,
                    error: None,
                    message,
                });
            }
        }
        Ok(())
    }
}

/// Sends a request, and gives the headers and the content of its answer.
pub(super) async fn send<E: TokenEndpoint>(
    request: Request<Vec<u8>>,
    format: Option<BodyFormat>,
    takes_text: bool,
    secrets: &[String],
    endpoint: &E,
) -> Result<(HeaderMap, Value), Error> {
    let response = endpoint.send(request).await?;
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    let format = format.unwrap_or(BodyFormat::Json);
    let answer = answer::read(&response, format, takes_text, &secrets)?;
    Ok((response.into_parts().0.headers, answer))
}
