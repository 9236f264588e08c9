//! A running Linkspan with a strict provider beside it.

use std::time::Duration;

use anyhow::{Context, Result};
use http::{Method, Request, StatusCode, header};
use linkspan_net as net;
use linkspan_records::{Outcome, Store, StreamName, Writer};
use linkspan_server::Stopper;
use linkspan_shared::Core;
use linkspan_shared::assemble::assemble;
use linkspan_shared::config::Config;
use linkspan_shared::connections::number;
use linkspan_shared::logs::WriterTask;
use linkspan_shared::tenancy::bootstrap::{self, FirstKey};
use linkspan_shared::vault::Keyring;
use linkspan_simulator::Simulator;
use linkspan_simulator::browser::{self, Decision};
use secrecy::{ExposeSecret, SecretString};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::TestDatabase;

/// A server on a database of its own, with an account, and a simulated
/// provider.
pub struct TestApp {
    /// The database, for tests that look behind the API.
    pub database: TestDatabase,
    /// The services, for tests that go past the API.
    pub core: Core,
    /// The strict provider.
    pub provider: Simulator,
    /// The environment `dev` and its key, which has every scope.
    pub dev: FirstKey,
    /// The environment `prod` and its key.
    pub prod: FirstKey,
    config: Config,
    base_url: String,
    stopper: Stopper,
    log_writer: WriterTask,
    client: net::Client,
}

/// One more server on the database of a [`TestApp`]: it shares nothing else
/// with the first, as if it were another process.
pub struct AnotherServer {
    /// Its address, without a slash at the end.
    pub base_url: String,
    /// What its services work with.
    pub core: Core,
    stopper: Stopper,
    log_writer: WriterTask,
}

impl AnotherServer {
    /// Stops it and waits until every operation is logged.
    pub async fn stop(self) {
        self.stopper.stop().await;
        drop((self.core, self.stopper));
        self.log_writer.finish().await;
    }
}

/// An answer of the server.
#[derive(Debug)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: http::HeaderMap,
    /// Its body.
    pub body: bytes::Bytes,
}

impl Reply {
    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// `error.code` of the body.
    ///
    /// # Panics
    /// When the body is not an error.
    #[must_use]
    pub fn code(&self) -> String {
        self.json()["error"]["code"]
            .as_str()
            .expect("a code")
            .to_owned()
    }

    /// A header as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl TestApp {
    /// Starts everything with the settings that tests share.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts everything with some settings of its own, by their names in the
    /// environment.
    ///
    /// # Panics
    /// When anything does not start.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_on(TestDatabase::new().await, settings).await
    }

    /// Starts everything on this database.
    ///
    /// # Panics
    /// When anything does not start.
    pub async fn start_on(database: TestDatabase, settings: &[(&str, &str)]) -> Self {
        Self::try_start(database, settings)
            .await
            .unwrap_or_else(|error| panic!("the test app did not start: {error:#}"))
    }

    async fn try_start(database: TestDatabase, settings: &[(&str, &str)]) -> Result<Self> {
        let config = config(&database, settings)?;
        let (core, log_writer) = assemble(&config).await?;
        let keys = bootstrap::run(&core.db, &core.vault, "test").await?;
        let [dev, prod] = keys
            .and_then(|keys| <[FirstKey; 2]>::try_from(keys).ok())
            .context("an empty database bootstraps into two environments")?;
        let provider = Simulator::start(linkspan_simulator::Settings::default()).await?;
        let (base_url, stopper) = serve(&config, core.clone())?;
        let policy = net::AddressPolicy::from_settings(&["loopback".to_owned()], &[])?;
        let client = net::Client::new(net::Settings {
            policy,
            ..net::Settings::default()
        })?;
        Ok(Self {
            database,
            core,
            provider,
            dev,
            prod,
            config,
            base_url,
            stopper,
            log_writer,
            client,
        })
    }

    /// Starts one more server on the same database, with the same settings.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn another_server(&self) -> AnotherServer {
        let started = async {
            let (core, log_writer) = assemble(&self.config).await?;
            let (base_url, stopper) = serve(&self.config, core.clone())?;
            anyhow::Ok(AnotherServer {
                base_url,
                core,
                stopper,
                log_writer,
            })
        };
        started
            .await
            .unwrap_or_else(|error| panic!("another server did not start: {error:#}"))
    }

    /// The address of a path on the server.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    /// Sends a request as it is.
    ///
    /// # Panics
    /// When no answer comes.
    pub async fn send(&self, request: Request<bytes::Bytes>) -> Reply {
        let limits = net::Limits {
            total: Duration::from_secs(60),
            max_body: 64 * 1024 * 1024,
        };
        let (parts, body) = self
            .client
            .fetch(request, limits)
            .await
            .unwrap_or_else(|error| panic!("the server gave no answer: {error}"))
            .into_parts();
        Reply {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    /// Calls the API with a bearer token, and a JSON body unless it is null.
    pub async fn call_as(
        &self,
        token: &SecretString,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Reply {
        let mut request = Request::builder()
            .method(method)
            .uri(self.url(path))
            .header(
                header::AUTHORIZATION,
                format!("Bearer {}", token.expose_secret()),
            );
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let bytes = match body {
            Value::Null => bytes::Bytes::new(),
            body => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                body.to_string().into()
            }
        };
        self.send(request.body(bytes).expect("a request")).await
    }

    /// Calls the API with the key of `dev`.
    pub async fn call(&self, method: Method, path: &str, body: Value) -> Reply {
        self.call_as(&self.dev.api_key, method, path, &[], body)
            .await
    }

    /// Gets a path with the key of `dev`.
    pub async fn get(&self, path: &str) -> Reply {
        self.call(Method::GET, path, Value::Null).await
    }

    /// Posts JSON to a path with the key of `dev`.
    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.call(Method::POST, path, body).await
    }

    /// Creates an integration with the simulated provider.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn create_demo(&self, unique_key: &str) {
        let client = self.provider.client();
        let body = json!({
            "unique_key": unique_key,
            "provider": "demo",
            "credentials": {
                "type": "OAUTH2",
                "client_id": client.client_id,
                "client_secret": client.client_secret,
            },
            "integration_config": {
                "baseUrl": self.provider.base_url().as_str().trim_end_matches('/'),
            },
        });
        let reply = self.post("/integrations", body).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    /// The stream of a model of a connection.
    ///
    /// # Panics
    /// When there is no such connection.
    pub async fn stream(&self, integration: &str, connection: &str, model: &str) -> StreamName {
        let environment = self.dev.environment.id;
        let number = number::find(&self.core, environment, integration, connection).await;
        StreamName::base(environment, number.expect("a connection"), model)
    }

    /// Saves records, as a sync would.
    ///
    /// # Panics
    /// When they are refused.
    pub async fn save_records(&self, name: &StreamName, texts: &[&str]) -> Outcome {
        let raw = |text: &&str| RawValue::from_string((*text).to_owned()).expect("JSON");
        let records = texts.iter().map(raw).collect();
        let store = Store::of(&self.core);
        let saved = store.batch_save(name, records, Writer::default());
        saved.await.expect("records that can be saved")
    }

    /// Opens a connect session for end user `user-1`.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn connect_session(&self) -> String {
        let reply = self
            .post(
                "/connect/sessions",
                json!({ "end_user": { "id": "user-1" } }),
            )
            .await;
        assert_eq!(reply.status, 201, "{reply:?}");
        reply.json()["data"]["token"]
            .as_str()
            .expect("a token")
            .to_owned()
    }

    /// Goes the way of a browser from `/oauth/connect` to the provider, decides
    /// there, and comes back with the cookie that it was given. Answers the
    /// callback page.
    ///
    /// # Panics
    /// When the flow does not get as far as the callback.
    pub async fn authorise(&self, unique_key: &str, decision: Decision) -> Reply {
        let token = self.connect_session().await;
        let start = self.begin(unique_key, &token).await;
        assert_eq!(start.status, 302, "{start:?}");
        let location = start.header("location").expect("a location");
        let user = linkspan_simulator::Settings::default().user;
        let back = browser::authorize(location, &user, decision)
            .await
            .expect("the provider sends the browser back");
        let cookie = start.header("set-cookie").expect("a cookie");
        self.come_back(&back, Some(cookie)).await
    }

    /// The first stop of a flow.
    pub async fn begin(&self, unique_key: &str, session_token: &str) -> Reply {
        self.begin_at(&self.base_url, unique_key, session_token)
            .await
    }

    /// The first stop of a flow, at one of several servers.
    pub async fn begin_at(&self, server: &str, unique_key: &str, session_token: &str) -> Reply {
        let path = format!("/oauth/connect/{unique_key}?connect_session_token={session_token}");
        let request = Request::get(format!("{server}{path}")).body(bytes::Bytes::new());
        self.send(request.expect("a request")).await
    }

    /// The last stop of a flow: the provider's redirect, followed to this
    /// server whatever its public URL.
    pub async fn come_back(&self, location: &str, cookie: Option<&str>) -> Reply {
        self.come_back_to(&self.base_url, location, cookie).await
    }

    /// The last stop of a flow, at one of several servers.
    pub async fn come_back_to(&self, server: &str, location: &str, cookie: Option<&str>) -> Reply {
        let location: url::Url = location.parse().expect("a URL");
        let path = format!(
            "{}?{}",
            location.path(),
            location.query().unwrap_or_default()
        );
        let mut request = Request::get(format!("{server}{path}"));
        if let Some(cookie) = cookie {
            let pair = cookie.split(';').next().unwrap_or_default();
            request = request.header(header::COOKIE, pair);
        }
        self.send(request.body(bytes::Bytes::new()).expect("a request"))
            .await
    }

    /// Creates an integration `demo` with a connection, and gives the
    /// connection's id.
    ///
    /// # Panics
    /// When any step of it fails.
    pub async fn connect_demo(&self) -> String {
        self.create_demo("demo").await;
        let page = self.authorise("demo", Decision::Allow).await;
        assert_eq!(page.status, 200, "{page:?}");
        let list = self.get("/connections").await.json();
        list["connections"][0]["connection_id"]
            .as_str()
            .expect("a connection")
            .to_owned()
    }

    /// Stops the server and waits until every operation is logged.
    pub async fn stop(self) -> (TestDatabase, Simulator) {
        self.stopper.stop().await;
        let Self {
            database,
            core,
            provider,
            stopper,
            log_writer,
            ..
        } = self;
        // The log's task ends when nobody can hand it anything any more.
        drop((core, stopper));
        log_writer.finish().await;
        (database, provider)
    }
}

fn config(database: &TestDatabase, settings: &[(&str, &str)]) -> Result<Config> {
    let key = Keyring::generate("test")?;
    let mut variables = vec![
        (
            "LINKSPAN_DATABASE_URL",
            database.url().expose_secret().to_owned(),
        ),
        ("LINKSPAN_VAULT_ROOT_KEYS", key.expose_secret().to_owned()),
        ("LINKSPAN_SERVER_BIND", "127.0.0.1:0".to_owned()),
        ("LINKSPAN_SERVER_WORKERS", "1".to_owned()),
        ("LINKSPAN_NET_ALLOW", "loopback".to_owned()),
    ];
    variables.extend(
        settings
            .iter()
            .map(|&(name, value)| (name, value.to_owned())),
    );
    let pairs = variables
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    Ok(Config::load(None, pairs)?)
}

fn serve(config: &Config, core: Core) -> Result<(String, Stopper)> {
    let server = linkspan_server::start(core, config)?;
    let base_url = format!("http://{}", server.address());
    let stopper = server.stopper();
    tokio::spawn(server.serve());
    Ok((base_url, stopper))
}
