//! Signed requests for credentials, and their answers.

use std::borrow::Cow;

use chrono::Utc;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, Uri};
use linkspan_providers::{SignatureMethod as Named, Template};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use url::{Url, form_urlencoded};
use uuid::Uuid;

use crate::oauth2::answer;
use crate::sign::PrivateKey;
use crate::sign::oauth1::{SignatureMethod, Signer, Stamp, Token};
use crate::{Client, Error, OwnClient, TokenEndpoint};

/// What every signed request carries besides (RFC 5849 section 3.1).
pub(crate) const VERSION: &[(&str, &str)] = &[("oauth_version", "1.0")];

/// A request for credentials (RFC 5849 sections 2.1 and 2.3).
pub(super) struct Asking<'a> {
    pub(super) template: &'a Template,
    pub(super) client: &'a Client,
    pub(super) url: Url,
    /// The temporary credentials, once there are some.
    pub(super) token: Option<Token<'a>>,
    /// Parameters of the body.
    pub(super) form: Vec<(String, String)>,
    /// Parameters of the header.
    pub(super) extra: &'a [(&'a str, &'a str)],
    /// What else the request holds that no message may repeat.
    pub(super) secrets: &'a [&'a str],
}

/// Credentials as an answer gives them.
pub(super) struct Given {
    pub(super) token: String,
    pub(super) token_secret: SecretString,
    pub(super) raw: Map<String, Value>,
}

impl Asking<'_> {
    pub(super) async fn send<E: TokenEndpoint>(&self, endpoint: &E) -> Result<Given, Error> {
        let response = endpoint.send(self.request()?).await?;
        let client_secret = self.client.client_secret.as_ref();
        let client_secret = client_secret.map(ExposeSecret::expose_secret);
        let secrets = self.secrets.iter().copied().chain(client_secret);
        read(&response, &secrets.collect::<Vec<_>>())
    }

    fn request(&self) -> Result<Request<Vec<u8>>, Error> {
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(&self.form);
        let body = body.finish().into_bytes();
        let key = key(self.template, self.client)?;
        let signer = Signer {
            token: self.token,
            ..key.signer(self.client)
        };
        let nonce = Uuid::new_v4().simple().to_string();
        let stamp = Stamp {
            nonce: &nonce,
            timestamp: Utc::now().timestamp(),
        };
        let extra = [self.extra, VERSION].concat();
        let header = signer.authorization(&Method::POST, &self.url, &body, &extra, stamp)?;
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() =
            Uri::try_from(self.url.as_str()).map_err(|error| Error::Path(error.to_string()))?;
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, header);
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, form);
        Ok(request)
    }
}

/// How a client signs. With RSA-SHA1 its secret is an RSA key (RFC 5849 section
/// 3.4.3).
pub(super) struct Key {
    method: SignatureMethod,
    private: Option<PrivateKey>,
}

/// The key of a client, by the template's method.
///
/// # Errors
/// [`Error::Template`] without a method, [`Error::Sign`] for an RSA key that is
/// none.
pub(super) fn key(template: &Template, client: &Client) -> Result<Key, Error> {
    let method = match template.signature_method {
        Some(Named::HmacSha1) => SignatureMethod::HmacSha1,
        Some(Named::HmacSha256) => SignatureMethod::HmacSha256,
        Some(Named::Plaintext) => SignatureMethod::Plaintext,
        Some(Named::RsaSha1) => SignatureMethod::RsaSha1,
        None => {
            return Err(Error::Template {
                provider: template.slug.clone(),
                key: "signature_method",
            });
        }
    };
    let private = match method {
        SignatureMethod::RsaSha1 => Some(PrivateKey::from_pem(secret(client))?),
        _ => None,
    };
    Ok(Key { method, private })
}

impl Key {
    /// Signs for a client, without a token.
    pub(super) fn signer<'a>(&'a self, client: &'a Client) -> Signer<'a> {
        Signer {
            consumer_key: &client.client_id,
            consumer_secret: secret(client),
            token: None,
            method: self.method,
            private_key: self.private.as_ref(),
            realm: None,
        }
    }
}

fn secret(client: &Client) -> &str {
    let secret = client.client_secret.as_ref();
    secret.map_or("", ExposeSecret::expose_secret)
}

/// Reads credentials: a form by RFC 5849 section 2.1, or JSON from providers that
/// would rather have that. A refusal is often a line of plain text.
fn read(response: &Response<Vec<u8>>, secrets: &[&str]) -> Result<Given, Error> {
    let status = response.status().as_u16();
    let root = object(response.body());
    let word = |name: &str| answer::text(&root, name);
    let given = word("oauth_token").zip(word("oauth_token_secret"));
    match given {
        Some((token, token_secret)) if response.status().is_success() => Ok(Given {
            token,
            token_secret: token_secret.into(),
            raw: root,
        }),
        _ => Err(refusal(response, &root, status, secrets)),
    }
}

fn object(body: &[u8]) -> Map<String, Value> {
    serde_json::from_slice(body).unwrap_or_else(|_| {
        let pairs = form_urlencoded::parse(body.trim_ascii());
        pairs
            .map(|(name, value)| (name.into_owned(), value.into_owned().into()))
            .collect()
    })
}

fn refusal(
    response: &Response<Vec<u8>>,
    root: &Map<String, Value>,
    status: u16,
    secrets: &[&str],
) -> Error {
    let problem = answer::text(root, "oauth_problem");
    if let Some(problem) = problem {
        return Error::Refused {
            status,
            message: answer::presentable(&problem, secrets),
            error: Some(answer::presentable(&problem, secrets)),
        };
    }
    if answer::object(response.body()).is_some() {
        return answer::refusal(root, status, secrets);
    }
    let words = std::str::from_utf8(response.body())
        .unwrap_or_default()
        .trim();
    let is_page = words.is_empty() || words.contains('<');
    match is_page || response.status().is_success() {
        true => Error::Unreadable {
            status,
            content_type: answer::content_type(response),
        },
        false => Error::Refused {
            status,
            error: None,
            message: answer::presentable(words, secrets),
        },
    }
}

/// The client that a token was given to.
///
/// # Errors
/// [`Error::NoClient`] if there is none.
pub(crate) fn client<'a>(
    integrations: Option<&'a Client>,
    own: Option<&OwnClient>,
) -> Result<Cow<'a, Client>, Error> {
    match (integrations, own) {
        (Some(client), own) => Ok(client.or_own(own)),
        (None, Some(own)) => Ok(Cow::Owned(own.into())),
        (None, None) => Err(Error::NoClient),
    }
}

/// Signs with HMAC-SHA256 and a realm, whatever the template.
pub(crate) fn hmac_sha256<'a>(client: &'a Client, token: Token<'a>, realm: &'a str) -> Signer<'a> {
    Signer {
        consumer_key: &client.client_id,
        consumer_secret: secret(client),
        token: Some(token),
        method: SignatureMethod::HmacSha256,
        private_key: None,
        realm: Some(realm),
    }
}
