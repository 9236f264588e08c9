//! Syncs whose records can be computed, for workers that are killed and stopped:
//! what there is at an imagined API is a pure function of the connection and of a
//! generation that [`TABLES`] hold, so that everybody can say what the store must
//! have in the end.

use std::collections::BTreeMap;
use std::time::Duration;

use linkspan_records::{Outcome, StreamName};
use linkspan_shared::db::{Database, scalar};
use linkspan_shared::tenancy::EnvironmentId;
use linkspan_syncs::{Definition, Failure, Natives, RunContext, Running, SyncFunction};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// Ids that there may be, and how many come at once.
const IDS: u32 = 60;
const PAGE: u32 = 15;
const PAGES: u32 = IDS / PAGE;

/// The tables that the functions use, and what notes a fence that went backwards:
/// of each connection, model and variant a write is accepted from the last run
/// alone, also when its stream was deleted and made anew. A run that fails is noted
/// too, since the next one's row says nothing of it.
pub const TABLES: &str = "\
CREATE TABLE test_upstream (connection text PRIMARY KEY, generation bigint NOT NULL); \
CREATE TABLE test_replaced (connection text NOT NULL, name text NOT NULL); \
CREATE TABLE test_fences (connection bigint, model text, variant text, fence bigint NOT NULL, \
    PRIMARY KEY (connection, model, variant)); \
CREATE TABLE test_stale (connection bigint, model text, variant text, fence bigint); \
CREATE FUNCTION test_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
    INSERT INTO test_fences AS f VALUES (NEW.connection, NEW.model, NEW.variant, NEW.fence) \
        ON CONFLICT (connection, model, variant) DO UPDATE SET fence = excluded.fence \
        WHERE f.fence <= excluded.fence; \
    IF NOT FOUND AND NEW.fence > 0 THEN \
        INSERT INTO test_stale VALUES (NEW.connection, NEW.model, NEW.variant, NEW.fence); \
    END IF; \
    RETURN NEW; END $$; \
CREATE TRIGGER test_note AFTER INSERT OR UPDATE OF sequence, fence, live ON records.streams \
    FOR EACH ROW EXECUTE FUNCTION test_note(); \
CREATE TABLE test_failed (sync uuid, attempt smallint, error text); \
CREATE FUNCTION test_note_failed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
    INSERT INTO test_failed VALUES (NEW.id, NEW.run_attempt, NEW.run_error); \
    RETURN NEW; END $$; \
CREATE TRIGGER test_note_failed AFTER UPDATE OF run_status ON syncs \
    FOR EACH ROW WHEN (NEW.run_status = 'failed') EXECUTE FUNCTION test_note_failed();";

/// How a function comes to the content of a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Saves all pages, each with a checkpoint, and tracks deletes.
    Pages,
    /// Saves, updates and deletes what changed since the generation of its
    /// checkpoint.
    Changes,
    /// Saves all, has no checkpoint, and lets deletes be tracked around it.
    Whole,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Pages, Self::Changes, Self::Whole];

    /// The function's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pages => "pages",
            Self::Changes => "changes",
            Self::Whole => "whole",
        }
    }

    /// The way of a function.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.name() == name)
    }

    /// Its model, which no other one has: syncs of one connection that save the same
    /// model share a stream.
    #[must_use]
    pub const fn model(self) -> &'static str {
        match self {
            Self::Pages => "Paged",
            Self::Changes => "Changed",
            Self::Whole => "Whole",
        }
    }

    /// As it is deployed.
    #[must_use]
    pub fn definition(self) -> Definition {
        let mut definition = Definition::native(self.name(), &[self.model()]);
        definition.track_deletes = self == Self::Whole;
        definition
    }

    /// The checkpoint after a run that has come to a generation.
    #[must_use]
    pub fn checkpoint(self, generation: i64) -> Option<Value> {
        (self == Self::Changes).then(|| json!({ "generation": generation }))
    }
}

/// All functions.
#[must_use]
pub fn natives(db: &Database) -> Natives {
    Way::ALL.into_iter().fold(Natives::new(), |natives, way| {
        let db = db.clone();
        natives.with(way.name(), Upstream { db, way })
    })
}

/// The stream of a connection's sync.
#[must_use]
pub fn stream(
    environment: EnvironmentId,
    connection: i64,
    (way, variant): (Way, &str),
) -> StreamName {
    StreamName {
        environment,
        connection,
        model: way.model().to_owned(),
        variant: variant.to_owned(),
    }
}

/// What a store must have of a connection, by id.
#[must_use]
pub fn content(connection: &str, generation: i64) -> BTreeMap<String, Value> {
    (0..IDS)
        .filter_map(|id| {
            let version = version(connection, id, generation)?;
            Some((format!("r{id}"), record(id, version)))
        })
        .collect()
}

/// FNV-1a, and a last stirring.
fn mix(connection: &str, id: u32, generation: i64) -> u64 {
    let bytes = connection
        .bytes()
        .chain(id.to_be_bytes())
        .chain(generation.to_be_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 20
}

/// What a record is at a generation; none when it is not there. One in three
/// changes from one generation to the next.
fn version(connection: &str, id: u32, generation: i64) -> Option<u64> {
    let changes = |at: &i64| *at == 0 || mix(connection, id, *at).is_multiple_of(3);
    let last = (0..=generation).rev().find(changes)?;
    let version = mix(connection, id, last) / 3;
    (!version.is_multiple_of(4)).then_some(version % 1_000_000)
}

fn record(id: u32, version: u64) -> Value {
    json!({
        "id": format!("r{id}"),
        "version": version,
        "part": { "kept": id, "changed": version % 97, "text": "é\u{10348}".repeat(4) },
    })
}

fn raw(values: &[Value]) -> Result<Vec<Box<RawValue>>, Failure> {
    let texts = values.iter().map(|v| RawValue::from_string(v.to_string()));
    texts.collect::<Result<_, _>>().map_err(Failure::new)
}

struct Upstream {
    db: Database,
    way: Way,
}

impl SyncFunction for Upstream {
    fn run<'a>(&'a self, context: &'a RunContext) -> Running<'a> {
        Box::pin(async move {
            let done = match self.way {
                Way::Pages => self.pages(context).await,
                Way::Changes => self.changes(context).await,
                Way::Whole => self.whole(context).await,
            };
            if let Err(Failure::Replaced(_)) = &done {
                self.note_replaced(context).await?;
            }
            done
        })
    }
}

impl Upstream {
    async fn pages(&self, context: &RunContext) -> Result<(), Failure> {
        let connection = &*context.facts().connection_id;
        loop {
            let (generation, next) = match context.checkpoint().await? {
                Some(place) => (number(&place, "generation"), number(&place, "next")),
                None => {
                    let generation = self.generation(connection).await?;
                    context.save_checkpoint(place(generation, 0)).await?;
                    (generation, 0)
                }
            };
            context.track_deletes_start(Way::Pages.model()).await?;
            for page in (0..PAGES).skip(usize::try_from(next).unwrap_or(0)) {
                save(context, self.way, page, generation).await?;
                let next = i64::from(page) + 1;
                context.save_checkpoint(place(generation, next)).await?;
            }
            // In this order: who is cut off between begins from nothing.
            context.clear_checkpoint().await?;
            context.track_deletes_end(Way::Pages.model()).await?;
            // What it had begun with was an older one, perhaps.
            if self.generation(connection).await? == generation {
                return Ok(());
            }
        }
    }

    async fn changes(&self, context: &RunContext) -> Result<(), Failure> {
        let connection = &*context.facts().connection_id;
        let done = match context.checkpoint().await? {
            Some(place) => number(&place, "generation"),
            None => -1,
        };
        for generation in done + 1..=self.generation(connection).await? {
            for page in 0..PAGES {
                match generation {
                    0 => save(context, self.way, page, 0).await?,
                    _ => change(context, page, generation).await?,
                }
            }
            let mut place = Map::new();
            place.insert("generation".to_owned(), generation.into());
            context.save_checkpoint(place).await?;
        }
        Ok(())
    }

    async fn whole(&self, context: &RunContext) -> Result<(), Failure> {
        let connection = &*context.facts().connection_id;
        let generation = self.generation(connection).await?;
        for page in 0..PAGES {
            save(context, self.way, page, generation).await?;
        }
        Ok(())
    }

    async fn generation(&self, connection: &str) -> Result<i64, Failure> {
        let asked = async {
            let conn = self.db.conn().await?;
            let sql =
                format!("SELECT generation FROM test_upstream WHERE connection = '{connection}'");
            anyhow::Ok(scalar(&conn, &sql).await?)
        };
        asked.await.map_err(outage)
    }

    async fn note_replaced(&self, context: &RunContext) -> Result<(), Failure> {
        let (connection, name) = (&context.facts().connection_id, self.way.name());
        let noted = async {
            let conn = self.db.conn().await?;
            let sql = format!(
                "INSERT INTO test_replaced VALUES ('{connection}', '{name}') RETURNING 1::bigint"
            );
            anyhow::Ok(scalar::<i64>(&conn, &sql).await?)
        };
        noted.await.map(drop).map_err(outage)
    }
}

fn outage(error: anyhow::Error) -> Failure {
    Failure::Outage(error.to_string())
}

fn number(place: &Map<String, Value>, name: &str) -> i64 {
    place.get(name).and_then(Value::as_i64).unwrap_or(0)
}

fn place(generation: i64, next: i64) -> Map<String, Value> {
    let fields = [("generation", generation), ("next", next)];
    let field = |(name, value): (&str, i64)| (name.to_owned(), Value::from(value));
    fields.into_iter().map(field).collect()
}

fn ids(page: u32) -> std::ops::Range<u32> {
    page * PAGE..(page + 1) * PAGE
}

/// Saves a page as it is at a generation, some milliseconds after it was asked for.
async fn save(context: &RunContext, way: Way, page: u32, generation: i64) -> Result<(), Failure> {
    let connection = &*context.facts().connection_id;
    tokio::time::sleep(Duration::from_millis(
        mix(connection, page, generation) % 25,
    ))
    .await;
    let there = |id| Some(record(id, version(connection, id, generation)?));
    let records: Vec<Value> = ids(page).filter_map(there).collect();
    context
        .batch_save(way.model(), raw(&records)?)
        .await
        .map(drop)
}

/// Lays what has changed of a page since the generation before over the store.
async fn change(context: &RunContext, page: u32, generation: i64) -> Result<(), Failure> {
    let connection = &*context.facts().connection_id;
    let model = Way::Changes.model();
    let (mut new, mut changed, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    for id in ids(page) {
        let before = version(connection, id, generation - 1);
        match (before, version(connection, id, generation)) {
            (None, Some(now)) => new.push(record(id, now)),
            (Some(before), Some(now)) if before != now => changed.push(json!({
                "id": format!("r{id}"), "version": now, "part": { "changed": now % 97 },
            })),
            (Some(_), None) => gone.push(json!({ "id": format!("r{id}") })),
            _ => {}
        }
    }
    context.batch_save(model, raw(&new)?).await?;
    let updated: Outcome = context.batch_update(model, raw(&changed)?).await?;
    if !updated.unknown.is_empty() {
        return Err(Failure::new(format!(
            "{connection} has lost {:?} before generation {generation}",
            updated.unknown
        )));
    }
    context.batch_delete(model, raw(&gone)?).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_adds_changes_deletes_and_leaves_alone() {
        let (before, now) = (content("c1", 3), content("c1", 4));
        let added = now.keys().filter(|id| !before.contains_key(*id)).count();
        let gone = before.keys().filter(|id| !now.contains_key(*id)).count();
        let same = now.iter().filter(|(id, v)| before.get(*id) == Some(v));
        let same = same.count();
        assert!(added > 0 && gone > 0 && same > 0, "{added} {gone} {same}");
        assert!(same + added < now.len(), "some changed");
        assert_ne!(content("c1", 4), content("c2", 4));
    }
}
