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
    /// Where a person's installations are listed.
    pub list_path: &'static str,
    /// The installations that every person may use, which are numbers.
    pub listed: Vec<u64>,
}

/// Exchanges codes and refresh tokens, and does the rest as [`app::Provider`].
#[derive(Debug)]
pub struct Provider {
    app: app::Provider,
    client: Client,
    /// Codes and refresh tokens that are good once.
    good: Mutex<Vec<String>>,
    /// Tokens of persons.
    persons: Mutex<Vec<String>>,
}

impl Provider {
    /// A provider of an app with a client, which takes one code.
    #[must_use]
    pub fn new(app: app::Provider, client: Client, code: &str) -> Self {
        let good = Mutex::new(vec![code.to_owned()]);
        let persons = Mutex::default();
        Self {
            app,
            client,
            good,
            persons,
        }
    }

    /// Answers one request.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn answer(&self, request: &SeenRequest) -> Result<Answer, Refused> {
        if request.path == self.client.list_path {
            return self.list(request);
        }
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
        let token = format!("ghu_{}", Uuid::new_v4().simple());
        let mut persons = self.persons.lock().unwrap_or_else(PoisonError::into_inner);
        persons.push(token.clone());
        Ok(Answer::json(&json!({
            "access_token": token,
            "refresh_token": refresh_token,
            "expires_in": self.client.token_life,
            "token_type": "bearer",
            "scope": "",
        })))
    }

    /// One page of a person's installations.
    fn list(&self, request: &SeenRequest) -> Result<Answer, Refused> {
        let bearer = request.header("authorization").unwrap_or_default();
        let token = bearer.strip_prefix("Bearer ").unwrap_or_default();
        let persons = self.persons.lock().unwrap_or_else(PoisonError::into_inner);
        if request.method != "GET" || !persons.iter().any(|known| known == token) {
            return Err(Refused::call("it is not a GET with a person's token"));
        }
        let number = |name: &str| {
            let found = request.query.iter().find(|(known, _)| known == name);
            found.and_then(|(_, value)| value.parse::<usize>().ok())
        };
        let (Some(size @ 1..=100), Some(page @ 1..)) = (number("per_page"), number("page")) else {
            return Err(Refused::request("per_page or page is not a number of one"));
        };
        let listed = self.client.listed.iter();
        let page = listed.skip(size.saturating_mul(page - 1)).take(size);
        let page: Vec<_> = page.map(|id| json!({ "id": id })).collect();
        Ok(Answer::json(&json!({
            "total_count": self.client.listed.len(),
            "installations": page,
        })))
    }
}
