//! Endpoints that show what a proxy let through.

use std::collections::BTreeMap;
use std::convert::Infallible;

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::stream;
use serde_json::json;

use super::Body;
use super::access::{KeyHolder, TokenHolder};
use crate::answers::Refused;
use crate::params::Params;

const MOST_CHUNKS: u32 = 100_000;

/// `ANY /api/echo` and below.
pub(crate) async fn echo(
    _: TokenHolder,
    request: HttpRequest,
    body: web::ReqData<Body>,
) -> HttpResponse {
    reflect(&request, &body)
}

/// `ANY /key-api/echo` and below.
pub(crate) async fn key_echo(
    _: KeyHolder,
    request: HttpRequest,
    body: web::ReqData<Body>,
) -> HttpResponse {
    reflect(&request, &body)
}

/// `ANY /api/empty`.
pub(crate) async fn empty(_: TokenHolder) -> HttpResponse {
    HttpResponse::NoContent().finish()
}

/// `GET /api/stream?chunks=N`: N lines, each a chunk, the length not announced.
pub(crate) async fn stream(_: TokenHolder, request: HttpRequest) -> Result<HttpResponse, Refused> {
    let params = Params::parse(request.query_string().as_bytes());
    let [chunks] = params.exactly(["chunks"]).map_err(Refused::bad_request)?;
    let chunks = match chunks.parse::<u32>() {
        Ok(chunks) if chunks <= MOST_CHUNKS => chunks,
        _ => {
            return Err(Refused::bad_request(format!(
                "chunks is not a number from 0 to {MOST_CHUNKS}"
            )));
        }
    };
    let lines = (1..=chunks).map(|n| Ok::<_, Infallible>(Bytes::from(format!("chunk {n}\n"))));
    Ok(HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .streaming(stream::iter(lines)))
}

/// The request as JSON: `query` is the raw text after `?`, a repeated header's
/// values are joined by a comma, and the body is read as UTF-8.
fn reflect(request: &HttpRequest, body: &Body) -> HttpResponse {
    let mut headers = BTreeMap::<&str, String>::new();
    for (name, value) in request.headers() {
        let value = String::from_utf8_lossy(value.as_bytes());
        headers
            .entry(name.as_str())
            .and_modify(|known| *known = format!("{known}, {value}"))
            .or_insert_with(|| value.into_owned());
    }
    HttpResponse::Ok().json(json!({
        "method": request.method().as_str(),
        "path": request.path(),
        "query": request.query_string(),
        "headers": headers,
        "body": String::from_utf8_lossy(&body.0),
    }))
}
