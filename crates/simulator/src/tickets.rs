//! Authorisations that wait for the person: between the authorise request and
//! the login form, and between login and consent.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use url::Url;
use uuid::Uuid;

const LIFE: Duration = Duration::from_secs(600);

/// A valid authorisation request (RFC 6749 section 4.1.1, RFC 7636 section 4.3).
#[derive(Clone, Debug)]
pub(crate) struct Authorization {
    /// As sent: the token request must repeat it letter by letter.
    pub(crate) redirect_uri: String,
    /// The same, parsed.
    pub(crate) target: Url,
    pub(crate) state: String,
    pub(crate) scope: String,
    pub(crate) challenge: String,
}

/// How far the person has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Login,
    Consent,
}

/// Open tickets. The id of a ticket is known only to whoever was shown its
/// form, and consent gets a new one after login: another site can neither
/// guess it nor carry it over, so the forms need no cookie against forgery.
#[derive(Debug, Default)]
pub(crate) struct Tickets(HashMap<String, Ticket>);

#[derive(Debug)]
struct Ticket {
    step: Step,
    authorization: Authorization,
    until: DateTime<Utc>,
}

impl Tickets {
    /// Opens a ticket and returns its id.
    pub(crate) fn open(
        &mut self,
        step: Step,
        authorization: Authorization,
        now: DateTime<Utc>,
    ) -> String {
        self.0.retain(|_, ticket| ticket.until > now);
        let id = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let until = now + LIFE;
        let ticket = Ticket {
            step,
            authorization,
            until,
        };
        self.0.insert(id.clone(), ticket);
        id
    }

    /// Closes a ticket and returns what it stood for; `None` when it is
    /// unknown, used, too old, or belongs to the other form.
    pub(crate) fn close(
        &mut self,
        id: &str,
        step: Step,
        now: DateTime<Utc>,
    ) -> Option<Authorization> {
        let ticket = self.0.get(id)?;
        if ticket.step != step || ticket.until <= now {
            return None;
        }
        self.0.remove(id).map(|ticket| ticket.authorization)
    }
}
