//! A token endpoint that answers what a test tells it to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use chrono::Utc;
use http::{Request, Response};
use linkspan_providers::{Catalogue, Config, Template};
use secrecy::SecretString;
use serde_json::{Map, Value};

use crate::{Client, Entered, Error, Finished, Login, Rejected, TokenEndpoint, TransportError};

/// Answers in order, the last one again and again, and keeps what came.
#[derive(Default)]
pub(crate) struct Scripted {
    answers: Mutex<VecDeque<Response<Vec<u8>>>>,
    seen: Mutex<Vec<Request<Vec<u8>>>>,
}

impl Scripted {
    pub(crate) fn new(answers: &[(u16, &str)]) -> Self {
        let scripted = Self::default();
        for (status, body) in answers {
            scripted.push(*status, &[], body);
        }
        scripted
    }

    pub(crate) fn push(&self, status: u16, headers: &[(&str, &str)], body: &str) {
        let mut answer = Response::builder().status(status);
        for (name, value) in headers {
            answer = answer.header(*name, *value);
        }
        let answer = answer.body(body.as_bytes().to_vec()).unwrap();
        self.answers.lock().unwrap().push_back(answer);
    }

    /// `POST https://… name: value … body` of each request.
    pub(crate) fn seen(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        let shown = |request: &Request<Vec<u8>>| {
            let mut headers: Vec<_> = request
                .headers()
                .iter()
                .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
                .collect();
            headers.sort();
            format!(
                "{} {}\n{}\n{}",
                request.method(),
                request.uri(),
                headers.join("\n"),
                String::from_utf8_lossy(request.body())
            )
        };
        seen.iter().map(shown).collect()
    }

    /// Whether the last request came with this in its extensions.
    pub(crate) fn extension<T: Clone + Send + Sync + 'static>(&self) -> Option<T> {
        let seen = self.seen.lock().unwrap();
        seen.last()?.extensions().get::<T>().cloned()
    }
}

impl TokenEndpoint for Scripted {
    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, TransportError> {
        self.seen.lock().unwrap().push(request);
        let mut answers = self.answers.lock().unwrap();
        match answers.len() {
            0 => Err(TransportError::Timeout),
            1 => Ok(answers[0].clone()),
            _ => Ok(answers.pop_front().unwrap()),
        }
    }
}

pub(crate) fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pairs = pairs.iter();
    pairs
        .map(|&(name, text)| (name.to_owned(), text.to_owned()))
        .collect()
}

/// A login that was made before and holds a refresh token or none.
pub(crate) fn earlier(refresh_token: Option<&str>) -> Login {
    Login {
        entered: BTreeMap::new(),
        token: SecretString::default(),
        refresh_token: refresh_token.map(SecretString::from),
        brought: BTreeMap::new(),
        expires_at: None,
        issued_at: Utc::now(),
        raw: Value::Null,
    }
}

/// Connects, as the API does.
pub(crate) async fn connect(
    template: &Template,
    client: Option<&Client>,
    connection: &[(&str, &str)],
    entered: Entered,
    endpoint: &Scripted,
) -> Result<Finished, Rejected> {
    let (connection, integration) = (texts(connection), Map::new());
    let config = Config {
        template,
        connection: &connection,
        integration: &integration,
    };
    crate::connect(client, &config, &entered, endpoint).await
}

/// The same from the catalogue, and what it came to.
pub(crate) async fn connect_to(
    slug: &str,
    connection: &[(&str, &str)],
    fields: &[(&str, &str)],
    endpoint: &Scripted,
) -> Result<Login, Error> {
    let catalogue = Catalogue::builtin().unwrap();
    let template = catalogue.get(slug).unwrap();
    let entered = texts(fields).into();
    let finished = connect(template, None, connection, entered, endpoint).await?;
    Ok(finished.credentials.login().unwrap().clone())
}

/// Values for every placeholder that a template may have: one text for all, and a
/// key where one is needed.
pub(crate) struct Anything<'a>(pub(crate) &'a str);

impl linkspan_providers::ConfigValues for Anything<'_> {
    fn value(&self, key: &str) -> Option<std::borrow::Cow<'_, str>> {
        match key {
            key if key.starts_with("oauth_client") => None,
            "instance_url" => Some("https://i.example".into()),
            _ => Some(self.0.into()),
        }
    }
}
