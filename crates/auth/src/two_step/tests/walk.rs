//! Every template of the mode makes a login.

use linkspan_providers::{Assertion, AuthMode, Catalogue, Config, Template};
use serde_json::{Value, json};

use crate::login::scripted::{Anything, Scripted, earlier};
use crate::{Entered, Error};

const RSA: &str = include_str!("../../sign/vectors/rfc7515-a2-pkcs8.pem");
const EC: &str = include_str!("../../sign/vectors/rfc7515-a3-pkcs8.pem");

fn entered(template: &Template) -> Entered {
    let alg = match &template.assertion {
        Some(Assertion::Jwt { header, .. }) => serde_json::to_value(&header["alg"]).unwrap(),
        _ => Value::Null,
    };
    let key = if alg == "ES256" { EC } else { RSA };
    let value = |name: &String| match name.to_lowercase().contains("privatekey") {
        true => (name.clone(), key.to_owned()),
        false => (name.clone(), format!("v-{name}")),
    };
    Entered {
        fields: template.credentials.0.keys().map(value).collect(),
        options: template.assertion_option.0.keys().map(value).collect(),
    }
}

/// An answer that has whatever the template looks for.
fn answer(template: &Template) -> String {
    let path = &template.token_response.as_ref().unwrap().token;
    if template.body_format == Some(linkspan_providers::BodyFormat::Xml) {
        let parts: Vec<&str> = path.split('.').collect();
        let open: String = parts.iter().map(|part| format!("<{part}>")).collect();
        let close: String = parts
            .iter()
            .rev()
            .map(|part| format!("</{part}>"))
            .collect();
        return format!("{open}tok{close}");
    }
    if path.is_empty() {
        return "tok".to_owned();
    }
    let mut answer = json!({
        "access_token": "step", "IdentityServiceUrl": "https://a.example",
        "token_endpoint": "https://b.example/token", "instance_url": "https://c.example",
        "restApiEndpoint": "https://d.example",
    });
    let mut parts = path.rsplit('.');
    let mut value = json!({ parts.next().unwrap(): "tok" });
    for part in parts {
        value = json!({ part: value });
    }
    let object = answer.as_object_mut().unwrap();
    object.extend(value.as_object().unwrap().clone());
    answer.to_string()
}

#[tokio::test]
async fn all_templates_log_in() {
    let catalogue = Catalogue::builtin().unwrap();
    let templates = catalogue
        .iter()
        .filter(|template| template.auth_mode == AuthMode::TwoStep);
    let mut walked = 0;
    for template in templates {
        let config = Config {
            template,
            connection: &Anything("h.example"),
            integration: &Anything("i-value"),
        };
        let endpoint = Scripted::new(&[(200, &answer(template))]);
        let (entered, before) = (entered(template), earlier(None));
        let login = super::log_in(None, &config, &entered, Some(&before), &endpoint);
        let made = login.await.map_err(Error::from);
        let made = made.unwrap_or_else(|error| panic!("{}: {error}", template.slug));
        let token = secrecy::ExposeSecret::expose_secret(&made.credentials.login().unwrap().token);
        assert_eq!(token, "tok", "{}", template.slug);
        let seen = endpoint.seen();
        assert_eq!(
            seen.len(),
            1 + template.additional_steps.len(),
            "{}",
            template.slug
        );
        for request in seen {
            assert!(!request.contains("${"), "{}: {request}", template.slug);
        }
        walked += 1;
    }
    assert_eq!(walked, 63);
}
