//! Reading `/metrics`.

use std::collections::BTreeMap;

use crate::installation::{Api, Server};

/// The setting that turns the monitor on.
pub(super) const ON: (&str, &str) = ("LINKSPAN_SERVER_MONITOR_BIND", "127.0.0.1:0");

/// The values of one moment, by their names with labels.
pub(super) struct Scrape {
    pub(super) page: String,
    values: BTreeMap<String, f64>,
}

/// Where a server's monitor is.
pub(super) fn monitor(server: &Server) -> Api {
    let line = server.running.said("\"monitored\"").expect("a monitor");
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    let address = line["fields"]["address"].as_str().unwrap();
    Api::at(&format!("http://{address}"))
}

/// What the monitor tells now.
pub(super) async fn scrape(monitor: &Api) -> Scrape {
    let (status, page) = monitor.get("", "/metrics").await;
    assert_eq!(status, 200, "{page}");
    let page = page.as_str().expect("no JSON").to_owned();
    let samples = page
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let values = samples.map(|line| {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        (name.to_owned(), value.parse().expect(line))
    });
    let values = values.collect();
    Scrape { page, values }
}

impl Scrape {
    /// A value; 0 when it is not there yet.
    pub(super) fn value(&self, name: &str) -> f64 {
        self.values.get(name).copied().unwrap_or_default()
    }

    /// What has changed since an earlier one, of the names that begin so.
    pub(super) fn since<'a>(&'a self, before: &Self, prefix: &str) -> Vec<(&'a str, f64)> {
        let mine = self
            .values
            .iter()
            .filter(|(name, _)| name.starts_with(prefix));
        let changes = mine.map(|(name, value)| (name.as_str(), value - before.value(name)));
        changes.filter(|(_, change)| *change != 0.0).collect()
    }

    /// Name and type of each metric.
    pub(super) fn types(&self) -> BTreeMap<&str, &str> {
        let types = self
            .page
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "));
        types.map(|line| line.split_once(' ').unwrap()).collect()
    }

    /// The names of a metric's labels, but those that say which part of a
    /// histogram a sample is.
    pub(super) fn labels(&self, metric: &str) -> Vec<&str> {
        let of_it = |name: &&String| {
            let bare = name.split('{').next().unwrap();
            ["", "_bucket", "_sum", "_count"]
                .iter()
                .any(|part| bare.strip_suffix(part) == Some(metric))
        };
        let name = self.values.keys().find(of_it).expect(metric);
        let Some((_, labels)) = name.split_once('{') else {
            return Vec::new();
        };
        let names = labels
            .split("\",")
            .map(|label| label.split('=').next().unwrap());
        let mut names: Vec<&str> = names.filter(|name| *name != "le").collect();
        names.sort_unstable();
        names
    }
}
