//! What travels over the popup's result channel (CONTRACT 2.2).

use serde::{Deserialize, Serialize};

/// A message from the server on the websocket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "message_type", rename_all = "snake_case")]
pub enum PopupMessage {
    /// First message: the id that the popup's URL must carry.
    ConnectionAck {
        /// A one-use capability of 128 random bits.
        ws_client_id: String,
    },
    /// The connection was made.
    Success {
        /// The integration's key.
        provider_config_key: String,
        /// The connection's id.
        connection_id: String,
        /// Whether the provider has yet to complete the connection.
        is_pending: bool,
    },
    /// The authorisation failed.
    Error {
        /// The integration's key.
        provider_config_key: String,
        /// The connection's id, or "" when there is none.
        connection_id: String,
        /// What failed.
        error_type: PopupError,
        /// One sentence for a person.
        error_desc: String,
    },
}

/// The kinds of failure of a popup flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PopupError {
    /// The integration's provider does not use a popup.
    AuthModeErr,
    /// The provider refused, or answered without a code.
    CallbackErr,
    /// The integration lacks its client id or secret.
    ProviderConfigErr,
    /// The state is unknown, used or expired.
    StateErr,
    /// The callback came to another browser than the one that started.
    StateCookieErr,
    /// The provider did not give a token.
    TokenErr,
    /// There is no such integration.
    UnknownConfigKey,
    /// A URL of the template lacks a value.
    UrlParamErr,
    /// The connect session or public key is not valid here.
    AccountOrEnvironmentRetrievalErr,
    /// The call needs an HMAC beside the public key.
    MissingHmac,
    /// The HMAC beside the public key is wrong.
    InvalidHmac,
    /// Anything else; the server's log has the cause.
    UnknownErr,
}

impl PopupError {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthModeErr => "auth_mode_err",
            Self::CallbackErr => "callback_err",
            Self::ProviderConfigErr => "provider_config_err",
            Self::StateErr => "state_err",
            Self::StateCookieErr => "state_cookie_err",
            Self::TokenErr => "token_err",
            Self::UnknownConfigKey => "unknown_config_key",
            Self::UrlParamErr => "url_param_err",
            Self::AccountOrEnvironmentRetrievalErr => "account_or_environment_retrieval_err",
            Self::MissingHmac => "missing_hmac",
            Self::InvalidHmac => "invalid_hmac",
            Self::UnknownErr => "unknown_err",
        }
    }
}

/// Answer of the `POST /…-auth/…` calls that need no popup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct AuthResult {
    /// The integration's key.
    pub provider_config_key: String,
    /// The connection's id.
    pub connection_id: String,
    /// Whether a webhook of the provider has to come before it can be used.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_pending: bool,
}
