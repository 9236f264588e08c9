use chrono::TimeDelta;
use linkspan_providers::Catalogue;
use serde_json::json;

use super::*;

/// The credentials as they are stored, or the kind and the field of each mistake.
fn ready(slug: &str, given: Value) -> Result<Value, Vec<(&'static str, String)>> {
    let catalogue = Catalogue::builtin().unwrap();
    let given = given.as_object().unwrap().clone();
    match import(catalogue.get(slug).unwrap(), given) {
        Ok(Imported::Ready(credentials)) => Ok(serde_json::to_value(credentials).unwrap()),
        Ok(Imported::Entered(entered)) => Ok(json!(entered.fields)),
        Err(mistakes) => {
            let mistakes = mistakes.into_iter();
            Err(mistakes.map(|wrong| (wrong.kind, wrong.field)).collect())
        }
    }
}

#[test]
fn one_of_a_name_and_a_password_may_be_empty() {
    let basic = |username: &str, password: &str| json!({ "type": "BASIC", "username": username, "password": password });
    let slug = "private-api-basic";
    for given in [basic("rk_1", ""), basic("", "p")] {
        assert_eq!(ready(slug, given.clone()), Ok(given));
    }
    let refused = ready(slug, basic("", "")).unwrap_err();
    assert_eq!(refused, [("invalid_string", "username".to_owned())]);
    let half = json!({ "type": "BASIC", "username": "ann" });
    let refused = ready(slug, half).unwrap_err();
    assert_eq!(refused, [("invalid_type", "password".to_owned())]);
}

const OAUTH1: &str = r#"{"type":"OAUTH1","oauth_token":"t","oauth_token_secret":"s"}"#;
const OAUTH2: &str = r#"{"type":"OAUTH2","access_token":"a"}"#;
const TBA: &str = r#"{"type":"TBA","token_id":"t","token_secret":"s"}"#;

fn with_client(credentials: &str, client: &Value) -> Value {
    let mut credentials: Value = serde_json::from_str(credentials).unwrap();
    credentials["config_override"] = client.clone();
    credentials
}

#[test]
fn credentials_may_be_those_of_another_client() {
    let whole = json!({ "client_id": "i", "client_secret": "s" });
    let public = json!({ "client_id": "i", "client_secret": null });
    for (slug, credentials, can_be_public) in [
        ("github", OAUTH2, true),
        ("linear-mcp", OAUTH2, true),
        ("twitter", OAUTH1, false),
        ("netsuite-tba", TBA, false),
    ] {
        let own = |client: &Value| {
            let stored = ready(slug, with_client(credentials, client))?;
            Ok::<_, Vec<_>>(stored.get("own_client").cloned().unwrap_or_default())
        };
        assert_eq!(own(&whole), Ok(whole.clone()), "{slug}");
        for none in [json!({}), json!(null), json!({ "client_id": "" })] {
            assert_eq!(own(&none), Ok(Value::Null), "{slug}: {none}");
        }
        let refused = Err(vec![("invalid_type", "config_override".to_owned())]);
        let expected = match can_be_public {
            true => Ok(public.clone()),
            false => refused.clone(),
        };
        assert_eq!(own(&json!({ "client_id": "i" })), expected, "{slug}");
        for wrong in [
            json!({ "client_secret": "s" }),
            json!({ "client_id": 1 }),
            json!({ "client_id": "i", "client_secret": "s", "more": "x" }),
            json!("i"),
        ] {
            assert_eq!(own(&wrong), refused, "{slug}: {wrong}");
        }
    }
}

#[test]
fn a_client_is_not_dropped_where_none_can_be_kept() {
    let key = r#"{"type":"API_KEY","apiKey":"k"}"#;
    for client in [json!({ "client_id": "i" }), json!({})] {
        let refused = ready("private-api-bearer", with_client(key, &client));
        let expected = ("unrecognized_keys", "config_override".to_owned());
        assert_eq!(refused, Err(vec![expected]));
    }
}

#[test]
fn a_key_in_two_parts_is_joined() {
    let slug = "ghost-admin";
    let given = |key: Value| ready(slug, json!({ "type": "JWT", "privateKey": key }));
    let joined = json!({ "privateKey": "k-1:00ff" });
    let parts = json!({ "id": "k-1", "secret": "00ff" });
    assert_eq!(given(parts), Ok(joined.clone()));
    assert_eq!(given(json!("k-1:00ff")), Ok(joined));
    let refused = Err(vec![("invalid_type", "privateKey".to_owned())]);
    assert_eq!(given(json!({ "id": "k-1" })), refused);
}

#[test]
fn a_client_credentials_token_of_untold_life_counts_as_one_that_was_bought() {
    let yaml = "display_name: T\ncategories: [other]\nauth_mode: OAUTH2_CC\n\
                token_url: https://t.com/token\n";
    let template = Template::parse("t", yaml).unwrap();
    let told = DateTime::parse_from_rfc3339("2035-01-02T03:04:05Z").unwrap();
    for (expires_at, expected) in [(None, None), (Some("2035-01-02T03:04:05Z"), Some(told))] {
        let given = json!({ "type": "OAUTH2_CC", "client_id": "c", "client_secret": "s",
            "token": "t-1", "expires_at": expires_at });
        let Ok(Imported::Ready(credentials)) =
            import(&template, given.as_object().unwrap().clone())
        else {
            panic!("it is complete");
        };
        let Credentials::ClientCredentials(login) = *credentials else {
            panic!("{credentials:?}");
        };
        let expected = expected.map_or(login.issued_at + TimeDelta::minutes(55), |at| at.to_utc());
        assert_eq!(login.expires_at, Some(expected));
    }
}
