//! Rust SDK for Linkspan.
//!
//! ```no_run
//! use linkspan_client::{Client, EndUser, Method};
//!
//! # async fn run() -> Result<(), linkspan_client::Error> {
//! let linkspan = Client::new("https://linkspan.example.com", "the API key")?;
//!
//! // Let an end user connect an account: open the link in a browser.
//! let session = linkspan
//!     .connect_sessions()
//!     .create()
//!     .end_user(EndUser::new("user-1"))
//!     .allow("github")
//!     .send()
//!     .await?;
//! println!("{}", session.connect_link());
//!
//! // Later: call the API with that account's credentials.
//! let answer = linkspan
//!     .connection("github", "the connection's id")
//!     .proxy(Method::GET, "/user")
//!     .send()
//!     .await?;
//! let user: serde_json::Value = answer.error_for_status().await?.json().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Calls that can be made in one way are async methods; those with options are
//! builders that end with `send`. Every call fails with an [`Error`], and is
//! made again as the client's [`RetryPolicy`] says. Keys and credentials are
//! [`SecretString`]s: they show only to who calls `expose_secret`.
//!
//! [`webhook`] verifies what Linkspan sends to your product.

mod call;
mod client;
mod connect_sessions;
mod connection;
mod connections;
mod credentials;
mod end_user;
mod environments;
mod error;
mod events;
mod integrations;
mod logs;
mod providers;
mod proxy;
mod records;
mod retry;
mod secret;
mod syncs;
pub mod webhook;

pub use client::{Client, ClientBuilder};
pub use connect_sessions::{ConnectSession, ConnectSessions, CreateSession};
pub use connection::{Connection, ConnectionHandle, GetConnection, UpdateConnection};
pub use connections::{Connections, ImportConnection, ListConnections};
pub use credentials::{Credentials, ImportCredentials};
pub use end_user::{EndUser, Organization};
pub use environments::{
    ApiKey, ApiKeys, CreateApiKey, CreateEnvironment, EnvironmentVariable, Environments,
};
pub use error::Error;
pub use integrations::{
    CreateIntegration, GetIntegration, IntegrationClient, IntegrationDetails, Integrations,
    QuickstartIntegration, UpdateIntegration,
};
pub use logs::{CountOperations, ListOperations, Logs, OperationPage};
pub use providers::{ListProviders, Provider, Providers};
pub use proxy::{ProxyCall, ProxyResponse};
pub use records::{FollowRecords, ListRecords, RecordPage, Records};
pub use retry::RetryPolicy;
pub use syncs::{ConnectionSync, Syncs};

pub use bytes::Bytes;
pub use http::{HeaderMap, Method, StatusCode};
pub use linkspan_api::connections::{ConnectionEndUser, ConnectionError, ConnectionSummary};
pub use linkspan_api::environments::Environment;
pub use linkspan_api::integrations::Integration;
pub use linkspan_api::logs::{CountedList, CountedOperations, Message, Operation, OperationFull};
pub use linkspan_api::records::{LastAction, PrunedRecords, Record, RecordMetadata};
pub use linkspan_api::syncs::{SyncResult, SyncState, SyncStatus, SyncType};
pub use linkspan_api::{ErrorCode, FieldError, Scope};
pub use secrecy::{ExposeSecret, SecretString};

/// A JSON object.
pub type Object = serde_json::Map<String, serde_json::Value>;
