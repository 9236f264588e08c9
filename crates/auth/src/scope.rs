//! The values that a template's placeholders may name during one request.

use std::borrow::Cow;
use std::cell::OnceCell;

use chrono::{SecondsFormat, Utc};
use linkspan_providers::Config;
use linkspan_providers::interpolate::{Path, Root, Scope};
use secrecy::ExposeSecret;
use uuid::Uuid;

use crate::{Client, Credentials};

/// Configuration, client, credentials, and the time and a random id, which stay
/// the same throughout one request.
pub(crate) struct RequestScope<'a> {
    config: &'a Config<'a>,
    client: Option<&'a Client>,
    credentials: Option<&'a Credentials>,
    now: OnceCell<String>,
    random: OnceCell<String>,
}

impl<'a> RequestScope<'a> {
    pub(crate) fn new(
        config: &'a Config<'a>,
        client: Option<&'a Client>,
        credentials: Option<&'a Credentials>,
    ) -> Self {
        Self {
            config,
            client,
            credentials,
            now: OnceCell::new(),
            random: OnceCell::new(),
        }
    }

    fn name(&self, name: &str) -> Option<Cow<'_, str>> {
        match name {
            "clientId" => self
                .client
                .map(|client| Cow::Borrowed(client.client_id.as_str())),
            "clientSecret" => {
                let secret = self.client?.client_secret.as_ref()?;
                Some(Cow::Borrowed(secret.expose_secret()))
            }
            "now" => {
                let now = || Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
                Some(Cow::Borrowed(self.now.get_or_init(now)))
            }
            "random" => {
                let random = || Uuid::new_v4().to_string();
                Some(Cow::Borrowed(self.random.get_or_init(random)))
            }
            name => self.credentials?.field(name),
        }
    }
}

impl Scope for RequestScope<'_> {
    fn lookup(&self, path: &Path) -> Option<Cow<'_, str>> {
        match path.root() {
            Root::ConnectionConfig | Root::IntegrationConfig => self.config.lookup(path),
            Root::Credentials => self.credentials?.field(path.key()),
            Root::Bare => self.name(path.key()),
        }
    }
}
