//! An integration's own credentials with its provider (CONTRACT 2.6). Each auth
//! mode that has some has a form of its own.

use serde::{Deserialize, Serialize};

use crate::given::given;

/// An integration's own credentials with its provider, as a request gives them.
/// `type` is the provider's auth mode.
#[derive(Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type")]
pub enum GivenCredentials {
    /// An OAuth 1.0a client.
    #[serde(rename = "OAUTH1")]
    OAuth1(GivenClient),
    /// An OAuth 2.0 client.
    #[serde(rename = "OAUTH2")]
    OAuth2(GivenClient),
    /// The client of an application whose tokens people enter.
    #[serde(rename = "TBA")]
    Tba(GivenClient),
    /// A client of an MCP server.
    #[serde(rename = "MCP_OAUTH2")]
    McpOAuth2(GivenPublicClient),
    /// An app that is installed in accounts.
    #[serde(rename = "APP")]
    App(App),
    /// An app that is installed in accounts, and its OAuth 2.0 client.
    #[serde(rename = "CUSTOM")]
    Custom(AppWithClient),
    /// A plugin that is installed.
    #[serde(rename = "INSTALL_PLUGIN")]
    InstallPlugin(Plugin),
}

/// An OAuth client, as a request gives it.
#[derive(Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct GivenClient {
    /// The client's id.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: String,
    /// Scopes to ask for, comma separated; null clears them, and without it they
    /// stay.
    #[serde(default, deserialize_with = "given")]
    pub scopes: Option<Option<String>>,
    /// The secret that the provider signs webhooks with; null clears it, and
    /// without it it stays.
    #[serde(default, deserialize_with = "given")]
    pub webhook_secret: Option<Option<String>>,
}

/// An OAuth client that may be a public one, as a request gives it.
#[derive(Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct GivenPublicClient {
    /// The client's id.
    pub client_id: String,
    /// The client's secret; a public client has none.
    #[serde(default)]
    pub client_secret: Option<String>,
    /// Scopes to ask for, comma separated; null clears them, and without it they
    /// stay.
    #[serde(default, deserialize_with = "given")]
    pub scopes: Option<Option<String>>,
}

/// An integration's own credentials with its provider: those of the fields that
/// its auth mode has.
#[derive(Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IntegrationCredentials {
    /// The provider's auth mode.
    #[serde(rename = "type")]
    pub kind: String,
    /// The client's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The client's secret; a public client has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
    /// Scopes that the client asks for, comma separated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Option<String>>,
    /// The secret that the provider signs webhooks with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_secret: Option<String>,
    /// The app's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_id: Option<String>,
    /// The page from which the app, or the plugin, is installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_link: Option<String>,
    /// The app's RSA key, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_key: Option<String>,
    /// The name that the plugin's calls carry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password that they carry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// An app that is installed in accounts, and asks for tokens by a key of its own.
#[derive(Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct App {
    /// The app's id.
    pub app_id: String,
    /// The app's public page, from which it is installed.
    pub app_link: String,
    /// The app's RSA key, PEM.
    pub private_key: String,
}

/// An app that is installed in accounts, and its OAuth 2.0 client.
#[derive(Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AppWithClient {
    /// The client's id.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: String,
    /// The app's id.
    pub app_id: String,
    /// The app's public page, from which it is installed.
    pub app_link: String,
    /// The app's RSA key, PEM.
    pub private_key: String,
}

/// A plugin that is installed, and what its calls carry.
#[derive(Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Plugin {
    /// The page from which it is installed.
    pub app_link: String,
    /// The name that its calls carry.
    #[serde(default)]
    pub username: Option<String>,
    /// The password that they carry.
    #[serde(default)]
    pub password: Option<String>,
}

impl GivenCredentials {
    /// The auth mode that they are for, as `type` names it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::OAuth1(_) => "OAUTH1",
            Self::OAuth2(_) => "OAUTH2",
            Self::Tba(_) => "TBA",
            Self::McpOAuth2(_) => "MCP_OAUTH2",
            Self::App(_) => "APP",
            Self::Custom(_) => "CUSTOM",
            Self::InstallPlugin(_) => "INSTALL_PLUGIN",
        }
    }
}

/// Shows nothing of types that hold secrets.
macro_rules! hidden {
    ($($name:ident),*) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(hidden)"))
            }
        }
    )*};
}

hidden!(
    GivenCredentials,
    GivenClient,
    GivenPublicClient,
    IntegrationCredentials,
    App,
    AppWithClient,
    Plugin
);
