//! A connection to each provider, made up of its template: every value that the
//! template names is set, and fits its place. Shared by the snapshot of all
//! prepared requests and by the benchmark.

use std::collections::BTreeMap;

use linkspan_auth::{Client, Credentials};
use linkspan_providers::interpolate::{Path, Root};
use linkspan_providers::{AuthMode, Config, Template};
use serde_json::{Map, Value, json};

/// The key of RFC 9421 appendix B.1.4, for templates that sign with one.
const PRIVATE_KEY: &str = include_str!("../../src/sign/vectors/rfc9421-ed25519.pem");

/// A made-up connection.
pub(crate) struct Sample {
    pub(crate) connection: Map<String, Value>,
    pub(crate) integration: BTreeMap<String, String>,
    pub(crate) client: Client,
    pub(crate) credentials: Credentials,
}

impl Sample {
    /// Of a template; nothing if its calls do not go through the proxy.
    pub(crate) fn of(template: &Template) -> Option<Self> {
        template.proxy.as_ref()?;
        let mut connection = Map::new();
        for path in paths(template) {
            if path.root() == Root::ConnectionConfig {
                connection.insert(path.key().to_owned(), config(template, path.key()).into());
            }
        }
        // One template names it without a root.
        connection.insert("apiSubdomain".to_owned(), "v-apisubdomain".into());
        Some(Self {
            connection,
            integration: BTreeMap::from([("baseUrl".to_owned(), "https://v.example.com".into())]),
            client: Client {
                client_id: "v-clientid".to_owned(),
                client_secret: Some("v-clientsecret".to_owned().into()),
                ..Client::default()
            },
            credentials: credentials(template),
        })
    }

    pub(crate) fn config<'a>(&'a self, template: &'a Template) -> Config<'a> {
        Config {
            template,
            connection: &self.connection,
            integration: &self.integration,
        }
    }
}

/// What the base URL, the headers and the query name.
pub(crate) fn paths(template: &Template) -> Vec<&Path> {
    let Some(proxy) = &template.proxy else {
        return Vec::new();
    };
    let mut paths = proxy.base_url.paths();
    paths.extend(proxy.headers.iter().flat_map(|(_, text)| text.paths()));
    paths.extend(proxy.query.values().flat_map(|text| text.paths()));
    paths
}

/// A value of the configuration.
pub(crate) fn config(template: &Template, key: &str) -> String {
    let base = template
        .proxy
        .as_ref()
        .map_or("", |proxy| proxy.base_url.as_str());
    let is_beginning = base
        .split(" || ")
        .any(|base| base.starts_with(&format!("${{connectionConfig.{key}}}")));
    if base.contains(&format!(":${{connectionConfig.{key}}}")) {
        return "8443".to_owned();
    }
    let value = made_up(key);
    if is_beginning {
        return format!("https://{value}.example.com");
    }
    let field = template.connection_config.0.get(key);
    let first = field.and_then(|field| field.choices.first().cloned());
    first.unwrap_or(value)
}

/// A value that could be part of a host, and says where it comes from.
pub(crate) fn made_up(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    format!("v-{}", letters.collect::<String>().to_ascii_lowercase())
}

fn credentials(template: &Template) -> Credentials {
    let signs = template.proxy.iter().flat_map(|proxy| proxy.headers.iter());
    let signs_by_key = { signs }.any(|(_, text)| text.as_str().contains("ed25519Sign"));
    let password = if signs_by_key {
        PRIVATE_KEY
    } else {
        "v-password"
    };
    let tokens = json!({
        "type": "OAUTH2", "access_token": "v-accesstoken", "refresh_token": "v-refreshtoken",
        "issued_at": "2026-01-01T00:00:00Z", "raw": {},
    });
    let login = |kind: &str| {
        let mut named: Map<String, Value> = paths(template)
            .into_iter()
            .filter(|path| path.root() == Root::Credentials)
            .map(|path| (path.key().to_owned(), made_up(path.key()).into()))
            .collect();
        named.retain(|name, _| name != "accessToken");
        // What the provider answered, which no field repeats.
        let raw: Map<String, Value> = named
            .iter()
            .filter_map(|(name, value)| {
                Some((name.strip_prefix("raw.")?.to_owned(), value.clone()))
            })
            .collect();
        named.retain(|name, _| !name.starts_with("raw."));
        json!({
            "type": kind, "entered": named, "token": "v-accesstoken",
            "refresh_token": "v-refreshtoken", "raw": raw,
            "brought": {
                "access_key_id": "v-accesskeyid", "secret_access_key": "v-secretaccesskey",
                "session_token": "v-sessiontoken",
            },
            "issued_at": "2026-01-01T00:00:00Z", "expires_at": null,
        })
    };
    let stored = match template.auth_mode {
        AuthMode::OAuth1 => json!({
            "type": "OAUTH1", "token": "v-token", "token_secret": "v-tokensecret", "raw": {},
        }),
        AuthMode::OAuth2 | AuthMode::McpOAuth2 | AuthMode::McpOAuth2Generic => tokens,
        AuthMode::ApiKey | AuthMode::AppStore => {
            json!({ "type": "API_KEY", "api_key": "v-apikey" })
        }
        AuthMode::Basic | AuthMode::InstallPlugin => {
            json!({ "type": "BASIC", "username": "v-username", "password": password })
        }
        AuthMode::Tba => json!({
            "type": "TBA", "token_id": "v-tokenid", "token_secret": "v-tokensecret",
        }),
        AuthMode::Custom => json!({ "type": "CUSTOM", "app": login("APP"), "user": tokens }),
        AuthMode::None => json!({ "type": "NONE" }),
        mode => login(mode.as_str()),
    };
    match serde_json::from_value(stored) {
        Ok(credentials) => credentials,
        Err(error) => unreachable!("{}: {error}", template.slug),
    }
}
