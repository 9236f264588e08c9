//! A strict provider of INSTALL_PLUGIN: an API that takes the developer's keys,
//! and says of which plugin a call is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{Answer, Refused};
use crate::journal::SeenRequest;

/// An API that knows one plugin.
#[derive(Debug, Clone)]
pub struct Provider {
    authorization: String,
    header: (&'static str, &'static str),
}

impl Provider {
    /// An API that knows one plugin by its keys, and wants this header with every
    /// call.
    #[must_use]
    pub fn new(username: &str, password: &str, header: (&'static str, &'static str)) -> Self {
        let pair = STANDARD.encode(format!("{username}:{password}"));
        Self {
            authorization: format!("Basic {pair}"),
            header,
        }
    }

    /// Answers one request.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn answer(&self, request: &SeenRequest) -> Result<Answer, Refused> {
        if request.header("authorization") != Some(self.authorization.as_str()) {
            return Err(Refused::client("the plugin's keys are not these"));
        }
        let (name, value) = self.header;
        match request.header(name) == Some(value) {
            true => Ok(Answer::json(&json!({ "path": request.path }))),
            false => Err(Refused::request(format!("{name} is not {value}"))),
        }
    }
}
