//! What becomes of a refresh token that was exchanged.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// How strictly refresh tokens are good only once. The default is the
/// strictest that keeps a grant alive: a spent token buys nothing, and nothing
/// else happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// For how long after its exchange a token may be exchanged again, as long
    /// as its successor is unspent; the answer names the same successor. Many
    /// providers allow ten seconds to some minutes, for callers that lost the
    /// answer.
    pub reuse_interval: Duration,
    /// Whether a token that comes again after that ends the whole grant
    /// (RFC 9700 section 4.14.2): it may have been stolen.
    pub revokes_on_reuse: bool,
}

/// What became of a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fate {
    /// The request that brought the refresh token which is good now; none when the
    /// grant has ended.
    pub issued: Option<Asked>,
    /// The token that ended it by coming again.
    pub reuse: Option<Reuse>,
}

/// A refresh token that came again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reuse {
    /// The request that exchanged it.
    pub first: Asked,
    /// The one that came again with it and ended the grant.
    pub again: Asked,
}

/// A request for tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Who asked, by the last segment of `/oauth/token/…`; empty without one.
    pub by: String,
    /// When it was answered.
    pub at: DateTime<Utc>,
}

/// A grant as it begins, without a browser: see [`crate::Control::mint`].
/// `Debug` hides the tokens.
#[derive(Clone)]
pub struct Minted {
    /// Opens the API.
    pub access_token: String,
    /// Buys the next pair.
    pub refresh_token: String,
}

impl std::fmt::Debug for Minted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Minted").finish_non_exhaustive()
    }
}
