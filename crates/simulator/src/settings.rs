//! What a simulated provider is started with.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use url::{Host, Url};

/// Everything a [`crate::Simulator`] can be told at its start. `Debug` hides the key.
#[derive(Clone)]
pub struct Settings {
    /// Where to listen; port 0 takes a free one.
    pub bind: SocketAddr,
    /// The one registered OAuth client.
    pub client: Client,
    /// The one person who can sign in.
    pub user: User,
    /// How long an access token is accepted; `expires_in` says it in whole seconds.
    pub access_token_life: Duration,
    /// Which redirect URIs the client has registered.
    pub redirect_uris: RedirectUris,
    /// The key that `/key-api` wants as a bearer token.
    pub api_key: String,
    /// A JSON file in which codes and tokens outlive a stop: read at the start,
    /// for its owner only. Its folder must exist. `None` forgets them.
    pub state_file: Option<PathBuf>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("bind", &self.bind)
            .field("client", &self.client)
            .field("user", &self.user)
            .field("access_token_life", &self.access_token_life)
            .field("redirect_uris", &self.redirect_uris)
            .field("state_file", &self.state_file)
            .finish_non_exhaustive()
    }
}

impl Default for Settings {
    /// The demo that documentation shows: loopback on a free port, client
    /// `demo-client` / `demo-secret`, user `demo` / `demo`, key `demo-api-key`,
    /// access tokens for one hour, redirects to loopback only, nothing kept.
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            client: Client {
                client_id: "demo-client".into(),
                client_secret: "demo-secret".into(),
            },
            user: User {
                login: "demo".into(),
                password: "demo".into(),
            },
            access_token_life: Duration::from_secs(3600),
            redirect_uris: RedirectUris::Loopback,
            api_key: "demo-api-key".into(),
            state_file: None,
        }
    }
}

/// A registered OAuth client (RFC 6749 section 2). `Debug` hides the secret.
#[derive(Clone)]
pub struct Client {
    /// The public identifier.
    pub client_id: String,
    /// The password of the client, sent in the body of token requests.
    pub client_secret: String,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// A person who can sign in. `Debug` hides the password.
#[derive(Clone)]
pub struct User {
    /// The name to sign in with.
    pub login: String,
    /// The password to sign in with; the login page shows it as a hint.
    pub password: String,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("login", &self.login)
            .finish_non_exhaustive()
    }
}

/// Which redirect URIs an authorisation request may name.
#[derive(Clone, Debug)]
pub enum RedirectUris {
    /// Any path and port on `localhost`, `127.0.0.0/8` or `[::1]` (RFC 8252 section 7.3).
    Loopback,
    /// Only these, compared as strings (RFC 9700 section 2.1).
    Exactly(Vec<String>),
}

impl RedirectUris {
    /// The parsed URI when it is registered, else the reason why it is not.
    pub(crate) fn admit(&self, uri: &str) -> Result<Url, &'static str> {
        let url = Url::parse(uri).map_err(|_| "redirect_uri is not an absolute URI")?;
        // RFC 6749 section 3.1.2.
        if url.fragment().is_some() {
            return Err("redirect_uri has a fragment");
        }
        let registered = match self {
            Self::Loopback => is_loopback(&url),
            Self::Exactly(uris) => uris.iter().any(|known| known == uri),
        };
        if registered {
            Ok(url)
        } else {
            Err("redirect_uri is not registered for this client")
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    let bare = url.username().is_empty() && url.password().is_none();
    let local = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    bare && local && matches!(url.scheme(), "http" | "https")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_admits_only_this_machine() {
        for good in [
            "http://localhost:3003/oauth/callback",
            "http://127.0.0.1/cb?x=1",
            "http://[::1]:8080/",
            "https://localhost/cb",
        ] {
            assert!(RedirectUris::Loopback.admit(good).is_ok(), "{good}");
        }
        for bad in [
            "http://127.0.0.1@example.com/cb",
            "http://user@127.0.0.1/cb",
            "http://localhost.example.com/cb",
            "http://localhost/cb#part",
            "ftp://localhost/cb",
            "javascript:alert(1)",
            "/cb",
            "",
        ] {
            assert!(RedirectUris::Loopback.admit(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn exact_uris_are_compared_as_strings() {
        let uris = RedirectUris::Exactly(vec!["https://app.example/cb".into()]);
        assert!(uris.admit("https://app.example/cb").is_ok());
        assert!(uris.admit("https://app.example/cb/").is_err());
        assert!(uris.admit("https://APP.example/cb").is_err());
    }

    #[test]
    fn debug_hides_what_is_secret() {
        let shown = format!("{:?}", Settings::default());
        assert!(shown.contains("demo-client"), "{shown}");
        assert!(!shown.contains("demo-secret"), "{shown}");
        assert!(!shown.contains("demo-api-key"), "{shown}");
    }
}
