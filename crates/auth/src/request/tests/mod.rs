use std::fmt::Write as _;

use http::{HeaderName, HeaderValue};
use linkspan_providers::interpolate::{Unresolved, UrlError};
use linkspan_providers::{Catalogue, Template};
use serde_json::{Map, Value, json};

use super::*;

mod signing;

/// A call with defaults, as the tests vary it.
struct Call {
    template: Template,
    credentials: Value,
    connection: Value,
    base: Option<&'static str>,
    path: &'static str,
    headers: &'static [(&'static str, &'static str)],
    method: Method,
    sent: BodyForSigning<'static>,
    body_headers: HeaderMap,
}

impl Call {
    fn new(template: Template) -> Self {
        let credentials = json!({ "type": "API_KEY", "api_key": "key-1" });
        Self {
            template,
            credentials,
            connection: json!({}),
            base: None,
            path: "/items",
            headers: &[],
            method: Method::GET,
            sent: BodyForSigning::Absent,
            body_headers: HeaderMap::new(),
        }
    }

    fn prepare(&self) -> Result<Prepared, Error> {
        self.with(prepare)
    }

    fn body(&self, text: &str) -> Option<String> {
        let merged = self.with(|call| body(call, text.as_bytes())).unwrap();
        merged.map(|bytes| String::from_utf8(bytes).unwrap())
    }

    fn with<T>(&self, act: impl FnOnce(&Prepare<'_>) -> T) -> T {
        let client = Client {
            client_id: "id-1".into(),
            client_secret: None,
            ..Client::default()
        };
        let base = self.base.map(|base| base.parse().unwrap());
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        act(&Prepare {
            config: &Config {
                template: &self.template,
                connection: self.connection.as_object().unwrap(),
                integration: &Map::new(),
            },
            client: Some(&client),
            credentials: &serde_json::from_value(self.credentials.clone()).unwrap(),
            base_url_override: base.as_ref(),
            path_and_query: self.path,
            method: &self.method,
            headers: &headers,
            body: self.sent,
            body_headers: &self.body_headers,
        })
    }

    /// The URL, and each header on a line.
    fn show(&self) -> String {
        let prepared = self.prepare().unwrap();
        let mut lines: Vec<String> = prepared
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        lines.sort();
        let mut shown = prepared.url.to_string();
        for line in lines {
            write!(shown, "\n{line}").unwrap();
        }
        shown
    }
}

fn builtin(slug: &str) -> Template {
    Template::clone(Catalogue::builtin().unwrap().get(slug).unwrap())
}

fn template(proxy: &str) -> Template {
    let yaml = format!(
        "display_name: T\ncategories: [other]\nauth_mode: API_KEY\n\
         credentials: {{ apiKey: {{ type: string, title: K }} }}\nproxy: {proxy}"
    );
    Template::parse("t", &yaml).unwrap()
}

fn tokens() -> Value {
    json!({ "type": "OAUTH2", "access_token": "at-1", "issued_at": "2026-01-01T00:00:00Z", "raw": {} })
}

#[test]
fn the_demo_provider() {
    let call = Call {
        credentials: tokens(),
        path: "/api/items?limit=2&cursor=a%2Fb",
        headers: &[("accept", "application/json")],
        ..Call::new(builtin("demo"))
    };
    insta::assert_snapshot!(call.show(), @r"
    http://127.0.0.1:3005/api/items?limit=2&cursor=a%2Fb
    accept: application/json
    authorization: Bearer at-1
    ");
}

#[test]
fn the_private_api() {
    let call = Call {
        base: Some("https://api.example.com/v2/"),
        path: "/things/7?x=1",
        headers: &[("x-trace", "1")],
        ..Call::new(builtin("private-api-bearer"))
    };
    insta::assert_snapshot!(call.show(), @r"
    https://api.example.com/v2/things/7?x=1
    authorization: Bearer key-1
    x-trace: 1
    ");
}

#[test]
fn query_and_headers_without_a_value_are_left_out() {
    let template = template(
        "{ base_url: 'https://x.com', \
           headers: { x-id: '${clientId}', x-org: '${connectionConfig.org}' }, \
           query: { key: '${apiKey}', org: '${connectionConfig.org}', v: '2' } }",
    );
    let call = Call {
        path: "/a?v=1",
        ..Call::new(template)
    };
    insta::assert_snapshot!(call.show(), @r"
    https://x.com/a?v=1&key=key-1
    x-id: id-1
    ");
    let call = Call {
        connection: json!({ "org": "o 1" }),
        path: "/a",
        ..call
    };
    insta::assert_snapshot!(call.show(), @r"
    https://x.com/a?key=key-1&org=o+1&v=2
    x-id: id-1
    x-org: o 1
    ");
}

#[test]
fn the_callers_headers_win_except_the_user_agent_and_the_connections_own() {
    let template = template(
        "{ base_url: 'https://x.com', \
           headers: { authorization: 'Key ${apiKey}', user-agent: T, accept: a/a } }",
    );
    let call = Call {
        headers: &[
            ("authorization", "Own"),
            ("user-agent", "Mine"),
            ("accept", "b/b"),
            ("accept", "c/c"),
            ("host", "evil.com"),
            ("content-length", "9"),
            ("connection", "close"),
            ("transfer-encoding", "chunked"),
        ],
        ..Call::new(template)
    };
    insta::assert_snapshot!(call.show(), @r"
    https://x.com/items
    accept: b/b
    accept: c/c
    authorization: Own
    user-agent: T
    ");
    let free = Call {
        headers: &[("user-agent", "Mine")],
        ..Call::new(builtin("private-api-bearer"))
    };
    assert!(free.show().contains("user-agent: Mine"));
}

#[test]
fn what_cannot_be_prepared_is_named() {
    let call = Call::new(template(
        "{ base_url: 'https://${connectionConfig.sub}.x.com' }",
    ));
    let path = "connectionConfig.sub".to_owned();
    assert_eq!(
        call.prepare().unwrap_err(),
        UrlError::from(Unresolved::Unset { path }).into()
    );
    let call = Call {
        connection: json!({ "sub": "evil.com/" }),
        ..call
    };
    let error = call.prepare().unwrap_err();
    assert!(
        matches!(error, Error::Url(UrlError::Invalid { .. })),
        "{error}"
    );
    let credentials = json!({ "type": "API_KEY", "api_key": "a\nb" });
    let call = Call {
        credentials,
        ..Call::new(builtin("private-api-bearer"))
    };
    assert_eq!(
        call.prepare().unwrap_err(),
        Error::Header("authorization".into())
    );
    let call = Call {
        base: Some("ftp://x.com"),
        ..Call::new(builtin("demo"))
    };
    assert!(matches!(call.prepare(), Err(Error::Path(_))));
    let mut bare = builtin("private-api-bearer");
    bare.proxy = None;
    let error = Call::new(bare).prepare().unwrap_err();
    assert_eq!(error.code(), linkspan_api::ErrorCode::MissingApiUrl);
}

#[test]
fn debug_shows_no_secret() {
    let template = template(
        "{ base_url: 'https://x.com', headers: { authorization: '${apiKey}' }, query: { k: '${apiKey}' } }",
    );
    let prepared = Call::new(template).prepare().unwrap();
    assert!(prepared.url.as_str().contains("key-1"));
    let shown = format!("{prepared:?} {:?}", prepared.headers);
    assert!(
        shown.contains("authorization") && !shown.contains("key-1"),
        "{shown}"
    );
}

#[test]
fn entries_of_the_template_join_a_json_object() {
    let call = Call {
        connection: json!({ "user": "me" }),
        method: Method::POST,
        ..Call::new(template(
            "{ base_url: 'https://x.com', body: { key: '${apiKey}', \
               auth: { login: '${connectionConfig.user}' }, \
               org: '${connectionConfig.org}' } }",
        ))
    };
    let ours = r#""auth":{"login":"me"},"key":"key-1""#;
    for (given, expected) in [
        ("", format!("{{{ours}}}")),
        (" \n", format!("{{{ours}}}")),
        ("{ }", format!("{{{ours}}}")),
        // Numbers, order and spaces are the caller's.
        (
            " {\"n\": 1.50, \"big\": 12345678901234567890123 } ",
            format!("{{{ours},\"n\": 1.50, \"big\": 12345678901234567890123 }} "),
        ),
        (
            r#"{"key":"own"}"#,
            r#"{"auth":{"login":"me"},"key":"own"}"#.to_owned(),
        ),
    ] {
        let merged = call.body(given).unwrap();
        assert_eq!(merged, expected);
        serde_json::from_str::<Value>(&merged).unwrap();
    }
    for unchanged in [
        "[1]",
        "7",
        "null",
        "{",
        "a=1&b=2",
        "<xml/>",
        r#"{"key":1,"auth":2}"#,
    ] {
        assert_eq!(call.body(unchanged), None, "{unchanged}");
    }
    assert_eq!(Call::new(builtin("demo")).body("{}"), None);
}

#[test]
fn a_body_is_wanted_whole_only_where_something_may_join_it() {
    let wants = |call: &Call| call.with(needs_body).unwrap();
    let mut call = Call {
        method: Method::PUT,
        connection: json!({ "org": "o" }),
        ..Call::new(template(
            "{ base_url: 'https://x.com', body: { org: '${connectionConfig.org}' } }",
        ))
    };
    for (kind, is_wanted) in [
        (None, true),
        (Some("application/json; charset=utf-8"), true),
        (Some("application/vnd.api+JSON"), true),
        (Some("application/octet-stream"), false),
        (Some("multipart/form-data; boundary=json"), false),
        (Some("text/plain"), false),
    ] {
        call.body_headers = HeaderMap::new();
        if let Some(kind) = kind {
            let kind = HeaderValue::from_static(kind);
            call.body_headers.insert(http::header::CONTENT_TYPE, kind);
        }
        assert_eq!(wants(&call), is_wanted, "{kind:?}");
        assert_eq!(call.body("{}").is_some(), is_wanted, "{kind:?}");
    }
    // The caller's own word counts before that of the body.
    call.headers = &[("content-type", "application/json")];
    assert!(wants(&call));
    call.method = Method::GET;
    assert!(!wants(&call));
    call.method = Method::POST;
    call.connection = json!({});
    assert!(!wants(&call), "no entry has a value");
}
