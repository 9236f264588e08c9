//! Table tests of the flow's parts; `tests/it` has the whole flow.

mod answer;
mod begin;
mod beside;
mod deviations;
mod exchange;

use linkspan_providers::Template;

use super::*;
use crate::{Client, Credentials, Finished};

const TEMPLATE: &str = "display_name: T
categories: [other]
auth_mode: OAUTH2
authorization_url: https://${connectionConfig.sub}.t.com/authorize?audience=a
token_url: https://t.com/token
";

fn template(added: &str) -> Template {
    Template::parse("t", &format!("{TEMPLATE}{added}")).unwrap()
}

fn client() -> Client {
    Client {
        client_id: "id 1".into(),
        client_secret: Some("s/1".into()),
        ..Client::default()
    }
}

fn tokens(finished: &Finished) -> &Tokens {
    match &finished.credentials {
        Credentials::OAuth2(tokens) => tokens,
        other => panic!("{other:?}"),
    }
}
