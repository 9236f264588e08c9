//! What the placeholders of a login name.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use linkspan_providers::Config;
use linkspan_providers::interpolate::{CallError, Function, Path, Root, Scope};
use serde_json::Value;

use crate::login::answer;
use crate::scope::RequestScope;

/// Entries, configuration, the answers so far, and the time and a random id,
/// which stay the same throughout one request.
pub(super) struct LoginScope<'a> {
    config: &'a Config<'a>,
    request: RequestScope<'a>,
    fields: BTreeMap<String, String>,
    options: BTreeMap<String, String>,
    answers: Vec<Value>,
    refresh_token: Option<String>,
    /// `${token}`: what this server signed.
    token: Option<String>,
}

impl<'a> LoginScope<'a> {
    pub(super) fn new(
        config: &'a Config<'a>,
        fields: BTreeMap<String, String>,
        options: BTreeMap<String, String>,
    ) -> Self {
        Self {
            config,
            request: RequestScope::new(config, None, None),
            fields,
            options,
            answers: Vec::new(),
            refresh_token: None,
            token: None,
        }
    }

    /// The value of an entry, or an empty text.
    pub(super) fn field(&self, name: &str) -> String {
        self.fields.get(name).cloned().unwrap_or_default()
    }

    pub(super) fn set_field(&mut self, name: &str, value: String) {
        self.fields.insert(name.to_owned(), value);
    }

    pub(super) fn set_token(&mut self, token: String) {
        self.token = Some(token);
    }

    pub(super) fn refresh_with(&mut self, token: &str) {
        self.refresh_token = Some(token.to_owned());
    }

    /// Goes on to the next step.
    pub(super) fn answered(&mut self, answer: Value) {
        self.answers.push(answer);
        self.request = RequestScope::new(self.config, None, None);
    }

    pub(super) fn into_answers(self) -> Vec<Value> {
        self.answers
    }

    /// What must not stand in an error message.
    pub(super) fn secrets(&self) -> Vec<String> {
        let entered = self.fields.values().chain(self.options.values());
        let made = self.token.iter().chain(&self.refresh_token);
        entered.chain(made).cloned().collect()
    }

    /// An entry, or what the integration has in its place.
    fn credential(&self, name: &str) -> Option<Cow<'_, str>> {
        match self.fields.get(name) {
            Some(value) => Some(Cow::Borrowed(value)),
            None => self.config.integration.value(name),
        }
    }

    /// A step's answer, or else an entry (CONTRACT, "Interpolation grammar").
    fn step(&self, number: u8, key: &str) -> Option<Cow<'_, str>> {
        let answer = self.answers.get(usize::from(number).checked_sub(1)?)?;
        match answer::text(answer, key) {
            Some(text) => Some(Cow::Owned(text)),
            None => self.credential(key),
        }
    }
}

impl Scope for LoginScope<'_> {
    fn lookup(&self, path: &Path) -> Option<Cow<'_, str>> {
        let key = path.key();
        match path.root() {
            Root::Credentials => self.credential(key),
            Root::AssertionOption => self.options.get(key).map(|text| Cow::Borrowed(&**text)),
            Root::Step(number) => self.step(number, key),
            Root::Bare => match key {
                "token" => self.token.as_deref().map(Cow::Borrowed),
                "refresh_token" | "refreshToken" => {
                    let spent = self.refresh_token.as_deref().map(Cow::Borrowed);
                    spent.or_else(|| self.credential(key))
                }
                key => self.request.lookup(path).or_else(|| self.credential(key)),
            },
            Root::ConnectionConfig | Root::IntegrationConfig => self.request.lookup(path),
        }
    }

    fn now(&self) -> Option<DateTime<Utc>> {
        self.request.now()
    }

    fn call(&self, function: Function, arguments: &[String]) -> Result<String, CallError> {
        self.request.call(function, arguments)
    }
}
