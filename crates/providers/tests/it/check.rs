//! What a check finds, and where.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should fail there"
)]

use std::fs;
use std::path::Path;

use linkspan_providers::{Catalogue, Finding, Severity, Source};

const HEAD: &str = "display_name: X\ncategories: [other]\n";

/// Checks a file over the built-in templates; the findings are without its path.
fn check(yaml: &str) -> Vec<String> {
    let source = Source {
        slug: "acme".to_owned(),
        path: "acme.yaml".into(),
        text: Ok(yaml.to_owned()),
    };
    let builtin = Catalogue::builtin().unwrap();
    let (with, findings) = builtin.with(vec![source], &Catalogue::default(), &["slack"]);
    let is_wrong = findings.iter().any(Finding::is_error);
    assert_eq!(with.get("acme").is_none(), is_wrong, "{findings:?}");
    findings
        .iter()
        .map(|finding| finding.to_string().replacen("acme.yaml:", "", 1))
        .collect()
}

#[test]
fn all_built_in_files_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../providers");
    let (sources, unread) = Source::read_dir(&folder);
    assert_eq!((sources.len(), unread), (982, Vec::new()));
    let (_, findings) = Catalogue::default().with(sources, &Catalogue::default(), &crate::quirks());
    let errors: Vec<String> = findings
        .iter()
        .filter(|finding| finding.is_error())
        .map(Finding::to_string)
        .collect();
    assert_eq!(errors, [""; 0]);
    // What is known to be wrong, and what aliases lose: nothing else.
    let (known, others): (Vec<_>, Vec<_>) = findings
        .iter()
        .partition(|finding| finding.message.contains("(known: "));
    let mut known: Vec<String> = known
        .iter()
        .map(|finding| {
            let file = finding.path.file_stem().unwrap().to_str().unwrap();
            assert!(finding.position.is_some());
            format!("{file} {}", finding.key)
        })
        .collect();
    known.sort();
    assert_eq!(
        known,
        [
            "certn-partner proxy.headers.authorization",
            "certn-partner token_url",
            "freshteam credentials.apiKey.pattern",
            "whoop proxy.paginate.cursor_name_in_request",
            "whoop proxy.paginate.cursor_path_in_response",
            "whoop proxy.paginate.offset_name_in_request",
        ]
    );
    for finding in &others {
        assert_eq!(finding.key, "proxy", "{finding}");
        assert!(finding.message.contains("as a whole"), "{finding}");
    }
    assert!(others.len() > 5, "{others:?}");

    // The same of what is compiled in, but for the lines.
    let compiled = Catalogue::check_builtin(&crate::quirks());
    let keys = |findings: &[Finding]| {
        let mut keys: Vec<_> = findings
            .iter()
            .map(|finding| (finding.key.clone(), finding.message.clone()))
            .collect();
        keys.sort();
        keys
    };
    assert_eq!(keys(&compiled), keys(&findings));
    assert!(
        compiled
            .iter()
            .all(|finding| finding.severity == Severity::Warning)
    );
}

#[test]
fn all_mistakes_of_a_file_are_found_with_their_places() {
    let yaml = "display_name: X
auth_mode: OAUTH2
tokn_url: https://a
token_url: 'https://${connectionConfig.x'
scope_separator: [a]
proxy:
  base_url: https://${connectionConfig.sub}.example.com
  header: {}
  headers:
    a b: c
    x-key: ${apiKey}
  paginate: { type: link, offset: 1 }
  retry:
    error_code: ['403', 6xx]
credentials:
  secret: { type: string, titel: S }
connection_config:
  region: { type: string, title: R, pattern: '(' }
  region: { type: string, title: R }
";
    let mut found = check(yaml);
    found.sort();
    let expected = [
        "10:5: error: proxy.headers: `a b` is not a header name",
        "11:12: error: proxy.headers.x-key: nothing fills `${apiKey}`: OAUTH2 has no API key",
        "12:27: error: proxy.paginate.offset: unknown key; there are link_rel_in_response_header",
        "16:11: error: credentials.secret: missing field `title`",
        "16:27: error: credentials.secret.titel: unknown key; did you mean `title`?",
        "19:3: error: connection_config.region: is given twice",
        "1:1: error: categories: is missing",
        "3:1: error: tokn_url: unknown key; did you mean `token_url`?",
        "4:12: error: token_url: at character 9: `${` is never closed",
        "5:18: error: scope_separator: invalid type: sequence, expected a string",
        "7:13: error: proxy.base_url: nothing fills `${connectionConfig.sub}`: connection_config has",
        "8:3: error: proxy.header: unknown key; did you mean `headers`?",
    ];
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}\n{expected}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn what_json_does_not_have_is_refused() {
    let unquoted = "has a key that is no text: put quotes around it";
    for (yaml, expected) in [
        (
            "authorization_params:\n  &assword: x\n",
            format!("4:3: error: authorization_params: {unquoted}"),
        ),
        (
            "proxy: { headers: { 1: x } }\n",
            format!("3:19: error: proxy.headers: {unquoted}"),
        ),
        ("true: x\n", format!(" error: {unquoted}")),
        (
            "categories: [!ours crm]\n",
            "3:14: error: categories[0]: invalid type: enum".to_owned(),
        ),
        (
            "token_expires_in_ms: .inf\n",
            "3:22: error: token_expires_in_ms: is no number".to_owned(),
        ),
    ] {
        let found = check(&format!("display_name: X\nauth_mode: NONE\n{yaml}"));
        let is_found = found.iter().any(|finding| finding.contains(&expected));
        assert!(is_found, "{yaml}: {found:#?}");
    }
}

#[test]
fn rules_that_no_single_key_shows() {
    let key = "auth_mode: API_KEY\ncredentials:\n  apiKey: { type: string, title: K }\n";
    for (yaml, expected) in [
        (
            "auth_mode: OAUTH2\ntoken_url: https://a\n",
            "authorization_url: is required by auth_mode OAUTH2",
        ),
        (
            "auth_mode: TWO_STEP\ntoken_url: https://a\n",
            "token_response: is required by auth_mode TWO_STEP",
        ),
        (
            "auth_mode: JWT\n",
            "signature: is required by auth_mode JWT",
        ),
        (
            "auth_mode: OAUTH1\ntoken_url: https://a\nauthorization_url: https://a\nrequest_url: https://a\n",
            "signature_method: is required by auth_mode OAUTH1",
        ),
        (
            "auth_mode: MCP_OAUTH2\ntoken_url: https://a\nauthorization_url: https://a\nclient_registration: dynamic\n",
            "registration_url: is required by client_registration dynamic",
        ),
        (
            "auth_mode: OAUTH2_CC\ntoken_url: { OAUTH2: https://a, APP: https://b }\n",
            "token_url: is a map",
        ),
        (
            "auth_mode: NONE\nquirk: unheard-of\n",
            "quirk: there is no quirk `unheard-of`; there are: slack",
        ),
        (
            "auth_mode: NONE\nknown_fault: None.\n",
            "warning: known_fault: nothing is found to be wrong",
        ),
        (
            "KEYproxy: { base_url: https://a, retry: { error_code: ['600-500'] } }\n",
            "proxy.retry.error_code[0]: `600-500` is neither",
        ),
        (
            "KEYproxy: { base_url: https://a, retry: { in_body: { path: a, value: a, strategy: at } } }\n",
            "proxy.retry.in_body.value: is not a regular expression between slashes",
        ),
        (
            "KEYproxy: { base_url: https://a, paginate: { type: cursor, cursor_name_in_request: c } }\n",
            "proxy.paginate.cursor_path_in_response: is required by type cursor",
        ),
        (
            "KEY  b: { type: string, title: B, pattern: '[z-a]' }\n",
            "credentials.b.pattern: is not a regular expression: invalid character class range",
        ),
        (
            "KEY  b: { type: string, title: B, enum: [x], default_value: y }\n",
            "credentials.b.default_value: must be one of: x",
        ),
        (
            "KEY  b: { type: string, title: B, visible_when: { field: c, equals: x } }\n",
            "credentials.b.visible_when: credentials has no field `c`",
        ),
        (
            "KEY  b: { type: string, title: B, enum: [x] }\n  c: { type: string, title: C, visible_when: { field: b, equals: y } }\n",
            "credentials.c.visible_when: `b` never has that value: it must be one of: x",
        ),
    ] {
        let found = check(&format!("{HEAD}{}", yaml.replace("KEY", key)));
        assert!(
            found.iter().any(|finding| finding.contains(expected)),
            "{yaml}{found:#?}"
        );
    }
}

/// Each placeholder, where it may stand and where it may not.
#[test]
fn placeholders_are_filled_where_they_stand() {
    let oauth = "auth_mode: OAUTH2\nauthorization_url: 'https://a/<AUTH>'\ntoken_url: 'https://a/<TOKEN>'
refresh_url: 'https://a/<REFRESH>'\ntoken_response_metadata: [team.id]\nredirect_uri_metadata: [realm]
post_connection_script: hubspotPostConnection\nproxy:\n  base_url: 'https://a/<CALL>'\n  headers: { x: '<HEADER>' }
integration_config:\n  app: { type: string, title: A }\nconnection_config:\n  region: { type: string, title: R }\n";
    let login = "auth_mode: TWO_STEP\ntoken_url: 'https://a/<TOKEN>'\ntoken_response: { token: t }
assertion: { type: saml, key: '<ASSERTION>', lifetimeInSeconds: 1, issuer: i, audiences: a, recipient: r, nameIdentifier: n, sessionIndex: s, attributes: {} }
assertion_option:\n  pem: { type: string, title: P }
additional_steps: [{ token_url: 'https://a/<STEP1>' }, { token_url: 'https://a/<STEP2>' }]
credentials:\n  user: { type: string, title: U }
proxy: { base_url: 'https://a/<CALL>' }\n";
    let jwt = "auth_mode: JWT\nsignature: { protocol: HMAC }\ntoken: { signing_key: '<TOKEN>', expires_in_ms: 1 }
credentials:\n  pair: { type: string, title: P }\n";
    for (template, place, good, bad) in [
        (
            oauth,
            "<AUTH>",
            "connectionConfig.region",
            "connectionConfig.regoin",
        ),
        (
            oauth,
            "<AUTH>",
            "integrationConfig.app",
            "integrationConfig.region",
        ),
        (oauth, "<AUTH>", "clientId", "credentials.access_token"),
        (
            oauth,
            "<TOKEN>",
            "connectionConfig.team.id",
            "connectionConfig.team",
        ),
        (oauth, "<TOKEN>", "connectionConfig.realm", "accessToken"),
        (oauth, "<REFRESH>", "refreshToken", "accessToken"),
        (
            oauth,
            "<CALL>",
            "connectionConfig.portalId",
            "connectionConfig.instance_url",
        ),
        (
            oauth,
            "<CALL>",
            "connectionConfig.oauth_scopes_override",
            "apiKey",
        ),
        (
            oauth,
            "<CALL>",
            "credentials.raw.account.id",
            "credentials.username",
        ),
        (oauth, "<CALL>", "accessToken", "method"),
        (oauth, "<HEADER>", "method", "step1.a"),
        (login, "<TOKEN>", "credentials.user", "credentials.password"),
        (login, "<TOKEN>", "random", "clientId"),
        (login, "<TOKEN>", "random", "assertionOption.pem"),
        (
            login,
            "<ASSERTION>",
            "assertionOption.pem",
            "assertionOption.key",
        ),
        (login, "<STEP1>", "step1.url", "step2.url"),
        (login, "<STEP2>", "step2.url", "step3.url"),
        (login, "<CALL>", "step3.url", "step4.url"),
        (login, "<CALL>", "credentials._cookies", "token"),
        (
            jwt,
            "<TOKEN>",
            "credentials.pair.id",
            "credentials.other.id",
        ),
    ] {
        let template = |path: &str| {
            let yaml = template.replace(place, &format!("${{{path}}}"));
            let rest = [
                "<AUTH>",
                "<TOKEN>",
                "<REFRESH>",
                "<CALL>",
                "<HEADER>",
                "<ASSERTION>",
                "<STEP1>",
                "<STEP2>",
            ];
            format!(
                "{HEAD}{}",
                rest.iter()
                    .fold(yaml, |yaml, place| yaml.replace(place, "x"))
            )
        };
        assert_eq!(check(&template(good)), [""; 0], "{place} {good}");
        let found = check(&template(bad));
        let expected = format!("nothing fills `${{{bad}}}`: ");
        assert!(
            matches!(&found[..], [only] if only.contains(&expected)),
            "{place} {found:#?}"
        );
    }
}

#[test]
fn an_alias_is_told_what_it_loses() {
    let lost = check("alias: github\nproxy: { base_url: https://a }\n");
    assert_eq!(
        lost,
        [
            "2:8: warning: proxy: replaces that of `github` as a whole; gone with it: paginate, retry"
        ]
    );
    let kept = check(
        "alias: github\nproxy: { base_url: https://a, retry: {}, paginate: { type: link } }\n",
    );
    assert_eq!(kept, [""; 0]);
    // What filled the parent's placeholders.
    let unfilled = check("alias: stripe-api-key\nconnection_config: {}\n");
    assert!(
        matches!(&unfilled[..], [only] if only.starts_with(
            "1:8: error: alias: proxy.headers.stripe-context, which comes from it: nothing fills"
        )),
        "{unfilled:?}"
    );
    // A fault that is known is the parent's.
    let complete =
        check("alias: certn-partner\ntoken_url: https://a\nproxy: { base_url: https://a }\n");
    assert!(
        complete
            .iter()
            .all(|finding| finding.contains("warning: proxy: ")),
        "{complete:?}"
    );
    assert!(
        check("alias: certn-partner\n")
            .iter()
            .any(|finding| finding.contains("error: "))
    );
}

#[test]
fn folders_of_aliases_are_read_in_any_order() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, yaml: &str| fs::write(folder.path().join(name), yaml).unwrap();
    write("a.yaml", "alias: b\n");
    write("b.yaml", "alias: c\n");
    write("c.yaml", &format!("{HEAD}auth_mode: NOPE\n"));
    let findings = Catalogue::from_dir(folder.path(), &[]).unwrap_err().0;
    let said: Vec<&str> = findings
        .iter()
        .map(|finding| finding.message.as_str())
        .collect();
    assert!(
        matches!(said[..], [mode, b, a]
        if mode.contains("NOPE") && b == "`c` has mistakes of its own" && a.starts_with("`b` has")),
        "{said:?}"
    );
    write("c.yaml", &format!("{HEAD}auth_mode: NONE\n"));
    assert_eq!(
        Catalogue::from_dir(folder.path(), &[])
            .unwrap()
            .iter()
            .count(),
        3
    );
}
