//! AWS_SIGV4: the temporary keys of a role, which sign every call. The role is
//! the person's, and it trusts the developer's AWS account, or a service of the
//! developer's that hands out keys.

mod answer;
mod settings;
mod sts;

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use linkspan_api::ErrorCode;
use linkspan_providers::{Config, FieldError};
use secrecy::SecretString;
use serde_json::{Map, Value};

use crate::request::ToSign;
use crate::sign::aws_sigv4::{Payload, Signer};
use crate::{Client, Credentials, Entered, Error, Finished, Login, Rejected, TokenEndpoint};
use settings::Settings;

const ROLE: &str = "role_arn";
const REGION: &str = "region";
const SERVICE: &str = "service";
/// What a role's trust policy asks for, so that nobody can name another's role
/// (AWS IAM User Guide, “The confused deputy problem”). It is made when a
/// session begins, since the person enters it in AWS before the role exists.
pub(crate) const EXTERNAL_ID: &str = "external_id";
/// Stands in for the template's base URL.
pub(crate) const BASE_URL: &str = "base_url";

pub(crate) const ACCESS_KEY: &str = "access_key_id";
pub(crate) const SECRET_KEY: &str = "secret_access_key";
pub(crate) const SESSION_TOKEN: &str = "session_token";

/// How long keys last where the answer does not say, and for how long they are
/// asked for: what a role allows unless its owner says otherwise.
const LIFE: TimeDelta = TimeDelta::hours(1);

/// What keeps a role's keys from being got.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The integration names no service.
    #[error("the integration's configuration has no `service`, such as `s3`")]
    NoService,
    /// A custom endpoint is to be asked, and there is none.
    #[error("the integration's configuration has `stsMode` custom and no `stsEndpointUrl`")]
    NoEndpoint,
    /// AWS is to be asked, and there is no key to ask with.
    #[error(
        "the integration's configuration has no `awsAccessKeyId` and `awsSecretAccessKey`: \
         those of an AWS user that may assume its customers' roles"
    )]
    NoKeys,
    /// Nobody says which region.
    #[error("no region is known: enter one, or give the integration a `defaultRegion`")]
    NoRegion,
    /// No role was entered.
    #[error("`role_arn` is required")]
    NoRole,
    /// The session brought no external id.
    #[error(
        "the connection has no external id: connect by a connect session, which makes one, or \
         set `external_id` in the connection's configuration"
    )]
    NoExternalId,
    /// A value of the configuration cannot be used; without the value.
    #[error("{0}")]
    Invalid(&'static str),
    /// The keys were refused, or the answer holds none.
    #[error("the role's keys could not be got (status {status}): {message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// At most 300 characters, of the other side's words or ours.
        message: String,
    },
}

impl Fault {
    pub(crate) const fn code(&self) -> ErrorCode {
        match self {
            Self::NoService => ErrorCode::MissingAwsSigv4Service,
            Self::NoEndpoint => ErrorCode::MissingAwsSigv4StsEndpoint,
            Self::NoKeys => ErrorCode::MissingAwsSigv4BuiltinCredentials,
            Self::NoRegion => ErrorCode::MissingAwsSigv4Region,
            Self::NoRole => ErrorCode::MissingAwsSigv4RoleArn,
            Self::NoExternalId => ErrorCode::MissingAwsSigv4ExternalId,
            Self::Invalid(_) => ErrorCode::InvalidAwsSigv4Config,
            Self::Refused { .. } => ErrorCode::AwsSigv4StsRequestFailed,
        }
    }
}

/// The keys of a role.
pub(crate) struct Keys {
    access_key: String,
    secret_key: SecretString,
    session_token: Option<SecretString>,
    expires_at: Option<DateTime<Utc>>,
}

/// What is asked for.
struct Wanted<'a> {
    role: &'a str,
    region: &'a str,
    service: &'a str,
    external_id: &'a str,
}

/// Gets the keys of the role that a person entered, or new ones.
///
/// # Errors
/// [`Rejected::Field`] for what cannot be a role or a region; [`Fault`]; and what
/// keeps an answer from coming.
pub(crate) async fn log_in<E: TokenEndpoint>(
    _client: Option<&Client>,
    config: &Config<'_>,
    entered: &Entered,
    _earlier: Option<&Login>,
    endpoint: &E,
) -> Result<Finished, Rejected> {
    let fields = &entered.fields;
    if let Some(unknown) = fields
        .keys()
        .find(|name| ![ROLE, REGION].contains(&name.as_str()))
    {
        return Err(FieldError::new(unknown, "is not a field of this provider").into());
    }
    let settings = Settings::of(config).map_err(Error::from)?;
    let role = fields.get(ROLE).map_or("", |role| role.trim());
    if role.is_empty() {
        return Err(Error::from(Fault::NoRole).into());
    }
    if !is_role(role) {
        let message = "must be a role's ARN, such as arn:aws:iam::123456789012:role/Name";
        return Err(FieldError::new(ROLE, message).into());
    }
    let region = fields.get(REGION).map(|region| region.trim());
    let region = region
        .filter(|region| !region.is_empty())
        .map(Cow::Borrowed);
    let region = region.or_else(|| value(config, REGION));
    let region = region.or(settings.default_region.as_deref().map(Cow::Borrowed));
    let region = region.ok_or(Fault::NoRegion).map_err(Error::from)?;
    if !is_name(&region) {
        return Err(FieldError::new(REGION, "must be an AWS region, such as eu-west-1").into());
    }
    let external_id = value(config, EXTERNAL_ID);
    let external_id = external_id
        .ok_or(Fault::NoExternalId)
        .map_err(Error::from)?;
    let wanted = Wanted {
        role,
        region: &region,
        service: &settings.service,
        external_id: &external_id,
    };
    // Taken before the call: a slow answer must not make keys look younger.
    let now = Utc::now();
    let keys = sts::keys(config, &settings, &wanted, now, endpoint).await?;
    let mut finished = Finished::from(Credentials::AwsSigV4(login(keys, role, &region, now)));
    finished.metadata = Map::from_iter([
        (REGION.to_owned(), Value::from(region.as_ref())),
        (SERVICE.to_owned(), Value::from(settings.service.as_str())),
    ]);
    Ok(finished)
}

fn login(keys: Keys, role: &str, region: &str, now: DateTime<Utc>) -> Login {
    let entered = [(ROLE, role), (REGION, region)];
    let token = keys.session_token.clone().unwrap_or_default();
    // A time that is over would have every call assume the role again.
    let told = keys.expires_at.filter(|at| *at > now);
    let brought = [
        (ACCESS_KEY, Some(keys.access_key.into())),
        (SECRET_KEY, Some(keys.secret_key)),
        (SESSION_TOKEN, keys.session_token),
    ];
    let brought = brought.into_iter();
    Login {
        entered: BTreeMap::from(entered.map(|(name, value)| (name.to_owned(), value.into()))),
        token,
        refresh_token: None,
        brought: brought
            .filter_map(|(name, secret)| Some((name.to_owned(), secret?)))
            .collect(),
        expires_at: Some(told.unwrap_or(now + LIFE)),
        issued_at: now,
        raw: Value::Null,
    }
}

/// Signs a call with a role's keys, for the region and service of the connection.
///
/// # Errors
/// [`Error::Sign`]; [`Fault`] for a connection without a region or service.
pub(crate) fn sign(login: &Login, call: ToSign<'_>) -> Result<(), Error> {
    let key = |name| login.field(name).unwrap_or_default();
    let (access_key, secret_key) = (key(ACCESS_KEY), key(SECRET_KEY));
    let session_token = login.field(SESSION_TOKEN);
    let region = value(call.config, REGION).or_else(|| login.field(REGION));
    let service = value(call.config, SERVICE).ok_or(Fault::NoService)?;
    let signer = Signer {
        access_key: &access_key,
        secret_key: &secret_key,
        session_token: session_token.as_deref(),
        region: &region.ok_or(Fault::NoRegion)?,
        service: &service,
        now: call.now(),
    };
    let payload = match call.body.bytes() {
        Some(bytes) => Payload::Bytes(bytes),
        None => Payload::Unsigned,
    };
    Ok(signer.sign(call.method, call.url, call.headers, payload)?)
}

/// Whether bodies must be seen to be signed: all services but S3 want that.
pub(crate) fn signs_body(config: &Config<'_>) -> bool {
    value(config, SERVICE).as_deref() != Some("s3")
}

/// A value of the connection's configuration that is there and not empty.
fn value<'a>(config: &Config<'a>, name: &str) -> Option<Cow<'a, str>> {
    let value = config.connection.value(name);
    value.filter(|value| !value.is_empty())
}

/// AWS IAM User Guide, “IAM ARNs”.
fn is_role(text: &str) -> bool {
    let mut parts = text.splitn(6, ':');
    let mut next = || parts.next().unwrap_or_default();
    let (_arn, _partition, service, region, account) = (next(), next(), next(), next(), next());
    let name = next().strip_prefix("role/").unwrap_or_default();
    let is_name = |c: char| c.is_ascii_alphanumeric() || "+=,.@_/-".contains(c);
    // China and GovCloud have partitions of their own: `aws-cn`, `aws-us-gov`.
    text.starts_with("arn:aws")
        && (service, region) == ("iam", "")
        && account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && !name.is_empty()
        && text.len() <= 2048
        && name.chars().all(is_name)
}

/// What may stand in a host name: a region or a service.
fn is_name(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.len() <= 60 && text.chars().all(is_part)
}

#[cfg(test)]
mod tests;
