//! WSSE's `UsernameToken` in an HTTP header, in the form that Emarsys takes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::{Error, hex};

/// The value of an `X-WSSE` header (CONTRACT section 3, SIGNATURE). `nonce` is
/// new for every one; 16 random bytes in hexadecimal are usual.
///
/// # Errors
/// [`Error::Header`] for a name with control characters.
pub fn username_token(
    username: &str,
    password: &str,
    nonce: &str,
    created: DateTime<Utc>,
) -> Result<String, Error> {
    if username.chars().any(char::is_control) {
        return Err(Error::Header("the user name"));
    }
    let username = username.replace('\\', "\\\\").replace('"', "\\\"");
    let created = created.to_rfc3339_opts(SecondsFormat::Secs, true);
    let digest = password_digest(nonce, &created, password);
    Ok(format!(
        "UsernameToken Username=\"{username}\", PasswordDigest=\"{digest}\", \
         Nonce=\"{nonce}\", Created=\"{created}\""
    ))
}

/// The hash's hexadecimal digits in base64, not its bytes: Emarsys' own reading
/// of the UsernameToken profile.
fn password_digest(nonce: &str, created: &str, password: &str) -> String {
    let text = [nonce, created, password].concat();
    STANDARD.encode(hex(
        digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of Mark Pilgrim's “Atom Authentication” (XML.com, 17 December
    /// 2003), which introduced WSSE in HTTP; the tests of httplib2 have it too. Its
    /// digest is the hash's bytes in base64, by the UsernameToken profile of OASIS
    /// (Base64(SHA-1(nonce + created + password))); ours are the digits of the same
    /// bytes.
    #[test]
    fn the_published_example() {
        let published = "quR/EWLAV4xLf9Zqyw4pDmfV9OY=";
        let expected = STANDARD.encode(hex(&STANDARD.decode(published).unwrap()));
        let created = "2003-12-15T14:43:07Z".parse().unwrap();
        let nonce = "d36e316282959a9ed4c89851497a717f";
        let header = username_token("bob", "taadtaadpstcsm", nonce, created).unwrap();
        assert_eq!(
            header,
            format!(
                "UsernameToken Username=\"bob\", PasswordDigest=\"{expected}\", \
                 Nonce=\"d36e316282959a9ed4c89851497a717f\", Created=\"2003-12-15T14:43:07Z\""
            )
        );
        assert_eq!(
            expected,
            "YWFlNDdmMTE2MmMwNTc4YzRiN2ZkNjZhY2IwZTI5MGU2N2Q1ZjRlNg=="
        );
    }

    #[test]
    fn a_name_cannot_end_its_place() {
        let now = DateTime::UNIX_EPOCH;
        let header = username_token("a\", Nonce=\"x\\", "p", "n", now).unwrap();
        assert!(
            header.starts_with(r#"UsernameToken Username="a\", Nonce=\"x\\", Pass"#),
            "{header}"
        );
        let error = username_token("a\nb", "p", "n", now).unwrap_err();
        assert_eq!(error, Error::Header("the user name"));
    }
}
