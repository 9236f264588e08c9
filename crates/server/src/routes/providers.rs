//! `/providers`: the catalogue (CONTRACT 2.6).

use actix_web::{HttpRequest, HttpResponse, web};
use linkspan_api::integrations::Data;
use linkspan_providers::Template;
use serde::Serialize;

use crate::app::State;
use crate::error::Failure;
use crate::extract::{CallerOrSession, Query, permission};
use crate::pages;

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .route("/providers", web::get().to(list))
        .route("/providers/{provider}", web::get().to(get))
        .route("/images/template-logos/{provider}.svg", web::get().to(logo));
}

async fn list(
    _: CallerOrSession<permission::AnyKey>,
    state: web::Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    let mut query = Query::of(&request);
    let search = query.take("search").unwrap_or_default();
    query.end()?;
    let data: Vec<Provider<'_>> = state
        .core
        .catalogue
        .search(&search)
        .map(|template| wire(&state, template))
        .collect();
    Ok(HttpResponse::Ok().json(Data { data }))
}

async fn get(
    _: CallerOrSession<permission::AnyKey>,
    state: web::Data<State>,
    provider: web::Path<String>,
) -> Result<HttpResponse, Failure> {
    let template = state.core.template(&provider)?;
    let data = wire(&state, &template);
    Ok(HttpResponse::Ok().json(Data { data }))
}

/// A template as the API shows it.
#[derive(Serialize)]
struct Provider<'a> {
    #[serde(flatten)]
    template: &'a Template,
    logo_url: String,
}

fn wire<'a>(state: &State, template: &'a Template) -> Provider<'a> {
    Provider {
        template,
        logo_url: state.logo_url(&template.slug),
    }
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
