//! The calls that show whether credentials work (CONTRACT 3.3,
//! `proxy.verification`).

use std::borrow::Cow;

use http::header::{CONTENT_TYPE, HeaderMap};
use http::{HeaderValue, Method, Request, Uri};
use linkspan_providers::interpolate::{Path, Scope, Text};
use linkspan_providers::{Config, Param, Verification};
use url::form_urlencoded::byte_serialize;

use super::headers::sensitive;
use super::{BodyForSigning, Prepare, prepare};
use crate::scope::{RequestScope, unless_unset};
use crate::{Client, ClientCertificate, Credentials, Error, client_certificate};

/// The calls that show whether new credentials work: any one that is answered
/// with a 2xx does. To be tried in order. None where the template has none. A
/// [`crate::ClientCertificate`] in their extensions is to be presented.
///
/// # Errors
/// As [`prepare`] and [`client_certificate`]; and [`Error::Url`] for an endpoint that names a value that
/// the connection lacks.
pub fn verification(
    config: &Config<'_>,
    client: Option<&Client>,
    credentials: &Credentials,
) -> Result<Vec<Request<Vec<u8>>>, Error> {
    let proxy = config.template.proxy.as_ref();
    let Some(verification) = proxy.and_then(|proxy| proxy.verification.as_ref()) else {
        return Ok(Vec::new());
    };
    let scope = RequestScope::new(config, client, Some(credentials));
    let call = Call {
        config,
        client,
        credentials,
        verification,
        scope: &scope,
        certificate: client_certificate(config.template, credentials)?,
    };
    verification
        .endpoints
        .iter()
        .map(|endpoint| call.to(endpoint))
        .collect()
}

struct Call<'a> {
    config: &'a Config<'a>,
    client: Option<&'a Client>,
    credentials: &'a Credentials,
    verification: &'a Verification,
    scope: &'a RequestScope<'a>,
    certificate: Option<ClientCertificate>,
}

impl Call<'_> {
    fn to(&self, endpoint: &Text) -> Result<Request<Vec<u8>>, Error> {
        let base = match &self.verification.base_url_override {
            Some(base) => Some(base.to_url(self.scope)?),
            None => None,
        };
        let method = self.verification.method.clone().unwrap_or(Method::GET);
        let body = self.body()?;
        let mut body_headers = HeaderMap::new();
        if body.is_some() {
            body_headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let prepared = prepare(&Prepare {
            config: self.config,
            client: self.client,
            credentials: self.credentials,
            base_url_override: base.as_ref(),
            path_and_query: &endpoint.evaluate(&Encoded(self.scope))?,
            method: &method,
            headers: &self.headers()?,
            body: body
                .as_deref()
                .map_or(BodyForSigning::Absent, BodyForSigning::Whole),
            body_headers: &body_headers,
        })?;
        let mut request = Request::new(body.unwrap_or_default());
        *request.headers_mut() = prepared.headers;
        if let Some(certificate) = &self.certificate {
            request.extensions_mut().insert(certificate.clone());
        }
        *request.method_mut() = method;
        *request.uri_mut() =
            Uri::try_from(prepared.url.as_str()).map_err(|error| Error::Path(error.to_string()))?;
        Ok(request)
    }

    fn headers(&self) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::new();
        for (name, text) in self.verification.headers.iter() {
            let value = unless_unset(self.config.template, text.evaluate(self.scope))?;
            if let Some(value) = value {
                headers.insert(name, sensitive(name, value)?);
            }
        }
        Ok(headers)
    }

    fn body(&self) -> Result<Option<Vec<u8>>, Error> {
        let data = self.verification.data.as_ref();
        let evaluate = |data: &Param| Ok(data.evaluate(self.scope)?.to_string().into_bytes());
        data.map(evaluate).transpose()
    }
}

/// Values that cannot leave their place in a path or a query.
struct Encoded<'a>(&'a RequestScope<'a>);

impl Scope for Encoded<'_> {
    fn lookup(&self, path: &Path) -> Option<Cow<'_, str>> {
        let value = self.0.lookup(path)?;
        let encoded: String = byte_serialize(value.as_bytes()).collect();
        Some(Cow::Owned(encoded.replace('+', "%20")))
    }
}

#[cfg(test)]
mod tests {
    use linkspan_providers::Template;
    use serde_json::{Map, Value, json};

    use super::*;

    fn requests(proxy: &str, connection: &Value) -> Result<Vec<Request<Vec<u8>>>, Error> {
        let yaml = format!(
            "display_name: T\ncategories: [other]\nauth_mode: API_KEY\n\
             credentials: {{ apiKey: {{ type: string, title: K }} }}\nproxy: {proxy}"
        );
        let template = Template::parse("t", &yaml).unwrap();
        let credentials = json!({ "type": "API_KEY", "api_key": "key-1" });
        let config = Config {
            template: &template,
            connection: connection.as_object().unwrap(),
            integration: &Map::new(),
        };
        verification(&config, None, &serde_json::from_value(credentials).unwrap())
    }

    #[test]
    fn calls_are_made_as_the_template_says() {
        let proxy = "{ base_url: 'https://x.com/v1', headers: { authorization: 'Key ${apiKey}' },
            verification: { method: POST, endpoints: [/me, '/orgs/${connectionConfig.org}?k=${apiKey}'],
                headers: { x-org: '${connectionConfig.org}', x-none: '${connectionConfig.none}' },
                data: { key: '${apiKey}', n: 1 } } }";
        let made = requests(proxy, &json!({ "org": "a/b&c d" })).unwrap();
        let uris: Vec<_> = made.iter().map(|r| r.uri().to_string()).collect();
        let expected = [
            "https://x.com/v1/me",
            "https://x.com/v1/orgs/a%2Fb%26c%20d?k=key-1",
        ];
        assert_eq!(uris, expected);
        assert_eq!(made[0].method(), Method::POST);
        let header = |name| made[0].headers().get(name).map(|v| v.to_str().unwrap());
        assert_eq!(header("authorization"), Some("Key key-1"));
        assert_eq!(header("content-type"), Some("application/json"));
        assert_eq!(header("x-org"), Some("a/b&c d"));
        assert_eq!(header("x-none"), None);
        let body: Value = serde_json::from_slice(made[0].body()).unwrap();
        assert_eq!(body, json!({ "key": "key-1", "n": 1 }));
    }

    #[test]
    fn another_address_can_be_asked() {
        let proxy = "{ base_url: 'https://x.com', verification: { endpoints: [/me], base_url_override: 'https://id.x.com' } }";
        let made = requests(proxy, &json!({})).unwrap();
        assert_eq!(made[0].uri(), "https://id.x.com/me");
        assert_eq!(made[0].method(), Method::GET);
        assert!(made[0].body().is_empty() && made[0].headers().get(CONTENT_TYPE).is_none());
    }

    #[test]
    fn nothing_is_asked_without_a_template_for_it_and_nothing_left_out_of_one() {
        let none = requests("{ base_url: 'https://x.com' }", &json!({})).unwrap();
        assert!(none.is_empty());
        let proxy = "{ base_url: 'https://x.com', verification: { endpoints: ['/${connectionConfig.org}'] } }";
        let error = requests(proxy, &json!({})).unwrap_err();
        assert!(matches!(error, Error::Url(_)), "{error}");
        let signed = "{ base_url: 'https://x.com', headers: { a: '${fingerprint(${apiKey})}' }, verification: { endpoints: [/me] } }";
        let error = requests(signed, &json!({})).unwrap_err();
        assert!(matches!(error, Error::Unusable(_)), "{error}");
    }
}
