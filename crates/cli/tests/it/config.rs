//! `config check`: what is in effect, and what is wrong.

use crate::program::linkspan;

const URL: &str = "postgres://app:pass-word@db.example:5432/linkspan";
const KEY: &str = "main:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

/// The line of a setting: its value, and where it came from.
fn line<'a>(printed: &'a str, setting: &str) -> (&'a str, &'a str) {
    let mut lines = printed.lines().filter_map(|line| line.split_once(" = "));
    let found = lines.find(|(name, _)| *name == setting);
    let (_, rest) = found.unwrap_or_else(|| panic!("no {setting} in: {printed}"));
    let (value, origin) = rest.rsplit_once("# ").expect("an origin");
    (value.trim(), origin)
}

#[tokio::test]
async fn it_prints_what_is_in_effect_and_masks_secrets() {
    let check = linkspan(&["config", "check"])
        .set("LINKSPAN_DATABASE_URL", URL)
        .set("LINKSPAN_VAULT_ROOT_KEYS", KEY)
        .set("LINKSPAN_LOGS_RETENTION_DAYS", "3");
    let printed = check.run().await.printed();
    let days = ("3", "LINKSPAN_LOGS_RETENTION_DAYS");
    assert_eq!(line(&printed, "logs.retention_days"), days);
    assert_eq!(
        line(&printed, "server.bind"),
        ("\"127.0.0.1:3003\"", "default")
    );
    assert_eq!(
        line(&printed, "database.url"),
        ("\"***\"", "LINKSPAN_DATABASE_URL")
    );
    assert_eq!(
        line(&printed, "vault.root_keys"),
        ("\"***\"", "LINKSPAN_VAULT_ROOT_KEYS")
    );
    for secret in ["pass-word", "db.example", "MDEy"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[tokio::test]
async fn all_mistakes_are_named_at_once_and_no_secret_is_shown() {
    let check = linkspan(&["config", "check"])
        .set("LINKSPAN_DATABASE_URL", &URL.replace("postgres", "mysql"))
        .set("LINKSPAN_PROXY_TIMEOUT_MS", "soon")
        .set("LINKSPAN_VAULT_ROOT_KEY", KEY);
    let ended = check.run().await;
    assert_eq!(ended.stdout, "");
    let error = ended.refused();
    assert!(
        error.contains("database.url (LINKSPAN_DATABASE_URL): must be"),
        "{error}"
    );
    assert!(
        error.contains("proxy.timeout_ms (LINKSPAN_PROXY_TIMEOUT_MS): must be"),
        "{error}"
    );
    let unknown = "LINKSPAN_VAULT_ROOT_KEY: is not a setting; \
                   did you mean LINKSPAN_VAULT_ROOT_KEYS?";
    assert!(error.contains(unknown), "{error}");
    for secret in ["pass-word", "db.example", "MDEy"] {
        assert!(!error.contains(secret), "{error}");
    }
}

#[tokio::test]
async fn the_environment_overrides_the_file_that_an_option_or_a_variable_names() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("linkspan.toml");
    std::fs::write(&file, "[logs]\nretention_days = 7\nlevel = \"warn\"\n").unwrap();
    let file = file.to_str().unwrap();
    let named = [
        linkspan(&["--config", file, "config", "check"]),
        linkspan(&["config", "check"]).set("LINKSPAN_CONFIG", file),
    ];
    for check in named {
        let printed = check
            .set("LINKSPAN_LOGS_LEVEL", "debug")
            .run()
            .await
            .printed();
        let days = ("7", &*format!("{file}:2"));
        assert_eq!(line(&printed, "logs.retention_days"), days);
        assert_eq!(
            line(&printed, "logs.level"),
            ("\"debug\"", "LINKSPAN_LOGS_LEVEL")
        );
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_is_named() {
    let error = linkspan(&["--config", "no/such.toml", "config", "check"])
        .run()
        .await
        .refused();
    assert!(
        error.contains("cannot read the configuration file no/such.toml"),
        "{error}"
    );
}

#[tokio::test]
async fn the_printed_defaults_are_a_file_that_changes_nothing() {
    let defaults = linkspan(&["config", "defaults"]).run().await.printed();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("linkspan.toml");
    std::fs::write(&file, &defaults).unwrap();
    let values = async |arguments: &[&str]| {
        let printed = linkspan(arguments).run().await.printed();
        let values = printed.lines().filter_map(|line| line.rsplit_once('#'));
        values
            .map(|(value, _)| value.trim().to_owned())
            .collect::<Vec<_>>()
    };
    let with_file = values(&["--config", file.to_str().unwrap(), "config", "check"]).await;
    assert!(!with_file.is_empty());
    assert_eq!(with_file, values(&["config", "check"]).await);
}
