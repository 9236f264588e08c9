//! A strict provider of OAUTH2 with an outbound installation: the code that its
//! webhook brought is exchanged at the installation's own address.

use serde_json::json;
use url::form_urlencoded;

use super::{Answer, Refused};
use crate::journal::SeenRequest;

/// A provider that exchanges one code.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Where it is exchanged.
    pub path: String,
    /// `client_id`.
    pub client_id: String,
    /// `client_secret`.
    pub client_secret: String,
    /// The code.
    pub code: String,
}

impl Provider {
    /// Answers one request.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn answer(&self, request: &SeenRequest) -> Result<Answer, Refused> {
        if request.path != self.path {
            return Err(Refused::path());
        }
        let mut form: Vec<_> = form_urlencoded::parse(&request.body).into_owned().collect();
        form.sort();
        let wanted = [
            ("client_id", self.client_id.as_str()),
            ("client_secret", &self.client_secret),
            ("code", &self.code),
            ("grant_type", "authorization_code"),
        ];
        let wanted = wanted.map(|(name, value)| (name.to_owned(), value.to_owned()));
        if form != wanted {
            return Err(Refused::client("the form is not what it must be"));
        }
        let answer = Answer::json(&json!({
            "id": "38",
            "token": "at-outbound",
            "refreshToken": "rt-outbound",
            "expiresAt": "2099-01-01T00:00:00.000Z",
            "scopes": ["event:read"],
        }));
        Ok(Answer {
            status: 201,
            ..answer
        })
    }
}
