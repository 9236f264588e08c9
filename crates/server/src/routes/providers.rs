//! `/providers`: the catalogue (CONTRACT 2.6).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use actix_web::http::Method;
use actix_web::http::header::ContentType;
use actix_web::{HttpRequest, HttpResponse, web};
use linkspan_api::integrations::Data;
use linkspan_providers::Entry;
use linkspan_shared::Error;
use utoipa::ToSchema;

use crate::app::State;
use crate::error::Failure;
use crate::extract::{CallerOrSession, Query, permission};
use crate::openapi::{Routes, routes};
use crate::{meter, pages};

pub(crate) fn configure(routes: &mut Routes<'_>) {
    routes!(routes; list, get, templates);
    meter::serve(
        routes.config,
        Method::GET,
        "/images/template-logos/{provider}.svg",
        logo,
    );
}

#[utoipa::path(
    get,
    path = "/providers",
    operation_id = "list_providers",
    tag = "Providers",
    summary = "List the catalogue",
    params(
        ("search" = Option<String>, Query, description = "A part of the name."),
    ),
    responses(
        (status = 200, description = "The providers.", body = Data<Vec<ProviderSchema>>),
    )
)]
async fn list(
    _: CallerOrSession<permission::AnyKey>,
    state: web::Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    let mut query = Query::of(&request);
    let search = query.take("search").unwrap_or_default();
    query.end()?;
    let catalogue = state.core.catalogue.current();
    let mut body = String::from("{\"data\":[");
    for (index, entry) in catalogue.search(&search).enumerate() {
        body.push_str(if index > 0 { "," } else { "" });
        write(&state, entry, &mut body);
    }
    body.push_str("]}");
    Ok(json(body))
}

#[utoipa::path(
    get,
    path = "/providers/{provider}",
    operation_id = "get_provider",
    tag = "Providers",
    summary = "Show a provider",
    params(
        ("provider" = String, Path, description = "The provider's slug."),
    ),
    responses(
        (status = 200, description = "The provider.", body = Data<ProviderSchema>),
    )
)]
async fn get(
    _: CallerOrSession<permission::AnyKey>,
    state: web::Data<State>,
    provider: web::Path<String>,
) -> Result<HttpResponse, Failure> {
    let catalogue = state.core.catalogue.current();
    let unknown = || Error::UnknownProvider(provider.to_string());
    let entry = catalogue.entry(&provider).ok_or_else(unknown)?;
    let mut body = String::from("{\"data\":");
    write(&state, entry, &mut body);
    body.push('}');
    Ok(json(body))
}

#[utoipa::path(
    get,
    path = "/providers/{provider}/templates",
    operation_id = "list_provider_templates",
    tag = "Providers",
    summary = "List the function templates for a provider",
    params(
        ("provider" = String, Path, description = "The provider's slug."),
    ),
    responses(
        (status = 200, description = "The templates: none are part of this version.", body = Data<Vec<Object>>),
    )
)]
async fn templates(
    _: CallerOrSession<permission::AnyKey>,
    state: web::Data<State>,
    provider: web::Path<String>,
) -> Result<HttpResponse, Failure> {
    state.core.template(&provider)?;
    let data = Vec::<Object>::new();
    Ok(HttpResponse::Ok().json(Data { data }))
}

/// A provider of the catalogue. The manual describes a template's other keys.
#[derive(ToSchema)]
#[schema(as = Provider)]
#[expect(dead_code, reason = "the fields are read by the derived schema only")]
struct ProviderSchema {
    /// The provider's slug.
    name: String,
    /// What people see.
    display_name: String,
    /// How it authenticates.
    auth_mode: String,
    /// What it is for.
    categories: Vec<String>,
    /// Address of its picture.
    logo_url: String,
    /// Address of a page about it.
    docs: Option<String>,
    /// How its API is called.
    proxy: Option<Object>,
    /// What a connection needs to know.
    connection_config: Option<Object>,
    /// The fields of its credentials.
    credentials: Option<Object>,
    /// Where people authorise.
    authorization_url: Option<String>,
    /// Where a code is exchanged.
    token_url: Option<serde_json::Value>,
    /// Scopes asked for unless the integration has its own.
    default_scopes: Option<Vec<String>>,
    #[serde(flatten)]
    others: BTreeMap<String, serde_json::Value>,
}

type Object = serde_json::Map<String, serde_json::Value>;

/// Appends a template as the API shows it: what it is in its file, which is JSON
/// already, and where its picture is.
fn write(state: &State, entry: Entry<'_>, body: &mut String) {
    let keys = entry.json.strip_suffix('}').unwrap_or(entry.json);
    let logo_url = serde_json::Value::from(state.logo_url(entry.slug));
    // Writing to a String cannot fail.
    let _ = write!(body, "{keys},\"logo_url\":{logo_url}}}");
}

fn json(body: String) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(ContentType::json())
        .body(body)
}

/// A provider's initial on a coloured square: logos are trademarks that we
/// have no right to ship.
async fn logo(
    state: web::Data<State>,
    provider: web::Path<String>,
) -> Result<HttpResponse, Failure> {
    let template = state.core.template(&provider)?;
    Ok(pages::logo(&template.slug, &template.display_name))
}
