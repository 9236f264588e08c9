//! A call: credentials, tries, and what is logged of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::Utc;
use http::header::AUTHORIZATION;
use http::{Method, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use linkspan_auth::request::BodyForSigning;
use linkspan_net as net;
use linkspan_shared::Core;
use linkspan_shared::connections::Live;
use linkspan_shared::connections::live::{self, Freshness, LiveKey};
use linkspan_shared::logs::Level;
use linkspan_shared::tenancy::EnvironmentId;

use crate::answer::end_to_end;
use crate::body::{AnswerBody, Source};
use crate::decompress::decompress;
use crate::error::Error;
use crate::gate::{Gates, Limits, Pass};
use crate::identities::Identities;
use crate::instructions::Instructions;
use crate::meter;
use crate::record::Record;
use crate::retry::{Outcome, Retries};
use crate::send::{self, Described, Sendable};
use crate::told::told;
use crate::unauthorised::Renewals;

/// How the proxy behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long an API may take to begin its answer, connecting included; for a
    /// streamed request, since the last piece of it that the API took.
    pub timeout: Duration,
    /// How long an answer that has begun may send nothing. It may take as long
    /// as it wants otherwise.
    pub idle_timeout: Duration,
    /// Bodies up to this size, in bytes, should come as [`Body::Held`].
    pub held_body_limit: usize,
    /// The largest body, in bytes, that is taken where the template adds to it:
    /// such a one is needed whole.
    pub whole_body_limit: usize,
    /// How many calls to one provider are made at once.
    pub limits: Limits,
}

impl Settings {
    pub(crate) fn deadlines(&self) -> net::Deadlines {
        net::Deadlines {
            response_head: self.timeout,
        }
    }
}

/// Makes calls. Clones share everything and cost one reference count.
#[derive(Clone)]
pub struct Proxy {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) core: Core,
    settings: Settings,
    renewals: Renewals,
    pub(crate) gates: Gates,
    identities: Identities,
}

/// What came of one try, and the place that it takes up.
struct Sent {
    answer: Result<Response<Source>, net::Error>,
    pass: Pass,
}

/// One call.
#[derive(Debug)]
pub struct Call<'a> {
    /// The way out: the calling thread's own, whose connections it drives.
    pub client: &'a net::Client,
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
        meter::describe();
        let gates = Gates::new(&core.catalogue.current(), settings.limits);
        Self {
            inner: Arc::new(Inner {
                core,
                settings,
                renewals: Renewals::new(),
                gates,
                identities: Identities::new(),
            }),
        }
    }

    /// Sets the gauges of calls under way and waiting to what is now.
    pub fn observe(&self) {
        self.inner.gates.observe();
    }

    /// How it behaves.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// Makes one call, and returns when the head of the API's answer is there.
    /// Whatever the API answers is `Ok`, with those of its headers that are for
    /// the caller; its body streams. Dropping the body or the future ends the
    /// call at the API, too. The call is logged when it has ended.
    ///
    /// # Errors
    /// When the API was not asked or gave no answer.
    pub async fn call(&self, call: Call<'_>, body: Body) -> Result<Response<AnswerBody>, Error> {
        let mut record = Record::begin(Arc::clone(&self.inner), &call);
        match self.inner.run(&call, body, &mut record).await {
            Ok((answer, pass)) => {
                record.answered(answer.status());
                let idle = self.inner.settings.idle_timeout;
                Ok(answer.map(|source| AnswerBody::new(source, idle, record, pass)))
            }
            Err(error) => {
                record.failed(&error);
                Err(error)
            }
        }
    }
}

impl Inner {
    async fn run(
        &self,
        call: &Call<'_>,
        body: Body,
        record: &mut Record,
    ) -> Result<(Response<Source>, Pass), Error> {
        let instructions = call.instructions;
        let key = LiveKey::new(
            call.environment,
            &instructions.provider_config_key,
            &instructions.connection_id,
        );
        let live = live::get(&self.core, key.clone(), Freshness::Cached).await?;
        record.provider(&live.integration.provider);
        let wants_plain = send::wants_plain(call, &live);
        let body = match body {
            Body::Streamed { body, length } if send::needs_body(call, &live)? => {
                let limit = self.settings.whole_body_limit;
                Body::Held(whole(body, length, limit).await?)
            }
            body => body,
        };
        let Sent { answer, pass } = match body {
            Body::Held(body) => self.held(call, &key, live, body, record).await?,
            Body::Streamed { body, length } => {
                self.streamed(call, &key, &live, (body, length), record)
                    .await?
            }
        };
        let (mut head, mut body) = answer?.into_parts();
        end_to_end(&mut head.headers);
        if wants_plain {
            body = decompress(&mut head.headers, body);
        }
        Ok((Response::from_parts(head, body), pass))
    }

    /// As many tries as it takes and the caller allows, and one more if the
    /// first credentials are refused and there are newer ones.
    async fn held(
        &self,
        call: &Call<'_>,
        key: &LiveKey,
        mut live: Arc<Live>,
        body: Bytes,
        record: &mut Record,
    ) -> Result<Sent, Error> {
        let mut retries = Retries::new(&call.instructions.options);
        let mut is_renewed = false;
        loop {
            let mut sent = self.send(call, &live, body.clone(), record).await?;
            if is_about_ours(call, &sent.answer) {
                // A refresh may take long, and this provider's places are not
                // for waiting.
                sent.pass = Pass::none();
                if is_renewed {
                    self.renewals.remember(&live).await;
                } else if let Some(new) = self.renewals.renew(&self.core, key, &live, record).await
                {
                    is_renewed = true;
                    live = new;
                    continue;
                }
            }
            let Some(wait) = wait(&mut retries, &mut sent.answer, &live).await else {
                return Ok(sent);
            };
            // Whoever waits leaves the place to others.
            drop(sent);
            let text = format!("trying again in {} ms", wait.as_millis());
            record.say(Level::Warn, text);
            record.retried();
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
        body: (net::Body, Option<u64>),
        record: &mut Record,
    ) -> Result<Sent, Error> {
        let described = Described::own(call, BodyForSigning::Streamed);
        let target = send::target(call, live, &described)?;
        let client = self.identities.client(call.client, live).await?;
        let pass = self.gates.enter(&live.template.slug).await?;
        let begun = Instant::now();
        let answer = send::streamed(&client, &self.settings, call, target, body, record).await;
        record.upstream(begun.elapsed());
        let answer = answer.map(|answer| answer.map(Source::Direct));
        if is_about_ours(call, &answer) {
            self.renewals.renew(&self.core, key, live, record).await;
        }
        Ok(Sent { answer, pass })
    }

    async fn send(
        &self,
        call: &Call<'_>,
        live: &Live,
        body: Bytes,
        record: &mut Record,
    ) -> Result<Sent, Error> {
        let own = Described::own(call, BodyForSigning::Whole(&body));
        let merged = send::merged(call, live, &body)?;
        let described = match &merged {
            Some(merged) => own.json(merged),
            None => own,
        };
        let target = send::target(call, live, &described)?;
        let body = Sendable {
            is_merged: merged.is_some(),
            bytes: merged.unwrap_or(body),
        };
        let client = self.identities.client(call.client, live).await?;
        let pass = self.gates.enter(&live.template.slug).await?;
        let begun = Instant::now();
        let answer = send::held(&client, &self.settings, call, live, target, body, record).await;
        record.upstream(begun.elapsed());
        let answer = answer.map(|answer| answer.map(Source::Direct));
        Ok(Sent { answer, pass })
    }
}

/// A body that came as a stream, where it is needed whole.
async fn whole(body: net::Body, length: Option<u64>, limit: usize) -> Result<Bytes, Error> {
    let is_large = length.is_some_and(|length| usize::try_from(length).map_or(true, |n| n > limit));
    if is_large {
        return Err(Error::BodyTooLarge { limit });
    }
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Error::BodyTooLarge { limit }),
        Err(_) => Err(Error::BodyBroken),
    }
}

/// How long to wait before the next try; nothing if there is to be none.
async fn wait(
    retries: &mut Retries<'_>,
    answer: &mut Result<Response<Source>, net::Error>,
    live: &Live,
) -> Option<Duration> {
    let proxy = live.template.proxy.as_ref();
    let rules = proxy.and_then(|proxy| proxy.retry.as_ref());
    let rule = retries.in_body(outcome(answer), rules, Utc::now());
    let told = match (rule, answer.as_mut()) {
        (Some(rule), Ok(answer)) => told(answer, rule).await,
        _ => None,
    };
    retries.next(outcome(answer), rules, told.as_deref(), Utc::now())
}

/// Whether the API refuses the connection's credentials: not the caller's own,
/// and not their absence at the end of a redirect.
fn is_about_ours(call: &Call<'_>, sent: &Result<Response<Source>, net::Error>) -> bool {
    sent.as_ref().is_ok_and(|answer| {
        answer.status() == StatusCode::UNAUTHORIZED
            && answer.extensions().get::<net::Followed>().is_none()
            && !call.instructions.headers.contains_key(AUTHORIZATION)
    })
}

fn outcome(sent: &Result<Response<Source>, net::Error>) -> Outcome<'_> {
    match sent {
        Ok(answer) => Outcome::Answer(answer.status(), answer.headers()),
        Err(error) => Outcome::Failure(error),
    }
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy")
            .field("settings", &self.inner.settings)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Renewals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Renewals").finish_non_exhaustive()
    }
}
