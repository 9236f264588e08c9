//! A strict provider of TBA: an API that takes calls which are signed with
//! HMAC-SHA256 in the realm of the account.

use serde_json::json;

use super::oauth1::{Consumer, Verifier};
use super::{Answer, Refused};
use crate::journal::SeenRequest;

/// An API that knows one token.
#[derive(Debug)]
pub struct Provider {
    verifier: Verifier,
    token_id: String,
    token_secret: String,
}

impl Provider {
    /// An API that knows one token of one client.
    #[must_use]
    pub fn new(consumer: Consumer, token_id: &str, token_secret: &str) -> Self {
        Self {
            verifier: Verifier::new(consumer),
            token_id: token_id.to_owned(),
            token_secret: token_secret.to_owned(),
        }
    }

    /// Answers one request.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn answer(&self, request: &SeenRequest) -> Result<Answer, Refused> {
        let known = |token: &str| (token == self.token_id).then(|| self.token_secret.clone());
        let signed = self.verifier.verify(request, known)?;
        match signed.contains_key("oauth_token") {
            true => Ok(Answer::json(&json!({ "path": request.path }))),
            false => Err(Refused::call("oauth_token is missing")),
        }
    }
}
