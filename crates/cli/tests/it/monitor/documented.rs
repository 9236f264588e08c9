//! The manual's list of metrics and the dashboard hold against a running server.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use super::scrape::{ON, Scrape, monitor, scrape};
use crate::refresh::world::{FUTURE, World};

/// What only a worker exports.
const OF_THE_WORKER: [&str; 12] = [
    "linkspan_jobs_ready",
    "linkspan_jobs_delayed",
    "linkspan_jobs_parked",
    "linkspan_jobs_running",
    "linkspan_jobs_oldest_ready_seconds",
    "linkspan_jobs_finished_total",
    "linkspan_jobs_dead",
    "linkspan_job_duration_seconds",
    "linkspan_job_start_delay_seconds",
    "linkspan_schedule_lateness_seconds",
    "linkspan_worker_slots",
    "linkspan_worker_slots_busy",
];

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
    let of_worker = |base: &&str| OF_THE_WORKER.contains(base);
    let base = base.filter(|base| is_histogram(base) || of_worker(base));
    base.unwrap_or(name)
}

/// A scrape of a server that has done some of everything.
async fn after_some_of_everything() -> Scrape {
    let world = World::new().await;
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
async fn the_manual_and_the_dashboard_name_what_a_server_exports() {
    let scrape = after_some_of_everything().await;
    let types = scrape.types();
    for name in OF_THE_WORKER {
        let is_here = types.contains_key(name);
        assert!(!is_here, "{name} is exported: take it off the list");
    }

    let manual = read("docs/monitoring.md");
    let mut rows = rows(&manual);
    for name in OF_THE_WORKER {
        assert!(
            rows.remove(name).is_some(),
            "the manual has no row of {name}"
        );
    }
    let exported: BTreeMap<&str, (&str, Vec<&str>)> = types
        .iter()
        .map(|(name, kind)| (*name, (*kind, scrape.labels(name))))
        .collect();
    assert_eq!(rows, exported, "rows of docs/monitoring.md, and a scrape");

    let dashboard = read("docs/grafana/linkspan.json");
    let json: Value = serde_json::from_str(&dashboard).unwrap();
    for (page, text) in [("the manual", &manual), ("the dashboard", &dashboard)] {
        for name in names(text) {
            let metric = metric(name, &types);
            let is_known = types.contains_key(metric) || OF_THE_WORKER.contains(&metric);
            assert!(is_known, "{page} names {name}, which nothing exports");
        }
    }
    let drawn: BTreeSet<&str> = names(&dashboard)
        .into_iter()
        .map(|name| metric(name, &types))
        .collect();
    for name in OF_THE_WORKER {
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
