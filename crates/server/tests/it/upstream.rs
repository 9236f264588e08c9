//! APIs and callers that are driven byte by byte, so that a test decides what
//! happens when.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use linkspan_net as net;
use linkspan_testkit::TestApp;
use secrecy::ExposeSecret;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The template of a provider that asks for no credentials.
const PLAIN: &str = "display_name: Test\ncategories: [other]\nauth_mode: NONE\n\
                     proxy:\n  base_url: http://127.0.0.1:9\n";

/// What does not come in this time does not come, and the test says so.
pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(60);
    tokio::time::timeout(limit, work).await.unwrap()
}

/// An app with the providers that a test describes, each with a connection.
pub(crate) struct Calls {
    pub(crate) app: TestApp,
    client: net::Client,
    connections: Vec<(&'static str, String)>,
    _templates: TempDir,
}

impl Calls {
    /// Providers are a slug and what its template has under `proxy`.
    pub(crate) async fn start(
        settings: &[(&str, &str)],
        providers: &[(&'static str, &str)],
    ) -> Self {
        let templates = tempfile::tempdir().unwrap();
        for (slug, proxy) in providers {
            let file = templates.path().join(format!("{slug}.yaml"));
            std::fs::write(file, format!("{PLAIN}{proxy}")).unwrap();
        }
        let folder = templates.path().to_str().unwrap();
        let settings = [&[("LINKSPAN_PROVIDERS_DIR", folder)], settings].concat();
        let app = TestApp::start_with(&settings).await;
        let mut connections = Vec::new();
        for &(slug, _) in providers {
            let body = serde_json::json!({ "unique_key": slug, "provider": slug });
            assert_eq!(app.post("/integrations", body).await.status, 200);
            let token = app.connect_session().await;
            let path = format!("/auth/unauthenticated/{slug}?connect_session_token={token}");
            let reply = app.post(&path, Value::Null).await;
            let id = reply.json()["connectionId"].as_str().unwrap().to_owned();
            connections.push((slug, id));
        }
        let policy = net::AddressPolicy::from_settings(&["loopback".to_owned()], &[]).unwrap();
        let client = net::Client::new(net::Settings {
            policy,
            ..net::Settings::default()
        })
        .unwrap();
        Self {
            app,
            client,
            connections,
            _templates: templates,
        }
    }

    /// One provider, called `plain`, with nothing special.
    pub(crate) async fn plain(settings: &[(&str, &str)]) -> Self {
        Self::start(settings, &[("plain", "")]).await
    }

    pub(crate) fn connection(&self, provider: &str) -> &str {
        let mut connections = self.connections.iter();
        &connections.find(|(slug, _)| *slug == provider).unwrap().1
    }

    /// The head of a call to `upstream`, as a request of the first provider.
    pub(crate) fn request(
        &self,
        method: Method,
        upstream: &Upstream,
        more: &[(&str, &str)],
    ) -> http::request::Builder {
        self.request_of(self.connections[0].0, method, upstream, more)
    }

    pub(crate) fn request_of(
        &self,
        provider: &str,
        method: Method,
        upstream: &Upstream,
        more: &[(&str, &str)],
    ) -> http::request::Builder {
        let key = self.app.dev.api_key.expose_secret();
        let mut request = Request::builder()
            .method(method)
            .uri(self.app.url("/proxy/x"))
            .header("authorization", format!("Bearer {key}"))
            .header("provider-config-key", provider)
            .header("connection-id", self.connection(provider))
            .header("base-url-override", &upstream.url);
        for (name, value) in more {
            request = request.header(*name, *value);
        }
        request
    }

    /// Sends a call, and goes on when the head of its answer is there. The task
    /// is the caller: aborting it hangs up.
    pub(crate) fn send(
        &self,
        request: http::request::Builder,
        body: impl Into<Bytes>,
    ) -> tokio::task::JoinHandle<Response<net::Incoming>> {
        let request = request.body(net::Body::full(body)).unwrap();
        let client = self.client.clone();
        let deadlines = net::Deadlines {
            response_head: Duration::from_secs(60),
        };
        tokio::spawn(async move { client.send(request, deadlines).await.unwrap() })
    }

    pub(crate) fn get(
        &self,
        upstream: &Upstream,
        more: &[(&str, &str)],
    ) -> tokio::task::JoinHandle<Response<net::Incoming>> {
        self.send(self.request(Method::GET, upstream, more), "")
    }

    /// Opens a connection and writes a call's head, and what is given behind it.
    pub(crate) async fn dial(
        &self,
        method: Method,
        upstream: &Upstream,
        more: &[(&str, &str)],
        body: &str,
    ) -> TcpStream {
        let request = self.request(method, upstream, more).body(()).unwrap();
        let address = request.uri().authority().unwrap().as_str();
        let mut caller = TcpStream::connect(address).await.unwrap();
        let mut head = format!("{} /proxy/x HTTP/1.1\r\nhost: x\r\n", request.method());
        for (name, value) in request.headers() {
            head.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
        }
        let text = format!("{head}\r\n{body}");
        caller.write_all(text.as_bytes()).await.unwrap();
        caller
    }

    /// The log's entries of proxied calls, oldest first, when there are so many:
    /// status, error code, and the last message.
    pub(crate) async fn logged(&self, count: usize) -> Vec<(String, Value, String)> {
        let path = "/logs/operations?type=proxy";
        let operations = soon(async {
            loop {
                let list = self.app.get(path).await.json();
                let list = list["data"].as_array().unwrap().clone();
                if list.len() >= count {
                    break list;
                }
            }
        })
        .await;
        let mut entries = Vec::new();
        for operation in operations.iter().rev() {
            let id = operation["id"].as_str().unwrap();
            let full = self.app.get(&format!("/logs/operations/{id}")).await.json();
            let full = full.get("data").unwrap_or(&full).clone();
            let status = full["status"].as_str().unwrap().to_owned();
            let messages = full["messages"].as_array().unwrap();
            let text = messages.last().unwrap()["text"].as_str().unwrap();
            entries.push((status, full["error_code"].clone(), text.to_owned()));
        }
        entries
    }
}

/// An API that listens.
pub(crate) struct Upstream {
    listener: TcpListener,
    pub(crate) url: String,
}

/// A call that has reached it.
pub(crate) struct Exchange {
    stream: TcpStream,
    /// The request's head, in lower case.
    pub(crate) head: String,
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        Self { listener, url }
    }

    /// The next connection, with its request's head.
    pub(crate) async fn accept(&self) -> Exchange {
        let (stream, _) = soon(self.listener.accept()).await.unwrap();
        let mut exchange = Exchange {
            stream,
            head: String::new(),
        };
        exchange.next_head().await;
        exchange
    }

    /// Answers the next connection, and closes it.
    pub(crate) async fn answer(&self, text: impl AsRef<[u8]>) -> Exchange {
        let mut exchange = self.accept().await;
        exchange.send(text).await;
        exchange.stream.shutdown().await.unwrap();
        exchange
    }
}

impl Exchange {
    pub(crate) async fn next_head(&mut self) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await.unwrap());
        }
        self.head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    }

    pub(crate) async fn send(&mut self, text: impl AsRef<[u8]>) {
        self.stream.write_all(text.as_ref()).await.unwrap();
    }

    /// As [`Exchange::send`], to somebody who may hang up in the middle.
    pub(crate) async fn send_if_open(&mut self, text: &str) {
        let _ = self.stream.write_all(text.as_bytes()).await;
    }

    /// Everything that still comes, until the other side has closed.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset is a way to close, too.
        let _ = soon(self.stream.read_to_end(&mut rest)).await;
        rest
    }

    pub(crate) async fn read(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).await.unwrap();
        bytes
    }
}
