use linkspan_providers::Catalogue;

use super::*;
use crate::request::{BodyForSigning, Prepare, prepare_at};

fn entered(fields: &[(&str, &str)]) -> Entered {
    let fields = fields.iter();
    let fields = fields.map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
    fields.collect::<BTreeMap<_, _>>().into()
}

fn client() -> Client {
    Client {
        client_id: "ck".to_owned(),
        client_secret: Some("cs".into()),
        ..Client::default()
    }
}

const TOKEN: [(&str, &str); 2] = [("token_id", "t"), ("token_secret", " s ")];

#[test]
fn a_token_is_taken_with_a_client_of_either() {
    let wire = |client: Option<&Client>, more: &[(&str, &str)]| {
        let accepted = accept(client, &entered(&[&TOKEN, more].concat()));
        accepted.map(|credentials| credentials.to_wire())
    };
    let theirs = [
        ("oauth_client_id_override", "i"),
        ("oauth_client_secret_override", "o"),
    ];
    let plain =
        json!({ "type": "TBA", "token_id": "t", "token_secret": "s", "config_override": {} });
    assert_eq!(wire(Some(&client()), &[]).unwrap(), plain);
    let own = json!({ "client_id": "i", "client_secret": "o" });
    for client in [None, Some(&client())] {
        assert_eq!(wire(client, &theirs).unwrap()["config_override"], own);
    }
    assert_eq!(wire(None, &[]).unwrap_err(), Error::NoClient.into());
}

#[test]
fn what_is_wrong_is_named_and_not_repeated() {
    let half = ("oauth_client_id_override", "hush");
    for (fields, field) in [
        (vec![("token_id", "t")], "token_secret"),
        (vec![("token_id", " "), TOKEN[1]], "token_id"),
        (vec![TOKEN[0], ("token_secret", "hu\nsh")], "token_secret"),
        (vec![TOKEN[0], TOKEN[1], ("more", "hush")], "more"),
        (
            vec![TOKEN[0], TOKEN[1], half],
            "oauth_client_secret_override",
        ),
    ] {
        match accept(Some(&client()), &entered(&fields)) {
            Err(Rejected::Field(wrong)) => {
                assert_eq!(wrong.field, field);
                assert!(!wrong.to_string().contains("hush"), "{wrong}");
            }
            other => panic!("{field}: {other:?}"),
        }
    }
}

/// The header that a call gets, at a fixed time.
fn header(account: Value, token: Credentials, client: Option<&Client>) -> Result<String, Error> {
    let catalogue = Catalogue::builtin().unwrap();
    let connection = json!({ "accountId": account });
    let nothing = serde_json::Map::new();
    let prepared = prepare_at(
        &Prepare {
            config: &Config {
                template: catalogue.get("netsuite-tba").unwrap(),
                connection: connection.as_object().unwrap(),
                integration: &nothing,
            },
            client,
            credentials: &token,
            base_url_override: Some(&"https://x.example/services/rest".parse().unwrap()),
            path_and_query: "/record/v1/customer?limit=2&q=a%20b",
            method: &http::Method::GET,
            headers: &http::HeaderMap::new(),
            body: BodyForSigning::Absent,
            body_headers: &http::HeaderMap::new(),
        },
        chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
        uuid::Uuid::nil(),
    )?;
    Ok(prepared.headers[AUTHORIZATION].to_str().unwrap().to_owned())
}

#[test]
fn the_realm_is_the_account_as_the_provider_writes_it() {
    let token = || accept(Some(&client()), &entered(&TOKEN)).unwrap();
    let signed = header(json!("1234567-sb1"), token(), Some(&client())).unwrap();
    // The signature is Python's `hmac` of the base string, with the key `cs&s`.
    assert_eq!(
        signed,
        "OAuth realm=\"1234567_SB1\", oauth_consumer_key=\"ck\", \
         oauth_nonce=\"00000000-0000-0000-0000-000000000000\", \
         oauth_signature_method=\"HMAC-SHA256\", oauth_timestamp=\"1700000000\", \
         oauth_token=\"t\", oauth_version=\"1.0\", \
         oauth_signature=\"8m41iSA6%2F5KNELLF426N9fJh0xyzvTl8i%2Blsw1hqxmI%3D\""
    );
    for account in [Value::Null, json!("")] {
        let error = header(account, token(), Some(&client())).unwrap_err();
        assert_eq!(
            error.code(),
            linkspan_api::ErrorCode::MissingConnectionConfig
        );
    }
    let error = header(json!("1"), token(), None).unwrap_err();
    assert_eq!(error, Error::NoClient);
}
