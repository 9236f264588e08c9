//! The manual's list of metrics and the dashboard hold against a running server.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use super::scrape::{ON, Scrape, monitor, scrape};
use crate::refresh::world::{FUTURE, World, eventually};

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read_to_string(root.join(path)).expect(path)
}

/// Everything in a text that is named like a metric.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let is_name = |word: &&str| word.starts_with("linkspan_") || word.starts_with("process_");
    words.filter(is_name).collect()
}

/// The metric that a sample's name belongs to.
fn metric<'a>(name: &'a str, types: &BTreeMap<&str, &str>) -> &'a str {
    let parts = ["_bucket", "_sum", "_count"];
    let base = parts.iter().find_map(|part| name.strip_suffix(part));
    let is_histogram = |base: &&str| types.get(base) == Some(&"histogram");
    base.filter(is_histogram).unwrap_or(name)
}

/// A scrape of a server that has done some of everything.
async fn of_a_server(world: &World) -> Scrape {
    let server = world.serve_with("a", &[ON]).await.server;
    world.integrate(&server.api).await;
    world.connect(&server.api, "one", FUTURE).await;
    let headers = [("Provider-Config-Key", "demo"), ("Connection-Id", "one")];
    let path = "/proxy/api/items?per_page=1";
    let call = (server.api).call(&world.key, http::Method::GET, path, &headers, Value::Null);
    assert_eq!(call.await.0, 200);
    assert_eq!(world.force(&server.api, "one").await.unwrap().0, 200);
    let scrape = scrape(&monitor(&server)).await;
    server.running.end_by(Signal::TERM).await;
    scrape
}

/// A scrape of a worker that has run jobs of schedules and counted all jobs.
async fn of_a_worker(world: &World) -> Scrape {
    let often = [("LINKSPAN_WORKER_LEASE_MS", "900")];
    let (worker, monitor) = world.work(&often).await;
    let due = "UPDATE jobs.schedules SET next_at = now()";
    eventually("there are schedules", async || {
        world.installation().count("jobs.schedules").await > 3
    })
    .await;
    world.installation().sql(due).await;
    eventually("it has run some", async || {
        let now = scrape(&monitor).await;
        let types = now.types();
        [
            "linkspan_schedule_lateness_seconds",
            "linkspan_job_duration_seconds",
            "linkspan_jobs_dead",
        ]
        .iter()
        .all(|name| types.contains_key(name))
    })
    .await;
    let scrape = scrape(&monitor).await;
    worker.end_by(Signal::TERM).await;
    scrape
}

/// The rows of the manual's tables: name, type, labels.
fn rows(manual: &str) -> BTreeMap<&str, (&str, Vec<&str>)> {
    let rows = manual.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|line| {
        let mut cells = line.split('|').map(str::trim);
        let name = cells.next()?.trim_end_matches('`');
        let kind = cells.next()?;
        let labels = cells
            .next()?
            .split(',')
            .map(|label| label.trim_matches([' ', '`']));
        let mut labels: Vec<&str> = labels.filter(|label| !label.is_empty()).collect();
        labels.sort_unstable();
        names(name).contains(name).then_some((name, (kind, labels)))
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_manual_and_the_dashboard_name_what_servers_and_workers_export() {
    let world = World::new().await;
    let (server, worker) = (of_a_server(&world).await, of_a_worker(&world).await);
    let mut types = server.types();
    let mut exported: BTreeMap<&str, (&str, Vec<&str>)> = BTreeMap::new();
    let mut of_the_worker = BTreeSet::new();
    for (name, kind) in server.types() {
        exported.insert(name, (kind, server.labels(name)));
    }
    for (name, kind) in worker.types() {
        let row = (kind, worker.labels(name));
        match exported.get(name) {
            Some(known) => assert_eq!(*known, row, "{name} of a server and of a worker"),
            None => {
                of_the_worker.insert(name);
                types.insert(name, kind);
                exported.insert(name, row);
            }
        }
    }
    assert!(of_the_worker.len() >= 12, "{of_the_worker:?}");

    let manual = read("docs/monitoring.md");
    assert_eq!(
        rows(&manual),
        exported,
        "rows of docs/monitoring.md, and scrapes"
    );

    let dashboard = read("docs/grafana/linkspan.json");
    let json: Value = serde_json::from_str(&dashboard).unwrap();
    for (page, text) in [("the manual", &manual), ("the dashboard", &dashboard)] {
        for name in names(text) {
            let is_known = types.contains_key(metric(name, &types));
            assert!(is_known, "{page} names {name}, which nothing exports");
        }
    }
    let drawn: BTreeSet<&str> = names(&dashboard)
        .into_iter()
        .map(|name| metric(name, &types))
        .collect();
    for name in of_the_worker {
        assert!(drawn.contains(name), "no panel shows {name}");
    }
    let panels = json["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels
        .iter()
        .map(|one| one["id"].as_u64().unwrap())
        .collect();
    assert_eq!(ids.len(), panels.len(), "each panel has an id of its own");
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let title = panel["title"].as_str().unwrap();
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{title} shows nothing");
        for target in targets {
            let expression = target["expr"].as_str().unwrap();
            assert!(!names(expression).is_empty(), "{title}: {expression}");
        }
    }
}
