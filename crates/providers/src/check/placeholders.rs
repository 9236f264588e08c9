//! Whether something can fill each placeholder, where it stands.

use serde_json::Value;

use super::places::join;
use super::{Finding, Subject, top};
use crate::AuthMode;
use crate::interpolate::{Path, Root, Text};

/// When a text is evaluated, which decides what there is by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// Before anything is known of the person's account.
    Begin,
    /// When a token is asked for.
    Token,
    /// When a further step is taken, after this many.
    Step(u8),
    /// When what a person enters once is there.
    Assertion,
    /// When a token is asked for again.
    Refresh,
    /// When a call is made, but for its headers.
    Call,
    /// When a call's headers are made, which is last: they may sign the rest.
    CallHeaders,
}

/// Keys whose texts have placeholders.
const TEXTS: &[(&str, Moment)] = &[
    ("authorization_params", Moment::Begin),
    ("authorization_url", Moment::Begin),
    ("registration_params", Moment::Begin),
    ("registration_url", Moment::Begin),
    ("request_params", Moment::Begin),
    ("request_url", Moment::Begin),
    ("token", Moment::Token),
    ("token_headers", Moment::Token),
    ("token_params", Moment::Token),
    ("token_url", Moment::Token),
    ("additional_steps", Moment::Step(1)),
    ("assertion", Moment::Assertion),
    ("refresh_params", Moment::Refresh),
    ("refresh_token_headers", Moment::Refresh),
    ("refresh_token_params", Moment::Refresh),
    ("refresh_url", Moment::Refresh),
    ("proxy", Moment::Call),
];

/// What the platform itself writes to a connection's configuration.
const PLATFORM: &[&str] = &[
    "app_id",
    "appPublicLink",
    "external_id",
    "installation_id",
    "jwtToken",
    "mcp_server_url",
    "oauth_client_id_override",
    "oauth_granted_scopes",
    "oauth_missing_scopes",
    "oauth_scopes",
    "oauth_scopes_override",
];

/// What the code that runs after connecting writes there (CONTRACT 3.2).
const HOOKS: &[(&str, &[&str])] = &[
    ("adobeUmapiPostConnection", &["clientId"]),
    ("atlassianGovernmentCloudPostConnection", JIRA),
    ("atlassianServicAccountPostConnection", JIRA),
    ("attioPostConnection", &["workspace_id"]),
    ("basecampPostConnection", &["accounts", "accountId"]),
    ("calendlyPostConnection", &["owner", "organizationId"]),
    ("candisPostConnection", &["organizationId"]),
    (
        "checkrPartnerPostConnection",
        &["checkr_account_id", "accountHierarchyEnabled"],
    ),
    ("docusignPostConnection", &["baseUri", "accountId"]),
    (
        "githubAppOauthPostConnection",
        &["handle", "userCredentials"],
    ),
    ("googleCalendarPostConnection", &["emailAddressHash"]),
    ("googleMailPostConnection", &["emailAddressHash"]),
    ("gustoPostConnection", &["companyUuid"]),
    ("highlevelPostConnection", &["companyId", "locationId"]),
    ("hubspotPostConnection", &["portalId"]),
    ("jiraPostConnection", JIRA),
    ("jobberPostConnection", &["accountId"]),
    ("linearPostConnection", &["organizationId"]),
    ("mailchimpPostConnection", &["dc"]),
    (
        "microsoftTeamsBotPostConnection",
        &["botFrameworkAccessToken"],
    ),
    ("microsoftTeamsPostConnection", &["tenantId"]),
    (
        "onedrivePostConnection",
        &["tenantId", "sharepointAccessToken"],
    ),
    ("procorePostConnection", &["companyId"]),
    ("sage200PostConnection", &["company_id", "site_id"]),
    ("salesforcePostConnection", &["instance_url"]),
    ("sellsyPostConnection", &["corpid"]),
    ("snowflakePostConnection", &["username"]),
    ("sophosCentralPostConnection", &["tenantId", "dataRegion"]),
    ("workablePostConnection", &["subdomain"]),
    ("xeroPostConnection", &["tenant_id"]),
    ("zohoPostConnection", &["extension"]),
];

const JIRA: &[&str] = &["cloudId", "baseUrl", "accountId"];

/// Checks every placeholder of a template that can be parsed; of what cannot, the
/// reading of the keys has complained already.
pub(super) fn check(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let mode = subject.keys.get("auth_mode");
    let mode = mode.and_then(|mode| serde_json::from_value(mode.clone()).ok());
    let Some(mode) = mode else { return };
    let scope = Known { subject, mode };
    for &(key, moment) in TEXTS {
        if let Some(value) = subject.keys.get(key) {
            scope.check(key, value, moment, findings);
        }
    }
}

/// What a template's placeholders may name.
struct Known<'a> {
    subject: &'a Subject<'a>,
    mode: AuthMode,
}

impl Known<'_> {
    fn check(&self, key: &str, value: &Value, moment: Moment, findings: &mut Vec<Finding>) {
        match value {
            Value::String(text) => {
                let Ok(text) = Text::parse(text) else { return };
                for path in text.paths() {
                    if let Err(reason) = self.fills(path, moment) {
                        let message = format!("nothing fills `${{{}}}`: {reason}", path.as_str());
                        findings.push(self.finding(key, message));
                    }
                }
            }
            Value::Object(entries) => {
                for (name, value) in entries {
                    let moment = match (moment, name.as_str()) {
                        (Moment::Call, "headers") => Moment::CallHeaders,
                        (moment, _) => moment,
                    };
                    self.check(&join(key, name), value, moment, findings);
                }
            }
            Value::Array(items) => {
                for (index, value) in items.iter().enumerate() {
                    let moment = match (moment, u8::try_from(index)) {
                        (Moment::Step(_), Ok(before)) if key == "additional_steps" => {
                            Moment::Step(before.saturating_add(1))
                        }
                        (moment, _) => moment,
                    };
                    self.check(&format!("{key}[{index}]"), value, moment, findings);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// What the parent alone says is its own affair, unless the child has taken
    /// from it what filled the placeholder.
    fn finding(&self, key: &str, message: String) -> Finding {
        if self.subject.is_own(key) {
            return self.subject.fault(key, message);
        }
        let message = format!("{key}, which comes from it: {message}");
        self.subject.fault("alias", message)
    }

    fn fills(&self, path: &Path, moment: Moment) -> Result<(), String> {
        let key = path.key();
        match path.root() {
            Root::ConnectionConfig => self.connection_config(key),
            Root::IntegrationConfig if self.is_field("integration_config", key) => Ok(()),
            Root::IntegrationConfig => Err(format!("integration_config has no field `{key}`")),
            Root::AssertionOption if moment != Moment::Assertion => {
                Err("it is there only for `assertion`".to_owned())
            }
            Root::AssertionOption if self.is_field("assertion_option", key) => Ok(()),
            Root::AssertionOption => Err(format!("assertion_option has no field `{key}`")),
            Root::Credentials if moment == Moment::Begin => {
                Err("there are no credentials yet".to_owned())
            }
            Root::Credentials => self.credentials(key),
            Root::Step(step) => self.step(step, moment),
            Root::Bare => self.bare(key, moment),
        }
    }

    fn connection_config(&self, key: &str) -> Result<(), String> {
        const COPIED: [&str; 3] = [
            "token_response_metadata",
            "redirect_uri_metadata",
            "webhook_response_metadata",
        ];
        let is_copied = |list: &str| {
            let paths = self.subject.keys.get(list).and_then(Value::as_array);
            paths.is_some_and(|paths| paths.iter().any(|path| path == key))
        };
        let script = self.subject.keys.get("post_connection_script");
        let hook = HOOKS
            .iter()
            .find(|(name, _)| script.and_then(Value::as_str) == Some(name));
        let is_written = hook.is_some_and(|(_, writes)| writes.contains(&top(key)));
        if self.is_field("connection_config", key)
            || COPIED.into_iter().any(is_copied)
            || is_written
            || PLATFORM.contains(&key)
        {
            return Ok(());
        }
        Err(format!(
            "connection_config has no field `{key}`, and no answer brings it ({})",
            COPIED.join(", ")
        ))
    }

    fn credentials(&self, key: &str) -> Result<(), String> {
        let is_part = || {
            // A key that is two, joined by a colon (CONTRACT section 3, "JWT").
            let field = key.strip_suffix(".id").or(key.strip_suffix(".secret"));
            self.mode == AuthMode::Jwt
                && field.is_some_and(|name| self.is_field("credentials", name))
        };
        let is_shared = || {
            // What a developer enters stands in for what a person does not.
            self.mode == AuthMode::TwoStep && self.is_field("integration_config", key)
        };
        if self.is_field("credentials", key)
            || own_credentials(self.mode).contains(&top(key))
            || is_part()
            || is_shared()
        {
            return Ok(());
        }
        let mode = self.mode;
        Err(format!("credentials has no field `{key}`, nor has {mode}"))
    }

    fn step(&self, step: u8, moment: Moment) -> Result<(), String> {
        let steps = self.subject.keys.get("additional_steps");
        let all = 1 + steps.and_then(Value::as_array).map_or(0, Vec::len);
        let before = match moment {
            Moment::Step(before) => usize::from(before),
            Moment::Refresh | Moment::Call | Moment::CallHeaders if all > 1 => all,
            _ => return Err("steps have answers only in additional_steps and later".to_owned()),
        };
        if usize::from(step) <= before {
            return Ok(());
        }
        Err(format!("there are {before} steps before it"))
    }

    fn bare(&self, name: &str, moment: Moment) -> Result<(), String> {
        let mode = self.mode;
        let has_token = !own_credentials(mode).is_empty() && !TOKENLESS.contains(&mode);
        let is_call = matches!(moment, Moment::Call | Moment::CallHeaders);
        match name {
            "random" => Ok(()),
            "clientId" | "clientSecret" if CLIENTLESS.contains(&mode) => {
                Err(format!("{mode} has no OAuth client"))
            }
            "clientId" | "clientSecret" => Ok(()),
            "apiKey" if mode == AuthMode::ApiKey && moment != Moment::Begin => Ok(()),
            "apiKey" => Err(format!("{mode} has no API key")),
            "accessToken" if has_token && is_call => Ok(()),
            "accessToken" if has_token => Err("there is no token yet".to_owned()),
            "accessToken" => Err(format!("{mode} has no token")),
            "refreshToken" | "refresh_token" if !has_token => {
                Err(format!("{mode} has no refresh token"))
            }
            "refreshToken" | "refresh_token" if is_call || moment == Moment::Refresh => Ok(()),
            "refreshToken" | "refresh_token" => Err("there is no refresh token yet".to_owned()),
            "token" if self.subject.keys.contains_key("token") && moment != Moment::Begin => Ok(()),
            "token" => Err("there is no `token` that is made here".to_owned()),
            "apiSubdomain" => self.connection_config(name),
            // The rest is of the request that is being signed.
            _ if moment == Moment::CallHeaders => Ok(()),
            _ => Err("it is there only for proxy.headers".to_owned()),
        }
    }

    fn is_field(&self, group: &str, name: &str) -> bool {
        let fields = self.subject.keys.get(group).and_then(Value::as_object);
        fields.is_some_and(|fields| {
            fields
                .keys()
                .any(|key| key.strip_prefix("connectionConfig.").unwrap_or(key) == name)
        })
    }
}

/// Modes whose connections have no token.
const TOKENLESS: [AuthMode; 6] = [
    AuthMode::ApiKey,
    AuthMode::Basic,
    AuthMode::AwsSigV4,
    AuthMode::InstallPlugin,
    AuthMode::OAuth1,
    AuthMode::Tba,
];

/// Modes whose integrations have no OAuth client.
const CLIENTLESS: [AuthMode; 9] = [
    AuthMode::ApiKey,
    AuthMode::AppStore,
    AuthMode::AwsSigV4,
    AuthMode::Basic,
    AuthMode::Bill,
    AuthMode::Jwt,
    AuthMode::None,
    AuthMode::Signature,
    AuthMode::TwoStep,
];

/// What `${credentials.…}` may name beside the template's own fields: the first
/// part of each name (CONTRACT section 3).
const fn own_credentials(mode: AuthMode) -> &'static [&'static str] {
    match mode {
        AuthMode::OAuth1 => &["oauth_token", "oauth_token_secret"],
        AuthMode::OAuth2 | AuthMode::McpOAuth2 | AuthMode::McpOAuth2Generic => {
            &["access_token", "refresh_token", "expires_at", "raw"]
        }
        AuthMode::OAuth2Cc => &["token", "client_id", "client_secret", "expires_at", "raw"],
        AuthMode::ApiKey => &["apiKey"],
        AuthMode::Basic | AuthMode::InstallPlugin => &["username", "password"],
        AuthMode::TwoStep => &[
            "token",
            "refresh_token",
            "expires_at",
            "assertion",
            "_cookies",
            "raw",
        ],
        AuthMode::Jwt => &["token", "expires_at"],
        AuthMode::App => &["access_token", "app_id", "installation_id", "expires_at"],
        AuthMode::AppStore => &["access_token", "privateKey", "privateKeyId", "issuerId"],
        AuthMode::Custom => &["app", "user", "access_token", "raw"],
        AuthMode::Tba => &["token_id", "token_secret"],
        AuthMode::Bill => &[
            "username",
            "password",
            "organization_id",
            "dev_key",
            "session_id",
            "user_id",
        ],
        AuthMode::Signature => &["username", "password", "token"],
        AuthMode::AwsSigV4 => &[
            "role_arn",
            "region",
            "access_key_id",
            "secret_access_key",
            "session_token",
        ],
        AuthMode::None => &[],
    }
}
