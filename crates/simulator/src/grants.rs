//! Codes and tokens: issued, spent, rotated, expired, revoked.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use ring::digest;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use crate::tickets::Authorization;

/// How long a code may wait for its token request. RFC 6749 section 4.1.2
/// allows ten minutes; one shows slow callers.
const CODE_LIFE: Duration = Duration::from_secs(60);

/// How long something spent or expired is still told from something unknown.
const MEMORY: Duration = Duration::from_secs(24 * 3600);

/// Every grant that this provider has made. There is one registered client,
/// which each token request has to authenticate as, so that a code is bound to
/// its client without naming it.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Grants {
    #[serde(skip)]
    access_token_life: Duration,
    codes: HashMap<String, Code>,
    access: HashMap<String, Access>,
    refresh: HashMap<String, Refresh>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Code {
    grant: Uuid,
    redirect_uri: String,
    challenge: String,
    scope: String,
    until: DateTime<Utc>,
    spent: bool,
}

#[derive(Debug, Deserialize, Serialize)]
struct Access {
    grant: Uuid,
    scope: String,
    until: DateTime<Utc>,
    revoked: bool,
}

#[derive(Debug, Deserialize, Serialize)]
struct Refresh {
    grant: Uuid,
    scope: String,
    issued: DateTime<Utc>,
    state: RefreshState,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum RefreshState {
    Live,
    Spent,
    Revoked,
}

/// A successful answer of the token endpoint (RFC 6749 section 5.1).
#[derive(Serialize)]
pub(crate) struct Tokens {
    pub(crate) access_token: String,
    token_type: &'static str,
    expires_in: u64,
    pub(crate) refresh_token: String,
    scope: String,
}

/// Why a code or refresh token buys nothing: `invalid_grant` in RFC 6749 section 5.2.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum GrantError {
    #[error("the code was never issued")]
    UnknownCode,
    #[error("the code was used before; the tokens it bought are revoked")]
    SpentCode,
    #[error("the code has expired")]
    ExpiredCode,
    #[error("redirect_uri is not the one of the authorisation request")]
    OtherRedirectUri,
    #[error("code_verifier does not match the code_challenge")]
    WrongVerifier,
    #[error("the refresh token was never issued")]
    UnknownRefreshToken,
    #[error("the refresh token was used before")]
    SpentRefreshToken,
    #[error("the refresh token was revoked")]
    RevokedRefreshToken,
}

/// Why an access token opens nothing: `invalid_token` in RFC 6750 section 3.1.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum AccessError {
    #[error("the access token was never issued")]
    Unknown,
    #[error("the access token has expired")]
    Expired,
    #[error("the access token was revoked")]
    Revoked,
}

impl Grants {
    pub(crate) fn new(access_token_life: Duration) -> Self {
        Self {
            access_token_life,
            ..Self::default()
        }
    }

    /// The grants of an earlier run, as it serialised them.
    pub(crate) fn from_json(
        json: &[u8],
        access_token_life: Duration,
    ) -> Result<Self, serde_json::Error> {
        Ok(Self {
            access_token_life,
            ..serde_json::from_slice(json)?
        })
    }

    /// A new code for what the person has just allowed.
    pub(crate) fn code(&mut self, allowed: &Authorization, now: DateTime<Utc>) -> String {
        self.forget_old(now);
        let id = random("demo_code_");
        let code = Code {
            grant: Uuid::new_v4(),
            redirect_uri: allowed.redirect_uri.clone(),
            challenge: allowed.challenge.clone(),
            scope: allowed.scope.clone(),
            until: now + CODE_LIFE,
            spent: false,
        };
        self.codes.insert(id.clone(), code);
        id
    }

    /// Spends a code. One that fails for another reason than age or reuse
    /// stays good: it was not the holder who asked.
    pub(crate) fn exchange(
        &mut self,
        code: &str,
        redirect_uri: &str,
        verifier: &str,
        now: DateTime<Utc>,
    ) -> Result<Tokens, GrantError> {
        let found = self.codes.get_mut(code).ok_or(GrantError::UnknownCode)?;
        let grant = found.grant;
        if found.spent {
            self.revoke_grant(grant);
            return Err(GrantError::SpentCode);
        }
        if found.until <= now {
            return Err(GrantError::ExpiredCode);
        }
        if found.redirect_uri != redirect_uri {
            return Err(GrantError::OtherRedirectUri);
        }
        if found.challenge != challenge_of(verifier) {
            return Err(GrantError::WrongVerifier);
        }
        found.spent = true;
        let scope = found.scope.clone();
        Ok(self.issue(grant, scope, now))
    }

    /// Spends a refresh token and issues the next pair. Access tokens issued
    /// before stay good until they expire.
    pub(crate) fn refresh(
        &mut self,
        token: &str,
        now: DateTime<Utc>,
    ) -> Result<Tokens, GrantError> {
        let found = self.refresh.get_mut(token);
        let found = found.ok_or(GrantError::UnknownRefreshToken)?;
        match found.state {
            RefreshState::Spent => return Err(GrantError::SpentRefreshToken),
            RefreshState::Revoked => return Err(GrantError::RevokedRefreshToken),
            RefreshState::Live => found.state = RefreshState::Spent,
        }
        let (grant, scope) = (found.grant, found.scope.clone());
        Ok(self.issue(grant, scope, now))
    }

    /// The scope that an access token opens.
    pub(crate) fn check(&self, token: &str, now: DateTime<Utc>) -> Result<&str, AccessError> {
        let found = self.access.get(token).ok_or(AccessError::Unknown)?;
        if found.revoked {
            Err(AccessError::Revoked)
        } else if found.until <= now {
            Err(AccessError::Expired)
        } else {
            Ok(&found.scope)
        }
    }

    pub(crate) fn revoke_access_tokens(&mut self) {
        for token in self.access.values_mut() {
            token.revoked = true;
        }
    }

    pub(crate) fn revoke_refresh_tokens(&mut self) {
        for token in self.refresh.values_mut() {
            token.state = RefreshState::Revoked;
        }
    }

    fn revoke_grant(&mut self, grant: Uuid) {
        for token in self.access.values_mut().filter(|t| t.grant == grant) {
            token.revoked = true;
        }
        for token in self.refresh.values_mut().filter(|t| t.grant == grant) {
            token.state = RefreshState::Revoked;
        }
    }

    fn issue(&mut self, grant: Uuid, scope: String, now: DateTime<Utc>) -> Tokens {
        self.forget_old(now);
        let (access_token, refresh_token) = (random("demo_access_"), random("demo_refresh_"));
        let access = Access {
            grant,
            scope: scope.clone(),
            until: now + self.access_token_life,
            revoked: false,
        };
        let refresh = Refresh {
            grant,
            scope: scope.clone(),
            issued: now,
            state: RefreshState::Live,
        };
        self.access.insert(access_token.clone(), access);
        self.refresh.insert(refresh_token.clone(), refresh);
        Tokens {
            access_token,
            token_type: "bearer",
            expires_in: self.access_token_life.as_secs(),
            refresh_token,
            scope,
        }
    }

    fn forget_old(&mut self, now: DateTime<Utc>) {
        self.codes.retain(|_, code| code.until + MEMORY > now);
        self.access.retain(|_, token| token.until + MEMORY > now);
        self.refresh
            .retain(|_, token| token.state == RefreshState::Live || token.issued + MEMORY > now);
    }
}

/// The S256 challenge of a verifier (RFC 7636 section 4.2).
fn challenge_of(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()))
}

/// 244 random bits behind a prefix that says in a log what has leaked.
fn random(prefix: &str) -> String {
    let (a, b) = (Uuid::new_v4(), Uuid::new_v4());
    format!("{prefix}{}{}", a.simple(), b.simple())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenge_is_the_one_of_rfc_7636_appendix_b() {
        assert_eq!(
            challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    #[test]
    fn old_grants_are_forgotten_but_live_refresh_tokens_are_not() {
        let mut grants = Grants::new(Duration::from_secs(60));
        let start = Utc::now();
        let first = grants.issue(Uuid::new_v4(), "items.read".into(), start);
        let later = start + MEMORY + Duration::from_secs(61);
        assert_eq!(
            grants.check(&first.access_token, later),
            Err(AccessError::Expired)
        );
        assert!(grants.refresh(&first.refresh_token, later).is_ok());
        assert_eq!(
            grants.check(&first.access_token, later),
            Err(AccessError::Unknown)
        );
    }
}
