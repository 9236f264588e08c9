//! The payloads (CONTRACT 2.9). Fields that this version does not know are
//! ignored, and so are types.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::WebhookError;

/// A webhook, by its `type`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Webhook {
    /// A connection was made, got new credentials, or could not be refreshed.
    Auth(AuthEvent),
    /// A sync ended; one for each model that it writes.
    Sync(SyncEvent),
    /// A provider's webhook for one connection.
    Forward(ForwardEvent),
    /// An action that ran in the background ended.
    AsyncAction(AsyncActionEvent),
    /// Anything else, as it came: a provider's webhook that belongs to no one
    /// connection, or a type that this version does not know.
    Other(Value),
}

impl Webhook {
    /// Reads a payload. Verify it first: [`receive`](super::receive) does both.
    ///
    /// # Errors
    /// [`WebhookError::Payload`] when it is not JSON, or when Linkspan sent it
    /// and it lacks what its type needs.
    pub fn parse(body: &[u8]) -> Result<Self, WebhookError> {
        let value: Value = serde_json::from_slice(body)?;
        let is_ours = value["from"] == "nango";
        let typed = match value["type"].as_str() {
            Some("auth") => AuthEvent::deserialize(&value).map(Self::Auth),
            Some("sync") => SyncEvent::deserialize(&value).map(Self::Sync),
            Some("forward") => ForwardEvent::deserialize(&value).map(Self::Forward),
            Some("async_action") => AsyncActionEvent::deserialize(&value).map(Self::AsyncAction),
            _ => return Ok(Self::Other(value)),
        };
        match typed {
            Err(error) if is_ours => Err(error.into()),
            // A provider may use the same names for something else.
            Err(_) => Ok(Self::Other(value)),
            Ok(typed) => Ok(typed),
        }
    }
}

/// A connection was made, got new credentials, or could not be refreshed.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthEvent {
    /// What was done.
    pub operation: AuthOperation,
    /// The connection's id.
    pub connection_id: String,
    /// The integration's key.
    pub provider_config_key: String,
    /// The provider's slug.
    pub provider: String,
    /// The environment's name.
    pub environment: String,
    /// The auth mode, such as `OAUTH2`.
    pub auth_mode: String,
    /// Whether it went well.
    pub success: bool,
    /// The connection's labels.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Who connected, as the connect session said it.
    pub end_user: Option<Value>,
    /// What went wrong, if it did.
    pub error: Option<AuthError>,
}

/// What was done to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AuthOperation {
    /// It was made.
    Creation,
    /// It got new credentials.
    Override,
    /// Its credentials were to be refreshed.
    Refresh,
    /// Something that this version does not know.
    #[serde(other)]
    Unknown,
}

/// What went wrong with a connection.
#[derive(Debug, Clone, Deserialize)]
pub struct AuthError {
    /// A code.
    #[serde(rename = "type")]
    pub kind: String,
    /// One sentence for a person.
    pub description: String,
}

/// A sync ended, for one of its models.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncEvent {
    /// The connection's id.
    pub connection_id: String,
    /// The integration's key.
    pub provider_config_key: String,
    /// The sync's name.
    pub sync_name: String,
    /// The sync's variant; `base` when it has no others.
    #[serde(default)]
    pub sync_variant: String,
    /// The model that it wrote.
    pub model: String,
    /// What made it run.
    pub sync_type: SyncType,
    /// Whether it went well.
    pub success: bool,
    /// Records changed at or after this are new to you, when it went well.
    pub modified_after: Option<DateTime<Utc>>,
    /// How many records changed, when it went well.
    pub response_results: Option<SyncResults>,
    /// What went wrong, if it did.
    pub error: Option<Value>,
    /// When it started, if it failed.
    pub started_at: Option<DateTime<Utc>>,
    /// When it failed, if it did.
    pub failed_at: Option<DateTime<Utc>>,
}

/// What made a sync run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[non_exhaustive]
pub enum SyncType {
    /// Its first run.
    Initial,
    /// Its schedule, or a trigger.
    Incremental,
    /// A provider's webhook.
    Webhook,
    /// Something that this version does not know.
    #[serde(other)]
    Unknown,
}

/// How many records a sync changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct SyncResults {
    /// Records that are new.
    pub added: u64,
    /// Records that changed.
    pub updated: u64,
    /// Records that are gone.
    #[serde(default)]
    pub deleted: u64,
}

/// A provider's webhook for one connection.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForwardEvent {
    /// The provider's slug.
    pub from: String,
    /// The integration's key.
    pub provider_config_key: String,
    /// The connection's id.
    pub connection_id: String,
    /// What the provider sent.
    pub payload: Value,
}

/// An action that ran in the background ended.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AsyncActionEvent {
    /// The connection's id.
    pub connection_id: String,
    /// The integration's key.
    pub provider_config_key: String,
    /// Which action.
    pub payload: AsyncAction,
}

/// An action that ran in the background.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AsyncAction {
    /// Its id.
    pub id: String,
    /// The path where its output is.
    pub status_url: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(value: Value) -> Result<Webhook, WebhookError> {
        Webhook::parse(value.to_string().as_bytes())
    }

    fn auth() -> Value {
        json!({
            "from": "nango", "type": "auth", "operation": "refresh", "connectionId": "c1",
            "providerConfigKey": "github", "provider": "github", "environment": "dev",
            "authMode": "OAUTH2", "success": false, "new": [1],
            "error": { "type": "invalid_grant", "description": "Revoked." },
        })
    }

    #[test]
    fn what_is_not_known_does_not_matter() {
        let Ok(Webhook::Auth(event)) = parse(auth()) else {
            panic!()
        };
        assert_eq!(
            (event.operation, event.success),
            (AuthOperation::Refresh, false)
        );
        assert_eq!(event.error.unwrap().kind, "invalid_grant");
        let mut later = auth();
        later["operation"] = "rotation".into();
        let Ok(Webhook::Auth(event)) = parse(later) else {
            panic!()
        };
        assert_eq!(event.operation, AuthOperation::Unknown);
        assert!(matches!(
            parse(json!({ "from": "nango", "type": "new" })),
            Ok(Webhook::Other(_))
        ));
    }

    #[test]
    fn what_we_sent_must_be_whole_and_what_others_sent_need_not() {
        let mut broken = auth();
        broken.as_object_mut().unwrap().remove("connectionId");
        assert!(matches!(
            parse(broken.clone()),
            Err(WebhookError::Payload(_))
        ));
        broken["from"] = "someone".into();
        assert!(matches!(parse(broken), Ok(Webhook::Other(_))));
        assert!(matches!(parse(json!(["raw"])), Ok(Webhook::Other(_))));
    }

    #[test]
    fn syncs_and_actions_are_read() {
        let sync = json!({
            "from": "nango", "type": "sync", "connectionId": "c1", "providerConfigKey": "github",
            "syncName": "issues", "syncVariant": "base", "model": "Issue", "syncType": "INITIAL",
            "success": true, "modifiedAfter": "2026-01-01T00:00:00.000Z",
            "responseResults": { "added": 3, "updated": 2, "deleted": 1 },
        });
        let Ok(Webhook::Sync(sync)) = parse(sync) else {
            panic!()
        };
        assert_eq!(sync.sync_type, SyncType::Initial);
        assert_eq!(
            sync.response_results,
            Some(SyncResults {
                added: 3,
                updated: 2,
                deleted: 1
            })
        );
        let action = json!({
            "type": "async_action", "from": "nango", "connectionId": "c1",
            "providerConfigKey": "github", "payload": { "id": "a1", "statusUrl": "/action/a1" },
        });
        let Ok(Webhook::AsyncAction(action)) = parse(action) else {
            panic!()
        };
        assert_eq!(action.payload.status_url, "/action/a1");
    }
}
