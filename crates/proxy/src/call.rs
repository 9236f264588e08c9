//! A call: credentials, tries, and what is logged of them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use http::header::AUTHORIZATION;
use http::{Method, Response, StatusCode};
use linkspan_net as net;
use linkspan_shared::Core;
use linkspan_shared::connections::Live;
use linkspan_shared::connections::live::{self, Freshness, LiveKey};
use linkspan_shared::logs::{Kind, Level, Operation};
use linkspan_shared::tenancy::EnvironmentId;

use crate::error::Error;
use crate::instructions::Instructions;
use crate::retry::{Outcome, Retries};
use crate::send;
use crate::unauthorised::Renewals;

/// How the proxy behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long an API may take to begin its answer, connecting included. An
    /// answer that has begun may take as long as it wants.
    pub timeout: Duration,
    /// Bodies up to this size, in bytes, should come as [`Body::Held`].
    pub held_body_limit: usize,
}

impl Settings {
    pub(crate) fn deadlines(&self) -> net::Deadlines {
        net::Deadlines {
            response_head: self.timeout,
        }
    }
}

/// Makes calls. Clones share everything and cost a few reference counts.
#[derive(Clone)]
pub struct Proxy {
    core: Core,
    settings: Arc<Settings>,
    renewals: Renewals,
}

/// One call.
#[derive(Debug)]
pub struct Call<'a> {
    /// Whose integration and connection it uses.
    pub environment: EnvironmentId,
    /// What the caller says in headers.
    pub instructions: &'a Instructions,
    /// Any method but CONNECT.
    pub method: Method,
    /// What follows the API's base URL, as the caller wrote it.
    pub path_and_query: &'a str,
}

/// The body of a call.
#[derive(Debug)]
pub enum Body {
    /// A whole one, which may be empty: it can be sent again, to another
    /// address, with other credentials, or after a failure.
    Held(Bytes),
    /// One that is sent as it comes, once.
    Streamed {
        /// The stream.
        body: net::Body,
        /// Its length in bytes, where the caller has announced one.
        length: Option<u64>,
    },
}

impl Proxy {
    /// A proxy for the connections of a core.
    #[must_use]
    pub fn new(core: Core, settings: Settings) -> Self {
        Self {
            core,
            settings: Arc::new(settings),
            renewals: Renewals::new(),
        }
    }

    /// How it behaves.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Makes one call, logs it, and returns when the head of the API's answer
    /// is there. Whatever the API answers is `Ok`, with all of its headers;
    /// its body streams. Dropping the answer or the future ends the call.
    ///
    /// # Errors
    /// When the API was not asked or gave no answer.
    pub async fn call(&self, call: Call<'_>, body: Body) -> Result<Response<net::Incoming>, Error> {
        let mut operation = Operation::begin(call.environment, Kind::Proxy, "call");
        operation.integration = Some(call.instructions.provider_config_key.clone());
        operation.connection_id = Some(call.instructions.connection_id.clone());
        let result = self.run(&call, body, &mut operation).await;
        match &result {
            Ok(answer) if is_failure(answer.status()) => {
                operation.fail(None, format!("the API answered {}", answer.status()));
            }
            Ok(_) => {}
            Err(error) => operation.fail(Some(error.code().as_str()), error.to_string()),
        }
        self.core.logs.write(operation);
        result
    }

    async fn run(
        &self,
        call: &Call<'_>,
        body: Body,
        operation: &mut Operation,
    ) -> Result<Response<net::Incoming>, Error> {
        let instructions = call.instructions;
        let key = LiveKey::new(
            call.environment,
            &instructions.provider_config_key,
            &instructions.connection_id,
        );
        let live = live::get(&self.core, key.clone(), Freshness::Cached).await?;
        operation.provider = Some(live.integration.provider.clone());
        match body {
            Body::Held(body) => self.held(call, &key, live, body, operation).await,
            Body::Streamed { body, length } => {
                self.streamed(call, &key, &live, (body, length), operation)
                    .await
            }
        }
    }

    /// As many tries as it takes and the caller allows, and one more if the
    /// first credentials are refused and there are newer ones.
    async fn held(
        &self,
        call: &Call<'_>,
        key: &LiveKey,
        mut live: Arc<Live>,
        body: Bytes,
        operation: &mut Operation,
    ) -> Result<Response<net::Incoming>, Error> {
        let mut retries = Retries::new(&call.instructions.options);
        let mut is_renewed = false;
        loop {
            let sent = self.send(call, &live, body.clone(), operation).await?;
            if is_about_ours(call, &sent) {
                if is_renewed {
                    self.renewals.remember(&live).await;
                } else if let Some(new) =
                    self.renewals.renew(&self.core, key, &live, operation).await
                {
                    is_renewed = true;
                    live = new;
                    continue;
                }
            }
            let rules = live
                .template
                .proxy
                .as_ref()
                .and_then(|proxy| proxy.retry.as_ref());
            let Some(wait) = retries.next(outcome(&sent), rules, Utc::now()) else {
                return Ok(sent?);
            };
            drop(sent);
            operation.say(
                Level::Warn,
                format!("trying again in {} ms", wait.as_millis()),
            );
            tokio::time::sleep(wait).await;
            live = live::get(&self.core, key.clone(), Freshness::Cached).await?;
        }
    }

    /// One try, since the body cannot be had again. Refused credentials are
    /// renewed for the next call.
    async fn streamed(
        &self,
        call: &Call<'_>,
        key: &LiveKey,
        live: &Live,
        (body, length): (net::Body, Option<u64>),
        operation: &mut Operation,
    ) -> Result<Response<net::Incoming>, Error> {
        let target = send::target(call, live)?.with_body(&call.instructions.body_headers);
        let client = &self.core.http;
        let sent = send::streamed(
            client,
            &self.settings,
            call,
            target,
            body,
            length,
            operation,
        )
        .await;
        if is_about_ours(call, &sent) {
            self.renewals.renew(&self.core, key, live, operation).await;
        }
        Ok(sent?)
    }

    async fn send(
        &self,
        call: &Call<'_>,
        live: &Live,
        body: Bytes,
        operation: &mut Operation,
    ) -> Result<Result<Response<net::Incoming>, net::Error>, Error> {
        let mut target = send::target(call, live)?;
        if !body.is_empty() {
            target = target.with_body(&call.instructions.body_headers);
        }
        let client = &self.core.http;
        Ok(send::held(client, &self.settings, call, live, target, body, operation).await)
    }
}

/// Whether the API refuses the connection's credentials: not the caller's own,
/// and not their absence at the end of a redirect.
fn is_about_ours(call: &Call<'_>, sent: &Result<Response<net::Incoming>, net::Error>) -> bool {
    sent.as_ref().is_ok_and(|answer| {
        answer.status() == StatusCode::UNAUTHORIZED
            && answer.extensions().get::<net::Followed>().is_none()
            && !call.instructions.headers.contains_key(AUTHORIZATION)
    })
}

fn is_failure(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

fn outcome(sent: &Result<Response<net::Incoming>, net::Error>) -> Outcome<'_> {
    match sent {
        Ok(answer) => Outcome::Answer(answer.status(), answer.headers()),
        Err(error) => Outcome::Failure(error),
    }
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Renewals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Renewals").finish_non_exhaustive()
    }
}
