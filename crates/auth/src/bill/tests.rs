use super::*;
use crate::login::scripted::{Scripted, connect_to};
use serde_json::json;

const FIELDS_GIVEN: [(&str, &str); 4] = [
    ("username", "u"),
    ("password", "hush-hush"),
    ("organization_id", "o"),
    ("dev_key", "d-key"),
];

#[tokio::test]
async fn a_session_is_bought_for_35_minutes() {
    let endpoint = Scripted::new(&[(200, "{\"sessionId\":\"s\",\"userId\":\"006\"}")]);
    let login = connect_to("bill", &[], &FIELDS_GIVEN, &endpoint)
        .await
        .unwrap();
    assert_eq!(
        endpoint.seen(),
        [
            "POST https://gateway.prod.bill.com/connect/v3/login\naccept: application/json\n\
          content-type: application/json\n\
          {\"devKey\":\"d-key\",\"organizationId\":\"o\",\"password\":\"hush-hush\",\"username\":\"u\"}"
        ]
    );
    assert_eq!(
        (login.expires_at.unwrap() - login.issued_at).num_minutes(),
        35
    );
    let wire = Credentials::Bill(login.clone()).to_wire();
    for (name, value) in [
        ("session_id", "s"),
        ("user_id", "006"),
        ("dev_key", "d-key"),
        ("type", "BILL"),
    ] {
        assert_eq!(wire[name], value);
    }
    assert_eq!(wire["raw"], json!({ "sessionId": "s", "userId": "006" }));
    let mut headers = HeaderMap::new();
    headers.insert("devkey", "mine".parse().unwrap());
    add(&login, &mut headers).unwrap();
    assert_eq!(
        (&headers["devkey"], &headers["sessionid"]),
        (&"mine".parse().unwrap(), &"s".parse().unwrap())
    );
}

#[tokio::test]
async fn what_is_missing_or_refused_is_said() {
    let endpoint = Scripted::new(&[(
        200,
        "[{\"code\":\"BDC_1361\",\"message\":\"Invalid hush-hush\",\"severity\":\"ERROR\"}]",
    )]);
    for missing in 0..FIELDS_GIVEN.len() {
        let mut fields = FIELDS_GIVEN.to_vec();
        let (name, _) = fields.remove(missing);
        let error = connect_to("bill", &[], &fields, &endpoint)
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), format!("`{name}` is required"));
    }
    assert!(endpoint.seen().is_empty());
    let error = connect_to("bill", &[], &FIELDS_GIVEN, &endpoint)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("Invalid [hidden]"), "{error}");
}
