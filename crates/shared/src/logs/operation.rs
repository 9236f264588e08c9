//! What is logged.

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::tenancy::EnvironmentId;

/// The kinds of operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A connection was made, replaced or refreshed.
    Auth,
    /// A call went through the proxy.
    Proxy,
    /// An integration was created, changed or deleted.
    Admin,
    /// A sync ran, or was told what to do.
    Sync,
}

impl Kind {
    /// Every kind there is.
    pub const ALL: &'static [Self] = &[Self::Auth, Self::Proxy, Self::Admin, Self::Sync];

    /// The name in storage and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Proxy => "proxy",
            Self::Admin => "admin",
            Self::Sync => "sync",
        }
    }
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It did what it was asked to.
    Success,
    /// It did not.
    Failed,
}

impl Status {
    /// Every way to end.
    pub const ALL: &'static [Self] = &[Self::Success, Self::Failed];

    /// The name in storage and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed => "failed",
        }
    }
}

/// How much a message matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// What happened.
    Info,
    /// Something that the owner may want to look at.
    Warn,
    /// Why the operation failed.
    Error,
}

/// One message of an operation. Its text never carries a secret: URLs go
/// through `net::redact`.
#[derive(Debug, Clone, Serialize)]
pub struct Message {
    /// When.
    pub at: DateTime<Utc>,
    /// How much it matters.
    pub level: Level,
    /// What happened, in one sentence.
    pub text: String,
}

/// One thing that Linkspan did for a connection.
#[derive(Debug, Clone)]
pub struct Operation {
    /// The environment that it was done in.
    pub environment_id: EnvironmentId,
    /// Its id, ordered by time.
    pub id: Uuid,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// What kind of thing.
    pub kind: Kind,
    /// What was done, such as `create`, `refresh` or `call`.
    pub action: &'static str,
    /// How it ended.
    pub status: Status,
    /// The integration's key.
    pub integration: Option<String>,
    /// The provider's slug.
    pub provider: Option<String>,
    /// The connection's id.
    pub connection_id: Option<String>,
    /// How long it took.
    pub duration_ms: i32,
    /// The HTTP status that the provider answered last.
    pub http_status: Option<i16>,
    /// Code of the error table, when it failed in Linkspan.
    pub error_code: Option<&'static str>,
    /// What happened, in order.
    pub messages: Vec<Message>,
}

impl Operation {
    /// Begins an operation: successful until [`Operation::fail`] is called.
    #[must_use]
    pub fn begin(environment_id: EnvironmentId, kind: Kind, action: &'static str) -> Self {
        Self {
            environment_id,
            id: Uuid::now_v7(),
            created_at: Utc::now(),
            kind,
            action,
            status: Status::Success,
            integration: None,
            provider: None,
            connection_id: None,
            duration_ms: 0,
            http_status: None,
            error_code: None,
            messages: Vec::new(),
        }
    }

    /// Names what it is about.
    #[must_use]
    pub fn about(mut self, integration: &str, provider: &str, connection_id: &str) -> Self {
        self.integration = Some(integration.to_owned());
        self.provider = Some(provider.to_owned());
        self.connection_id = Some(connection_id.to_owned());
        self
    }

    /// Adds a message.
    pub fn say(&mut self, level: Level, text: impl Into<String>) {
        self.messages.push(Message {
            at: Utc::now(),
            level,
            text: text.into(),
        });
    }

    /// Marks it failed, with the reason as its last message.
    pub fn fail(&mut self, code: Option<&'static str>, reason: impl Into<String>) {
        self.status = Status::Failed;
        self.error_code = code;
        self.say(Level::Error, reason);
    }
}
