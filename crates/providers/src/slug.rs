//! The form of a provider's slug.

/// Longest slug accepted, in bytes: it also appears in URLs and index keys.
const MAX_LENGTH: usize = 100;

/// Why a text is not a slug.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a provider slug: use lower-case letters and digits, joined by single hyphens, at most {MAX_LENGTH} characters"
)]
pub struct InvalidSlug(String);

/// Accepts `a-z`, `0-9` and single hyphens between them (`github-app`).
///
/// # Errors
/// [`InvalidSlug`], which quotes at most the first 100 characters.
pub fn check_slug(slug: &str) -> Result<(), InvalidSlug> {
    let part_is_valid = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    if slug.len() <= MAX_LENGTH && slug.split('-').all(part_is_valid) {
        Ok(())
    } else {
        Err(InvalidSlug(slug.chars().take(MAX_LENGTH).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_only_hyphenated_lower_case() {
        for good in ["demo", "private-api-bearer", "3cx", "1password-events"] {
            assert!(check_slug(good).is_ok(), "{good}");
        }
        for bad in ["", "-", "a-", "-a", "a--b", "A", "a_b", "a.b", "a/b", "é"] {
            assert!(check_slug(bad).is_err(), "{bad}");
        }
        assert!(check_slug(&"a".repeat(MAX_LENGTH)).is_ok());
        assert!(check_slug(&"a".repeat(MAX_LENGTH + 1)).is_err());
    }
}
