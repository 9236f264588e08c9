//! The sync `items` of the demo provider: `dev` has one to look at while functions
//! cannot be deployed.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Result;
use futures_util::TryStreamExt as _;
use http::{Method, StatusCode};
use linkspan_proxy::{AnswerBody, Body, Call, Instructions, Options, Proxy};
use linkspan_shared::config::Config;
use linkspan_shared::tenancy::EnvironmentId;
use linkspan_shared::{Core, integrations};
use linkspan_syncs::{Definition, Failure, Natives, RunContext, Running, SyncFunction, functions};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use uuid::Uuid;

/// The provider whose integrations have it.
const PROVIDER: &str = "demo";
/// The function's name, and that of its code.
const NAME: &str = "items";
const MODEL: &str = "Item";
const FREQUENCY: &str = "every 5 minutes";
/// How often the environment is looked at for new integrations.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Items in a page, so that the 95 that there are at first make two.
const PER_PAGE: usize = 50;
/// The largest page in bytes: what the demo provider stores has an end.
const LARGEST_PAGE: usize = 64 * 1024 * 1024;
/// Where the checkpoint has the page that comes next.
const PAGE: &str = "page";

/// What is built into `dev`.
pub(super) fn functions(core: &Core, config: &Config) -> Natives {
    let items = Items {
        core: core.clone(),
        proxy: linkspan_server::proxy(core.clone(), config),
    };
    Natives::new().with(NAME, items)
}

/// Gives the function to each integration that has the demo provider, for as long as
/// `dev` runs. It begins paused, so that nothing calls the provider unasked.
pub(super) async fn record(core: Core, environment: EnvironmentId) {
    let mut known = HashSet::new();
    loop {
        if let Err(error) = record_new(&core, environment, &mut known).await {
            tracing::warn!(%error, "the demo sync could not be given to new integrations");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn record_new(
    core: &Core,
    environment: EnvironmentId,
    known: &mut HashSet<Uuid>,
) -> Result<()> {
    let keys = core.vault.environment(environment).await?;
    let all = {
        let mut conn = core.db.conn().await?;
        integrations::list(&mut conn, &keys, environment).await?
    };
    for integration in all {
        if integration.provider == PROVIDER && !known.contains(&integration.id) {
            let definition = Definition {
                description: Some("Saves all items of the demo API.".to_owned()),
                frequency: FREQUENCY.to_owned(),
                auto_start: false,
                track_deletes: true,
                ..Definition::native(NAME, &[MODEL])
            };
            functions::record(core, environment, &integration.unique_key, &definition).await?;
            known.insert(integration.id);
        }
    }
    Ok(())
}

/// Saves all items, page by page. A run that was cut off goes on with the page that
/// it had not saved.
struct Items {
    core: Core,
    proxy: Proxy,
}

impl SyncFunction for Items {
    fn run<'a>(&'a self, context: &'a RunContext) -> Running<'a> {
        Box::pin(async move {
            tokio::select! {
                ended = self.save_all(context) => ended,
                () = context.stopping() => Err(Failure::Stopped),
            }
        })
    }
}

impl Items {
    async fn save_all(&self, context: &RunContext) -> Result<(), Failure> {
        context.track_deletes_start(MODEL).await?;
        let checkpoint = context.checkpoint().await?;
        let begun = checkpoint.and_then(|checkpoint| checkpoint.get(PAGE)?.as_u64());
        let mut page = begun.unwrap_or(1);
        loop {
            let items = self.page(context, page).await?;
            let is_last = items.len() < PER_PAGE;
            if !items.is_empty() {
                context.batch_save(MODEL, items).await?;
            }
            if is_last {
                break;
            }
            page += 1;
            let next = Map::from_iter([(PAGE.to_owned(), Value::from(page))]);
            context.save_checkpoint(next).await?;
        }
        // In this order: a run that went on in the middle and tracked anew would
        // delete what came before.
        context.clear_checkpoint().await?;
        context.track_deletes_end(MODEL).await.map(drop)
    }

    /// The items of a page, as `/proxy` would answer them.
    async fn page(&self, context: &RunContext, page: u64) -> Result<Vec<Box<RawValue>>, Failure> {
        let facts = context.facts();
        let path = format!("/api/items?page={page}&per_page={PER_PAGE}");
        let instructions = Instructions {
            provider_config_key: facts.integration.clone(),
            connection_id: facts.connection_id.clone(),
            options: Options {
                retries: 3,
                ..Options::default()
            },
            ..Instructions::default()
        };
        let call = Call {
            client: &self.core.http,
            environment: facts.environment,
            instructions: &instructions,
            method: Method::GET,
            path_and_query: &path,
        };
        let answer = self.proxy.call(call, Body::Held(Default::default())).await;
        let (head, body) = answer.map_err(failure)?.into_parts();
        if head.status != StatusCode::OK {
            let status = head.status.as_u16();
            return Err(Failure::new(format!(
                "the demo API answered {status} to GET {path}"
            )));
        }
        let text = whole(body).await?;
        serde_json::from_slice(&text)
            .map_err(|error| Failure::new(format!("the answer to GET {path} is no list: {error}")))
    }
}

fn failure(error: linkspan_proxy::Error) -> Failure {
    match error {
        linkspan_proxy::Error::Connection(error) => error.into(),
        error => Failure::new(error),
    }
}

async fn whole(mut body: AnswerBody) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    while let Some(piece) = body.try_next().await.map_err(Failure::new)? {
        if text.len() + piece.len() > LARGEST_PAGE {
            return Err(Failure::new("a page of the demo API is too large"));
        }
        text.extend_from_slice(&piece);
    }
    Ok(text)
}
