//! Slack asks for the person's own scopes in a parameter of their own, and may
//! answer with two tokens: the bot's at the top and the person's in
//! `authed_user`. The bot's is the connection's; with no bot it is the person's
//! (the template's `alternate_access_token_response_path`).

use chrono::TimeDelta;
use serde_json::Value;

use super::Quirk;
use crate::oauth2::Tokens;

const USER_SCOPE: &str = "user_scope";

pub(super) const QUIRK: Quirk = Quirk {
    name: "slack",
    authorize_params: &[USER_SCOPE],
    authorize,
    tokens,
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
    let seconds = tokens.raw["authed_user"]["expires_in"].as_i64();
    let Some(life) = seconds
        .filter(|seconds| *seconds > 0)
        .and_then(TimeDelta::try_seconds)
    else {
        return;
    };
    let Some(theirs) = tokens.issued_at.checked_add_signed(life) else {
        return;
    };
    if matches!(tokens.raw["authed_user"]["access_token"], Value::String(_)) {
        tokens.expires_at = Some(tokens.expires_at.map_or(theirs, |ours| ours.min(theirs)));
    }
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
}
