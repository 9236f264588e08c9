//! When credentials are due for a refresh (CONTRACT 2.8, and DESIGN "Refresh").

use chrono::{DateTime, TimeDelta, Utc};

use crate::Credentials;

const MARGIN: TimeDelta = TimeDelta::minutes(15);

/// A margin larger than this part of a token's life would refresh a short-lived
/// token on nearly every call.
const LARGEST_PART: i32 = 5;

/// Whether credentials expire so soon that they should be refreshed first: 15
/// minutes before, or `buffer` seconds (the template's `token_expiration_buffer`),
/// but not in the first four fifths of their life. Credentials without an
/// expiry are never due.
#[must_use]
pub fn is_due(credentials: &Credentials, now: DateTime<Utc>, buffer: Option<u32>) -> bool {
    let (Some(expires_at), Some(issued_at)) = (credentials.expires_at(), credentials.issued_at())
    else {
        return false;
    };
    let margin = buffer.map_or(MARGIN, |seconds| TimeDelta::seconds(seconds.into()));
    let life = (expires_at - issued_at).max(TimeDelta::zero());
    expires_at - now <= margin.min(life / LARGEST_PART)
}

/// Whether credentials no longer work, as far as the provider said.
#[must_use]
pub fn is_expired(credentials: &Credentials, now: DateTime<Utc>) -> bool {
    credentials
        .expires_at()
        .is_some_and(|expires_at| expires_at <= now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api_key::ApiKey;
    use crate::oauth2::Tokens;

    fn tokens(life: Option<i64>) -> (Credentials, DateTime<Utc>) {
        let issued_at = DateTime::UNIX_EPOCH;
        let tokens = Tokens {
            access_token: "a".into(),
            refresh_token: None,
            expires_at: life.map(|life| issued_at + TimeDelta::seconds(life)),
            issued_at,
            raw: serde_json::Value::Null,
            own_client: None,
            mcp: None,
        };
        (Credentials::OAuth2(tokens), issued_at)
    }

    #[test]
    fn the_margin_is_fifteen_minutes_the_buffer_or_a_fifth_of_the_life() {
        for (life, buffer, due_from) in [
            (7200, None, 7200 - 900),
            (3600, None, 3600 - 720),
            (60, None, 48),
            (7200, Some(30), 7170),
            (7200, Some(3600), 7200 - 1440),
            (0, None, 0),
        ] {
            let (credentials, issued) = tokens(Some(life));
            let due = |age| is_due(&credentials, issued + TimeDelta::seconds(age), buffer);
            assert!(!due(due_from - 1), "life {life}, buffer {buffer:?}");
            assert!(due(due_from), "life {life}, buffer {buffer:?}");
        }
    }

    #[test]
    fn expiry_is_exact_and_without_one_nothing_is_due() {
        let (credentials, issued) = tokens(Some(60));
        assert!(!is_expired(&credentials, issued + TimeDelta::seconds(59)));
        assert!(is_expired(&credentials, issued + TimeDelta::seconds(60)));
        let (forever, issued) = tokens(None);
        let key = Credentials::ApiKey(ApiKey {
            api_key: "k".into(),
        });
        let later = issued + TimeDelta::days(100_000);
        for credentials in [forever, key] {
            assert!(!is_due(&credentials, later, None) && !is_expired(&credentials, later));
        }
    }
}
