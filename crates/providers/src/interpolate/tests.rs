use std::collections::HashMap;

use proptest::prelude::*;

use super::parse::Problem;
use super::*;

struct Values(HashMap<&'static str, String>);

impl Scope for Values {
    fn lookup(&self, path: &Path) -> Option<Cow<'_, str>> {
        self.0
            .get(path.as_str())
            .map(|value| Cow::Borrowed(value.as_str()))
    }
}

fn values<const N: usize>(pairs: [(&'static str, &str); N]) -> Values {
    Values(
        pairs
            .into_iter()
            .map(|(key, value)| (key, value.to_owned()))
            .collect(),
    )
}

fn text(source: &str, scope: &Values) -> Result<String, String> {
    Text::parse(source)
        .unwrap()
        .evaluate(scope)
        .map_err(|unresolved| match unresolved {
            Unresolved::Unset { path } => path,
            Unresolved::Unsupported { function } => format!("{}()", function.as_str()),
            Unresolved::Failed { function, reason } => format!("{}: {reason}", function.as_str()),
        })
}

#[test]
fn replaces_placeholders() {
    let scope = values([
        ("apiKey", "k1"),
        ("connectionConfig.accounts-server", "eu"),
        ("credentials.username", "ann"),
        ("credentials.password", "p:w"),
        ("connectionConfig.empty", ""),
    ]);
    for (source, expected) in [
        ("", ""),
        ("plain || text", "plain || text"),
        ("Bearer ${apiKey}", "Bearer k1"),
        ("a$b{c}${apiKey})}", "a$b{c}k1)}"),
        ("${connectionConfig.accounts-server}/${apiKey}", "eu/k1"),
        (
            "Basic ${base64(${credentials.username}:${credentials.password})}",
            "Basic YW5uOnA6dw==",
        ),
        ("${base64(${base64((x))})}", "S0hncA=="),
        ("${connectionConfig.region} || eu-1", "eu-1"),
        ("${connectionConfig.empty} || eu-1", "eu-1"),
        ("[${connectionConfig.empty}]", "[]"),
        (
            "${connectionConfig.a}.x || ${connectionConfig.b}.y || z",
            "z",
        ),
        ("${apiKey}||${apiKey}", "k1||k1"),
    ] {
        assert_eq!(text(source, &scope).as_deref(), Ok(expected), "{source}");
    }
}

/// Shows a call instead of computing it.
struct Calls(Values);

impl Scope for Calls {
    fn lookup(&self, path: &Path) -> Option<Cow<'_, str>> {
        self.0.lookup(path)
    }

    fn now(&self) -> Option<DateTime<Utc>> {
        Some(DateTime::UNIX_EPOCH)
    }

    fn call(&self, function: Function, arguments: &[String]) -> Result<String, CallError> {
        if arguments.iter().any(|argument| argument == "bad") {
            return Err(CallError::Failed("a reason".to_owned()));
        }
        Ok(format!("{}<{}>", function.as_str(), arguments.join("|")))
    }
}

#[test]
fn functions_get_their_arguments() {
    let scope = Calls(values([
        ("credentials.username", "a,b"),
        ("credentials.password", "c, d"),
        ("method", "GET"),
        ("step2.token_endpoint", "t"),
        ("assertionOption.userName", "u"),
    ]));
    for (source, expected) in [
        (
            "${hmacSha1Hex(${now:ddd, DD MMM}\n${method}, ${credentials.password})}",
            "hmacSha1Hex<Thu, 01 Jan\nGET|c, d>",
        ),
        (
            "${ed25519Sign(\"a, b\": ${method};(x), key-${credentials.password})}",
            "ed25519Sign<\"a, b\": GET;(x)|key-c, d>",
        ),
        (
            "AWS ${awsSigV4(${credentials.username}, ${credentials.password}, eu-1, s3, s3.${method}.x)}",
            "AWS awsSigV4<a,b|c, d|eu-1|s3|s3.GET.x>",
        ),
        (
            "${sha256Hex(${base64(${credentials.username})})}",
            "sha256Hex<YSxi>",
        ),
        (
            "${fingerprint(${method})}${sha256Base64(x)}",
            "fingerprint<GET>sha256Base64<x>",
        ),
        ("${step2.token_endpoint}${assertionOption.userName}", "tu"),
        ("${now+1:days:YYYY-MM-DD}", "1970-01-02"),
    ] {
        let value = Text::parse(source).unwrap().evaluate(&scope);
        assert_eq!(value.as_deref(), Ok(expected), "{source}");
    }
}

#[test]
fn what_cannot_be_computed_is_not_taken_for_unset() {
    let scope = values([("apiKey", "k")]);
    let sign = "${sha256Hex(${apiKey})}";
    assert_eq!(text(sign, &scope), Err("sha256Hex()".into()));
    assert_eq!(text("${sha256Hex(${token})}", &scope), Err("token".into()));
    assert_eq!(text("${now:X}", &scope), Err("now".into()));
}

#[test]
fn an_unset_path_is_named() {
    let scope = values([]);
    assert_eq!(text("x ${apiKey}", &scope), Err("apiKey".into()));
    assert_eq!(
        text("${base64(${credentials.a.b})}", &scope),
        Err("credentials.a.b".into())
    );
    assert_eq!(
        text(
            "${connectionConfig.first} || ${connectionConfig.second}",
            &scope
        ),
        Err("connectionConfig.first".into())
    );
}

#[test]
fn mistakes_are_found_when_parsing() {
    let unknown = |path: &str| Problem::UnknownPath(path.into());
    for (source, position, problem) in [
        ("ab${apiKey", 2, Problem::Unclosed),
        ("${base64(${apiKey}", 0, Problem::Unclosed),
        ("${a${apiKey}}", 0, Problem::Unclosed),
        ("x${apikey}", 3, unknown("apikey")),
        ("${}", 2, unknown("")),
        ("${connectionConfig}", 2, unknown("connectionConfig")),
        ("${connectionConfig.}", 2, unknown("connectionConfig.")),
        (
            "${connectionConfig.a..b}",
            2,
            unknown("connectionConfig.a..b"),
        ),
        (
            "${connectionConfig.a b}",
            2,
            unknown("connectionConfig.a b"),
        ),
        (
            "${md5(${apiKey})}",
            2,
            Problem::UnknownFunction("md5".into()),
        ),
        ("${now:[X}", 2, Problem::Time("now:[X".into())),
        ("${step0.x}", 2, unknown("step0.x")),
        ("${stepx.x}", 2, unknown("stepx.x")),
        (
            "${hmacSha1Hex(${apiKey})}",
            2,
            Problem::Arguments("hmacSha1Hex"),
        ),
        ("${awsSigV4(a, b, c)}", 2, Problem::Arguments("awsSigV4")),
        ("${apiKey} || ", 13, Problem::EmptyAlternative),
        (&"${base64(".repeat(9), 74, Problem::TooDeep),
    ] {
        assert_eq!(
            Text::parse(source),
            Err(ParseError { position, problem }),
            "{source}"
        );
    }
    let error = Text::parse("x${md5(a)}").unwrap_err().to_string();
    assert_eq!(error, "at character 4: unknown function `md5`");
    assert!(UrlText::parse("ht${apiKey}://x").is_err());
}

#[test]
fn urls_encode_by_place() {
    let scope = values([
        ("connectionConfig.sub", "acme"),
        ("connectionConfig.host", "acme.example.com:8443/scim/v2"),
        ("connectionConfig.base", " https://acme.example.com/v1/ "),
        ("connectionConfig.id", "a/b?c#d é"),
    ]);
    for (source, expected) in [
        (
            "https://${connectionConfig.sub}.x.com/y",
            "https://acme.x.com/y",
        ),
        (
            "https://${connectionConfig.host}/Users",
            "https://acme.example.com:8443/scim/v2/Users",
        ),
        (
            "${connectionConfig.base}/oauth",
            "https://acme.example.com/v1/oauth",
        ),
        (
            "https://x.com/${connectionConfig.id}/z",
            "https://x.com/a%2Fb%3Fc%23d%20%C3%A9/z",
        ),
        (
            "https://${connectionConfig.none}.x.com || https://x.com",
            "https://x.com/",
        ),
    ] {
        let url = UrlText::parse(source).unwrap().to_url(&scope);
        assert_eq!(url.as_ref().map(Url::as_str), Ok(expected), "{source}");
    }
    let unset = UrlText::parse("https://${connectionConfig.none}")
        .unwrap()
        .to_url(&scope);
    let path = "connectionConfig.none".to_owned();
    assert_eq!(unset, Err(UrlError::Unresolved(Unresolved::Unset { path })));
}

#[test]
fn a_value_cannot_move_the_host() {
    let attacks = [
        "evil.com/",
        "evil.com#",
        "evil.com?",
        "evil.com\\",
        "evil.com:443",
        "a@evil.com",
    ];
    for attack in attacks {
        let scope = values([("connectionConfig.sub", attack)]);
        for source in [
            "https://${connectionConfig.sub}.example.com/token",
            "https://api-${connectionConfig.sub}.example.com",
            "https://${connectionConfig.sub}:8443/token",
        ] {
            let url = UrlText::parse(source).unwrap().to_url(&scope);
            assert!(
                matches!(url, Err(UrlError::Invalid { .. })),
                "{source} {attack}: {url:?}"
            );
        }
    }
    let scope = values([
        ("connectionConfig.base", "ftp://x.com"),
        ("apiKey", "https://u@x.com"),
    ]);
    for source in ["${connectionConfig.base}/a", "${apiKey}/a"] {
        let url = UrlText::parse(source).unwrap().to_url(&scope);
        assert!(
            matches!(url, Err(UrlError::Invalid { .. })),
            "{source}: {url:?}"
        );
    }
}

#[test]
fn an_invalid_url_does_not_show_its_values() {
    let scope = values([("connectionConfig.sub", "hush hush")]);
    let url = UrlText::parse("https://${connectionConfig.sub}.example.com").unwrap();
    let message = url.to_url(&scope).unwrap_err().to_string();
    assert!(message.contains("${connectionConfig.sub}"), "{message}");
    assert!(!message.contains("hush"), "{message}");
}

use ::url::Url;

proptest! {
    #[test]
    fn parsing_never_panics(source in "(\\$\\{|\\}|\\(|\\)|base64\\(|connectionConfig\\.| \\|\\| |://|/|.){0,24}") {
        let _ = Text::parse(&source).map(|text| text.evaluate(&values([])));
        let _ = UrlText::parse(&source).map(|url| url.to_url(&values([])));
    }

    #[test]
    fn a_text_without_placeholders_stands_for_itself(source in "\\PC{0,40}") {
        prop_assume!(!source.contains("${"));
        let text = Text::parse(&source).unwrap();
        prop_assert_eq!(text.evaluate(&values([])).unwrap(), source.clone());
        let json = serde_json::to_string(&text).unwrap();
        prop_assert_eq!(serde_json::from_str::<Text>(&json).unwrap(), text);
    }

    #[test]
    fn a_value_stays_in_its_place(value in "\\PC{1,30}") {
        let scope = values([("connectionConfig.v", &value)]);
        let host = UrlText::parse("https://${connectionConfig.v}.example.com/t").unwrap();
        if let Ok(url) = host.to_url(&scope) {
            prop_assert!(url.host_str().unwrap().ends_with(".example.com"), "{}", url);
            prop_assert_eq!(url.path(), "/t");
        }
        let path = UrlText::parse("https://example.com/a/${connectionConfig.v}?q=1").unwrap();
        if let Ok(url) = path.to_url(&scope) {
            prop_assert_eq!(url.host_str(), Some("example.com"));
            prop_assert_eq!(url.query(), Some("q=1"));
        }
    }
}
