//! TWO_STEP: a login that the template describes, in one request or several
//! (CONTRACT section 3 and appendix I).

mod assertion;
mod fields;
mod saml;
mod scope;
mod send;

use std::collections::BTreeMap;

use chrono::Utc;
use http::header::SET_COOKIE;
use http::{HeaderMap, Method};
use linkspan_providers::{Config, Template, TokenResponse, TokenUrl};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::login::answer;
use crate::{Client, Credentials, Entered, Error, Finished, Login, Rejected, TokenEndpoint};

use scope::LoginScope;
use send::{Step, send};

/// The name under which templates find the cookies of the answer.
const COOKIES: &str = "_cookies";

/// Logs in with what a person entered, or again with what was kept of it: by the
/// refresh token where the template says how, and by the entries where that is
/// refused.
///
/// # Errors
/// [`Rejected::Field`] for what does not fit the template, and the errors of a
/// token request.
pub(crate) async fn log_in<E: TokenEndpoint>(
    _client: Option<&Client>,
    config: &Config<'_>,
    entered: &Entered,
    earlier: Option<&Login>,
    endpoint: &E,
) -> Result<Finished, Rejected> {
    let template = config.template;
    if let Some(earlier) = earlier
        && let Some(refresh_token) = &earlier.refresh_token
        && refreshes(template)
    {
        match renew(config, entered, earlier, refresh_token, endpoint).await {
            Err(error) if is_refusal(&error) && fields::complete(template, entered) => {}
            renewed => return Ok(renewed?),
        }
    }
    let fields = match earlier {
        None => fields::checked(template, entered)?,
        Some(_) => fields::kept(template, entered)?,
    };
    Ok(by_entries(config, fields, &entered.options, endpoint).await?)
}

/// Whether a refresh is another request than a login.
fn refreshes(template: &Template) -> bool {
    template.refresh_url.is_some()
        || !template.refresh_token_params.is_empty()
        || !template.refresh_token_headers.is_empty()
}

/// Whether the provider was asked and gave no token.
const fn is_refusal(error: &Error) -> bool {
    matches!(
        error,
        Error::Refused { .. } | Error::Unreadable { .. } | Error::NoAccessToken { .. }
    )
}

async fn by_entries<E: TokenEndpoint>(
    config: &Config<'_>,
    mut fields: BTreeMap<String, String>,
    options: &BTreeMap<String, String>,
    endpoint: &E,
) -> Result<Finished, Error> {
    let template = config.template;
    let mut scope = LoginScope::new(config, fields.clone(), options.clone());
    if assertion::add(template, &mut scope, Utc::now())? {
        // It cannot be made again, so it is kept in place of what made it.
        fields.insert(assertion::FIELD.to_owned(), scope.field(assertion::FIELD));
    }
    let first = Step {
        url: template
            .token_url
            .as_ref()
            .map(TokenUrl::oauth2)
            .ok_or_else(|| lacks(template, "token_url"))?,
        method: method(template.token_request_method.as_ref()),
        headers: &template.token_headers,
        params: &template.token_params,
        format: template.body_format,
    };
    let further = template.additional_steps.iter().map(|step| Step {
        url: &step.token_url,
        method: method(step.token_request_method.as_ref()),
        headers: &step.token_headers,
        params: &step.token_params,
        format: step.body_format,
    });
    let steps: Vec<_> = std::iter::once(first).chain(further).collect();
    let last = steps.len() - 1;
    let mut issued_at = Utc::now();
    let mut headers = HeaderMap::new();
    for (at, step) in steps.iter().enumerate() {
        // Taken before the call: a slow answer must not make a token look younger.
        issued_at = Utc::now();
        let takes_text = at == last && response(template)?.token.is_empty();
        let request = step.request(template, &scope)?;
        let (received, answer) =
            send(request, step.format, takes_text, &scope.secrets(), endpoint).await?;
        headers = received;
        scope.answered(answer);
    }
    let bought = Bought {
        template,
        answers: scope.into_answers(),
        issued_at,
        fields,
    };
    // A refresh token of before was refused, or is never used.
    bought.finish(&headers, None)
}

/// The request that a refresh token buys the next token with.
async fn renew<E: TokenEndpoint>(
    config: &Config<'_>,
    entered: &Entered,
    earlier: &Login,
    refresh_token: &SecretString,
    endpoint: &E,
) -> Result<Finished, Error> {
    let template = config.template;
    let fields = entered.fields.clone();
    let mut scope = LoginScope::new(config, fields.clone(), BTreeMap::new());
    scope.refresh_with(refresh_token.expose_secret());
    let login_url = template.token_url.as_ref().map(TokenUrl::oauth2);
    let url = template.refresh_url.as_ref().or(login_url);
    let step = Step {
        url: url.ok_or_else(|| lacks(template, "token_url"))?,
        method: method(template.token_request_method.as_ref()),
        headers: match template.refresh_token_headers.is_empty() {
            true => &template.token_headers,
            false => &template.refresh_token_headers,
        },
        params: &template.refresh_token_params,
        format: template.body_format,
    };
    let issued_at = Utc::now();
    let request = step.request(template, &scope)?;
    let secrets = scope.secrets();
    let (headers, answer) = send(request, step.format, false, &secrets, endpoint).await?;
    scope.answered(answer);
    let bought = Bought {
        template,
        answers: scope.into_answers(),
        issued_at,
        fields,
    };
    bought.finish(&headers, Some(earlier))
}

fn method(method: Option<&Method>) -> Method {
    method.cloned().unwrap_or(Method::POST)
}

fn lacks(template: &Template, key: &'static str) -> Error {
    let provider = template.slug.clone();
    Error::Template { provider, key }
}

fn response(template: &Template) -> Result<&TokenResponse, Error> {
    let response = template.token_response.as_ref();
    response.ok_or_else(|| lacks(template, "token_response"))
}

/// What a login brought.
struct Bought<'a> {
    template: &'a Template,
    answers: Vec<Value>,
    issued_at: chrono::DateTime<Utc>,
    fields: BTreeMap<String, String>,
}

impl Bought<'_> {
    fn finish(self, headers: &HeaderMap, earlier: Option<&Login>) -> Result<Finished, Error> {
        let template = self.template;
        let paths = response(template)?;
        let metadata = answer::metadata(template, &self.answers);
        let answer = self.answers.into_iter().next_back().unwrap_or_default();
        let secrets: Vec<&str> = self.fields.values().map(String::as_str).collect();
        let token = answer::token(&answer, paths);
        let token = token.ok_or_else(|| answer::no_token(&answer, 200, &secrets))?;
        let new = |path: &String| answer::text(&answer, path).map(SecretString::from);
        let refresh_token = paths.refresh_token.as_ref().and_then(new);
        // One that is not replaced stays good (CONTRACT 2.8).
        let old = || earlier.and_then(|login| login.refresh_token.clone());
        let entered = self.fields.into_iter();
        let login = Login {
            entered: entered.map(|(name, text)| (name, text.into())).collect(),
            refresh_token: refresh_token.or_else(old),
            brought: brought(template, headers),
            expires_at: answer::expires_at(template, &answer, &token, self.issued_at),
            issued_at: self.issued_at,
            raw: match answer {
                Value::Object(_) => answer,
                other => json!({ "response": other }),
            },
            token: token.into(),
        };
        Ok(Finished {
            metadata,
            ..Credentials::TwoStep(login).into()
        })
    }
}

/// The headers of the answer that calls need: cookies together, as a `Cookie`
/// header has them (RFC 6265 section 4.2), and others by their names.
fn brought(template: &Template, headers: &HeaderMap) -> BTreeMap<String, SecretString> {
    let mut brought = BTreeMap::new();
    for name in &template.token_response_headers {
        let values = headers.get_all(name.as_str()).iter();
        let values = values.filter_map(|value| value.to_str().ok());
        if name.eq_ignore_ascii_case(SET_COOKIE.as_str()) {
            let pairs = values.filter_map(|cookie| cookie.split(';').next());
            let pairs: Vec<&str> = pairs.map(str::trim).collect();
            if !pairs.is_empty() {
                brought.insert(COOKIES.to_owned(), pairs.join("; ").into());
            }
        } else {
            let values: Vec<&str> = values.collect();
            if !values.is_empty() {
                brought.insert(name.to_ascii_lowercase(), values.join(", ").into());
            }
        }
    }
    brought
}

#[cfg(test)]
mod tests;
