//! The settings as the rest of the program sees them. `defaults.toml` says
//! more about each.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;
use url::Url;

use crate::vault::Keyring;

/// `[server]`: how requests come in.
#[derive(Debug, Clone)]
pub struct Server {
    /// The address to listen on; port 0 takes a free one.
    pub bind: SocketAddr,
    /// Where browsers and providers reach the server: http or https, without
    /// user, query and fragment.
    pub public_url: Url,
    /// Threads that answer requests; 0 takes one for each core.
    pub workers: usize,
    /// Path of the result websocket; starts with a slash.
    pub websockets_path: String,
    /// The largest body that is read whole, in bytes.
    pub request_body_limit: usize,
    /// Callers' connections open at once; 0 takes what the limit of open files
    /// allows.
    pub max_connections: usize,
    /// How long a caller may take to send a request's head.
    pub head_timeout: Duration,
    /// How long a body may keep the server waiting altogether, before what
    /// each of its bytes adds.
    pub body_timeout: Duration,
    /// How long a caller may take nothing of an answer.
    pub write_timeout: Duration,
    /// How long a connection is kept for a caller's next request.
    pub keep_alive: Duration,
    /// Websockets open at once.
    pub max_websockets: usize,
    /// Websockets open at once from one address; no limit when absent.
    pub max_websockets_per_address: Option<NonZeroUsize>,
    /// Reverse proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Where health, readiness and metrics are served, if anywhere.
    pub monitor_bind: Option<SocketAddr>,
}

/// `[database]`: the control plane's Postgres.
#[derive(Debug, Clone)]
pub struct Database {
    /// The `postgres://` URL, if one is set.
    pub url: Option<SecretString>,
    /// The URL without a pooler, if it is another one.
    pub direct_url: Option<SecretString>,
    /// Most connections open at once.
    pub max_connections: usize,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
}

/// `[records]`: what syncs have saved.
#[derive(Debug, Clone)]
pub struct Records {
    /// The URL of the records' own database, if they have one.
    pub database_url: Option<SecretString>,
    /// After how many days without a change a record's payload is emptied.
    pub prune_after_days: Option<NonZeroU32>,
    /// After how many days without a batch a stream is deleted.
    pub delete_after_days: Option<NonZeroU32>,
    /// Streams of changes that a process keeps open at once.
    pub max_streams: usize,
}

/// `[logs]`: operation logs, and what the process itself logs.
#[derive(Debug, Clone)]
pub struct Logs {
    /// The URL of the logs' own database, if they have one.
    pub database_url: Option<SecretString>,
    /// How many days operation logs are kept.
    pub retention_days: u32,
    /// Successful proxied calls of one environment that a process stores in a
    /// second; no limit when absent.
    pub operations_per_second: Option<NonZeroU32>,
    /// Levels as `tracing_subscriber::EnvFilter` reads them.
    pub level: String,
    /// The form of the process's own log lines.
    pub format: LogFormat,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// `[vault]`: the root keys.
#[derive(Debug, Clone)]
pub struct Vault {
    /// The keyring, if root keys are set.
    pub keyring: Option<Keyring>,
}

/// `[net]`: calls to the outside.
#[derive(Debug, Clone)]
pub struct Net {
    /// Destinations allowed although they are private.
    pub allow: Vec<String>,
    /// Destinations refused in any case.
    pub deny: Vec<String>,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// Certificate authorities to trust beside Mozilla's (PEM).
    pub ca_file: Option<PathBuf>,
}

/// `[proxy]`: proxied calls.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// How long an API may take to begin its answer.
    pub timeout: Duration,
    /// How long an answer that has begun may send nothing.
    pub idle_timeout: Duration,
    /// The largest request body that is held for a retry, in bytes.
    pub held_body_limit: usize,
    /// Most calls to one provider at once.
    pub calls_per_provider: usize,
    /// Most calls that wait for one of those to end.
    pub waiting_per_provider: usize,
    /// How long one waits at most.
    pub wait: Duration,
}

/// `[cache]`: what is kept in memory.
#[derive(Debug, Clone)]
pub struct Cache {
    /// How long; zero turns the cache off.
    pub ttl: Duration,
}

/// `[providers]`: provider templates.
#[derive(Debug, Clone)]
pub struct Providers {
    /// A directory of additional templates.
    pub dir: Option<PathBuf>,
}

/// `[connect]`: connect sessions.
#[derive(Debug, Clone)]
pub struct Connect {
    /// How long a connect session can be used.
    pub session_ttl: Duration,
}

/// `[oauth]`: authorisations under way, and requests for tokens.
#[derive(Debug, Clone)]
pub struct OAuth {
    /// How long an end user may take to come back from the provider.
    pub flow_ttl: Duration,
    /// How long a provider may take to answer a request for tokens.
    pub token_timeout: Duration,
}

/// `[refresh]`: fresh credentials.
#[derive(Debug, Clone)]
pub struct Refresh {
    /// How long a server that stops answering keeps others from repeating its
    /// refresh.
    pub lease: Duration,
}

/// `[worker]`: who runs jobs.
#[derive(Debug, Clone)]
pub struct Worker {
    /// Where its health, readiness and metrics are served, if anywhere.
    pub bind: Option<SocketAddr>,
    /// Jobs that one worker runs at once.
    pub slots: usize,
    /// After so long without a sign of life its jobs are another's.
    pub lease: Duration,
    /// How often it looks for jobs when nobody tells it of them.
    pub poll: Duration,
    /// How long stopping waits for the jobs that run.
    pub drain: Duration,
}

/// `[jobs]`: what is kept of jobs.
#[derive(Debug, Clone)]
pub struct Jobs {
    /// Days that finished jobs are kept.
    pub finished_days: u32,
    /// Days that dead jobs are kept.
    pub dead_days: u32,
}

/// `[limits]`: how often one may call. A limit that is absent is none.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Calls of one environment's API keys that a process answers in a minute,
    /// and as many of its browsers.
    pub requests_per_minute: Option<NonZeroU32>,
    /// Calls of one browser that a process answers in a minute.
    pub browser_requests_per_minute: Option<NonZeroU32>,
}
