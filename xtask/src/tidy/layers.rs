//! Which crates may name which libraries (docs/ARCHITECTURE.md, invariants 1
//! and 2). Development dependencies are free.

use anyhow::Result;
use cargo_metadata::DependencyKind;

use crate::workspace;

struct Layer {
    libraries: &'static [&'static str],
    /// The crates that may name them, without `linkspan-`.
    only_in: &'static [&'static str],
    because: &'static str,
}

const LAYERS: &[Layer] = &[
    Layer {
        libraries: &[
            "hyper-util",
            "hyper-rustls",
            "reqwest",
            "awc",
            "ureq",
            "isahc",
            "curl",
        ],
        // `client` is the SDK: it runs in users' programs, and no crate of the
        // server depends on it. `monitor` only serves.
        only_in: &["client", "monitor", "net", "simulator", "testkit"],
        because: "only `net` opens connections to the outside, under its address policy",
    },
    Layer {
        libraries: &[
            "actix-web",
            "actix-ws",
            "actix-http",
            "actix-rt",
            "actix-files",
        ],
        only_in: &["server", "simulator"],
        because: "nothing below `server` knows the web framework",
    },
    Layer {
        libraries: &[
            "diesel",
            "diesel-async",
            "diesel_migrations",
            "tokio-postgres",
        ],
        only_in: &[
            "db",
            "shared",
            "jobs",
            "worker",
            "records",
            "syncs",
            "functions",
            "webhooks",
            "localdb",
            "testkit",
        ],
        because: "templates, authorisation and transport know no database",
    },
];

pub(super) fn check() -> Result<()> {
    let metadata = workspace::metadata()?;
    let complaints = metadata
        .workspace_packages()
        .into_iter()
        .flat_map(|package| {
            let name = package.name.as_str();
            let named = package
                .dependencies
                .iter()
                .filter(|one| one.kind != DependencyKind::Development);
            let named: Vec<&str> = named.map(|one| one.name.as_str()).collect();
            complaints_about(name.strip_prefix("linkspan-").unwrap_or(name), &named)
        });
    super::verdict(complaints.collect())
}

fn complaints_about(package: &str, named: &[&str]) -> Vec<String> {
    let forbidding = LAYERS
        .iter()
        .filter(|layer| !layer.only_in.contains(&package));
    forbidding
        .flat_map(|layer| {
            let found = layer
                .libraries
                .iter()
                .filter(|library| named.contains(library));
            found.map(move |library| format!("{package} depends on {library}: {}", layer.because))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_net_has_a_client() {
        assert!(complaints_about("net", &["hyper-util"]).is_empty());
        assert!(complaints_about("client", &["reqwest"]).is_empty());
        let complaints = complaints_about("proxy", &["bytes", "hyper-util"]);
        assert_eq!(complaints.len(), 1);
        assert!(complaints[0].starts_with("proxy depends on hyper-util: only `net`"));
    }

    #[test]
    fn auth_knows_no_database_and_shared_no_framework() {
        assert_eq!(complaints_about("auth", &["diesel"]).len(), 1);
        assert_eq!(
            complaints_about("shared", &["diesel", "actix-web"]).len(),
            1
        );
        assert!(complaints_about("server", &["actix-web"]).is_empty());
    }
}
