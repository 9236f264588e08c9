//! What must be true when all is over.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context as _, Result};
use linkspan_records::BASE;
use linkspan_syncs::{Execution, Status};
use linkspan_testkit::upstream::{self, Way};
use serde_json::Value;

use super::follow::content;
use super::{CONNECTIONS, Ground};

/// Of what is wrong with syncs, this much is told.
const MOST: usize = 20;

/// What must be none, and how many there are.
const WRONG: [(&str, &str); 14] = [
    (
        "writes of a run that a later one had replaced",
        "test_stale",
    ),
    (
        "runs that failed although they could be repeated",
        "test_failed WHERE attempt < 6",
    ),
    (
        "jobs that wait, run or are dead",
        "jobs.jobs WHERE kind LIKE 'syncs.%'",
    ),
    (
        "syncs that are still to leave",
        "syncs WHERE state = 'leaving'",
    ),
    ("syncs that are paused", "syncs WHERE state = 'paused'"),
    (
        "syncs that were told something and did not do it",
        "syncs WHERE is_again_due OR is_reset_due OR empties_asked <> empties_done",
    ),
    (
        "streams of no sync",
        "records.streams r WHERE NOT EXISTS (SELECT FROM syncs s \
            JOIN sync_functions f ON f.id = s.function_id WHERE s.connection = r.connection \
            AND s.variant = r.variant AND r.model = ANY(f.models))",
    ),
    (
        "checkpoints of no sync",
        "checkpoints c WHERE NOT EXISTS (SELECT FROM syncs s \
            JOIN sync_functions f ON f.id = s.function_id WHERE s.connection = c.connection \
            AND c.key = 'sync:' || f.name || ':' || s.variant)",
    ),
    (
        "schedules of no sync",
        "jobs.schedules j WHERE key LIKE 'sync:%' \
            AND NOT EXISTS (SELECT FROM syncs s WHERE s.schedule_id = j.id)",
    ),
    (
        "streams whose counts are off",
        "records.streams s CROSS JOIN LATERAL ( \
            SELECT count(*) FILTER (WHERE NOT r.deleted) AS live, \
                count(*) FILTER (WHERE r.deleted) AS deleted, \
                coalesce(sum(octet_length(r.payload)), 0)::bigint AS bytes \
            FROM records.records r WHERE r.environment_id = s.environment_id AND r.stream = s.id \
        ) c WHERE (s.live, s.deleted, s.bytes) IS DISTINCT FROM (c.live, c.deleted, c.bytes)",
    ),
    (
        "records of no stream",
        "records.records r WHERE NOT EXISTS (SELECT FROM records.streams s WHERE s.id = r.stream)",
    ),
    ("streams that cannot be swept", "records.dropped"),
    (
        "notes of what was seen, or streams in which deletes are tracked",
        "(SELECT stream FROM records.seen UNION ALL \
            SELECT id FROM records.streams WHERE tracked_from IS NOT NULL) t",
    ),
    (
        "workers that count as living",
        "jobs.workers WHERE expires_at > now()",
    ),
];

/// What is wrong.
pub(super) async fn judge(ground: &Ground) -> Result<Vec<String>> {
    while ground.store.sweep(u32::MAX).await? > 0 {}
    let mut wrong = Vec::new();
    for (what, from) in WRONG {
        let count = ground
            .number(&format!("SELECT count(*) FROM {from}"))
            .await?;
        if count > 0 {
            let rows = format!("SELECT * FROM {from} LIMIT 3");
            wrong.push(format!("{count} {what}: {:?}", ground.rows(&rows).await?));
        }
    }
    let scope = ground.all();
    let all = linkspan_syncs::status(&ground.core, &ground.store, &scope).await?;
    wrong.extend(missing(ground, &all));
    let mut of_syncs = Vec::new();
    let upstream = Upstream::read(ground).await?;
    for status in &all {
        let found = look(ground, &upstream, status).await?;
        of_syncs.extend(found.map(|found| {
            let Status {
                connection_id,
                name,
                variant,
                ..
            } = status;
            format!("{name}, variant {variant}, of {connection_id}: {found}")
        }));
    }
    if of_syncs.len() > MOST {
        let more = of_syncs.len() - MOST;
        of_syncs.truncate(MOST);
        of_syncs.push(format!("and {more} more"));
    }
    wrong.extend(of_syncs);
    Ok(wrong)
}

/// Syncs that are not there and should be, and the other way round.
fn missing(ground: &Ground, all: &[Status]) -> Vec<String> {
    let is = |(connection, way, variant): (usize, Way, &str)| {
        let id = &ground.connections[connection].id;
        all.iter().any(|status| {
            &status.connection_id == id && status.name == way.name() && status.variant == variant
        })
    };
    let slots = ground.slots.borrow();
    let variants = slots
        .iter()
        .filter(|(slot, is_there)| is(slot.parts()) != **is_there)
        .map(|(slot, is_there)| match is_there {
            true => format!("{slot:?} was made, and is not there"),
            false => format!("{slot:?} was deleted, and is there"),
        });
    let base = all.iter().filter(|status| status.variant == BASE).count();
    let wanted = CONNECTIONS * Way::ALL.len();
    let bases = (base != wanted).then(|| format!("{base} base syncs, and not {wanted}"));
    variants.chain(bases).collect()
}

/// How far each connection has come.
struct Upstream {
    generations: HashMap<String, i64>,
    numbers: HashMap<String, i64>,
}

impl Upstream {
    async fn read(ground: &Ground) -> Result<Self> {
        let rows = "SELECT connection, generation FROM test_upstream";
        let mut generations = HashMap::new();
        for row in ground.rows(rows).await? {
            let [id, generation] = <[String; 2]>::try_from(row).ok().context("two columns")?;
            generations.insert(id, generation.parse()?);
        }
        let connections = ground.connections.iter();
        Ok(Self {
            generations,
            numbers: connections
                .map(|one| (one.id.clone(), one.number))
                .collect(),
        })
    }
}

/// What is wrong with a sync.
async fn look(ground: &Ground, upstream: &Upstream, status: &Status) -> Result<Option<String>> {
    let id = &status.connection_id;
    let way = Way::of(&status.name).context("another function")?;
    let generation = *upstream.generations.get(id).context("a generation")?;
    let number = *upstream.numbers.get(id).context("a connection")?;
    if status.execution != Some(Execution::Success) {
        return Ok(Some(format!("its last run is {:?}", status.execution)));
    }
    if status.checkpoint != way.checkpoint(generation) {
        let checkpoint = &status.checkpoint;
        return Ok(Some(format!(
            "at generation {generation} it has {checkpoint:?}"
        )));
    }
    let wanted = upstream::content(id, generation);
    let counted = status.record_count.get(way.model()).copied();
    if counted != i64::try_from(wanted.len()).ok() {
        return Ok(Some(format!(
            "{} records, and not {counted:?}",
            wanted.len()
        )));
    }
    let name = upstream::stream(ground.environment, number, (way, &status.variant));
    let mut there: BTreeMap<String, Value> = BTreeMap::new();
    for (id, record) in content(&ground.store, &name).await? {
        if record.deleted_at().is_none() {
            there.insert(id, serde_json::from_str(&record.text)?);
        }
    }
    let ids = wanted.keys().chain(there.keys());
    let others: Vec<&String> = ids.filter(|id| wanted.get(*id) != there.get(*id)).collect();
    Ok((!others.is_empty()).then(|| {
        let first = others.first().map(|id| (wanted.get(*id), there.get(*id)));
        format!(
            "at generation {generation}, records that are not as they should be: {others:?}, \
             the first {first:?}"
        )
    }))
}
