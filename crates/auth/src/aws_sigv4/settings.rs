//! What the integration says of how keys are got.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use linkspan_providers::Config;
use secrecy::SecretString;
use url::Url;

use super::{Fault, is_name};

/// What the integration says.
pub(super) struct Settings {
    pub(super) service: String,
    pub(super) default_region: Option<String>,
    pub(super) source: Source,
}

/// Who gives the keys.
pub(super) enum Source {
    /// AWS, to a user of the developer's account.
    Aws {
        access_key: String,
        secret_key: SecretString,
    },
    /// A service of the developer's.
    Custom {
        url: Url,
        /// How this server says who it is.
        header: Option<(HeaderName, HeaderValue)>,
    },
}

impl Settings {
    pub(super) fn of(config: &Config<'_>) -> Result<Self, Fault> {
        let set = |name: &str| set(config, name);
        let service = set("service").ok_or(Fault::NoService)?;
        if !is_name(&service) {
            return Err(Fault::Invalid(
                "`service` must be the name in AWS' addresses, such as `s3`",
            ));
        }
        let source = match set("stsMode").as_deref() {
            None | Some("builtin") => Source::Aws {
                access_key: set("awsAccessKeyId").ok_or(Fault::NoKeys)?,
                secret_key: set("awsSecretAccessKey").ok_or(Fault::NoKeys)?.into(),
            },
            Some("custom") => custom(config)?,
            Some(_) => return Err(Fault::Invalid("`stsMode` is neither builtin nor custom")),
        };
        Ok(Self {
            service,
            source,
            default_region: set("defaultRegion"),
        })
    }
}

fn custom(config: &Config<'_>) -> Result<Source, Fault> {
    let set = |name: &str| set(config, name);
    let url = set("stsEndpointUrl").ok_or(Fault::NoEndpoint)?;
    let url = Url::parse(&url).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https"));
    let url = url.ok_or(Fault::Invalid("`stsEndpointUrl` is not an address"))?;
    let header = match set("stsAuthType").as_deref() {
        None | Some("none") => None,
        Some("api_key") => {
            let name = set("stsAuthHeader").unwrap_or_else(|| "x-api-key".to_owned());
            let name = HeaderName::try_from(name)
                .map_err(|_| Fault::Invalid("`stsAuthHeader` is no header's name"))?;
            let key = set("stsApiKey").ok_or(Fault::Invalid("`stsApiKey` is required"))?;
            Some((
                name,
                header(&key, "`stsApiKey` cannot be sent in a header")?,
            ))
        }
        Some("basic") => {
            let name = set("stsAuthUsername").unwrap_or_default();
            let password = set("stsAuthPassword");
            let password = password.ok_or(Fault::Invalid("`stsAuthPassword` is required"))?;
            let pair = STANDARD.encode(format!("{name}:{password}"));
            Some((
                AUTHORIZATION,
                header(&format!("Basic {pair}"), "cannot happen")?,
            ))
        }
        Some(_) => {
            return Err(Fault::Invalid(
                "`stsAuthType` is none of none, api_key and basic",
            ));
        }
    };
    Ok(Source::Custom { url, header })
}

fn header(text: &str, otherwise: &'static str) -> Result<HeaderValue, Fault> {
    let mut value = HeaderValue::try_from(text).map_err(|_| Fault::Invalid(otherwise))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A value that is there and not empty, or the field's default.
fn set(config: &Config<'_>, name: &str) -> Option<String> {
    let value = config.integration.value(name);
    let value = value.map(|value| value.trim().to_owned());
    let default = || {
        let field = config.template.integration_config.0.get(name)?;
        field.default_value.clone()
    };
    value.filter(|value| !value.is_empty()).or_else(default)
}
