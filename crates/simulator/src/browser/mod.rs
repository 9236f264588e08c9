//! A person at a browser, without the browser: walks redirects, cookies and
//! forms over real HTTP, so that a test can finish an authorisation.

mod client;
mod forms;

use thiserror::Error;
use url::Url;

use crate::settings::User;
use client::{Answer, HttpClient};
use forms::Form;

/// Redirects and forms on one way, at most.
const MOST_STEPS: usize = 20;

/// What the person answers on the consent page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Presses "Allow".
    Allow,
    /// Presses "Deny".
    Deny,
}

/// Why the way ended early.
#[derive(Debug, Error)]
pub enum BrowserError {
    /// An address or a `location` header is not a URL.
    #[error("not a URL: {0}")]
    Url(#[from] url::ParseError),
    /// No answer, or half of one.
    #[error("no answer: {0}")]
    Http(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No answer within ten seconds.
    #[error("no answer in time")]
    TimedOut,
    /// Redirects in a circle.
    #[error("more than {MOST_STEPS} redirects and forms")]
    TooManySteps,
    /// The provider did not take the password.
    #[error("the sign-in was refused")]
    WrongPassword,
    /// A page that a person could not go on from.
    #[error("unexpected page with status {status} at {path}: {text}")]
    UnexpectedPage {
        /// HTTP status.
        status: u16,
        /// Path of the page; the query may hold secrets.
        path: String,
        /// The body of the page.
        text: String,
    },
}

/// A page that was reached.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its address after all redirects.
    pub url: Url,
    /// HTTP status.
    pub status: u16,
    /// The body; bytes outside UTF-8 are replaced.
    pub body: String,
}

/// Authorises with a fresh [`Browser`] and returns the redirect to the client,
/// which is not followed: `redirect_uri` with `code` and `state`, or with
/// `error`. `authorize_url` may also be an address that leads to the
/// provider's by redirects.
///
/// # Errors
/// As [`Browser::authorize`].
pub async fn authorize(
    authorize_url: &str,
    user: &User,
    decision: Decision,
) -> Result<String, BrowserError> {
    Browser::new()
        .authorize(authorize_url, user, decision)
        .await
}

/// One browser profile: cookies last from call to call. Cookies are kept by
/// host alone, as browsers do across ports; path and age limits are not
/// followed, but a cookie with `Max-Age=0` is deleted.
#[derive(Debug, Default)]
pub struct Browser {
    client: HttpClient,
}

impl Browser {
    /// A profile without cookies.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens a page, following redirects; for the redirect that
    /// [`Browser::authorize`] returned, say.
    ///
    /// # Errors
    /// No page was reached. A page with an error status is a page.
    pub async fn open(&mut self, url: &str) -> Result<Page, BrowserError> {
        let mut url = Url::parse(url)?;
        for _ in 0..MOST_STEPS {
            let answer = self.client.get(&url).await?;
            match answer.location() {
                Some(location) => url = url.join(location)?,
                None => return Ok(answer.into_page(url)),
            }
        }
        Err(BrowserError::TooManySteps)
    }

    /// Signs in, decides, and returns the redirect to the client without
    /// following it. An authorisation that the provider sends back at once
    /// (with `error`) returns the same way.
    ///
    /// # Errors
    /// The provider showed a refusal instead, or any other [`BrowserError`].
    pub async fn authorize(
        &mut self,
        start: &str,
        user: &User,
        decision: Decision,
    ) -> Result<String, BrowserError> {
        let mut url = Url::parse(start)?;
        let mut answer = self.client.get(&url).await?;
        let mut client_uri = None;
        let mut signed_in = false;
        for _ in 0..MOST_STEPS {
            client_uri = redirect_uri(&url).or(client_uri);
            if let Some(location) = answer.location() {
                let next = url.join(location)?;
                if client_uri.as_ref().is_some_and(|uri| leads_to(&next, uri)) {
                    return Ok(next.into());
                }
                answer = self.client.get(&next).await?;
                url = next;
                continue;
            }
            let Some(mut form) = forms::first(&answer.body) else {
                return Err(answer.unexpected(&url));
            };
            if form.has("password") && signed_in {
                return Err(BrowserError::WrongPassword);
            }
            signed_in |= form.has("password");
            if !fill(&mut form, user, decision) {
                return Err(answer.unexpected(&url));
            }
            url = url.join(&form.action)?;
            answer = self.client.post(&url, &form.encoded()).await?;
        }
        Err(BrowserError::TooManySteps)
    }
}

/// Does what a person would with one of the provider's forms; `false` for a
/// form of another kind.
fn fill(form: &mut Form, user: &User, decision: Decision) -> bool {
    let word = match decision {
        Decision::Allow => "allow",
        Decision::Deny => "deny",
    };
    if form.has("password") {
        form.set("login", &user.login);
        form.set("password", &user.password);
        true
    } else {
        form.press("decision", word)
    }
}

fn redirect_uri(url: &Url) -> Option<Url> {
    let found = url.query_pairs().find(|(name, _)| name == "redirect_uri");
    found.and_then(|(_, value)| Url::parse(&value).ok())
}

fn leads_to(location: &Url, client: &Url) -> bool {
    location.origin() == client.origin() && location.path() == client.path()
}

impl Answer {
    fn into_page(self, url: Url) -> Page {
        Page {
            url,
            status: self.status,
            body: self.body,
        }
    }

    fn unexpected(self, url: &Url) -> BrowserError {
        BrowserError::UnexpectedPage {
            status: self.status,
            path: url.path().to_owned(),
            text: self.body,
        }
    }
}
