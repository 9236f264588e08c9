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

use crate::rotation::{Asked, Fate, Minted, Reuse, Rotation};
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
    #[serde(skip)]
    rotation: Rotation,
    codes: HashMap<String, Code>,
    access: HashMap<String, Access>,
    refresh: HashMap<String, Refresh>,
    /// Grants that a token ended which came again.
    #[serde(skip)]
    ended: HashMap<Uuid, Reuse>,
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
    #[serde(default)]
    to: String,
    state: RefreshState,
    #[serde(default)]
    spent: Option<Spent>,
}

/// When a refresh token was exchanged, and for which.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Spent {
    at: DateTime<Utc>,
    #[serde(default)]
    by: String,
    successor: String,
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
    #[serde(skip_serializing_if = "String::is_empty")]
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
    /// before stay good until they expire. `by` is who asks, if that is known.
    pub(crate) fn refresh(
        &mut self,
        token: &str,
        by: &str,
        now: DateTime<Utc>,
    ) -> Result<Tokens, GrantError> {
        let (grant, scope) = self.live(token, by, now)?;
        let successor = match self.successor(token, now) {
            Some(successor) => successor,
            None => {
                let successor = self.issue_refresh(grant, &scope, now);
                if let Some(issued) = self.refresh.get_mut(&successor) {
                    by.clone_into(&mut issued.to);
                }
                successor
            }
        };
        if let Some(found) = self.refresh.get_mut(token)
            && found.state == RefreshState::Live
        {
            found.state = RefreshState::Spent;
            found.spent = Some(Spent {
                at: now,
                by: by.to_owned(),
                successor: successor.clone(),
            });
        }
        Ok(self.issue_access(grant, scope, successor, now))
    }

    /// Issues an access token alone: the refresh token stays good, and the
    /// answer has no new one (RFC 6749 section 6 allows both).
    pub(crate) fn refresh_and_keep(
        &mut self,
        token: &str,
        now: DateTime<Utc>,
    ) -> Result<Tokens, GrantError> {
        let (grant, scope) = self.live(token, "", now)?;
        Ok(self.issue_access(grant, scope, String::new(), now))
    }

    /// The grant and scope of a refresh token that may be exchanged. One that
    /// was exchanged before may end its grant.
    fn live(
        &mut self,
        token: &str,
        by: &str,
        now: DateTime<Utc>,
    ) -> Result<(Uuid, String), GrantError> {
        let found = self.refresh.get(token);
        let found = found.ok_or(GrantError::UnknownRefreshToken)?;
        let (grant, scope) = (found.grant, found.scope.clone());
        match found.state {
            RefreshState::Live => Ok((grant, scope)),
            RefreshState::Revoked => Err(GrantError::RevokedRefreshToken),
            RefreshState::Spent if self.successor(token, now).is_some() => Ok((grant, scope)),
            RefreshState::Spent => {
                if self.rotation.revokes_on_reuse {
                    let again = Asked {
                        by: by.to_owned(),
                        at: now,
                    };
                    let first = found.spent.as_ref().map_or(again.clone(), |spent| Asked {
                        by: spent.by.clone(),
                        at: spent.at,
                    });
                    let reuse = Reuse { first, again };
                    self.ended.entry(grant).or_insert(reuse);
                    self.revoke_grant(grant);
                }
                Err(GrantError::SpentRefreshToken)
            }
        }
    }

    /// What a spent token was exchanged for, while it may come again.
    fn successor(&self, token: &str, now: DateTime<Utc>) -> Option<String> {
        let spent = self.refresh.get(token)?.spent.as_ref()?;
        let is_live = self.refresh.get(&spent.successor)?.state == RefreshState::Live;
        (is_live && now < spent.at + self.rotation.reuse_interval).then(|| spent.successor.clone())
    }

    /// The refresh token that is good now, of the grant that another one,
    /// perhaps spent, belongs to.
    pub(crate) fn live_of_grant(&self, token: &str) -> Option<String> {
        let grant = self.refresh.get(token)?.grant;
        let is_live = |found: &&(&String, &Refresh)| {
            found.1.grant == grant && found.1.state == RefreshState::Live
        };
        let live = self.refresh.iter().find(|found| is_live(&found));
        live.map(|(token, _)| token.clone())
    }

    /// What became of the grant that a refresh token belongs to.
    pub(crate) fn fate(&self, token: &str) -> Fate {
        let live = self.live_of_grant(token);
        let live = live.and_then(|live| self.refresh.get(&live));
        let grant = self.refresh.get(token).map(|found| found.grant);
        Fate {
            issued: live.map(|live| Asked {
                by: live.to.clone(),
                at: live.issued,
            }),
            reuse: grant.and_then(|grant| self.ended.get(&grant).cloned()),
        }
    }

    /// A grant that no browser has asked for.
    pub(crate) fn mint(&mut self, now: DateTime<Utc>) -> Minted {
        let tokens = self.issue(Uuid::new_v4(), "items.read profile.read".into(), now);
        Minted {
            access_token: tokens.access_token,
            refresh_token: tokens.refresh_token,
        }
    }

    pub(crate) fn set_rotation(&mut self, rotation: Rotation) {
        self.rotation = rotation;
    }

    pub(crate) fn set_access_token_life(&mut self, life: Duration) {
        self.access_token_life = life;
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
        let refresh_token = self.issue_refresh(grant, &scope, now);
        self.issue_access(grant, scope, refresh_token, now)
    }

    fn issue_refresh(&mut self, grant: Uuid, scope: &str, now: DateTime<Utc>) -> String {
        self.forget_old(now);
        let token = random("demo_refresh_");
        let refresh = Refresh {
            grant,
            scope: scope.to_owned(),
            issued: now,
            to: String::new(),
            state: RefreshState::Live,
            spent: None,
        };
        self.refresh.insert(token.clone(), refresh);
        token
    }

    fn issue_access(
        &mut self,
        grant: Uuid,
        scope: String,
        refresh_token: String,
        now: DateTime<Utc>,
    ) -> Tokens {
        let access_token = random("demo_access_");
        let access = Access {
            grant,
            scope: scope.clone(),
            until: now + self.access_token_life,
            revoked: false,
        };
        self.access.insert(access_token.clone(), access);
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
    fn a_spent_token_comes_again_for_a_while_and_then_ends_the_grant() {
        let mut grants = Grants::new(Duration::from_secs(60));
        grants.set_rotation(Rotation {
            reuse_interval: Duration::from_secs(10),
            revokes_on_reuse: true,
        });
        let start = Utc::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let first = grants.mint(start).refresh_token;
        let second = grants
            .refresh(&first, "", at(0))
            .ok()
            .unwrap()
            .refresh_token;
        let again = grants
            .refresh(&first, "", at(9))
            .ok()
            .unwrap()
            .refresh_token;
        assert_eq!(again, second, "the answer is the same");
        assert_eq!(grants.live_of_grant(&first), Some(second.clone()));
        let late = grants.refresh(&first, "", at(10)).err();
        assert_eq!(late, Some(GrantError::SpentRefreshToken));
        let ended = grants.refresh(&second, "", at(10)).err();
        assert_eq!(ended, Some(GrantError::RevokedRefreshToken));
        assert_eq!(grants.live_of_grant(&first), None);
    }

    #[test]
    fn a_spent_token_does_not_come_again_once_its_successor_is_spent() {
        let mut grants = Grants::new(Duration::from_secs(60));
        grants.set_rotation(Rotation {
            reuse_interval: Duration::from_secs(10),
            revokes_on_reuse: false,
        });
        let now = Utc::now();
        let first = grants.mint(now).refresh_token;
        let second = grants.refresh(&first, "", now).ok().unwrap().refresh_token;
        let third = grants.refresh(&second, "", now).ok().unwrap().refresh_token;
        let late = grants.refresh(&first, "", now).err();
        assert_eq!(late, Some(GrantError::SpentRefreshToken));
        assert_eq!(grants.live_of_grant(&first), Some(third));
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
        assert!(grants.refresh(&first.refresh_token, "", later).is_ok());
        assert_eq!(
            grants.check(&first.access_token, later),
            Err(AccessError::Unknown)
        );
    }
}
