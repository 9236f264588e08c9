//! Slack asks for the person's own scopes in a parameter of their own, and may
//! answer with two tokens: the bot's at the top and the person's in
//! `authed_user`. The bot's is the connection's; with no bot it is the person's
//! (the template's `alternate_access_token_response_path`). Where tokens rotate,
//! each has a refresh token of its own, good once, and an answer to the bot's
//! says nothing of the person's.

use chrono::TimeDelta;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use super::{Beside, Quirk};
use crate::oauth2::Tokens;

const USER_SCOPE: &str = "user_scope";
const PERSON: &str = "authed_user";

pub(super) const QUIRK: Quirk = Quirk {
    name: "slack",
    authorize_params: &[USER_SCOPE],
    authorize,
    answer: |_| {},
    tokens,
    // Whoever has this address can post to the channel.
    secret_config: &["incoming_webhook.url"],
    beside: Some(Beside {
        refresh_token: persons_refresh_token,
        keep: keep_persons,
    }),
    installations: None,
};

/// Joins the person's scopes by commas, whatever they were joined by.
fn authorize(params: &mut Vec<(String, String)>) {
    for (_, scopes) in params.iter_mut().filter(|(name, _)| name == USER_SCOPE) {
        let words: Vec<&str> = scopes
            .split(|c: char| c == ',' || c.is_whitespace())
            .filter(|scope| !scope.is_empty())
            .collect();
        *scopes = words.join(",");
    }
    params.retain(|(name, value)| name != USER_SCOPE || !value.is_empty());
}

/// Two tokens are good for as long as the shorter lived of them.
fn tokens(tokens: &mut Tokens) {
    let seconds = tokens.raw[PERSON]["expires_in"].as_i64();
    let Some(life) = seconds
        .filter(|seconds| *seconds > 0)
        .and_then(TimeDelta::try_seconds)
    else {
        return;
    };
    let Some(theirs) = tokens.issued_at.checked_add_signed(life) else {
        return;
    };
    if matches!(tokens.raw[PERSON]["access_token"], Value::String(_)) {
        tokens.expires_at = Some(tokens.expires_at.map_or(theirs, |ours| ours.min(theirs)));
    }
}

/// Whether the person has a token beside the connection's own.
fn is_beside(tokens: &Tokens) -> bool {
    let theirs = tokens.raw[PERSON]["access_token"].as_str();
    theirs.is_some_and(|theirs| theirs != tokens.access_token.expose_secret())
}

/// The person's refresh token, unless it is the connection's own.
fn persons_refresh_token(tokens: &Tokens) -> Option<SecretString> {
    let theirs = tokens.raw[PERSON]["refresh_token"].as_str()?;
    (is_beside(tokens) && !theirs.is_empty()).then(|| theirs.into())
}

/// What is told of a token.
const TOLD: [&str; 5] = [
    "access_token",
    "refresh_token",
    "expires_in",
    "scope",
    "token_type",
];

/// The person's tokens in the bot's new answer. Those that could not be refreshed
/// stay, and their expiry no longer counts: the bot's token must not be asked for
/// again with every call for their sake.
fn keep_persons(fresh: &mut Tokens, spent: &Tokens, refreshed: Option<&Tokens>) {
    let (true, Value::Object(root)) = (is_beside(spent), &mut fresh.raw) else {
        return;
    };
    let mut person = match spent.raw.get(PERSON) {
        Some(Value::Object(person)) => person.clone(),
        _ => Map::new(),
    };
    if let Some(Value::Object(said)) = root.get(PERSON) {
        person.extend(said.clone());
    }
    match refreshed {
        Some(theirs) => person.extend(told_of_person(theirs)),
        None => drop(person.remove("expires_in")),
    }
    root.insert(PERSON.to_owned(), Value::Object(person));
    if refreshed.is_some() {
        tokens(fresh);
    }
}

/// An answer about the person's token has it in `authed_user`, or at the top.
fn told_of_person(theirs: &Tokens) -> Map<String, Value> {
    let nested = &theirs.raw[PERSON];
    let place = match nested["access_token"] {
        Value::String(_) => nested,
        _ => &theirs.raw,
    };
    let told = TOLD.iter().filter_map(|name| {
        let value = place.get(*name).filter(|value| !value.is_null())?;
        Some(((*name).to_owned(), value.clone()))
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use serde_json::json;

    use super::*;

    #[test]
    fn user_scopes_are_joined_by_commas_or_left_out() {
        let mut params = vec![
            ("scope".to_owned(), "a b".to_owned()),
            (USER_SCOPE.to_owned(), " x, y z".to_owned()),
        ];
        authorize(&mut params);
        assert_eq!(params[0].1, "a b");
        assert_eq!(params[1].1, "x,y,z");
        params[1].1 = " ".to_owned();
        authorize(&mut params);
        assert_eq!(params.len(), 1);
    }

    #[test]
    fn the_shorter_life_of_two_tokens_counts() {
        let at = |seconds: i64| DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds);
        let expiry = |bot: Option<i64>, raw: Value| -> Option<DateTime<Utc>> {
            let mut both = Tokens {
                access_token: "bot".into(),
                refresh_token: None,
                expires_at: bot.map(at),
                issued_at: DateTime::UNIX_EPOCH,
                raw,
                own_client: None,
                mcp: None,
            };
            tokens(&mut both);
            both.expires_at
        };
        let user = json!({ "authed_user": { "access_token": "u", "expires_in": 60 } });
        assert_eq!(expiry(Some(3600), user.clone()), Some(at(60)));
        assert_eq!(expiry(Some(30), user.clone()), Some(at(30)));
        assert_eq!(expiry(None, user), Some(at(60)));
        let only_bot = json!({ "authed_user": { "id": "U1", "expires_in": 60 } });
        assert_eq!(expiry(Some(3600), only_bot), Some(at(3600)));
    }

    fn pair(access: &str, refresh: &str, seconds: i64, raw: Value) -> Tokens {
        Tokens {
            access_token: access.into(),
            refresh_token: Some(refresh.into()),
            expires_at: Some(DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)),
            issued_at: DateTime::UNIX_EPOCH,
            raw,
            own_client: None,
            mcp: None,
        }
    }

    #[test]
    fn the_persons_refresh_token_is_a_second_one_only_beside_a_bots() {
        let raw = json!({ "authed_user": { "access_token": "u", "refresh_token": "u-r" } });
        let of = |ours: &str, raw: &Value| {
            let token = persons_refresh_token(&pair(ours, "r", 1, raw.clone()));
            token.map(|token| token.expose_secret().to_owned())
        };
        assert_eq!(of("b", &raw).as_deref(), Some("u-r"));
        assert_eq!(of("u", &raw), None);
        assert_eq!(of("b", &json!({ "authed_user": { "id": "U1" } })), None);
        let mut fresh = pair("u2", "r2", 1, json!({ "authed_user": { "id": "U1" } }));
        keep_persons(&mut fresh, &pair("u", "u-r", 1, raw), None);
        assert_eq!(fresh.raw, json!({ "authed_user": { "id": "U1" } }));
    }

    #[test]
    fn both_pairs_are_kept_whatever_the_answers_say() {
        let spent = json!({ "authed_user": { "id": "U1", "access_token": "u1",
            "refresh_token": "u-r1", "expires_in": 60 } });
        let spent = pair("b1", "b-r1", 60, spent);
        let bots = || pair("b2", "b-r2", 3600, json!({ "authed_user": { "id": "U1" } }));
        let top = json!({ "access_token": "u2", "refresh_token": "u-r2", "expires_in": 600,
            "token_type": "user", "authed_user": { "id": "U1" } });
        let nested = json!({ "authed_user": { "access_token": "u2", "refresh_token": "u-r2",
            "expires_in": 600, "token_type": "user" } });
        for answer in [top, nested] {
            let mut fresh = bots();
            let theirs = pair("u2", "u-r2", 600, answer);
            keep_persons(&mut fresh, &spent, Some(&theirs));
            let expected = json!({ "id": "U1", "access_token": "u2", "refresh_token": "u-r2",
                "expires_in": 600, "token_type": "user" });
            assert_eq!(fresh.raw["authed_user"], expected);
            let shorter = DateTime::UNIX_EPOCH + TimeDelta::seconds(600);
            assert_eq!(fresh.expires_at, Some(shorter));
        }
        let mut fresh = bots();
        keep_persons(&mut fresh, &spent, None);
        let expected = json!({ "id": "U1", "access_token": "u1", "refresh_token": "u-r1" });
        assert_eq!(fresh.raw["authed_user"], expected);
        let bots_own = DateTime::UNIX_EPOCH + TimeDelta::seconds(3600);
        assert_eq!(fresh.expires_at, Some(bots_own));
    }
}
