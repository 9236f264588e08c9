use super::*;

const MINIMAL: &str = "display_name: X
categories: [other]
auth_mode: API_KEY
credentials:
  apiKey: { type: string, title: Key }
";

fn message(yaml: &str) -> String {
    Template::parse("acme", yaml).unwrap_err().to_string()
}

#[test]
fn the_minimum_is_enough_and_survives_json() {
    let template = Template::parse("acme", MINIMAL).unwrap();
    assert_eq!(template.slug, "acme");
    assert_eq!(template.scope_separator(), " ");
    let json = serde_json::to_value(&template).unwrap();
    let expected = serde_json::json!({
        "name": "acme", "display_name": "X", "categories": ["other"], "auth_mode": "API_KEY",
        "credentials": { "apiKey": { "type": "string", "title": "Key" } },
    });
    assert_eq!(json, expected);
}

#[test]
fn errors_name_provider_line_and_key() {
    for (added, line, expected) in [
        ("tokn_url: https://x\n", 6, "unknown field `tokn_url`"),
        (
            "proxy:\n  base_url: https://x\n  header: {}\n",
            8,
            "proxy: unknown field `header`",
        ),
        (
            "proxy:\n  base_url: 'https://${conectionConfig.x}'\n",
            7,
            "proxy.base_url: at character 11: unknown placeholder `${conectionConfig.x}`",
        ),
        (
            "proxy:\n  base_url: https://x\n  headers:\n    a b: c\n",
            9,
            "proxy.headers: `a b` is not a header name",
        ),
        (
            "proxy:\n  base_url: https://x\n  headers:\n    A: c\n    a: d\n",
            9,
            "proxy.headers: `a` is given twice",
        ),
        (
            "token_url: 'https://${apiKey'\n",
            6,
            "token_url: at character 9: `${` is never closed",
        ),
        (
            "token_params:\n  a: ['${oops}']\n",
            7,
            "token_params.a[0]: at character 3: unknown placeholder `${oops}`",
        ),
        (
            "body_format: yaml\n",
            6,
            "body_format: unknown variant `yaml`",
        ),
        (
            "proxy:\n  base_url: https://x\n  paginate: { type: link, offset: 1 }\n",
            // The tag makes serde buffer the map: the position is its parent's.
            7,
            "unknown field `offset`",
        ),
        (
            "connection_config:\n  a: { type: string }\n",
            7,
            "connection_config.a: missing field `title`",
        ),
    ] {
        let message = message(&format!("{MINIMAL}{added}"));
        assert!(
            message.starts_with(&format!("provider `acme`, line {line}, ")),
            "{added}{message}"
        );
        assert!(message.contains(expected), "{added}{message}");
        assert!(!message.contains(" at line "), "{message}");
    }
}

#[test]
fn a_mode_must_have_what_it_requires() {
    let without = "display_name: X\ncategories: [other]\nauth_mode: ";
    for (mode, expected) in [
        (
            "API_KEY",
            "provider `acme`: credentials.apiKey: required by auth_mode API_KEY",
        ),
        (
            "OAUTH2",
            "provider `acme`: authorization_url: required by auth_mode OAUTH2",
        ),
    ] {
        assert_eq!(message(&format!("{without}{mode}\n")), expected);
    }
    assert!(message(&format!("{without}OAUTH3\n")).contains("auth_mode: unknown variant `OAUTH3`"));
    let slug = Template::parse("Acme", MINIMAL).unwrap_err().to_string();
    assert!(
        slug.starts_with("provider `Acme`: `Acme` is not a provider slug"),
        "{slug}"
    );
}

#[test]
fn pagination_is_typed() {
    let paginate = |yaml: &str| serde_yaml::from_str::<Paginate>(yaml);
    let link = paginate("{ type: link, link_rel_in_response_header: next }").unwrap();
    assert!(
        matches!(link, Paginate::Link { link_rel_in_response_header: Some(rel), .. } if rel == "next")
    );
    assert!(paginate("{ type: cursor, link_rel_in_response_header: next }").is_err());
    assert!(paginate("{ type: page }").is_err());
}
