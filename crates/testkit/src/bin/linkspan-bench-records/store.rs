//! The record store itself.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use linkspan_records::{Outcome, Query, Store, StreamName, Writer};
use linkspan_shared::db::{Database, Settings};
use linkspan_shared::tenancy::bootstrap;
use linkspan_shared::vault::{Keyring, Vault};
use secrecy::{ExposeSecret, SecretString};
use serde_json::value::RawValue;
use tokio::task::JoinSet;

use crate::reference::{Copied, connect};
use crate::{figure, sample};

/// Times that the table is rewritten to bloat it.
const REWRITES: usize = 10;

struct Bench {
    store: Store,
    name: StreamName,
    count: usize,
}

pub(crate) async fn measure(url: &SecretString, count: usize, copied: &Copied) -> Result<()> {
    let settings = Settings {
        url: url.clone(),
        max_connections: 10,
        timeout: Duration::from_secs(10),
    };
    let db = Database::new(&settings)?;
    let key = Keyring::generate("bench")?;
    let vault = Vault::new(db.clone(), Keyring::parse(&[key.expose_secret()])?);
    let keys = bootstrap::run(&db, &vault, "bench").await?;
    let environment = keys.and_then(|keys| keys.into_iter().next());
    let environment = environment.map(|key| key.environment.id);
    ensure!(environment.is_some(), "the database is not empty");
    let mut bench = Bench {
        store: Store::new(db, vault),
        name: StreamName::base(
            environment.unwrap_or_else(|| unreachable!("it was looked at")),
            0,
            "Contact",
        ),
        count,
    };
    let admin = connect(url).await?;
    for (page, writers) in [(100, 1), (100, 4), (1_000, 4), (1_000, 1)] {
        admin
            .batch_execute("TRUNCATE records.records, records.streams, records.seen; CHECKPOINT")
            .await?;
        bench.name.connection += 100;
        let name = |what: &str| format!("records.{what}.pages_{page}.writers_{writers}");
        let speed = bench.save(page, writers, |_| 0, |o| o.added.len()).await?;
        let copy = (page == 1_000).then_some(copied.whole);
        figure(&name("save"), speed, copy);
        let speed = bench
            .save(page, writers, |_| 0, |o| o.unchanged.len())
            .await?;
        figure(&name("save_unchanged"), speed, None);
        let tenth = |number| usize::from(number % 10 == 0);
        let speed = bench
            .save(page, writers, tenth, |o| o.updated.len() * 10)
            .await?;
        figure(&name("save_tenth_changed"), speed, None);
    }
    // What is left is one writer's, in pages of 1,000.
    figure("records.read.pages_1000", bench.read().await?, None);
    let mut last = 0.0;
    for round in 1..=REWRITES {
        last = bench
            .save(1_000, 1, |_| 1 + round, |o| o.updated.len())
            .await?;
    }
    figure(
        "records.bloated.save_changed",
        last,
        Some(copied.upsert_again),
    );
    let speed = bench
        .save(1_000, 1, |_| 1 + REWRITES, |o| o.unchanged.len())
        .await?;
    figure("records.bloated.save_unchanged", speed, None);
    figure("records.bloated.read.pages_1000", bench.read().await?, None);
    Ok(())
}

impl Bench {
    /// Saves all records from so many writers, each with a stream of its own;
    /// records a second.
    async fn save(
        &self,
        page: usize,
        writers: usize,
        version: impl Fn(usize) -> usize + Copy,
        expected: fn(&Outcome) -> usize,
    ) -> Result<f64> {
        let each = self.count / writers;
        // Made in advance: it is not what is measured.
        let mut all = Vec::new();
        for _ in 0..writers {
            all.push(pages(each, page, version)?);
        }
        let begun = Instant::now();
        let mut tasks = JoinSet::new();
        for (pages, connection) in all.into_iter().zip(self.name.connection..) {
            let store = self.store.clone();
            let name = StreamName {
                connection,
                ..self.name.clone()
            };
            tasks.spawn(async move {
                let mut done = 0;
                store.take(&name, 1).await?;
                for page in pages {
                    let outcome = store.batch_save(&name, page, Writer::fenced(1)).await?;
                    done += expected(&outcome);
                }
                anyhow::Ok(done)
            });
        }
        let mut done = 0;
        while let Some(task) = tasks.join_next().await {
            done += task??;
        }
        let seconds = begun.elapsed().as_secs_f64();
        let all = each * writers;
        ensure!(
            done.abs_diff(all) < 10 * writers,
            "{done} of {all} were as expected"
        );
        Ok(all as f64 / seconds)
    }

    async fn read(&self) -> Result<f64> {
        let begun = Instant::now();
        let mut query = Query {
            limit: 1_000,
            ..Query::default()
        };
        let mut read = 0;
        loop {
            let page = self.store.list(&self.name, &query).await?;
            read += page.records.len();
            match page.next {
                Some(next) => query.after = next,
                None => break,
            }
        }
        ensure!(read == self.count, "{read} were read");
        Ok(read as f64 / begun.elapsed().as_secs_f64())
    }
}

/// The records of one writer, in the version that each is to have.
fn pages(
    count: usize,
    page: usize,
    version: impl Fn(usize) -> usize,
) -> Result<Vec<Vec<Box<RawValue>>>> {
    let record = |number| RawValue::from_string(sample::record(number, version(number)));
    (0..count)
        .step_by(page)
        .map(|first| {
            Ok((first..count.min(first + page))
                .map(record)
                .collect::<Result<_, _>>()?)
        })
        .collect()
}
