//! `GET /oauth/authorize` (RFC 6749 section 4.1.1, RFC 7636 section 4.3).

use actix_web::{HttpRequest, HttpResponse, web};
use url::Url;

use crate::answers::{Refused, quotable};
use crate::pages;
use crate::params::Params;
use crate::settings::Settings;
use crate::state::State;
use crate::tickets::{Authorization, Step};

/// All scopes that there are.
const SCOPES: [&str; 2] = ["items.read", "profile.read"];

const PARAMETERS: [&str; 7] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "state",
    "scope",
    "code_challenge",
    "code_challenge_method",
];

/// Checks the request and shows the login form.
pub(crate) async fn authorize(
    state: web::Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Refused> {
    let params = Params::parse(request.query_string().as_bytes());
    let authorization = check(&params, &state.settings)?;
    let now = state.now();
    let ticket = state.tickets().open(Step::Login, authorization, now);
    let page = pages::login(&state.settings.user, &ticket, false);
    Ok(pages::respond(HttpResponse::Ok(), page))
}

/// An unknown client or redirect URI is told to the person; only then may
/// anything be sent to the redirect URI (RFC 6749 section 4.1.2.1).
fn check(params: &Params, settings: &Settings) -> Result<Authorization, Refused> {
    let client_id = params.once("client_id").map_err(Refused::page)?;
    if client_id != settings.client.client_id {
        return Err(Refused::page("client_id names no client of this provider"));
    }
    let redirect_uri = params.once("redirect_uri").map_err(Refused::page)?;
    let target = settings.redirect_uris.admit(redirect_uri);
    let target = target.map_err(Refused::page)?;
    match rules(params) {
        Ok((state, scope, challenge)) => Ok(Authorization {
            redirect_uri: redirect_uri.to_owned(),
            target,
            state: state.to_owned(),
            scope: scope.to_owned(),
            challenge: challenge.to_owned(),
        }),
        Err((code, reason)) => {
            let state = params.once("state").ok();
            let location = error_location(target, code, &reason, state);
            Err(Refused::redirect(location, reason))
        }
    }
}

/// The state, scope and challenge of a request that keeps all other rules,
/// else an error code with its reason.
fn rules(params: &Params) -> Result<(&str, &str, &str), (&'static str, String)> {
    let values = params.exactly(PARAMETERS);
    let [response_type, _, _, state, scope, challenge, method] =
        values.map_err(|error| ("invalid_request", error.to_string()))?;
    let wrong = |code, reason: &str| Err((code, reason.to_owned()));
    if response_type != "code" {
        return wrong("unsupported_response_type", "response_type is not code");
    }
    // RFC 6749 appendix A.5.
    if !state.chars().all(|c| matches!(c, ' '..='~')) {
        return wrong("invalid_request", "state is not printable ASCII");
    }
    if !is_scope(scope) {
        return wrong(
            "invalid_scope",
            "scope is not a list of items.read and profile.read, each once, separated by a space",
        );
    }
    if method != "S256" {
        return wrong("invalid_request", "code_challenge_method is not S256");
    }
    if !is_challenge(challenge) {
        return wrong(
            "invalid_request",
            "code_challenge is not 43 characters of base64url",
        );
    }
    Ok((state, scope, challenge))
}

fn is_scope(scope: &str) -> bool {
    let names: Vec<&str> = scope.split(' ').collect();
    let known = names.iter().all(|name| SCOPES.contains(name));
    let repeated = (1..names.len()).any(|n| names[n..].contains(&names[n - 1]));
    known && !repeated
}

fn is_challenge(text: &str) -> bool {
    let base64url = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    text.len() == 43 && text.chars().all(base64url)
}

/// The redirect URI with an error (RFC 6749 section 4.1.2.1).
pub(crate) fn error_location(
    mut target: Url,
    code: &str,
    reason: &str,
    state: Option<&str>,
) -> Url {
    let mut query = target.query_pairs_mut();
    query.append_pair("error", code);
    query.append_pair("error_description", &quotable(reason));
    if let Some(state) = state {
        query.append_pair("state", state);
    }
    drop(query);
    target
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_known_and_not_repeated() {
        for good in ["items.read", "profile.read items.read"] {
            assert!(is_scope(good), "{good}");
        }
        for bad in [
            "",
            "items.write",
            "items.read,profile.read",
            "items.read  profile.read",
            "items.read items.read",
            "items.read profile.read items.read",
        ] {
            assert!(!is_scope(bad), "{bad}");
        }
    }
}
