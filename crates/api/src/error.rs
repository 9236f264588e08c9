//! The error table: every code that the API answers with, its HTTP status and
//! its meaning. `docs/errors.md` has a line for each (`cargo xtask tidy` checks).

use serde::{Deserialize, Serialize};

macro_rules! error_codes {
    ($($variant:ident = $code:literal, $status:literal, $meaning:literal;)*) => {
        /// A code of the error table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $(#[doc = concat!("`", $code, "`: ", $meaning)] $variant,)*
        }

        impl ErrorCode {
            /// Every code there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code as it stands in `error.code`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The HTTP status that goes with the code.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// What the code means, for the message where nothing more
            /// specific is known.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

error_codes! {
    AwsSigv4StsRequestFailed = "aws_sigv4_sts_request_failed", 502, "The keys of the AWS role were refused, or the answer holds none; the message says why.";
    CannotDeleteProdEnvironment = "cannot_delete_prod_environment", 400, "The environment `prod` stays as long as its account.";
    Conflict = "conflict", 409, "Something of this name is there already.";
    ConnectionRefreshBackoff = "connection_refresh_backoff", 424, "The last refresh of this connection failed a moment ago; try again in half a minute.";
    ConnectionRefreshExhausted = "connection_refresh_exhausted", 424, "Refreshes of this connection failed on four days; its owner must reconnect, or force a refresh.";
    ConnectionTestFailed = "connection_test_failed", 400, "The provider refused these credentials.";
    DuplicateProviderConfig = "duplicate_provider_config", 409, "The environment already has an integration with this key.";
    Forbidden = "forbidden", 403, "The API key lacks the scope that this call needs.";
    GenericErrorSupport = "generic_error_support", 500, "Something failed on the server; its log has the cause under this request's id.";
    IntegrationNotAllowed = "integration_not_allowed", 400, "The connect session does not allow this integration.";
    InvalidAuthMode = "invalid_auth_mode", 400, "The integration's provider does not authenticate in this way.";
    InvalidAwsSigv4Config = "invalid_aws_sigv4_config", 400, "A value of the integration's AWS configuration cannot be used; the message says which.";
    InvalidBody = "invalid_body", 400, "The request's body is not what this call takes.";
    InvalidCertificateOrKeyFormat = "invalid_certificate_or_key_format", 400, "The client certificate and its key cannot be used; enter both in PEM format.";
    InvalidConnectSessionTokenFormat = "invalid_connect_session_token_format", 401, "A connect session token is `nango_connect_session_` and 64 hexadecimal digits.";
    InvalidConnection = "invalid_connection", 400, "The connection does not fit the request.";
    InvalidCredentials = "invalid_credentials", 400, "The connection's credentials no longer work; its owner must reconnect.";
    InvalidHeaders = "invalid_headers", 400, "A header of the request is missing or malformed.";
    InvalidHmac = "invalid_hmac", 400, "The HMAC beside the public key does not fit this integration and connection.";
    InvalidJson = "invalid_json", 400, "The request's body is not JSON.";
    InvalidPublicKey = "invalid_public_key", 401, "No environment has this public key.";
    InvalidQueryParams = "invalid_query_params", 400, "A query parameter is missing, unknown or malformed.";
    InvalidSecretKeyFormat = "invalid_secret_key_format", 401, "An API key is a UUID.";
    InvalidUriParams = "invalid_uri_params", 400, "A part of the path is malformed.";
    InvalidVariant = "invalid_variant", 400, "The variant `base` is every sync's own: it is neither created nor deleted.";
    MalformedAuthHeader = "malformed_auth_header", 401, "The Authorization header is `Bearer` and a token.";
    MissingApiUrl = "missing_api_url", 400, "The provider has no API address of its own: pass Base-Url-Override.";
    MissingAuthHeader = "missing_auth_header", 401, "The request has no Authorization header.";
    MissingAwsSigv4BuiltinCredentials = "missing_aws_sigv4_builtin_credentials", 400, "The integration has no AWS access key to assume roles with.";
    MissingAwsSigv4ExternalId = "missing_aws_sigv4_external_id", 400, "The connection has no external id; connect by a connect session, which makes one.";
    MissingAwsSigv4Region = "missing_aws_sigv4_region", 400, "Neither the connection nor the integration names an AWS region.";
    MissingAwsSigv4RoleArn = "missing_aws_sigv4_role_arn", 400, "No AWS role was entered.";
    MissingAwsSigv4Service = "missing_aws_sigv4_service", 400, "The integration names no AWS service.";
    MissingAwsSigv4StsEndpoint = "missing_aws_sigv4_sts_endpoint", 400, "The integration gets AWS keys from a service of its own and does not say where that is.";
    MissingClientId = "missing_client_id", 400, "The integration has no OAuth client id yet.";
    MissingConnectionConfig = "missing_connection_config", 400, "The provider's address needs a configuration value that this connection lacks.";
    MissingHmac = "missing_hmac", 400, "The call needs an HMAC beside the public key: the environment requires it, or the connection is there already.";
    MissingProviderConfigKey = "missing_provider_config_key", 400, "The call names no integration: neither its body nor a header has its key.";
    NoSyncsFound = "no_syncs_found", 400, "No sync is what the call names.";
    NotFound = "not_found", 404, "There is nothing at this address.";
    PayloadTooLarge = "payload_too_large", 413, "The request's body is larger than this server takes.";
    ProxyRedirectToDeniedHost = "proxy_redirect_to_denied_host", 400, "The API redirected to an address that this server may not call.";
    ProxyTooManyRedirects = "proxy_too_many_redirects", 502, "The API redirected more often than this server follows.";
    RequestTimeout = "request_timeout", 408, "The request's body came too slowly.";
    ResourceCapped = "resource_capped", 400, "There are as many of these as there may be; the message says of what.";
    ServerError = "server_error", 400, "The connection could not be loaded.";
    SharedCredentialsProviderNotFound = "shared_credentials_provider_not_found", 404, "This server has no OAuth client of its own for that provider; create the integration with yours.";
    SyncIntervalTooShort = "sync_interval_too_short", 400, "A sync runs every 30 seconds at most.";
    SyncVariantAlreadyExists = "sync_variant_already_exists", 400, "The connection has this variant of the sync already.";
    TooManyRequest = "too_many_request", 429, "The environment calls more often than this server allows; wait for as many seconds as Retry-After says.";
    TooManyStreams = "too_many_streams", 503, "As many streams of changes are open as this server allows; try again when Retry-After says, or read the records by their cursor.";
    TooManyWebsockets = "too_many_websockets", 503, "As many pages wait on websockets as this server allows; try again later.";
    UnknownAccount = "unknown_account", 401, "No environment has this API key.";
    UnknownConnectSessionToken = "unknown_connect_session_token", 401, "The connect session does not exist or has expired.";
    UnknownConnection = "unknown_connection", 400, "The environment has no such connection.";
    UnknownEnvironment = "unknown_environment", 404, "The account has no such environment.";
    UnknownProviderConfig = "unknown_provider_config", 404, "The environment has no integration with this key.";
    UnknownProviderTemplate = "unknown_provider_template", 404, "There is no provider of this name.";
    UnknownSync = "unknown_sync", 400, "The connection, or its integration, has no such sync.";
    UpstreamAddressDenied = "upstream_address_denied", 400, "This server's address policy does not allow calls to that address.";
    UpstreamSaturated = "upstream_saturated", 503, "This server already makes as many calls to the provider at once as it may.";
    UpstreamTimeout = "upstream_timeout", 504, "The provider's API did not answer in time.";
    UpstreamUnreachable = "upstream_unreachable", 502, "The provider's API could not be reached.";
}

/// The body of every error: `{"error": {"code", "message"?, "errors"?, "payload"?}}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// What went wrong.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErrorDetail {
    /// A code of the error table.
    pub code: String,
    /// One sentence for a person: what is wrong and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// For the `invalid_…` codes, each field that is wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// What a program may want to know, such as the request's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<serde_json::Value>,
}

/// One field that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldError {
    /// The kind of mistake, such as `invalid_type` or `unrecognized_keys`.
    pub code: String,
    /// One sentence for a person.
    pub message: String,
    /// The way to the field from the root: keys, and positions as digits.
    pub path: Vec<String>,
}

impl FieldError {
    /// A mistake at a path.
    pub fn new(code: &str, message: impl Into<String>, path: &[&str]) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            path: path.iter().map(|&part| part.to_owned()).collect(),
        }
    }
}
