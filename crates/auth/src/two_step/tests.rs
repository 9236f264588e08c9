//! Requests, answers and expiries of logins; the whole way is tested in the
//! server.

mod saml;
mod walk;

use chrono::{TimeDelta, Utc};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::*;
use crate::login::scripted::{Scripted, connect_to, earlier, texts};
use linkspan_providers::Catalogue;

fn minutes(login: &Login) -> Option<i64> {
    Some((login.expires_at? - login.issued_at).num_minutes())
}

fn jwt(exp: i64) -> String {
    use base64::Engine as _;
    let encode = |text: String| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let claims = json!({ "exp": exp }).to_string();
    format!(
        "{}.{}.c2ln",
        encode("{\"alg\":\"none\"}".to_owned()),
        encode(claims)
    )
}

#[tokio::test]
async fn bodies_are_written_in_each_format() {
    let good = [(
        200,
        "{\"token\":{\"accessToken\":\"t\"},\"access_token\":\"t\",\"credentials\":{\"token\":\"t\"}}",
    )];
    let toast = Scripted::new(&good);
    let (config, fields) = (
        [("subdomain", "ws-api")],
        [("clientId", "i\"d"), ("clientSecret", " s ")],
    );
    connect_to("toast", &config, &fields, &toast).await.unwrap();
    assert_eq!(
        toast.seen(),
        [
            "POST https://ws-api.toasttab.com/authentication/v1/authentication/login\n\
          accept: application/json\ncontent-type: application/json\n\
          {\"clientId\":\"i\\\"d\",\"clientSecret\":\"s\",\"userAccessType\":\"TOAST_MACHINE_CLIENT\"}"
        ]
    );
    let looker = Scripted::new(&good);
    let (config, fields) = (
        [("hostname", "l.example:19999")],
        [("clientId", "a b"), ("clientSecret", "c&d")],
    );
    connect_to("looker", &config, &fields, &looker)
        .await
        .unwrap();
    assert_eq!(
        looker.seen(),
        [
            "POST https://l.example:19999/api/4.0/login\naccept: application/json\n\
          content-type: application/x-www-form-urlencoded\nclient_id=a+b&client_secret=c%26d"
        ]
    );
    let tableau = Scripted::new(&good);
    let config = [("hostname", "t.example"), ("version", "3.2")];
    let fields = [("pat", "p"), ("secret", "s")];
    connect_to("tableau", &config, &fields, &tableau)
        .await
        .unwrap();
    let body = "{\"credentials\":{\"personalAccessTokenName\":\"p\",\
                \"personalAccessTokenSecret\":\"s\",\"site\":{}}}";
    assert!(tableau.seen()[0].ends_with(body), "{:?}", tableau.seen());
}

#[tokio::test]
async fn a_bare_token_is_taken_and_a_page_is_not() {
    let fields = [("clientId", "1234"), ("username", "u"), ("password", "p&w")];
    let jobdiva = Scripted::new(&[
        (200, "abc.def\n"),
        (200, "\"quoted\""),
        (200, "<html>"),
        (200, "two words"),
        (200, ""),
    ]);
    let mut tokens = Vec::new();
    for _ in 0..5 {
        let login = connect_to("jobdiva", &[], &fields, &jobdiva).await;
        tokens.push(login.map(|login| login.token.expose_secret().to_owned()));
    }
    assert_eq!(tokens[0].as_deref(), Ok("abc.def"));
    assert_eq!(tokens[1].as_deref(), Ok("quoted"));
    for garbage in &tokens[2..] {
        assert!(
            matches!(garbage, Err(Error::Unreadable { status: 200, .. })),
            "{garbage:?}"
        );
    }
    let seen = &jobdiva.seen()[0];
    assert!(seen.starts_with("GET https://api.jobdiva.com/apiv2/authenticate?clientid=1234&username=u&password=p%26w\n"), "{seen}");
}

#[tokio::test]
async fn the_expiry_is_said_by_the_answer_the_token_or_the_template() {
    let exp = (Utc::now() + TimeDelta::hours(2)).timestamp();
    let short = (Utc::now() + TimeDelta::minutes(10)).timestamp();
    let at = (Utc::now() + TimeDelta::minutes(61)).to_rfc3339();
    let over = (Utc::now() - TimeDelta::hours(2)).naive_utc().to_string();
    let gone = (Utc::now() - TimeDelta::hours(2)).timestamp();
    for (slug, answer, expected) in [
        (
            "toast",
            json!({ "token": { "accessToken": "t", "expiresIn": "3600" } }),
            Some(60),
        ),
        ("agencyzoom", json!({ "jwt": jwt(exp) }), Some(104)),
        ("agencyzoom", json!({ "jwt": jwt(short) }), Some(7)),
        ("agencyzoom", json!({ "jwt": "opaque" }), None),
        ("ecu360", json!({ "jwtToken": "opaque" }), Some(15)),
        (
            "researchdesk",
            json!({ "token": "t", "expires": at }),
            Some(60),
        ),
        (
            "researchdesk",
            json!({ "token": "t", "expires": "2:03:30" }),
            Some(123),
        ),
        // Over already, by a clock of their own: it is not believed.
        (
            "researchdesk",
            json!({ "token": "t", "expires": over }),
            Some(55),
        ),
        (
            "researchdesk",
            json!({ "token": jwt(exp), "expires": over }),
            Some(104),
        ),
        ("agencyzoom", json!({ "jwt": jwt(gone) }), Some(55)),
        ("ecu360", json!({ "jwtToken": jwt(gone) }), Some(15)),
    ] {
        let endpoint = Scripted::new(&[(200, &answer.to_string())]);
        let fields: &[(&str, &str)] = match slug {
            "toast" => &[("clientId", "a"), ("clientSecret", "b")],
            "ecu360" => &[("apiKey", "k"), ("userName", "u"), ("password", "p")],
            "researchdesk" => &[("email", "a@b.example"), ("password", "p")],
            _ => &[("username", "u"), ("password", "p")],
        };
        let login = connect_to(slug, &[("subdomain", "s")], fields, &endpoint)
            .await
            .unwrap();
        assert_eq!(minutes(&login), expected, "{slug} {answer}");
    }
}

#[tokio::test]
async fn steps_build_on_each_other() {
    let endpoint = Scripted::new(&[
        (
            200,
            "{\"restApiEndpoint\":\"https://x.sellercloud.example/rest\"}",
        ),
        (200, "{\"access_token\":\"t\",\"expires_in\":3600}"),
    ]);
    let fields = [("teamName", "a b"), ("username", "u"), ("password", "p")];
    let catalogue = Catalogue::builtin().unwrap();
    let template = catalogue.get("sellercloud").unwrap();
    let entered = texts(&fields).into();
    let made = crate::login::scripted::connect(template, None, &[], entered, &endpoint)
        .await
        .unwrap();
    assert_eq!(
        made.metadata["restApiEndpoint"],
        "https://x.sellercloud.example/rest"
    );
    let seen = endpoint.seen();
    assert!(
        seen[0].starts_with("GET https://api.sellercloud.com/api/server-by-team/?team=a%20b\n"),
        "{seen:?}"
    );
    assert!(
        seen[1].starts_with("POST https://x.sellercloud.example/rest/api/token\n"),
        "{seen:?}"
    );
    assert!(
        seen[1].ends_with("{\"Password\":\"p\",\"Username\":\"u\"}"),
        "{seen:?}"
    );

    let broken = Scripted::new(&[(200, "{}")]);
    let error = connect_to("sellercloud", &[], &fields, &broken)
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("step 1 of the login has no `restApiEndpoint`"),
        "{error}"
    );
    assert_eq!(broken.seen().len(), 1);
}

#[tokio::test]
async fn refusals_say_why_and_no_secret() {
    let fields = [("email", "a@b.example"), ("password", "hush-hush")];
    for (status, answer, expected) in [
        (
            401,
            "{\"error\":\"wrong password hush-hush\"}",
            "wrong password [hidden]",
        ),
        (
            200,
            "{\"errors\":[{\"message\":\"no such user\"}],\"data\":null}",
            "no such user",
        ),
        (
            200,
            "{\"result\":{\"errormessage\":{\"error\":{\"no\":\"1\",\"text\":\"Locked\"}}}}",
            "1 Locked",
        ),
        (200, "{}", "has no access token"),
        (500, "<h1>oops</h1>", "status 500"),
    ] {
        let endpoint = Scripted::new(&[(status, answer)]);
        let error = connect_to("semble", &[], &fields, &endpoint)
            .await
            .unwrap_err();
        assert!(error.to_string().contains(expected), "{answer}: {error}");
        assert!(!error.to_string().contains("hush"), "{error}");
        assert_eq!(error.code(), linkspan_api::ErrorCode::InvalidCredentials);
    }
    let silent = Scripted::default();
    let error = connect_to("semble", &[], &fields, &silent)
        .await
        .unwrap_err();
    assert_eq!(error.code(), linkspan_api::ErrorCode::UpstreamTimeout);
}

#[tokio::test]
async fn fields_are_checked_before_anybody_is_asked() {
    let endpoint = Scripted::default();
    for (slug, fields, expected) in [
        (
            "semble",
            &[("email", "a@b.example")][..],
            "`password` is required",
        ),
        (
            "semble",
            &[("email", "nobody"), ("password", "p")],
            "`email` must be an e-mail address",
        ),
        (
            "semble",
            &[("email", "a@b.example"), ("password", "p"), ("x", "y")],
            "`x` is not a field of this provider",
        ),
        (
            "netsuite-client-credentials",
            &[("clientId", "c"), ("certificateId", "d")],
            "`assertionOption.privateKey` is required",
        ),
    ] {
        let error = connect_to(slug, &[], fields, &endpoint).await.unwrap_err();
        assert_eq!(error.to_string(), expected, "{slug}");
    }
    assert!(endpoint.seen().is_empty());
}

async fn again(
    slug: &str,
    fields: &[(&str, &str)],
    token: &str,
    endpoint: &Scripted,
) -> Result<Login, Error> {
    let catalogue = Catalogue::builtin().unwrap();
    let template = catalogue.get(slug).unwrap();
    let (connection, integration) = (texts(&[("subdomain", "s")]), serde_json::Map::new());
    let config = Config {
        template,
        connection: &connection,
        integration: &integration,
    };
    let earlier = earlier(Some(token));
    let finished = log_in(
        None,
        &config,
        &texts(fields).into(),
        Some(&earlier),
        endpoint,
    )
    .await?;
    Ok(finished.credentials.login().unwrap().clone())
}

#[tokio::test]
async fn a_refresh_token_is_spent_before_the_entries() {
    let fields = [("appId", "a"), ("appSecret", "b")];
    let good = Scripted::new(&[(200, "{\"accessToken\":\"new\",\"expires\":60}")]);
    let login = again("timify", &fields, "r1", &good).await.unwrap();
    assert_eq!(
        login.refresh_token.unwrap().expose_secret(),
        "r1",
        "kept where none is given"
    );
    let seen = good.seen();
    assert!(
        seen[0].starts_with("POST https://s.timify.com/v1/auth/refreshtoken\n"),
        "{seen:?}"
    );
    assert!(seen[0].ends_with("{\"refreshtoken\":\"r1\"}"), "{seen:?}");

    let spent = Scripted::new(&[
        (400, "{}"),
        (200, "{\"accessToken\":\"new\",\"refreshToken\":\"r2\"}"),
    ]);
    let login = again("timify", &fields, "r1", &spent).await.unwrap();
    assert_eq!(login.refresh_token.unwrap().expose_secret(), "r2");
    let refused = Scripted::new(&[(400, "{}"), (200, "{\"accessToken\":\"new\"}")]);
    let login = again("timify", &fields, "r1", &refused).await.unwrap();
    assert!(login.refresh_token.is_none(), "it was refused");
    assert!(spent.seen()[1].ends_with("{\"appid\":\"a\",\"appsecret\":\"b\"}"));

    let imported = Scripted::new(&[(400, "{}")]);
    again("timify", &[], "r1", &imported).await.unwrap_err();
    assert_eq!(imported.seen().len(), 1, "there is nothing to log in with");
    let away = Scripted::default();
    again("timify", &fields, "r1", &away).await.unwrap_err();
    assert_eq!(away.seen().len(), 1, "it may have been spent");

    let header = Scripted::new(&[(200, "{\"access_token\":\"n\"}")]);
    again("salesmsg", &[("apiKey", "k")], "r1", &header)
        .await
        .unwrap();
    assert!(
        header.seen()[0].contains("authorization: Bearer r1"),
        "{:?}",
        header.seen()
    );
}

#[tokio::test]
async fn cookies_come_along() {
    let endpoint = Scripted::default();
    let cookies = [
        ("set-cookie", "B1SESSION=abc; HttpOnly"),
        ("set-cookie", "ROUTEID=.n1; path=/"),
    ];
    endpoint.push(200, &cookies, "{\"SessionId\":\"s\"}");
    let fields = [("userName", "u"), ("password", "p")];
    let config = [("domain", "d.example"), ("companyDb", "c")];
    let login = connect_to("sap-business-one", &config, &fields, &endpoint)
        .await
        .unwrap();
    assert_eq!(
        login.brought["_cookies"].expose_secret(),
        "B1SESSION=abc; ROUTEID=.n1"
    );
    assert_eq!(minutes(&login), Some(28));
}

#[tokio::test]
async fn xml_is_written_in_order_and_read_by_paths() {
    let answer = "<?xml version='1.0'?><response><operation><authentication>\
        <sessiontimeout>2999-01-01T00:00:00+00:00</sessiontimeout></authentication><result><data>\
        <api><sessionid>sess</sessionid></api></data></result></operation></response>";
    let refusal = "<response><errormessage><error><errorno>XL03</errorno>\
        <description2>Sign-in information is incorrect</description2></error></errormessage></response>";
    let endpoint = Scripted::new(&[(200, answer), (200, refusal), (200, "{}")]);
    let fields = [
        ("senderId", "s"),
        ("senderPassword", "<&>"),
        ("userId", "u"),
        ("companyId", "c"),
        ("userPassword", "w"),
    ];
    let login = connect_to("sage-intacct", &[], &fields, &endpoint)
        .await
        .unwrap();
    assert_eq!(login.token.expose_secret(), "sess");
    assert_eq!(
        login.expires_at.unwrap().to_rfc3339(),
        "2999-01-01T00:00:00+00:00"
    );
    assert_eq!(
        login.raw["response"]["operation"]["result"]["data"]["api"]["sessionid"],
        "sess"
    );
    let seen = endpoint.seen().remove(0);
    assert!(
        seen.contains(
            "<request><control><senderid>s</senderid><password>&lt;&amp;&gt;</password><controlid>"
        ),
        "{seen}"
    );
    assert!(
        seen.contains(
            "<function controlid=\"{{$guid}}\"><getAPISession></getAPISession></function>"
        ),
        "{seen}"
    );
    let refused = connect_to("sage-intacct", &[], &fields, &endpoint)
        .await
        .unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("Sign-in information is incorrect XL03"),
        "{refused}"
    );
    let garbage = connect_to("sage-intacct", &[], &fields, &endpoint)
        .await
        .unwrap_err();
    assert!(matches!(garbage, Error::Unreadable { .. }), "{garbage:?}");
}

#[tokio::test]
async fn what_makes_an_assertion_once_is_not_stored() {
    let key = include_str!("../sign/vectors/rfc7515-a2-pkcs8.pem");
    let catalogue = Catalogue::builtin().unwrap();
    let template = catalogue.get("netsuite-client-credentials").unwrap();
    let endpoint = Scripted::new(&[(200, "{\"access_token\":\"t\",\"expires_in\":3600}")]);
    let entered = Entered {
        fields: texts(&[("clientId", "c"), ("certificateId", "d")]),
        options: texts(&[("privateKey", key)]),
    };
    let account = [("accountId", "1-sb")];
    let made = crate::login::scripted::connect(template, None, &account, entered, &endpoint)
        .await
        .unwrap();
    let stored = serde_json::to_string(&made.credentials).unwrap();
    assert!(!stored.contains("PRIVATE KEY"));
    let login = made.credentials.login().unwrap();
    let assertion = login.entered["assertion"].expose_secret();
    let claims = |assertion: &str| -> Value {
        use base64::Engine as _;
        let part = assertion.split('.').nth(1).unwrap();
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(part)
            .unwrap();
        serde_json::from_slice(&bytes).unwrap()
    };
    let said = claims(assertion);
    assert_eq!(said["iss"], "c");
    assert_eq!(
        said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap(),
        3600
    );

    let kept = login.entered.iter();
    let kept = kept.map(|(name, text)| (name.clone(), text.expose_secret().to_owned()));
    let kept: std::collections::BTreeMap<_, _> = kept.collect();
    let (connection, integration) = (texts(&account), serde_json::Map::new());
    let config = Config {
        template,
        connection: &connection,
        integration: &integration,
    };
    log_in(None, &config, &kept.into(), Some(login), &endpoint)
        .await
        .unwrap();
    let seen = endpoint.seen();
    assert_eq!(
        seen[0].lines().last(),
        seen[1].lines().last(),
        "the same assertion again"
    );
}
