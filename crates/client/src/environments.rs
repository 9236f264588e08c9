//! `/environments`, `/environment/…` and `/environment-variables`: what is set
//! up rather than used. Environments and API keys go by numbers here.

use chrono::{DateTime, Utc};
use http::Method;
use linkspan_api::Scope;
use linkspan_api::environments::Environment;
use linkspan_api::integrations::Data;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;

/// Calls on the environments of the API key's account.
#[derive(Debug, Clone)]
pub struct Environments {
    client: Client,
}

impl Environments {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Creates one of this name: 1 to 255 of `a-z`, `0-9`, `_` and `-`, unique
    /// in the account. It has no API key yet: see [`ApiKeys::create`].
    pub fn create(&self, name: impl Into<String>) -> CreateEnvironment {
        CreateEnvironment {
            client: self.client.clone(),
            body: NewEnvironment {
                name: name.into(),
                is_production: false,
                hmac_enabled: None,
                hmac_key: None,
            },
        }
    }

    /// Deletes one with everything in it: API keys, integrations, connections,
    /// and the data key without which no backup of them opens.
    ///
    /// # Errors
    /// `unknown_environment`, `cannot_delete_prod_environment` for `prod`,
    /// `forbidden` without the scope; see [`Error`].
    pub async fn delete(&self, environment: i64) -> Result<(), Error> {
        let path = ["environments", &environment.to_string()];
        Call::new(&self.client, Method::DELETE, &path).done().await
    }
}

/// [`Environments::create`].
#[derive(Debug, Clone)]
#[must_use = "nothing is created before `send`"]
pub struct CreateEnvironment {
    client: Client,
    body: NewEnvironment,
}

#[derive(Clone, Serialize)]
struct NewEnvironment {
    name: String,
    is_production: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    hmac_enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hmac_key: Option<String>,
}

impl std::fmt::Debug for NewEnvironment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewEnvironment")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl CreateEnvironment {
    /// Says that it serves your real customers: its public key then needs an
    /// HMAC.
    pub fn production(mut self) -> Self {
        self.body.is_production = true;
        self
    }

    /// Says whether its public key needs an HMAC, if not as [`Self::production`]
    /// has it.
    pub fn require_hmac(mut self, is_required: bool) -> Self {
        self.body.hmac_enabled = Some(is_required);
        self
    }

    /// Gives it the text that your backend makes HMACs with.
    pub fn hmac_key(mut self, key: impl Into<String>) -> Self {
        self.body.hmac_key = Some(key.into());
        self
    }

    /// Creates it.
    ///
    /// # Errors
    /// `conflict` when the account has one of this name, `invalid_body` for a
    /// name that cannot be, `forbidden` without the scope; see [`Error`].
    pub async fn send(self) -> Result<Environment, Error> {
        let call = Call::new(&self.client, Method::POST, &["environments"]);
        Ok(call.json(&self.body).send::<Data<_>>().await?.data)
    }
}

/// Calls on the API keys of the account's environments.
#[derive(Debug, Clone)]
pub struct ApiKeys {
    client: Client,
}

impl ApiKeys {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Makes a key for an environment, by the environment's number. `name` is
    /// what people see; it is unique among the environment's keys.
    ///
    /// ```no_run
    /// # async fn run(linkspan: linkspan_client::Client) -> Result<(), linkspan_client::Error> {
    /// use linkspan_client::{ExposeSecret, Scope};
    ///
    /// let staging = linkspan.environments().create("staging").send().await?;
    /// let key = linkspan
    ///     .api_keys()
    ///     .create(staging.id, "the worker")
    ///     .scopes([Scope::Proxy, Scope::ConnectionsList])
    ///     .send()
    ///     .await?;
    /// // It is shown only now.
    /// println!("{}", key.secret.expose_secret());
    /// # Ok(())
    /// # }
    /// ```
    pub fn create(&self, environment: i64, name: impl Into<String>) -> CreateApiKey {
        CreateApiKey {
            client: self.client.clone(),
            body: NewKey {
                environment_id: environment,
                display_name: name.into(),
                scopes: None,
            },
        }
    }

    /// Ends a key, by its environment's number and its own. Servers that have
    /// it cached take it for a few seconds more.
    ///
    /// # Errors
    /// `unknown_environment`, `not_found` when the environment has no such key,
    /// `forbidden` without the scope; see [`Error`].
    pub async fn delete(&self, environment: i64, key: i64) -> Result<(), Error> {
        let body = json!({ "environment_id": environment, "key_id": key });
        let call = Call::new(&self.client, Method::DELETE, &["environment", "api-keys"]);
        call.json(&body).done().await
    }
}

/// [`ApiKeys::create`].
#[derive(Debug, Clone)]
#[must_use = "nothing is made before `send`"]
pub struct CreateApiKey {
    client: Client,
    body: NewKey,
}

#[derive(Debug, Clone, Serialize)]
struct NewKey {
    environment_id: i64,
    display_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<Vec<Scope>>,
}

impl CreateApiKey {
    /// What the key may do, and nothing else; without this, everything in its
    /// environment. Scopes over the account can be given only by a key that has
    /// them.
    pub fn scopes(mut self, scopes: impl IntoIterator<Item = Scope>) -> Self {
        self.body.scopes = Some(scopes.into_iter().collect());
        self
    }

    /// Makes it.
    ///
    /// # Errors
    /// `unknown_environment`, `conflict` when the environment has a key of this
    /// name, `invalid_body` for a name or a scope that cannot be, `forbidden`
    /// without the scope; see [`Error`].
    pub async fn send(self) -> Result<ApiKey, Error> {
        let call = Call::new(&self.client, Method::POST, &["environment", "api-keys"]);
        Ok(call.json(&self.body).send::<Data<_>>().await?.data)
    }
}

/// A key that was just made.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct ApiKey {
    /// Its number, which [`ApiKeys::delete`] takes.
    pub id: i64,
    /// What people see.
    pub display_name: String,
    /// What it may do, by the scopes' names.
    pub scopes: Vec<String>,
    /// The key itself. It is shown here and nowhere else.
    pub secret: SecretString,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// A variable of the environment, for its functions.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct EnvironmentVariable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: SecretString,
}

#[derive(Deserialize)]
struct SigningKey {
    webhook_signing_key: SecretString,
}

pub(crate) async fn variables(client: &Client) -> Result<Vec<EnvironmentVariable>, Error> {
    let path = ["environment-variables"];
    Call::new(client, Method::GET, &path).send().await
}

pub(crate) async fn rotate_signing_key(client: &Client) -> Result<SecretString, Error> {
    let path = ["environment", "webhook-signing-key", "rotate"];
    let call = Call::new(client, Method::POST, &path);
    let answer: Data<SigningKey> = call.send().await?;
    Ok(answer.data.webhook_signing_key)
}
