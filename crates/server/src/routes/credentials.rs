//! Connecting with credentials that the end user types in (CONTRACT 2.1).

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, web};
use linkspan_api::popup::AuthResult;
use linkspan_providers::AuthMode;
use linkspan_shared::connections::finish;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::app::State;
use crate::error::Failure;
use crate::extract::{Body, Browser, Query};

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config.route("/api-auth/api-key/{unique_key}", web::post().to(api_key));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ApiKey {
    #[serde(rename = "apiKey")]
    api_key: String,
}

async fn api_key(
    Browser(session): Browser,
    state: web::Data<State>,
    unique_key: web::Path<String>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, Failure> {
    let body: ApiKey = body.json().await?;
    let mut query = Query::of(&request);
    Browser::take(&mut query);
    let connection_config = connection_config(&mut query);
    query.end()?;
    let fields = BTreeMap::from([("apiKey".to_owned(), body.api_key)]);
    let finished = finish::fields(
        &state.core,
        &session,
        &unique_key,
        AuthMode::ApiKey,
        &fields,
        connection_config,
    )
    .await?;
    Ok(HttpResponse::Ok().json(AuthResult {
        provider_config_key: finished.integration,
        connection_id: finished.connection_id,
    }))
}

/// The `params[…]` of a browser's call. Where webhooks go is the backend's to
/// say, so that one is dropped.
pub(super) fn connection_config(query: &mut Query) -> Map<String, Value> {
    query
        .take_map("params")
        .into_iter()
        .filter(|(name, _)| name != "webhook_url")
        .map(|(name, value)| (name, value.into()))
        .collect()
}
