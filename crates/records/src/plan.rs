//! What is to be done with each record of a batch, and the sealing of those that
//! are stored.

use std::collections::HashMap;
use std::sync::Arc;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Int4, Nullable, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use linkspan_shared::db::Connection;
use linkspan_shared::vault::{EnvironmentKeys, Vault};
use uuid::Uuid;

use crate::batch::{Merging, Outcome, Writer};
use crate::compare::{Compared, compare};
use crate::incoming::Batch;
use crate::json::{self, Unreadable};
use crate::merge::merged;
use crate::parallel::in_parallel;
use crate::stream::Stream;
use crate::write::{Changes, Rows};
use crate::{Cursor, Error, payload};

/// What a batch does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Save,
    Update,
    Delete,
}

/// A batch that is being worked on, possibly twice.
pub(crate) struct Work {
    vault: Vault,
    stream: Arc<Stream>,
    keys: Arc<EnvironmentKeys>,
    pub(crate) batch: Batch,
    kind: Kind,
    writer: Writer,
    /// What is sealed already, by position.
    sealed: HashMap<usize, Vec<u8>>,
}

/// What became of each record, by position, and what is to be stored for it.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) changes: Changes,
    is_note_due: bool,
    added: Vec<usize>,
    updated: Vec<usize>,
    deleted: Vec<usize>,
    unchanged: Vec<usize>,
    ignored: Vec<usize>,
    unknown: Vec<usize>,
    /// Positions of the rows in `changes.new` and `changes.old`.
    new: Vec<usize>,
    old: Vec<usize>,
}

impl Plan {
    /// Whether there is anything to write, be it only that a batch came.
    pub(crate) fn has_changes(&self) -> bool {
        self.changes.count > 0 || !self.changes.seen.is_empty() || self.is_note_due
    }

    pub(crate) fn outcome(self, work: &mut Work, cursor: Cursor) -> Outcome {
        let mut ids = |positions: Vec<usize>| -> Vec<String> {
            positions
                .into_iter()
                .filter_map(|at| Some(std::mem::take(&mut work.batch.records.get_mut(at)?.id)))
                .collect()
        };
        let next_merging = match work.writer.merging {
            Merging::IgnoreIfModifiedAfter(after) if self.changes.sequence <= after.0 => {
                Merging::IgnoreIfModifiedAfter(cursor)
            }
            other => other,
        };
        Outcome {
            added: ids(self.added),
            updated: ids(self.updated),
            deleted: ids(self.deleted),
            unchanged: ids(self.unchanged),
            ignored: ids(self.ignored),
            unknown: ids(self.unknown),
            duplicates: std::mem::take(&mut work.batch.duplicates),
            cursor,
            next_merging,
        }
    }
}

impl Work {
    pub(crate) fn new(
        vault: Vault,
        stream: &Arc<Stream>,
        keys: Arc<EnvironmentKeys>,
        batch: Batch,
        kind: Kind,
        writer: Writer,
    ) -> Self {
        Self {
            vault,
            stream: Arc::clone(stream),
            keys,
            batch,
            kind,
            writer,
            sealed: HashMap::new(),
        }
    }

    /// Compares with the store and decides; `None` when the stream is gone.
    pub(crate) async fn plan(&mut self, conn: &mut Connection) -> Result<Option<Plan>, Error> {
        let keys = self.batch.keys();
        let hashes = match self.kind {
            Kind::Save => self.batch.hashes(),
            // No content has this hash: what is there differs.
            Kind::Update | Kind::Delete => vec![Uuid::nil(); keys.len()],
        };
        let later = match self.writer.merging {
            Merging::Override => None,
            Merging::IgnoreIfModifiedAfter(Cursor(after)) => Some(after),
        };
        let compared = compare(conn, &self.stream, &keys, &hashes, later).await?;
        let Some(compared) = compared else {
            return Ok(None);
        };
        if let Some(fence) = self.writer.fence
            && fence < compared.fence
        {
            return Err(Error::Stale {
                model: self.stream.name.model.clone(),
                fence,
                current: compared.fence,
            });
        }
        let states = states(&compared, keys.len());
        let mut plan = Plan {
            is_note_due: compared.is_note_due
                || self
                    .writer
                    .fence
                    .is_some_and(|fence| fence > compared.fence),
            ..Plan::default()
        };
        plan.changes.sequence = compared.sequence;
        plan.changes.tracked_from = compared.tracked_from;
        plan.changes.fence = self.writer.fence;
        match self.kind {
            Kind::Save => self.save(&mut plan, &states, compared.bytes).await?,
            Kind::Delete => self.delete(&mut plan, &states),
            Kind::Update => self.update(conn, &mut plan, &states).await?,
        }
        if compared.tracked_from.is_some() && self.kind != Kind::Delete {
            let seen = plan.unchanged.iter().chain(&plan.ignored);
            plan.changes.seen = seen.filter_map(|at| keys.get(*at).copied()).collect();
        }
        Ok(Some(plan))
    }

    async fn save(
        &mut self,
        plan: &mut Plan,
        states: &[State],
        replaced: i64,
    ) -> Result<(), Error> {
        for (at, state) in states.iter().enumerate() {
            match state {
                State::Missing => {
                    plan.added.push(at);
                    plan.new.push(at);
                }
                State::Deleted => {
                    plan.added.push(at);
                    plan.old.push(at);
                    plan.changes.deleted -= 1;
                }
                State::Different => {
                    plan.updated.push(at);
                    plan.old.push(at);
                }
                State::Same => plan.unchanged.push(at),
                State::Later => plan.ignored.push(at),
            }
        }
        plan.changes.live = count(&plan.added);
        self.rows(plan).await?;
        plan.changes.bytes -= replaced;
        Ok(())
    }

    fn delete(&self, plan: &mut Plan, states: &[State]) {
        for (at, state) in states.iter().enumerate() {
            match state {
                State::Different | State::Same => plan.deleted.push(at),
                State::Missing | State::Deleted => plan.unknown.push(at),
                State::Later => plan.ignored.push(at),
            }
        }
        let key = |at: &usize| self.batch.records.get(*at).map(|record| record.key);
        plan.changes.gone = plan.deleted.iter().filter_map(key).collect();
        plan.changes.count = count(&plan.deleted);
        plan.changes.live = -plan.changes.count;
        plan.changes.deleted = plan.changes.count;
    }

    async fn update(
        &mut self,
        conn: &mut Connection,
        plan: &mut Plan,
        states: &[State],
    ) -> Result<(), Error> {
        let there: Vec<usize> = (0..states.len())
            .filter(|at| states.get(*at) == Some(&State::Different))
            .collect();
        let stored = self.stored(conn, &there).await?;
        let mut results = self.merge(stored).await?;
        let mut replaced = 0;
        for (at, state) in states.iter().enumerate() {
            match state {
                State::Later => plan.ignored.push(at),
                State::Different => match results.remove(&at) {
                    Some(result) if result.is_same => plan.unchanged.push(at),
                    Some(result) => {
                        plan.updated.push(at);
                        plan.old.push(at);
                        replaced += result.replaced;
                        self.sealed.insert(at, result.sealed);
                        if let Some(record) = self.batch.records.get_mut(at) {
                            record.hash = result.hash;
                        }
                    }
                    None => plan.unknown.push(at),
                },
                _ => plan.unknown.push(at),
            }
        }
        self.rows(plan).await?;
        plan.changes.bytes -= replaced;
        Ok(())
    }

    /// The rows of a plan, sealed where they are not yet.
    async fn rows(&mut self, plan: &mut Plan) -> Result<(), Error> {
        let mut written: Vec<usize> = plan.new.iter().chain(&plan.old).copied().collect();
        written.sort_unstable();
        self.seal(&written).await?;
        let places: HashMap<usize, i64> = written.iter().copied().zip(1..).collect();
        let mut rows = |positions: &[usize]| -> Rows {
            let mut rows = Rows::default();
            for at in positions {
                let (Some(record), Some(sealed)) =
                    (self.batch.records.get(*at), self.sealed.remove(at))
                else {
                    continue;
                };
                plan.changes.bytes += i64::try_from(sealed.len()).unwrap_or(i64::MAX);
                rows.keys.push(record.key);
                rows.hashes.push(record.hash);
                rows.payloads.push(sealed);
                rows.places.extend(places.get(at));
            }
            rows
        };
        let (new, old) = (rows(&plan.new), rows(&plan.old));
        plan.changes.new = new;
        plan.changes.old = old;
        plan.changes.count = count(&written);
        Ok(())
    }

    async fn seal(&mut self, positions: &[usize]) -> Result<(), Error> {
        let records = &mut self.batch.records;
        let todo: Vec<(usize, Uuid, Box<str>)> = positions
            .iter()
            .filter(|at| !self.sealed.contains_key(at))
            .filter_map(|at| {
                let record = records.get_mut(*at)?;
                Some((*at, record.key, std::mem::take(&mut record.text)))
            })
            .collect();
        if todo.is_empty() {
            return Ok(());
        }
        let (keys, stream) = (Arc::clone(&self.keys), self.stream.id);
        let sealed = in_parallel(todo, move |part| {
            let sealer = payload::part(&keys, stream)?;
            part.into_iter()
                .map(|(at, key, text)| Ok((at, payload::seal(&sealer, stream, key, &text)?)))
                .collect()
        })
        .await?;
        self.sealed.extend(sealed);
        Ok(())
    }

    /// Keeps what was sealed for a plan that could not be carried out. What was
    /// merged is merged again, with what is stored by then.
    pub(crate) fn take_back(&mut self, plan: Plan) {
        if self.kind == Kind::Save {
            let Changes { new, old, .. } = plan.changes;
            self.sealed.extend(plan.new.into_iter().zip(new.payloads));
            self.sealed.extend(plan.old.into_iter().zip(old.payloads));
        }
    }

    async fn stored(&self, conn: &mut Connection, there: &[usize]) -> Result<Vec<Stored>, Error> {
        let keys: Vec<Uuid> = there
            .iter()
            .filter_map(|at| Some(self.batch.records.get(*at)?.key))
            .collect();
        let positions: Vec<i32> = there
            .iter()
            .filter_map(|at| (*at).try_into().ok())
            .collect();
        Ok(diesel::sql_query(
            "SELECT g.at, r.* FROM unnest($3, $4) AS g(key, at) CROSS JOIN LATERAL ( \
                 SELECT r.key, r.hash, r.payload, r.pruned_at FROM records.records r \
                 WHERE r.environment_id = $1 AND r.stream = $2 AND r.key = g.key OFFSET 0 \
             ) r",
        )
        .bind::<SqlUuid, _>(self.stream.name.environment)
        .bind::<BigInt, _>(self.stream.id)
        .bind::<Array<SqlUuid>, _>(keys)
        .bind::<Array<Int4>, _>(positions)
        .load(conn)
        .await?)
    }

    /// Merges what came into what is stored. Those whose payload was pruned are
    /// left out.
    async fn merge(&mut self, stored: Vec<Stored>) -> Result<HashMap<usize, Merged>, Error> {
        let todo: Vec<(usize, Stored, Box<str>)> = stored
            .into_iter()
            .filter(|stored| stored.pruned_at.is_none())
            .filter_map(|stored| {
                let at = usize::try_from(stored.at).ok()?;
                Some((at, stored, self.batch.records.get(at)?.text.clone()))
            })
            .collect();
        let keys = self.keys_that_open(&todo).await?;
        let stream = Arc::clone(&self.stream);
        let merged = in_parallel(todo, move |part| {
            let opener = payload::part(&keys, stream.id)?;
            part.into_iter()
                .map(|(at, stored, text)| {
                    let under = payload::open(&opener, stream.id, stored.key, &stored.payload)?;
                    let explain = |unreadable| match unreadable {
                        Unreadable::TooDeep => Error::TooDeep { index: at },
                        Unreadable::Malformed => Error::NotAnObject { index: at },
                    };
                    let text = merged(&under, &text).map_err(explain)?;
                    if text.len() > crate::MOST_BYTES {
                        return Err(Error::TooLarge {
                            index: at,
                            bytes: text.len(),
                        });
                    }
                    let mut form = Vec::with_capacity(text.len());
                    json::canonical(&text, &mut form).map_err(explain)?;
                    let hash = stream.hash_of(&form);
                    let result = Merged {
                        is_same: hash == stored.hash,
                        hash,
                        sealed: payload::seal(&opener, stream.id, stored.key, &text)?,
                        replaced: i64::try_from(stored.payload.len()).unwrap_or(i64::MAX),
                    };
                    Ok((at, result))
                })
                .collect()
        })
        .await?;
        Ok(merged.into_iter().collect())
    }

    /// The keys, loaded again if a newer one sealed any of these.
    async fn keys_that_open(
        &mut self,
        stored: &[(usize, Stored, Box<str>)],
    ) -> Result<Arc<EnvironmentKeys>, Error> {
        let payloads = stored.iter().map(|(_, stored, _)| &*stored.payload);
        if !self.keys.know_all(payloads) {
            let environment = self.stream.name.environment;
            self.keys = self.vault.reload(environment).await?;
        }
        Ok(Arc::clone(&self.keys))
    }
}

fn count(positions: &[usize]) -> i64 {
    i64::try_from(positions.len()).unwrap_or(i64::MAX)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Missing,
    Same,
    Different,
    Deleted,
    Later,
}

fn states(compared: &Compared, records: usize) -> Vec<State> {
    let mut states = vec![State::Missing; records];
    for (positions, state) in [
        (&compared.same, State::Same),
        (&compared.different, State::Different),
        (&compared.deleted, State::Deleted),
        (&compared.later, State::Later),
    ] {
        for position in positions {
            let at = usize::try_from(*position).unwrap_or_default();
            if let Some(slot) = at.checked_sub(1).and_then(|at| states.get_mut(at)) {
                *slot = state;
            }
        }
    }
    states
}

#[derive(QueryableByName)]
struct Stored {
    #[diesel(sql_type = Int4)]
    at: i32,
    #[diesel(sql_type = SqlUuid)]
    key: Uuid,
    #[diesel(sql_type = SqlUuid)]
    hash: Uuid,
    #[diesel(sql_type = Binary)]
    payload: Vec<u8>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pruned_at: Option<chrono::DateTime<chrono::Utc>>,
}

struct Merged {
    is_same: bool,
    hash: Uuid,
    sealed: Vec<u8>,
    replaced: i64,
}
