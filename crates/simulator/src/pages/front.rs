//! The page at `/`: what this is, and what it answers.

use super::{escape, layout};
use crate::settings::Settings;

/// Method, path, and what a caller gets, for the front page.
const ENDPOINTS: [(&str, &str, &str); 12] = [
    (
        "GET",
        "/oauth/authorize",
        "starts an authorisation with PKCE (S256)",
    ),
    (
        "POST",
        "/oauth/token",
        "exchanges a code or a refresh token for tokens",
    ),
    ("GET", "/api/me", "the account behind the access token"),
    (
        "GET",
        "/api/items?page=1&per_page=20",
        "items in pages, with a Link header",
    ),
    ("GET", "/api/items/1", "one item"),
    (
        "POST",
        "/api/items",
        "adds an item: a JSON object with a name",
    ),
    ("any", "/api/echo", "the request as it arrived, as JSON"),
    ("any", "/api/empty", "204 and no body"),
    ("GET", "/api/stream?chunks=3", "a body in chunks"),
    ("GET", "/key-api/me", "the same account, behind the API key"),
    (
        "any",
        "/key-api/echo",
        "the request as it arrived, behind the API key",
    ),
    ("GET", "/", "this page"),
];

/// The front page.
pub(crate) fn front(settings: &Settings) -> String {
    let rows: String = ENDPOINTS.iter().map(row).collect();
    let body = format!(
        r#"<h1>A simulated API to try things with</h1>
<p>Nothing behind this provider is real. It speaks OAuth 2.0, refuses every request that breaks the rules, and says why.</p>
<p>Client id: <code>{client}</code>. Scopes: <code>items.read</code> and <code>profile.read</code>. Sign in as <code>{login}</code>.</p>
<h2>Endpoints</h2>
<p>Those under <code>/api</code> want an access token, those under <code>/key-api</code> the API key, both as <code>Authorization: Bearer …</code>.</p>
<div class="table" tabindex="0" role="region" aria-label="Endpoints">
<table>
<thead><tr><th scope="col">Method</th><th scope="col">Path</th><th scope="col">Answer</th></tr></thead>
<tbody>
{rows}</tbody>
</table>
</div>"#,
        client = escape(&settings.client.client_id),
        login = escape(&settings.user.login),
    );
    layout("A simulated API", "wide", &body)
}

fn row((method, path, answer): &(&str, &str, &str)) -> String {
    let (path, answer) = (escape(path), escape(answer));
    format!("<tr><td>{method}</td><td><code>{path}</code></td><td>{answer}</td></tr>\n")
}
