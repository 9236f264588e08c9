//! The few pages that the server itself shows. Each is one file beside this
//! one; what varies is put in escaped.

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use linkspan_api::popup::PopupError;
use url::Url;

/// How a popup's flow ended, for its callback page.
pub(crate) enum Outcome {
    Success,
    Failure { kind: PopupError, reason: String },
}

impl Outcome {
    pub(crate) fn failure(kind: PopupError, reason: &str) -> Self {
        Self::Failure {
            kind,
            reason: reason.to_owned(),
        }
    }
}

/// No page loads anything from elsewhere, and none runs a script of its own
/// text: scripts are files of this server.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; \
     script-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

fn html(status: actix_web::http::StatusCode, body: String) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header(("Content-Security-Policy", CONTENT_SECURITY_POLICY))
        .insert_header(("Cache-Control", "no-store"))
        .body(body)
}

fn page(title: &str, main: &str) -> String {
    include_str!("layout.html")
        .replace("{{title}}", &escape(title))
        .replace("{{main}}", main)
}

fn escape(text: &str) -> String {
    text.chars()
        .fold(String::with_capacity(text.len()), |mut escaped, c| {
            match c {
                '&' => escaped.push_str("&amp;"),
                '<' => escaped.push_str("&lt;"),
                '>' => escaped.push_str("&gt;"),
                '"' => escaped.push_str("&quot;"),
                '\'' => escaped.push_str("&#39;"),
                c => escaped.push(c),
            }
            escaped
        })
}

/// What is at `/` until there is a dashboard.
pub(crate) fn front(public_url: &Url) -> HttpResponse {
    let url = public_url.as_str().trim_end_matches('/');
    let main = include_str!("front.html").replace("{{url}}", &escape(url));
    html(actix_web::http::StatusCode::OK, page("Linkspan", &main))
}

/// Where `connect_link` leads. The session's token is in the fragment, which
/// no server and no log sees; the script reads it. A page that opens this one
/// loses hold of it, and the popups that this one opens stay in its hand.
pub(crate) fn connect() -> HttpResponse {
    let main = include_str!("connect/page.html");
    let mut response = html(
        actix_web::http::StatusCode::OK,
        page("Connect an account", main),
    );
    opener_policy(&mut response, "same-origin-allow-popups");
    response
}

fn opener_policy(response: &mut HttpResponse, policy: &'static str) {
    response.headers_mut().insert(
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static(policy),
    );
}

pub(crate) fn connect_script() -> HttpResponse {
    script(concat!(
        include_str!("connect/fields.js"),
        include_str!("connect/modes.js"),
        include_str!("connect/popup.js"),
        include_str!("connect/page.js")
    ))
}

pub(crate) fn callback_script() -> HttpResponse {
    script(include_str!("callback.js"))
}

fn script(text: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/javascript; charset=utf-8"))
        .insert_header(("Cache-Control", "no-cache"))
        .body(text)
}

/// The page that a popup ends on. It tells the page that opened it, if that
/// page's origin is known, and closes itself after a success.
pub(crate) fn callback(outcome: &Outcome, origin: Option<&str>) -> HttpResponse {
    let (status, title, text, kind, reason) = match outcome {
        Outcome::Success => (
            actix_web::http::StatusCode::OK,
            "Connected",
            "The account is connected. This window closes by itself.",
            "",
            "",
        ),
        Outcome::Failure { kind, reason } => (
            actix_web::http::StatusCode::BAD_REQUEST,
            "Not connected",
            "The account could not be connected. Close this window and try again.",
            kind.as_str(),
            reason.as_str(),
        ),
    };
    let main = include_str!("callback.html")
        .replace("{{heading}}", title)
        .replace("{{text}}", text)
        .replace("{{kind}}", kind)
        .replace("{{origin}}", &escape(origin.unwrap_or_default()))
        .replace("{{reason}}", &escape(reason));
    let mut response = html(status, page("Authorization callback", &main));
    // Any other policy would cut the popup off from the page that opened it,
    // which is on another origin. Said aloud, so that a proxy in front that
    // adds a policy to answers without one leaves this one alone.
    opener_policy(&mut response, "unsafe-none");
    response
}

/// A square with a name's initial; its colour depends on the slug alone.
pub(crate) fn logo(slug: &str, name: &str) -> HttpResponse {
    let hue = slug
        .bytes()
        .fold(0_u32, |sum, byte| (sum * 31 + u32::from(byte)) % 360);
    let initial: String = name
        .chars()
        .find(|c| c.is_alphanumeric())
        .into_iter()
        .collect();
    let svg = include_str!("logo.svg")
        .replace("{{hue}}", &hue.to_string())
        .replace("{{initial}}", &escape(&initial.to_uppercase()));
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "image/svg+xml"))
        .insert_header(("Cache-Control", "public, max-age=86400"))
        .body(svg)
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;

    use super::*;

    #[actix_web::test]
    async fn what_a_provider_says_cannot_become_markup() {
        let outcome = Outcome::failure(
            PopupError::CallbackErr,
            "<script>alert(1)</script>\" onload='x'",
        );
        let response = callback(&outcome, Some("https://a.example\"><b>"));
        let body = to_bytes(response.into_body()).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(!body.contains("<script>alert"), "{body}");
        assert!(!body.contains("\"><b>"), "{body}");
        assert!(body.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;"));
        assert!(!body.contains("{{"), "a placeholder is left: {body}");
    }
}
