//! `/logs/operations`: what Linkspan did for an environment's connections, and
//! `/logs/counted`: how many of its calls are not among them.

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use linkspan_api::ErrorCode;
use linkspan_api::logs::{CountedList, OperationAnswer, OperationList, Pagination};
use linkspan_shared::logs::counted;
use linkspan_shared::logs::read::{self, Cursor, Filter};
use linkspan_shared::logs::{Kind, Status};
use uuid::Uuid;

use crate::app::State;
use crate::error::Failure;
use crate::extract::{Caller, Query, permission};
use crate::openapi::{Routes, routes};

/// Operations in one answer: when the caller names no number, and at most.
const DEFAULT_LIMIT: i64 = 20;
const MOST: i64 = 100;

pub(crate) fn configure(routes: &mut Routes<'_>) {
    routes!(routes; list, get, count);
}

#[utoipa::path(
    get,
    path = "/logs/operations",
    operation_id = "list_operations",
    tag = "Operations",
    summary = "List what Linkspan did",
    params(
        ("type" = Option<Vec<String>>, Query, description = "Only these kinds."),
        ("status" = Option<Vec<String>>, Query, description = "Only `success` or `failed`."),
        ("integration" = Option<Vec<String>>, Query, description = "Only these integrations."),
        ("connection" = Option<Vec<String>>, Query, description = "Only these connections."),
        ("from" = Option<chrono::DateTime<Utc>>, Query, description = "From this time on."),
        ("to" = Option<chrono::DateTime<Utc>>, Query, description = "Before this time."),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before."),
        ("limit" = Option<i64>, Query, description = "Operations in an answer; 20 when absent.", minimum = 1, maximum = 100),
    ),
    responses(
        (status = 200, description = "Operations, newest first.", body = OperationList),
    )
)]
async fn list(
    caller: Caller<permission::ReadLogs>,
    state: web::Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    let mut query = Query::of(&request);
    let limit = query.number("limit", 1..=MOST)?.unwrap_or(DEFAULT_LIMIT);
    let filter = filter(query)?;
    let mut conn = state.core.logs.database().conn().await?;
    let (data, next) = read::list(&mut conn, caller.environment_id(), &filter, limit).await?;
    let next_cursor = next.map(|cursor| cursor.encode());
    Ok(HttpResponse::Ok().json(OperationList {
        data,
        pagination: Pagination { next_cursor },
    }))
}

fn filter(mut query: Query) -> Result<Filter, Failure> {
    let kinds: Vec<_> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
    let statuses: Vec<_> = Status::ALL.iter().map(|status| status.as_str()).collect();
    let filter = Filter {
        kinds: one_of(&mut query, "type", &kinds)?,
        statuses: one_of(&mut query, "status", &statuses)?,
        integrations: query.take_all("integration"),
        connections: query.take_all("connection"),
        from: time(&mut query, "from")?,
        to: time(&mut query, "to")?,
        after: query.take("cursor").map(|text| cursor(&text)).transpose()?,
    };
    query.end()?;
    Ok(filter)
}

/// Every value of a parameter that takes a few words only.
fn one_of(query: &mut Query, name: &str, words: &[&str]) -> Result<Vec<String>, Failure> {
    let values = query.take_all(name);
    match values.iter().all(|value| words.contains(&value.as_str())) {
        true => Ok(values),
        false => {
            let message = format!("must be one of: {}", words.join(", "));
            Err(Failure::query("invalid_enum_value", message, name))
        }
    }
}

fn time(query: &mut Query, name: &str) -> Result<Option<DateTime<Utc>>, Failure> {
    let Some(text) = query.take(name) else {
        return Ok(None);
    };
    DateTime::parse_from_rfc3339(&text)
        .map(|time| Some(time.to_utc()))
        .map_err(|_| {
            let message = "must be a time as in 2026-11-23T12:00:00Z";
            Failure::query("invalid_string", message, name)
        })
}

fn cursor(text: &str) -> Result<Cursor, Failure> {
    Cursor::decode(text).ok_or_else(|| {
        let message = "must be a next_cursor of this call, as it was given";
        Failure::query("invalid_string", message, "cursor")
    })
}

#[utoipa::path(
    get,
    path = "/logs/operations/{id}",
    operation_id = "get_operation",
    tag = "Operations",
    summary = "Show an operation with its messages",
    params(
        ("id" = String, Path, description = "The operation's id."),
    ),
    responses(
        (status = 200, description = "The operation.", body = OperationAnswer),
    )
)]
async fn get(
    caller: Caller<permission::ReadLogs>,
    state: web::Data<State>,
    id: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    Query::of(&request).end()?;
    let mut conn = state.core.logs.database().conn().await?;
    let found = match Uuid::try_parse(&id) {
        Ok(id) => read::get(&mut conn, caller.environment_id(), id).await?,
        Err(_) => None,
    };
    let data = found.ok_or_else(|| {
        let message = format!(
            "The environment's log has no operation '{}'.",
            id.escape_debug()
        );
        Failure::new(ErrorCode::NotFound, message)
    })?;
    Ok(HttpResponse::Ok().json(OperationAnswer { data }))
}

#[utoipa::path(
    get,
    path = "/logs/counted",
    operation_id = "count_operations",
    tag = "Operations",
    summary = "Count the successful calls that are not among the operations",
    description = "Of more successful proxied calls a second than `logs.operations_per_second` a sample is stored; the others are counted by the minute.",
    params(
        ("integration" = Option<Vec<String>>, Query, description = "Only these integrations."),
        ("from" = Option<chrono::DateTime<Utc>>, Query, description = "From the minute of this time on."),
        ("to" = Option<chrono::DateTime<Utc>>, Query, description = "Before this time, with the whole of the minute that it is in."),
    ),
    responses(
        (status = 200, description = "The counts.", body = CountedList),
    )
)]
async fn count(
    caller: Caller<permission::ReadLogs>,
    state: web::Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    let mut query = Query::of(&request);
    let filter = counted::Filter {
        from: time(&mut query, "from")?,
        to: time(&mut query, "to")?,
        integrations: query.take_all("integration"),
    };
    query.end()?;
    let mut conn = state.core.logs.database().conn().await?;
    let data = counted::counted(&mut conn, caller.environment_id(), filter).await?;
    let successes = data.iter().map(|one| one.successes).sum();
    Ok(HttpResponse::Ok().json(CountedList { data, successes }))
}
