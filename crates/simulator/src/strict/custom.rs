//! A strict provider of CUSTOM: an app's tokens, and those of the person who
//! installed it.

use std::sync::Mutex;
use std::sync::PoisonError;

use serde_json::json;
use url::form_urlencoded;
use uuid::Uuid;

use super::{Answer, Refused, app};
use crate::journal::SeenRequest;

/// The OAuth client beside an app.
#[derive(Debug, Clone)]
pub struct Client {
    /// `client_id`.
    pub id: String,
    /// `client_secret`.
    pub secret: String,
    /// Where codes are exchanged.
    pub token_path: &'static str,
    /// How long a person's token lives, in seconds.
    pub token_life: i64,
}

/// Exchanges codes and refresh tokens, and does the rest as [`app::Provider`].
#[derive(Debug)]
pub struct Provider {
    app: app::Provider,
    client: Client,
    /// Codes and refresh tokens that are good once.
    good: Mutex<Vec<String>>,
}

impl Provider {
    /// A provider of an app with a client, which takes one code.
    #[must_use]
    pub fn new(app: app::Provider, client: Client, code: &str) -> Self {
        let good = Mutex::new(vec![code.to_owned()]);
        Self { app, client, good }
    }

    /// Answers one request.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn answer(&self, request: &SeenRequest) -> Result<Answer, Refused> {
        if request.path != self.client.token_path {
            return self.app.answer(request);
        }
        let form: Vec<_> = form_urlencoded::parse(&request.body).into_owned().collect();
        let get = |name: &str| {
            let found = form.iter().find(|(known, _)| known == name);
            found.map_or("", |(_, value)| value.as_str())
        };
        if get("client_id") != self.client.id || get("client_secret") != self.client.secret {
            return Err(Refused::client("the client is unknown"));
        }
        let spent = match get("grant_type") {
            "authorization_code" => get("code"),
            "refresh_token" => get("refresh_token"),
            _ => return Err(Refused::request("grant_type is neither")),
        };
        let mut good = self.good.lock().unwrap_or_else(PoisonError::into_inner);
        let at = good.iter().position(|known| known == spent);
        let at = at.ok_or_else(|| Refused::client("the code or refresh token is not good"))?;
        good.remove(at);
        let refresh_token = format!("ghr_{}", Uuid::new_v4().simple());
        good.push(refresh_token.clone());
        Ok(Answer::json(&json!({
            "access_token": format!("ghu_{}", Uuid::new_v4().simple()),
            "refresh_token": refresh_token,
            "expires_in": self.client.token_life,
            "token_type": "bearer",
            "scope": "",
        })))
    }
}
