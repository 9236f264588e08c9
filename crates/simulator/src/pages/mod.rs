//! The provider's own pages: sign-in, consent, the front page, a refusal.
//! No script, one inline style sheet, everything escaped.

use std::sync::LazyLock;

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use actix_web::{HttpResponse, HttpResponseBuilder};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest;

use crate::settings::{Settings, User};

mod front;

pub(crate) use front::front;

const STYLE: &str = include_str!("style.css");

/// Frames are refused so that nobody can be made to press "Allow" unseen.
/// `form-action` is left out: browsers hold the redirect after consent to it.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(digest::digest(&digest::SHA256, STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; frame-ancestors 'none'"
    )
});

/// Finishes an answer as one of our pages.
pub(crate) fn respond(mut answer: HttpResponseBuilder, html: String) -> HttpResponse {
    answer
        .content_type("text/html; charset=utf-8")
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY.as_str()))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((X_FRAME_OPTIONS, "DENY"))
        .body(html)
}

/// The sign-in form; `wrong` after a failed attempt.
pub(crate) fn login(user: &User, ticket: &str, wrong: bool) -> String {
    let alert = if wrong {
        r#"<p class="alert" role="alert">This name and password do not match. Try again.</p>"#
    } else {
        ""
    };
    let body = format!(
        r#"<h1>Sign in</h1>
{alert}
<form method="post" action="/oauth/login">
<input type="hidden" name="ticket" value="{ticket}">
<label for="login">Name</label>
<input id="login" name="login" autocomplete="username" autocapitalize="none" required autofocus>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<div class="buttons"><button class="first" type="submit">Sign in</button></div>
</form>
<p class="quiet">For this demo the name is <code>{login}</code> and the password <code>{password}</code>.</p>"#,
        ticket = escape(ticket),
        login = escape(&user.login),
        password = escape(&user.password),
    );
    layout("Sign in", "", &body)
}

/// The consent form for what a client asks.
pub(crate) fn consent(settings: &Settings, ticket: &str, scope: &str) -> String {
    let wishes: String = scope.split(' ').map(wish).collect();
    let body = format!(
        r#"<h1>Allow access?</h1>
<p>The application <strong>{client}</strong> asks for access to the account <strong>{login}</strong>. It would be able to:</p>
<ul>
{wishes}</ul>
<form method="post" action="/oauth/consent">
<input type="hidden" name="ticket" value="{ticket}">
<div class="buttons">
<button type="submit" name="decision" value="deny">Deny</button>
<button class="first" type="submit" name="decision" value="allow">Allow</button>
</div>
</form>"#,
        client = escape(&settings.client.client_id),
        login = escape(&settings.user.login),
        ticket = escape(ticket),
    );
    layout("Allow access?", "", &body)
}

/// What a person sees when a request cannot go back to the application.
pub(crate) fn refused(reason: &str) -> String {
    let body = format!(
        r#"<h1>This request was refused</h1>
<p class="alert" role="alert">{}</p>
<p class="quiet">Go back to the application and start again.</p>"#,
        escape(reason)
    );
    layout("Request refused", "", &body)
}

fn wish(scope: &str) -> String {
    let meaning = match scope {
        "items.read" => "read your items",
        "profile.read" => "see your name and profile",
        other => other,
    };
    format!("<li>{}</li>\n", escape(meaning))
}

fn layout(title: &str, class: &str, body: &str) -> String {
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · Demo provider</title>
<style>{STYLE}</style>
</head>
<body>
<main class="{class}">
<p class="brand">Demo provider</p>
{body}
</main>
</body>
</html>
"#
    )
}

fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_cannot_bring_markup() {
        let page = refused("parameter <script>'x' is not expected here");
        assert!(page.contains("&lt;script&gt;&#39;x&#39;"), "{page}");
        assert!(!page.contains("<script"), "{page}");
    }

    #[test]
    fn the_hash_of_the_policy_is_that_of_the_style_as_embedded() {
        let page = refused("x");
        let style = page
            .split("<style>")
            .nth(1)
            .and_then(|rest| rest.split("</style>").next());
        assert_eq!(style, Some(STYLE));
    }
}
