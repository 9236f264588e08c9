//! `/environments`, `/environment/…` and `/environment-variables`
//! (CONTRACT 2.6). Environments and keys go by their numbers here.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Body of `POST /environments`.
#[derive(Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateEnvironment {
    /// Unique in the account: 1 to 255 of `a-z`, `0-9`, `_` and `-`.
    pub name: String,
    /// Whether it serves the account's real customers.
    #[serde(default)]
    pub is_production: bool,
    /// Whether a public key needs an HMAC beside it; as `is_production` says
    /// when absent.
    pub hmac_enabled: Option<bool>,
    /// The text that the product's backend signs with: 1 to 1,000 characters.
    /// Without it `linkspan admin` makes one.
    pub hmac_key: Option<String>,
}

impl std::fmt::Debug for CreateEnvironment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreateEnvironment")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// An environment, as it is answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Environment {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
}

/// Body of `POST /environment/api-keys`.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateApiKey {
    /// The environment's number.
    pub environment_id: i64,
    /// What people see; unique among the environment's keys.
    pub display_name: String,
    /// What the key may do; everything in its environment when absent.
    pub scopes: Option<Vec<String>>,
}

/// A key that was made; its secret is shown here and nowhere else.
#[derive(Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewApiKey {
    /// The key's number.
    pub id: i64,
    /// What people see.
    pub display_name: String,
    /// What the key may do.
    pub scopes: Vec<&'static str>,
    /// The key itself.
    pub secret: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

impl std::fmt::Debug for NewApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewApiKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Body of `DELETE /environment/api-keys`.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DeleteApiKey {
    /// The environment's number.
    pub environment_id: i64,
    /// The key's number.
    pub key_id: i64,
}

/// Answer of `POST /environment/webhook-signing-key/rotate`.
#[derive(Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SigningKey {
    /// The key that webhooks to the product are signed with from now on.
    pub webhook_signing_key: String,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(hidden)")
    }
}

/// One of the answers of `GET /environment-variables`.
#[derive(Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl std::fmt::Debug for Variable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Variable({})", self.name)
    }
}
