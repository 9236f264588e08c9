//! Calls to the servers.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http::{Method, Request, header};
use linkspan_net as net;
use serde_json::{Value, json};

/// How long a call may take: a flight's longest wait, and some.
const PATIENCE: Duration = Duration::from_secs(40);

/// The hand that calls.
#[derive(Clone)]
pub(crate) struct Api {
    client: net::Client,
    key: String,
}

impl Api {
    pub(crate) fn new(key: String) -> Result<Self> {
        let policy = net::AddressPolicy::from_settings(&["loopback".to_owned()], &[])?;
        let client = net::Client::new(net::Settings {
            policy,
            ..net::Settings::default()
        })?;
        Ok(Self { client, key })
    }

    async fn call(&self, method: Method, url: String, body: Value) -> Result<(u16, Value)> {
        let body = match body {
            Value::Null => Bytes::new(),
            body => body.to_string().into(),
        };
        let request = Request::builder()
            .method(method)
            .uri(url)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.key))
            .header(header::CONTENT_TYPE, "application/json")
            .body(body)?;
        let limits = net::Limits {
            total: PATIENCE,
            max_body: 1024 * 1024,
        };
        let (head, body) = self.client.fetch(request, limits).await?.into_parts();
        Ok((head.status.as_u16(), serde_json::from_slice(&body)?))
    }

    pub(crate) async fn post(&self, server: &str, path: &str, body: Value) -> Result<Value> {
        let (status, answer) = self
            .call(Method::POST, format!("{server}{path}"), body)
            .await?;
        if !(200..300).contains(&status) {
            bail!("POST {path} answered {status}: {answer}");
        }
        Ok(answer)
    }

    /// Refreshes a connection; the status and the answer.
    pub(crate) async fn force(&self, server: &str, id: &str) -> Result<(u16, Value)> {
        let url = format!("{server}/connections/{id}?provider_config_key=demo&force_refresh=true");
        self.call(Method::GET, url, Value::Null).await
    }

    /// The refresh token that is stored.
    pub(crate) async fn stored(&self, server: &str, id: &str) -> Result<String> {
        let url = format!("{server}/connections/{id}?provider_config_key=demo");
        let (status, answer) = self.call(Method::GET, url, Value::Null).await?;
        let token = answer["credentials"]["refresh_token"].as_str();
        token
            .map(str::to_owned)
            .with_context(|| format!("GET {id} answered {status}: {answer}"))
    }

    /// Makes a connection whose access token does not expire soon.
    pub(crate) async fn connect(
        &self,
        server: &str,
        id: &str,
        minted: linkspan_simulator::Minted,
    ) -> Result<()> {
        let body = json!({
            "provider_config_key": "demo",
            "connection_id": id,
            "credentials": {
                "type": "OAUTH2",
                "access_token": minted.access_token,
                "refresh_token": minted.refresh_token,
                "expires_at": "2090-01-01T00:00:00.000Z",
            },
        });
        self.post(server, "/connections", body).await?;
        Ok(())
    }
}
