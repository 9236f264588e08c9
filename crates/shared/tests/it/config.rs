//! Configuration: its layers, its validation, and what it never shows.
#![allow(clippy::unwrap_used, reason = "a failed set-up fails the test")]

use std::path::Path;
use std::time::Duration;

use linkspan_shared::config::{Config, DEFAULTS, Errors, LogFormat};
use secrecy::ExposeSecret;

const KEY: &str = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=";

fn load(file: &str, environment: &[(&str, &str)]) -> Result<Config, Errors> {
    let file = (Path::new("linkspan.toml"), file);
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::load(Some(file), environment)
}

/// The problems as "key | origin | message".
fn problems(file: &str, environment: &[(&str, &str)]) -> Vec<String> {
    load(file, environment)
        .unwrap_err()
        .problems()
        .iter()
        .map(|p| format!("{} | {} | {}", p.key, p.origin, p.message))
        .collect()
}

#[test]
fn defaults_are_valid_and_as_documented() {
    let config = Config::load(None, []).unwrap();
    assert_eq!(config.server.bind.to_string(), "127.0.0.1:3003");
    assert_eq!(config.server.public_url.as_str(), "http://localhost:3003/");
    assert_eq!(config.server.workers, 0);
    assert_eq!(config.server.websockets_path, "/");
    assert_eq!(config.server.request_body_limit, 16 * 1024 * 1024);
    assert_eq!(config.server.max_connections, 0);
    assert_eq!(config.server.head_timeout, Duration::from_secs(10));
    assert_eq!(config.server.body_timeout, Duration::from_secs(30));
    assert_eq!(config.server.write_timeout, Duration::from_secs(60));
    assert_eq!(config.server.keep_alive, Duration::from_secs(75));
    assert_eq!(config.server.max_websockets, 10_000);
    let per_address = config.server.max_websockets_per_address;
    assert_eq!(per_address.map(usize::from), Some(1_000));
    assert!(config.server.trusted_proxies.is_empty());
    assert!(config.server.monitor_bind.is_none());
    let worker = config.worker.bind.map(|bind| bind.to_string());
    assert_eq!(worker.as_deref(), Some("127.0.0.1:3004"));
    assert!(config.database.url.is_none());
    assert_eq!(config.database.max_connections, 10);
    assert_eq!(config.database.connect_timeout, Duration::from_secs(5));
    assert_eq!(config.logs.retention_days, 15);
    let budget = config.logs.operations_per_second;
    assert_eq!(budget.map(|many| many.get()), Some(500));
    assert_eq!(config.logs.level, "info");
    assert_eq!(config.logs.format, LogFormat::Text);
    assert!(config.vault.keyring.is_none());
    assert!(config.net.allow.is_empty() && config.net.deny.is_empty());
    assert_eq!(config.net.connect_timeout, Duration::from_secs(10));
    assert_eq!(config.proxy.timeout, Duration::from_secs(60));
    assert_eq!(config.proxy.idle_timeout, Duration::from_secs(300));
    assert_eq!(config.proxy.held_body_limit, 1024 * 1024);
    assert_eq!(config.proxy.calls_per_provider, 1_000);
    assert_eq!(config.proxy.waiting_per_provider, 1_000);
    assert_eq!(config.proxy.wait, Duration::from_secs(5));
    assert_eq!(config.cache.ttl, Duration::from_secs(5));
    assert!(config.providers.dir.is_none());
    assert_eq!(config.connect.session_ttl, Duration::from_secs(1800));
    assert_eq!(config.oauth.flow_ttl, Duration::from_secs(600));
    assert_eq!(config.oauth.token_timeout, Duration::from_secs(20));
    assert_eq!(config.refresh.lease, Duration::from_secs(10));
}

#[test]
fn every_default_has_a_comment_above_it() {
    let lines: Vec<&str> = DEFAULTS.lines().collect();
    let mut settings = 0;
    for (above, line) in lines.iter().zip(lines.iter().skip(1)) {
        if line.contains(" = ") && !line.starts_with('#') {
            settings += 1;
            assert!(above.starts_with("# "), "`{line}` has no comment");
        }
    }
    let described = Config::load(None, []).unwrap().describe();
    assert_eq!(settings, described.lines().count());
}

#[test]
fn settings_documented_as_secret_are_masked_and_no_others() {
    let mut secret = Vec::new();
    let (mut section, mut comment) = ("", String::new());
    for line in DEFAULTS.lines() {
        if let Some(text) = line.strip_prefix("# ") {
            comment.push_str(text);
        } else if line.starts_with('[') {
            section = line.trim_matches(['[', ']']);
        } else if let Some((key, _)) = line.split_once(" = ")
            && comment.starts_with("Secret. ")
        {
            secret.push(format!("{section}.{key}"));
        }
        if !line.starts_with('#') {
            comment.clear();
        }
    }
    let root_keys = format!("main:{KEY}");
    let described = load(
        "",
        &[
            ("LINKSPAN_DATABASE_URL", "postgres://u:hidden@h/d"),
            ("LINKSPAN_DATABASE_DIRECT_URL", "postgres://u:hidden@h/d"),
            ("LINKSPAN_LOGS_DATABASE_URL", "postgres://u:hidden@h/d"),
            ("LINKSPAN_RECORDS_DATABASE_URL", "postgres://u:hidden@h/d"),
            ("LINKSPAN_VAULT_ROOT_KEYS", &root_keys),
            ("LINKSPAN_PROVIDERS_DIR", "shown"),
        ],
    )
    .unwrap()
    .describe();
    let masked: Vec<&str> = described
        .lines()
        .filter_map(|line| line.split_once(" = \"***\"").map(|(key, _)| key))
        .collect();
    assert_eq!(masked, secret);
    assert_eq!(secret.len(), 5);
}

#[test]
fn a_file_overrides_the_defaults_and_the_environment_the_file() {
    let file = "[server]\nworkers = 3\nbind = \"0.0.0.0:80\"\n[logs]\nformat = \"json\"";
    let config = load(file, &[("LINKSPAN_SERVER_WORKERS", "7")]).unwrap();
    assert_eq!(config.server.workers, 7);
    assert_eq!(config.server.bind.to_string(), "0.0.0.0:80");
    assert_eq!(config.logs.format, LogFormat::Json);
    assert_eq!(config.server.websockets_path, "/");

    let described = config.describe();
    let origin = |key: &str| {
        let line = described.lines().find(|line| line.starts_with(key));
        line.unwrap().rsplit_once("# ").unwrap().1.to_owned()
    };
    assert_eq!(origin("server.workers"), "LINKSPAN_SERVER_WORKERS");
    assert_eq!(origin("server.bind"), "linkspan.toml:3");
    assert_eq!(origin("logs.format"), "linkspan.toml:5");
    assert_eq!(origin("cache.ttl_ms"), "default");
}

#[test]
fn what_describe_prints_is_a_file_with_the_same_meaning() {
    let file = "net.allow = [\"loopback\"]\nproxy.timeout_ms = 5\nproviders.dir = 'a \"b\"'";
    let described = load(file, &[]).unwrap().describe();
    let again = load(&described, &[]).unwrap();
    assert_eq!(again.net.allow, ["loopback"]);
    assert_eq!(again.proxy.timeout, Duration::from_millis(5));
    assert_eq!(again.providers.dir.unwrap().to_str(), Some("a \"b\""));
}

#[test]
fn lists_in_the_environment_are_separated_by_commas() {
    let config = load(
        "net.allow = [\"10.0.0.1\"]",
        &[
            ("LINKSPAN_NET_ALLOW", "loopback, 10.1.0.0/16,"),
            ("LINKSPAN_NET_DENY", ""),
        ],
    )
    .unwrap();
    assert_eq!(config.net.allow, ["loopback", "10.1.0.0/16"]);
    assert!(config.net.deny.is_empty());
}

#[test]
fn unknown_settings_are_named_with_the_nearest_known_one() {
    assert_eq!(
        problems(
            "[server]\nbnid = 1\n[colours]\nred = 1",
            &[("LINKSPAN_DATABSE_URL", "postgres://u:hidden@h/d")]
        ),
        [
            "server.bnid | linkspan.toml:2 | is not a setting; did you mean server.bind?",
            "colours.red | linkspan.toml:4 | is not a setting; the manual's configuration page \
             lists all",
            "LINKSPAN_DATABSE_URL | LINKSPAN_DATABSE_URL | is not a setting; did you mean \
             LINKSPAN_DATABASE_URL?",
        ]
    );
}

#[test]
fn names_that_are_not_settings_are_left_alone() {
    let config = load(
        "",
        &[
            ("LINKSPAN_CONFIG", "linkspan.toml"),
            ("LINKSPAN_TEST_DATABASE_URL", "x"),
            ("PATH", "/bin"),
        ],
    );
    assert!(config.is_ok());
    assert_eq!(problems("", &[("LINKSPAN_TESTS", "x")]).len(), 1);
}

#[test]
fn all_problems_are_found_at_once() {
    let file = "[server]\nworkers = \"many\"\nbind = \"here\"\npublic_url = \"ftp://h\"\n\
                websockets_path = \"ws\"\n[logs]\nformat = \"xml\"\nlevel = \"info,loud\"\n\
                [net]\ndeny = [\"10.0.0.0/99\"]\nallow = \"loopback\"";
    let environment = [
        ("LINKSPAN_CACHE_TTL_MS", "70000"),
        ("LINKSPAN_DATABASE_MAX_CONNECTIONS", "ten"),
        ("LINKSPAN_DATABASE_URL", "mysql://h"),
        ("LINKSPAN_VAULT_ROOT_KEYS", "a"),
    ];
    let mut keys: Vec<String> = problems(file, &environment)
        .iter()
        .map(|problem| problem.split(" | ").take(2).collect::<Vec<_>>().join(" "))
        .collect();
    keys.sort();
    assert_eq!(
        keys,
        [
            "cache.ttl_ms LINKSPAN_CACHE_TTL_MS",
            "database.max_connections LINKSPAN_DATABASE_MAX_CONNECTIONS",
            "database.url LINKSPAN_DATABASE_URL",
            "logs.format linkspan.toml:7",
            "logs.level linkspan.toml:8",
            "net.allow linkspan.toml:11",
            "net.deny linkspan.toml:10",
            "server.bind linkspan.toml:3",
            "server.public_url linkspan.toml:4",
            "server.websockets_path linkspan.toml:5",
            "server.workers linkspan.toml:2",
            "vault.root_keys LINKSPAN_VAULT_ROOT_KEYS",
        ]
    );
}

#[test]
fn a_problem_says_what_is_expected() {
    for key in ["server.monitor_bind", "worker.bind"] {
        let (section, name) = key.split_once('.').unwrap();
        let found = problems(&format!("[{section}]\n{name} = \"3004\""), &[]);
        assert_eq!(
            found,
            [format!(
                "{key} | linkspan.toml:2 | must be an IP address and a port, as in \
                 127.0.0.1:3004, or empty, not \"3004\""
            )]
        );
    }
    let off = load("[worker]\nbind = \"\"", &[]).unwrap();
    assert!(off.worker.bind.is_none());
    assert_eq!(
        problems("proxy.timeout_ms = 0", &[]),
        ["proxy.timeout_ms | linkspan.toml:1 | must be between 1 and 86400000, not 0"]
    );
    assert_eq!(
        problems("", &[("LINKSPAN_SERVER_BIND", "localhost")]),
        [
            "server.bind | LINKSPAN_SERVER_BIND | must be an IP address and a port, as in \
         127.0.0.1:3003, not \"localhost\""
        ]
    );
    let errors = load("", &[("LINKSPAN_SERVER_WORKERS", "x")]).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "the configuration is not usable:\n  - server.workers (LINKSPAN_SERVER_WORKERS): must be \
         a whole number"
    );
}

#[test]
fn syntax_errors_name_the_line_and_hide_its_text() {
    let file = "[vault]\n\nroot_keys = [\"main:hidden\n";
    let found = problems(file, &[("LINKSPAN_SERVER_WORKERS", "x")]);
    assert!(found[0].starts_with("linkspan.toml:3 | "), "{found:?}");
    assert!(found.last().unwrap().starts_with("server.workers"));
    assert!(!found.concat().contains("hidden"));
}

#[test]
fn secrets_are_in_no_message() {
    for value in [
        "postgres://user:hidden@host:notaport/name",
        "user=u password=hidden",
        "postgres://hidden@h/d?hidden=1",
    ] {
        let file = format!("[logs]\ndatabase_url = '{value}'\n");
        let errors = load(&file, &[("LINKSPAN_DATABASE_URL", value)]).unwrap_err();
        assert_eq!(errors.problems().len(), 2, "{value}");
        assert!(!format!("{errors} {errors:?}").contains("hid"), "{value}");
    }
    for value in [
        "hidden",
        "HIDDEN:x",
        "hidden:hidden!",
        "a:aGlkZGVu",
        "hidden:",
    ] {
        let errors = load("", &[("LINKSPAN_VAULT_ROOT_KEYS", value)]).unwrap_err();
        let shown = format!("{errors} {errors:?}").to_lowercase();
        assert!(
            !shown.contains("hidden") && !shown.contains("aglkzgvu"),
            "{value}"
        );
    }
}

#[test]
fn debug_and_describe_hide_secrets() {
    let root_keys = format!("main:{KEY},old-1:{}", KEY.replace('Q', "R"));
    let config = load(
        "",
        &[
            ("LINKSPAN_DATABASE_URL", "postgres://user:hidden@host/name"),
            ("LINKSPAN_VAULT_ROOT_KEYS", &root_keys),
        ],
    )
    .unwrap();
    let shown = format!("{config:?} {}", config.describe());
    assert!(!shown.contains("hidden") && !shown.contains("JDREVG"));
    assert!(shown.contains("database.url = \"***\""));
    let url = config.database.url.unwrap();
    assert_eq!(url.expose_secret(), "postgres://user:hidden@host/name");
    assert_eq!(config.vault.keyring.unwrap().primary(), "main");
}

#[test]
fn root_keys_are_checked() {
    let entry = |id: &str, key: &str| format!("{id}:{key}");
    let short = &KEY[4..];
    for (value, says) in [
        (KEY.to_owned(), "entry 1 has no colon"),
        (entry("", KEY), "that of entry 1 is not"),
        (entry("Main", KEY), "must have ids"),
        (entry(&"a".repeat(33), KEY), "must have ids"),
        (entry("a", short), "32 bytes in base64"),
        (entry("a", "%"), "32 bytes in base64"),
        (
            format!("{},{}", entry("a", KEY), entry("a", KEY)),
            "entry 2 repeats an earlier one",
        ),
    ] {
        let found = problems("", &[("LINKSPAN_VAULT_ROOT_KEYS", &value)]);
        assert_eq!(found.len(), 1, "{value}");
        assert!(found[0].contains(says), "{value}: {found:?}");
    }
    assert!(
        load(
            "",
            &[("LINKSPAN_VAULT_ROOT_KEYS", &entry(&"a".repeat(32), KEY))]
        )
        .is_ok()
    );
}

#[test]
fn databases_fall_back_on_one_another() {
    let set = |pairs: &[(&str, &str)]| {
        let config = load("", pairs).unwrap();
        [
            config.control_database().unwrap().url,
            config.records_database().unwrap().url,
            config.logs_database().unwrap().url,
            config.direct_url().unwrap().clone(),
            config.records_direct_url().unwrap().clone(),
            config.logs_direct_url().unwrap().clone(),
        ]
        .map(|url| url.expose_secret().rsplit_once('/').unwrap().1.to_owned())
    };
    let main = ("LINKSPAN_DATABASE_URL", "postgres://h/main");
    let direct = ("LINKSPAN_DATABASE_DIRECT_URL", "postgresql://h/direct");
    let logs = ("LINKSPAN_LOGS_DATABASE_URL", "postgres://h/logs");
    let records = ("LINKSPAN_RECORDS_DATABASE_URL", "postgres://h/records");
    assert_eq!(set(&[main]), ["main"; 6]);
    assert_eq!(
        set(&[main, direct]),
        ["main", "main", "main", "direct", "direct", "direct"]
    );
    assert_eq!(
        set(&[main, logs]),
        ["main", "main", "logs", "main", "main", "logs"]
    );
    assert_eq!(
        set(&[main, direct, records]),
        ["main", "records", "main", "direct", "records", "direct"]
    );

    let nothing = load("", &[]).unwrap();
    let missing = nothing.control_database().unwrap_err().to_string();
    assert!(missing.contains("LINKSPAN_DATABASE_URL"), "{missing}");
    let missing = nothing.keyring().unwrap_err().to_string();
    assert!(missing.contains("LINKSPAN_VAULT_ROOT_KEYS"), "{missing}");
}
