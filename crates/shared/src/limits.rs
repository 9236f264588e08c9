//! How much a request may say of a connection: labels, end users, addresses
//! and metadata.

use std::collections::BTreeMap;

use linkspan_api::connect::{EndUser, Organization, Overrides, Tags};
use linkspan_api::connections::Object;
use linkspan_api::{ErrorCode, FieldError};
use serde_json::Value;
use url::Url;

use crate::Error;

/// Most labels of a connection or an end user (the contract's limit).
const MOST_TAGS: usize = 10;
/// Longest name of a label, in characters.
const LONGEST_TAG_NAME: usize = 64;
/// Longest value of a connection's label, in characters (the contract's limit).
const LONGEST_TAG: usize = 255;
/// Longest text about an end user, in characters.
const LONGEST_TEXT: usize = 255;
/// Longest address, in bytes.
const LONGEST_URL: usize = 2048;
/// Largest metadata, in bytes of JSON: it is opened with each use of the
/// connection.
const LARGEST_METADATA: usize = 1024 * 1024;

/// Largest configuration of a connection, in bytes of JSON: it is read with each
/// use of the connection.
const LARGEST_CONFIG: usize = 64 * 1024;

/// Checks labels and gives them as they are stored: their names in lower case,
/// which is how the published clients ask for them.
///
/// # Errors
/// [`Error::Invalid`] at the path.
pub fn tags(tags: Tags, path: &[&str]) -> Result<Tags, Error> {
    if tags.len() > MOST_TAGS {
        let message = format!("must have at most {MOST_TAGS} entries");
        return Err(Error::invalid_body("too_big", message, path));
    }
    let mut checked = Tags::new();
    for (name, value) in tags {
        let at = [path, &[name.as_str()]].concat();
        text(&name, 1, LONGEST_TAG_NAME, &at)?;
        text(&value, 0, LONGEST_TAG, &at)?;
        let lower = name.to_lowercase();
        if checked.insert(lower, value).is_some() {
            let message = "another label differs from this one only in upper and lower case";
            return Err(Error::invalid_body("custom", message, &at));
        }
    }
    Ok(checked)
}

/// Checks an end user, `end_user` of a body.
///
/// # Errors
/// [`Error::Invalid`] at the path.
pub fn end_user(user: EndUser) -> Result<EndUser, Error> {
    text(&user.id, 1, LONGEST_TEXT, &["end_user", "id"])?;
    let email = user.email.as_deref().unwrap_or_default();
    text(email, 0, LONGEST_TEXT, &["end_user", "email"])?;
    let name = user.display_name.as_deref().unwrap_or_default();
    text(name, 0, LONGEST_TEXT, &["end_user", "display_name"])?;
    Ok(EndUser {
        tags: tags(user.tags, &["end_user", "tags"])?,
        ..user
    })
}

/// Checks an organisation, `organization` of a body.
///
/// # Errors
/// [`Error::Invalid`] at the path.
pub fn organization(organization: Organization) -> Result<Organization, Error> {
    text(&organization.id, 1, LONGEST_TEXT, &["organization", "id"])?;
    let name = organization.display_name.as_deref().unwrap_or_default();
    text(name, 0, LONGEST_TEXT, &["organization", "display_name"])?;
    Ok(organization)
}

/// Checks what connect forms show otherwise, `overrides` of a body. The guide
/// is shown as a link, and must not be a script.
///
/// # Errors
/// [`Error::Invalid`] at the path.
pub fn overrides(overrides: &BTreeMap<String, Overrides>) -> Result<(), Error> {
    for (key, shown) in overrides {
        if shown
            .docs_connect
            .as_deref()
            .is_some_and(|url| !is_web(url))
        {
            return Err(not_web(&["overrides", key, "docs_connect"]));
        }
    }
    Ok(())
}

fn text(value: &str, least: usize, most: usize, path: &[&str]) -> Result<(), Error> {
    let length = value.chars().count();
    if length < least || length > most || value.chars().any(char::is_control) {
        let message = format!("must be {least} to {most} characters, without control characters");
        return Err(Error::invalid_body("invalid_string", message, path));
    }
    Ok(())
}

/// What a connection's id is.
pub const CONNECTION_ID: &str =
    "must be 1 to 255 printable ASCII characters, no space at either end";

/// Whether a text can be the id of a connection: it stands in URLs and headers.
#[must_use]
pub fn is_connection_id(id: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_graphic() || c == ' ';
    !id.is_empty() && id.len() <= LONGEST_TEXT && id.chars().all(is_allowed) && id.trim() == id
}

/// Checks the id that a product gives to a connection.
///
/// # Errors
/// [`Error::Invalid`] at `connection_id`.
pub fn connection_id(id: &str) -> Result<(), Error> {
    if is_connection_id(id) {
        return Ok(());
    }
    let path = ["connection_id"];
    Err(Error::invalid_body("invalid_string", CONNECTION_ID, &path))
}

/// Checks an address that webhooks go to, `webhook_url_override` of a body.
///
/// # Errors
/// [`Error::Invalid`] at `webhook_url_override`.
pub fn webhook_url(url: Option<&str>) -> Result<(), Error> {
    match url {
        Some(url) if !is_web(url) => Err(not_web(&["webhook_url_override"])),
        _ => Ok(()),
    }
}

fn is_web(text: &str) -> bool {
    let is_http = |url: Url| matches!(url.scheme(), "http" | "https");
    text.len() <= LONGEST_URL
        && !text.chars().any(char::is_control)
        && Url::parse(text).is_ok_and(is_http)
}

fn not_web(path: &[&str]) -> Error {
    let message = format!("must be an http or https URL of at most {LONGEST_URL} bytes");
    Error::invalid_body("invalid_string", message, path)
}

/// Checks what is to be stored as metadata.
///
/// # Errors
/// [`Error::Invalid`] at `metadata`.
pub fn metadata(metadata: &Object) -> Result<(), Error> {
    let size = serde_json::to_vec(metadata).map_or(usize::MAX, |json| json.len());
    if size > LARGEST_METADATA {
        let message = format!("must be at most {LARGEST_METADATA} bytes of JSON");
        return Err(Error::invalid_body("too_big", message, &["metadata"]));
    }
    Ok(())
}

/// Checks the size of a connection's configuration, and that Postgres can hold
/// it: no text of it has a NUL.
///
/// # Errors
/// [`Error::Invalid`] of this code, at the path.
pub fn connection_config(config: &Object, code: ErrorCode, path: &[&str]) -> Result<(), Error> {
    let size = serde_json::to_vec(config).map_or(usize::MAX, |json| json.len());
    let (kind, message) = if size > LARGEST_CONFIG {
        (
            "too_big",
            format!("must be at most {LARGEST_CONFIG} bytes of JSON"),
        )
    } else if config
        .iter()
        .any(|(name, value)| name.contains('\0') || has_nul(value))
    {
        ("invalid_string", "must not contain NUL".to_owned())
    } else {
        return Ok(());
    };
    Err(Error::Invalid {
        code,
        fields: vec![FieldError::new(kind, message, path)],
    })
}

/// As deep as the parser of bodies lets a value be.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(list) => list.iter().any(has_nul),
        Value::Object(map) => {
            let mut entries = map.iter();
            entries.any(|(name, value)| name.contains('\0') || has_nul(value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> Tags {
        let pairs = pairs.iter();
        pairs
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    fn path_of(error: &Error) -> Vec<String> {
        error.fields()[0].path.clone()
    }

    #[test]
    fn labels_are_lower_case_and_few() {
        let checked = tags(map(&[("Team", "Blue")]), &["tags"]).unwrap();
        assert_eq!(checked, map(&[("team", "Blue")]));
        let long = "x".repeat(256);
        let name = "x".repeat(65);
        for (wrong, path) in [
            (map(&[("a", &long)]), vec!["tags", "a"]),
            (map(&[(&name, "a")]), vec!["tags", &name]),
            (map(&[("", "a")]), vec!["tags", ""]),
            (map(&[("a", "b\0c")]), vec!["tags", "a"]),
            (map(&[("A", "1"), ("a", "2")]), vec!["tags", "a"]),
        ] {
            assert_eq!(path_of(&tags(wrong, &["tags"]).unwrap_err()), path);
        }
        let many: Tags = (0..11).map(|n| (n.to_string(), String::new())).collect();
        assert_eq!(path_of(&tags(many, &["tags"]).unwrap_err()), ["tags"]);
    }

    #[test]
    fn ids_and_addresses_are_what_they_can_be() {
        for good in ["a", "user-1", "a b", "x@y.z/1?2"] {
            assert!(connection_id(good).is_ok(), "{good}");
        }
        for wrong in ["", " a", "a ", "a\nb", "\u{e9}", &"x".repeat(256)] {
            assert!(connection_id(wrong).is_err(), "{wrong}");
        }
        assert!(webhook_url(Some("https://example.com/hook")).is_ok());
        for wrong in ["", "ftp://example.com", "example.com"] {
            assert!(webhook_url(Some(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn metadata_has_an_end() {
        let of = |size| Object::from_iter([("a".to_owned(), "x".repeat(size).into())]);
        assert!(metadata(&of(LARGEST_METADATA - 8)).is_ok());
        assert!(metadata(&of(LARGEST_METADATA - 7)).is_err());
    }
}
