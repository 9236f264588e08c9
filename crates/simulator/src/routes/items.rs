//! `/api/items`: a collection in pages, one item, a new item.

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, LINK, LOCATION};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Map, Value};
use url::Url;

use super::Body;
use super::access::TokenHolder;
use crate::answers::Refused;
use crate::params::Params;
use crate::state::State;

const MOST_PER_PAGE: usize = 100;
const USUAL_PER_PAGE: usize = 20;

/// `GET /api/items?page=1&per_page=20`: an array, and where the other pages
/// are (RFC 8288).
pub(crate) async fn list(
    state: web::Data<State>,
    _: TokenHolder,
    request: HttpRequest,
) -> Result<HttpResponse, Refused> {
    let params = Params::parse(request.query_string().as_bytes());
    params
        .only(&["page", "per_page"])
        .map_err(Refused::bad_request)?;
    let page = number(&params, "page", 1, usize::MAX)?;
    let per_page = number(&params, "per_page", USUAL_PER_PAGE, MOST_PER_PAGE)?;
    let (items, total) = {
        let items = state.items();
        (items.page(page, per_page), items.len())
    };
    let last = total.div_ceil(per_page);
    let mut answer = HttpResponse::Ok();
    let links = links(&state.base_url, page, per_page, last);
    if !links.is_empty() {
        answer.insert_header((LINK, links));
    }
    Ok(answer.json(items))
}

/// `GET /api/items/{id}`.
pub(crate) async fn one(
    state: web::Data<State>,
    _: TokenHolder,
    id: web::Path<String>,
) -> Result<HttpResponse, Refused> {
    let id = id.parse().unwrap_or_default();
    let found = state.items().get(id).cloned();
    // Not finding something is an ordinary outcome.
    let missing = || Refused::json(StatusCode::NOT_FOUND, "not_found", "there is no such item");
    let item = found.ok_or_else(|| missing().unrecorded())?;
    Ok(HttpResponse::Ok().json(item))
}

/// `POST /api/items`: stores a JSON object that has a `name` and no `id`.
pub(crate) async fn add(
    state: web::Data<State>,
    _: TokenHolder,
    request: HttpRequest,
    body: web::ReqData<Body>,
) -> Result<HttpResponse, Refused> {
    let fields = new_item(&request, &body)?;
    let added = state.items().add(fields);
    let (id, item) = added.ok_or_else(|| {
        Refused::json(
            StatusCode::CONFLICT,
            "full",
            "there is no room for more items",
        )
    })?;
    let location = format!("{}api/items/{id}", state.base_url);
    Ok(HttpResponse::Created()
        .insert_header((LOCATION, location))
        .json(item))
}

fn new_item(request: &HttpRequest, body: &Body) -> Result<Map<String, Value>, Refused> {
    let content_type = request.headers().get(CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let media_type = content_type.and_then(|value| value.split(';').next());
    if !media_type.is_some_and(|given| given.trim().eq_ignore_ascii_case("application/json")) {
        return Err(Refused::bad_request("content-type is not application/json"));
    }
    let Ok(fields) = serde_json::from_slice::<Map<String, Value>>(&body.0) else {
        return Err(Refused::bad_request("the body is not a JSON object"));
    };
    let name = fields.get("name").and_then(Value::as_str);
    if name.is_none_or(str::is_empty) {
        return Err(Refused::bad_request("name is not a non-empty string"));
    }
    if fields.contains_key("id") {
        return Err(Refused::bad_request("id is given by the provider"));
    }
    Ok(fields)
}

fn number(
    params: &Params,
    name: &'static str,
    default: usize,
    most: usize,
) -> Result<usize, Refused> {
    let Some(text) = params.at_most_once(name).map_err(Refused::bad_request)? else {
        return Ok(default);
    };
    match text.parse() {
        Ok(value) if (1..=most).contains(&value) => Ok(value),
        _ => Err(Refused::bad_request(format!(
            "{name} is not a number from 1 to {most}"
        ))),
    }
}

fn links(base_url: &Url, page: usize, per_page: usize, last: usize) -> String {
    let link = |number: usize, rel: &str| {
        format!(r#"<{base_url}api/items?page={number}&per_page={per_page}>; rel="{rel}""#)
    };
    let mut links = Vec::new();
    if page < last {
        links.push(link(page + 1, "next"));
        links.push(link(last, "last"));
    }
    if page > 1 {
        links.push(link((page - 1).min(last), "prev"));
    }
    links.join(", ")
}
