//! The schema of a template (CONTRACT section 4), and reading one.

mod method;
mod proxy;
mod read;
mod token;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use proxy::{Headers, Paginate, Proxy, Retry, RetryInBody, RetryStrategy, Verification};
pub use read::TemplateError;
pub use token::{
    Assertion, ExpirationStrategy, Params, Seconds, SecretEncoding, SelfSigned, Signature,
    SignatureProtocol, Step, TokenResponse, TokenUrl, TokenUrls,
};

use crate::field::is_false;
use crate::interpolate::UrlText;
use crate::{AuthMode, Fields};

/// How to authenticate with a provider and how to call it.
///
/// Serialises to the template's own keys and its slug as `name`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Template {
    /// The file's name; unique in a catalogue.
    #[serde(rename = "name", skip_deserializing)]
    pub slug: String,
    /// Name shown to people.
    pub display_name: String,
    /// What the provider is for, for browsing.
    pub categories: Vec<String>,
    /// Address of our page about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs: Option<String>,
    /// What is known to be wrong with the template, in words, where nobody knows
    /// what is right: a check warns of what would otherwise be an error, and
    /// quotes this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_fault: Option<String>,
    /// The provider whose template this one is laid over, key by key: a key that
    /// both have is this one's, with nothing left of the other's (`proxy` too).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// How it authenticates.
    pub auth_mode: AuthMode,
    /// What this provider needs that no key describes, by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quirk: Option<String>,

    /// Where the person's browser is sent to authorise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_url: Option<UrlText>,
    /// Further query parameters of the authorize URL.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub authorization_params: Params,
    /// Where a code is exchanged for tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_url: Option<TokenUrl>,
    /// Further parameters of that exchange.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub token_params: Params,
    /// Where tokens are refreshed, if not at `token_url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_url: Option<UrlText>,
    /// Further parameters of a refresh; without them `token_params` serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_params: Option<Params>,
    /// Joins scopes in the authorize URL; a space unless set (RFC 6749 section 3.3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope_separator: Option<String>,
    /// Scopes asked for when the integration has none of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub default_scopes: Vec<String>,
    /// The provider fails when it is sent PKCE parameters.
    #[serde(default, skip_serializing_if = "is_false")]
    pub disable_pkce: bool,
    /// Where the client's id and secret go in a token request: the body unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_method: Option<AuthorizationMethod>,
    /// Encoding of a token request's body: a form unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_format: Option<BodyFormat>,
    /// How the client authenticates in a token request, if not by
    /// `authorization_method`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_request_auth_method: Option<TokenRequestAuthMethod>,
    /// Dotted paths in the token answer that are copied to the connection's
    /// configuration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_response_metadata: Vec<String>,
    /// Query parameters of the callback that are copied to the connection's
    /// configuration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redirect_uri_metadata: Vec<String>,
    /// Dotted path of the object that holds `access_token`, when the answer
    /// does not hold it at its top.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alternate_access_token_response_path: Option<String>,
    /// How long before its expiry a token is refreshed, in seconds; 15 minutes
    /// unless set (CONTRACT 2.8).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_expiration_buffer: Option<u32>,

    /// Texts in the authorize URL that are replaced as a last step, for a
    /// provider with names of its own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub authorization_url_replacements: BTreeMap<String, String>,
    /// Parameters of the authorize URL without a value are left out.
    #[serde(default, skip_serializing_if = "is_false")]
    pub authorization_url_skip_empty: bool,
    /// Parameters of the authorize URL that are not percent-encoded; `base_url`
    /// is the address itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorization_url_skip_encode: Vec<String>,
    /// What follows `#` in the authorize URL, ahead of the query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_url_fragment: Option<String>,
    /// Query parameter of the callback that holds the code, if not `code`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_code_param_in_callback: Option<String>,
    /// Dotted path of the code in a webhook that brings it instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_code_param_in_webhook: Option<String>,
    /// Who starts an installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installation: Option<Installation>,
    /// Dotted paths in that webhook that are copied to the connection's
    /// configuration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub webhook_response_metadata: Vec<String>,
    /// What `expires_in` counts; seconds unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_unit: Option<ExpiresInUnit>,
    /// Token requests present the integration's client certificate (RFC 8705).
    #[serde(default, skip_serializing_if = "is_false")]
    pub require_client_certificate: bool,

    /// Where OAuth 1.0a begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_url: Option<UrlText>,
    /// Further parameters of that request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub request_params: Params,
    /// How OAuth 1.0a requests are signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature_method: Option<SignatureMethod>,

    /// Headers of a login.
    #[serde(default, skip_serializing_if = "Headers::is_empty")]
    pub token_headers: Headers,
    /// HTTP method of a login; POST unless set.
    #[serde(default, with = "method", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<crate::schema::HttpMethod>")
    )]
    pub token_request_method: Option<http::Method>,
    /// Where the login's answer holds what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_response: Option<TokenResponse>,
    /// Headers of the login's answer that are kept with the credentials.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_response_headers: Vec<String>,
    /// Milliseconds until a login's token expires, where the answer does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_expires_in_ms: Option<u64>,
    /// Parameters of a refresh, where it is not a login again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refresh_token_params: Params,
    /// Headers of that refresh.
    #[serde(default, skip_serializing_if = "Headers::is_empty")]
    pub refresh_token_headers: Headers,
    /// Requests that follow the first one of a login.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional_steps: Vec<Step>,
    /// A signed statement that a login presents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assertion: Option<Assertion>,
    /// What a person enters to make that statement; never stored.
    #[serde(default, skip_serializing_if = "Fields::is_empty")]
    pub assertion_option: Fields,
    /// How tokens that we make ourselves are signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
    /// The token that we make ourselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<SelfSigned>,

    /// How this server becomes a client of the provider (MCP).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_registration: Option<ClientRegistration>,
    /// Where a client is registered (RFC 7591).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_url: Option<UrlText>,
    /// Further parameters of that registration.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub registration_params: Params,
    /// The form of the credentials that an installed plugin brings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_type: Option<AuthMode>,

    /// Code that runs once a connection is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_connection_script: Option<String>,
    /// Code that runs before a connection is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pre_connection_deletion_script: Option<String>,
    /// Code that says whether credentials work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_verification_script: Option<String>,
    /// Code that finds a webhook's connections; an empty name turns off what an
    /// alias would inherit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_routing_script: Option<String>,
    /// The developer enters the secret that webhooks are signed with.
    #[serde(default, skip_serializing_if = "is_false")]
    pub webhook_user_defined_secret: bool,
    /// Query parameters of a webhook's address that its code may read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub webhook_allowed_query_params: Vec<String>,

    /// How the API is called. Without it there is no proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,
    /// What a person enters to authenticate.
    #[serde(default, skip_serializing_if = "Fields::is_empty")]
    pub credentials: Fields,
    /// What a person, or the platform, sets for a connection.
    #[serde(default, skip_serializing_if = "Fields::is_empty")]
    pub connection_config: Fields,
    /// What a developer sets for an integration.
    #[serde(default, skip_serializing_if = "Fields::is_empty")]
    pub integration_config: Fields,
}

/// Where the client's id and secret go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum AuthorizationMethod {
    /// In the body, as `client_id` and `client_secret`.
    Body,
    /// In an `Authorization: Basic` header.
    Header,
}

/// Encoding of a token request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum BodyFormat {
    Form,
    Json,
    Query,
    Xml,
}

/// How the client authenticates in a token request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum TokenRequestAuthMethod {
    /// `Authorization: Basic` (RFC 6749 section 2.3.1).
    Basic,
    /// As the body's `username` and `password`.
    Custom,
    /// By a signed assertion (RFC 7523).
    PrivateKeyJwt,
}

/// Who starts an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Installation {
    /// The provider's own pages; a webhook tells us.
    Outbound,
}

/// What `expires_in` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ExpiresInUnit {
    Milliseconds,
    Seconds,
}

/// How OAuth 1.0a requests are signed (RFC 5849 section 3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the RFC's names")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum SignatureMethod {
    #[serde(rename = "HMAC-SHA1")]
    HmacSha1,
    #[serde(rename = "HMAC-SHA256")]
    HmacSha256,
    #[serde(rename = "RSA-SHA1")]
    RsaSha1,
    #[serde(rename = "PLAINTEXT")]
    Plaintext,
}

/// How this server becomes a client of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ClientRegistration {
    /// By registering itself (RFC 7591).
    Dynamic,
    /// By a developer who enters a client id.
    Static,
    /// By a document at our own address that says who we are.
    Cimd,
}

#[cfg(test)]
mod tests;
