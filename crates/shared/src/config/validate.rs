//! The one validation: from settled texts and numbers to [`Config`]'s types.

use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use ipnet::IpNet;
use linkspan_net::AddressPolicy;
use url::Url;

use super::reader::Reader;
use super::{
    Cache, Connect, Database, Jobs, Limits, LogFormat, Logs, Net, OAuth, Providers, Proxy, Records,
    Refresh, Server, Vault, Worker,
};
use crate::vault::Keyring;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const DAY_S: i64 = 24 * 60 * 60;
/// More connections than any machine has.
const MANY: i64 = 1_000_000;
const GIB: i64 = 1024 * 1024 * 1024;

pub(super) fn server(read: &mut Reader) -> Option<Server> {
    let bind = read.parsed(
        "server.bind",
        "an IP address and a port, as in 127.0.0.1:3003",
    );
    let public_url = public_url(read);
    let workers = read.number("server.workers", 0..=512);
    let websockets_path = websockets_path(read);
    let request_body_limit = read.number("server.request_body_limit", 1024..=GIB);
    let max_connections = read.number("server.max_connections", 0..=MANY);
    let head_timeout = read.millis("server.head_timeout_ms", 1..=DAY_MS);
    let body_timeout = read.millis("server.body_timeout_ms", 1..=DAY_MS);
    let write_timeout = read.millis("server.write_timeout_ms", 1..=DAY_MS);
    let keep_alive = read.millis("server.keep_alive_ms", 1..=DAY_MS);
    let max_websockets = read.number("server.max_websockets", 0..=MANY);
    let per_address: Option<usize> = read.number("server.max_websockets_per_address", 0..=MANY);
    let trusted_proxies = trusted_proxies(read);
    let monitor_bind = monitor_bind(read, "server.monitor_bind");
    Some(Server {
        bind: bind?,
        public_url: public_url?,
        workers: workers?,
        websockets_path: websockets_path?,
        request_body_limit: request_body_limit?,
        max_connections: max_connections?,
        head_timeout: head_timeout?,
        body_timeout: body_timeout?,
        write_timeout: write_timeout?,
        keep_alive: keep_alive?,
        max_websockets: max_websockets?,
        max_websockets_per_address: NonZeroUsize::new(per_address?),
        trusted_proxies: trusted_proxies?,
        monitor_bind: monitor_bind?,
    })
}

/// Where a process is monitored; the inner `None` is nowhere.
fn monitor_bind(read: &mut Reader, key: &str) -> Option<Option<SocketAddr>> {
    if read.text(key)?.is_empty() {
        return Some(None);
    }
    let expected = "an IP address and a port, as in 127.0.0.1:3004, or empty";
    read.parsed(key, expected).map(Some)
}

fn public_url(read: &mut Reader) -> Option<Url> {
    let key = "server.public_url";
    let expected = "an http or https URL without user, query and fragment";
    let url: Url = read.parsed(key, expected)?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !plain {
        read.expected(key, expected);
    }
    plain.then_some(url)
}

fn websockets_path(read: &mut Reader) -> Option<String> {
    let key = "server.websockets_path";
    let path = read.text(key)?;
    let fine = path.starts_with('/') && !path.contains(['?', '#', ' ', '{', '}']);
    if !fine {
        read.expected(key, "a path that starts with a slash");
    }
    fine.then_some(path)
}

fn trusted_proxies(read: &mut Reader) -> Option<Vec<IpNet>> {
    let key = "server.trusted_proxies";
    let network = |entry: &String| {
        let address = entry.parse::<IpAddr>().map(IpNet::from);
        address.or_else(|_| entry.parse()).ok()
    };
    let networks: Option<_> = read.list(key)?.iter().map(network).collect();
    if networks.is_none() {
        read.expected(key, "addresses or networks, as in [\"10.0.0.0/8\"]");
    }
    networks
}

pub(super) fn database(read: &mut Reader) -> Option<Database> {
    let url = read.postgres("database.url");
    let direct_url = read.postgres("database.direct_url");
    let max_connections = read.number("database.max_connections", 1..=10_000);
    let connect_timeout = read.millis("database.connect_timeout", 1..=DAY_MS);
    Some(Database {
        url: url?,
        direct_url: direct_url?,
        max_connections: max_connections?,
        connect_timeout: connect_timeout?,
    })
}

pub(super) fn records(read: &mut Reader) -> Option<Records> {
    let database_url = read.postgres("records.database_url");
    let prune_after_days = read.number("records.prune_after_days", 0..=3650);
    let delete_after_days = read.number("records.delete_after_days", 0..=3650);
    let max_streams = read.number("records.max_streams", 0..=MANY);
    Some(Records {
        database_url: database_url?,
        prune_after_days: NonZeroU32::new(prune_after_days?),
        delete_after_days: NonZeroU32::new(delete_after_days?),
        max_streams: max_streams?,
    })
}

pub(super) fn logs(read: &mut Reader) -> Option<Logs> {
    let database_url = read.postgres("logs.database_url");
    let retention_days = read.number("logs.retention_days", 1..=3650);
    let operations_per_second = read.number("logs.operations_per_second", 0..=MANY);
    let level = log_level(read);
    let format = log_format(read);
    Some(Logs {
        database_url: database_url?,
        retention_days: retention_days?,
        operations_per_second: NonZeroU32::new(operations_per_second?),
        level: level?,
        format: format?,
    })
}

/// Stricter than the logging library, which takes a mistyped level for the
/// name of a part of the program.
fn log_level(read: &mut Reader) -> Option<String> {
    const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];
    let key = "logs.level";
    let text = read.text(key)?;
    let fine = text
        .split(',')
        .all(|directive| match directive.split_once('=') {
            Some((part, level)) => !part.trim().is_empty() && LEVELS.contains(&level.trim()),
            None => LEVELS.contains(&directive.trim()),
        });
    if !fine {
        read.expected(
            key,
            "levels (error, warn, info, debug, trace, off), as in \
             \"info,linkspan_proxy=debug\"",
        );
    }
    fine.then_some(text)
}

fn log_format(read: &mut Reader) -> Option<LogFormat> {
    let key = "logs.format";
    match read.text(key)?.as_str() {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => {
            read.expected(key, "\"text\" or \"json\"");
            None
        }
    }
}

pub(super) fn vault(read: &mut Reader) -> Option<Vault> {
    let key = "vault.root_keys";
    let entries = read.list(key)?;
    if entries.is_empty() {
        return Some(Vault { keyring: None });
    }
    match Keyring::parse(&entries) {
        Ok(keyring) => Some(Vault {
            keyring: Some(keyring),
        }),
        Err(error) => {
            read.refuse(key, error);
            None
        }
    }
}

pub(super) fn net(read: &mut Reader) -> Option<Net> {
    let allow = destinations(read, "net.allow");
    let deny = destinations(read, "net.deny");
    let connect_timeout = read.millis("net.connect_timeout_ms", 1..=DAY_MS);
    let ca_file = read.text("net.ca_file");
    Some(Net {
        allow: allow?,
        deny: deny?,
        connect_timeout: connect_timeout?,
        ca_file: Some(ca_file?)
            .filter(|file| !file.is_empty())
            .map(PathBuf::from),
    })
}

/// Destinations that the address policy can read.
fn destinations(read: &mut Reader, key: &str) -> Option<Vec<String>> {
    let entries = read.list(key)?;
    if let Err(error) = AddressPolicy::from_settings(&entries, &[]) {
        read.refuse(key, error);
        return None;
    }
    Some(entries)
}

pub(super) fn proxy(read: &mut Reader) -> Option<Proxy> {
    let timeout = read.millis("proxy.timeout_ms", 1..=DAY_MS);
    let idle_timeout = read.millis("proxy.idle_timeout_ms", 1..=DAY_MS);
    let held_body_limit = read.number("proxy.held_body_limit", 0..=GIB);
    let calls_per_provider = read.number("proxy.calls_per_provider", 1..=1_000_000);
    let waiting_per_provider = read.number("proxy.waiting_per_provider", 0..=1_000_000);
    let wait = read.millis("proxy.wait_ms", 1..=DAY_MS);
    Some(Proxy {
        timeout: timeout?,
        idle_timeout: idle_timeout?,
        held_body_limit: held_body_limit?,
        calls_per_provider: calls_per_provider?,
        waiting_per_provider: waiting_per_provider?,
        wait: wait?,
    })
}

pub(super) fn cache(read: &mut Reader) -> Option<Cache> {
    let ttl = read.millis("cache.ttl_ms", 0..=60_000);
    Some(Cache { ttl: ttl? })
}

pub(super) fn providers(read: &mut Reader) -> Option<Providers> {
    let dir = read.text("providers.dir")?;
    Some(Providers {
        dir: Some(dir).filter(|dir| !dir.is_empty()).map(PathBuf::from),
    })
}

pub(super) fn connect(read: &mut Reader) -> Option<Connect> {
    let session_ttl = read.seconds("connect.session_ttl_s", 1..=DAY_S);
    Some(Connect {
        session_ttl: session_ttl?,
    })
}

pub(super) fn oauth(read: &mut Reader) -> Option<OAuth> {
    let flow_ttl = read.seconds("oauth.flow_ttl_s", 1..=DAY_S);
    let token_timeout = read.millis("oauth.token_timeout_ms", 100..=300_000);
    Some(OAuth {
        flow_ttl: flow_ttl?,
        token_timeout: token_timeout?,
    })
}

pub(super) fn refresh(read: &mut Reader) -> Option<Refresh> {
    let lease = read.millis("refresh.lease_ms", 200..=60_000);
    Some(Refresh { lease: lease? })
}

pub(super) fn worker(read: &mut Reader) -> Option<Worker> {
    let bind = monitor_bind(read, "worker.bind");
    let slots = read.number("worker.slots", 1..=10_000);
    let lease = read.millis("worker.lease_ms", 300..=3_600_000);
    let poll = read.millis("worker.poll_ms", 10..=60_000);
    let drain = read.millis("worker.drain_ms", 0..=DAY_MS);
    Some(Worker {
        bind: bind?,
        slots: slots?,
        lease: lease?,
        poll: poll?,
        drain: drain?,
    })
}

pub(super) fn jobs(read: &mut Reader) -> Option<Jobs> {
    let finished_days = read.number("jobs.finished_days", 1..=3650);
    let dead_days = read.number("jobs.dead_days", 1..=3650);
    Some(Jobs {
        finished_days: finished_days?,
        dead_days: dead_days?,
    })
}

pub(super) fn limits(read: &mut Reader) -> Option<Limits> {
    let mut calls = |key| read.number(key, 0..=i64::from(u32::MAX));
    let requests_per_minute = calls("limits.requests_per_minute");
    let browser_requests_per_minute = calls("limits.browser_requests_per_minute");
    Some(Limits {
        requests_per_minute: NonZeroU32::new(requests_per_minute?),
        browser_requests_per_minute: NonZeroU32::new(browser_requests_per_minute?),
    })
}
