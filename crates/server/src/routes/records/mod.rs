//! `/records`: what syncs have saved (CONTRACT 2.10).

mod shown;
mod stream;

use actix_web::http::Method;
use actix_web::http::header::ContentType;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use linkspan_api::records::{PruneRecords, PrunedRecords, RecordList};
use linkspan_api::{ErrorCode, FieldError};
use linkspan_records::{Actions, BASE, Cursor, Query as Wanted, StreamName};
use linkspan_shared::connections::number;
use linkspan_shared::tenancy::EnvironmentId;

use super::connections::unknown_connection;
use crate::app::State;
use crate::error::Failure;
use crate::extract::{Body, Caller, Query, permission};
use crate::meter;
use crate::openapi::{Routes, routes};

/// Records in one answer: when the caller names no number, and at most.
const DEFAULT_LIMIT: i64 = 100;
const MOST: i64 = 10_000;
/// Ids that one call may ask for.
const MOST_IDS: usize = 100;
/// Records that one call prunes when the caller names no number.
const PRUNED_AT_ONCE: u32 = 1_000;

pub(crate) fn configure(routes: &mut Routes<'_>) {
    routes!(routes; list, prune);
    stream::configure(routes);
    // The published Node client writes a slash.
    meter::serve(routes.config, Method::GET, "/records/", list);
}

#[utoipa::path(
    get,
    path = "/records",
    operation_id = "list_records",
    tag = "Records",
    summary = "List records in the order of their changes",
    params(
        ("model" = String, Query, description = "The model."),
        ("variant" = Option<String>, Query, description = "The variant of the sync; the base one when absent."),
        ("cursor" = Option<String>, Query, description = "Only what changed after this place: a `next_cursor`, or a record's `cursor`."),
        ("limit" = Option<i64>, Query, description = "Records in an answer, 100 when absent. Fewer come when they are large.", minimum = 1, maximum = 10000),
        ("filter" = Option<String>, Query, description = "Only records whose last action is one of these: `added`, `updated`, `deleted`, comma separated."),
        ("modified_after" = Option<chrono::DateTime<Utc>>, Query, description = "Only what changed after this time."),
        ("delta" = Option<String>, Query, description = "The older name of `modified_after`."),
        ("ids" = Option<Vec<String>>, Query, description = "Only these ids, at most 100."),
        ("Connection-Id" = String, Header, description = "The connection's id."),
        ("Provider-Config-Key" = String, Header, description = "The integration's key."),
    ),
    responses(
        (status = 200, description = "A page of records.", body = RecordList),
    )
)]
async fn list(
    caller: Caller<permission::ReadRecords>,
    state: web::Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    let mut query = Query::of(&request);
    let (model, variant) = names(&mut query)?;
    let wanted = wanted(query)?;
    let name = stream_name(&state, caller.environment_id(), &request, model, variant).await?;
    let page = state.records.list(&name, &wanted).await?;
    Ok(HttpResponse::Ok()
        .content_type(ContentType::json())
        .body(shown::page(&page)))
}

#[utoipa::path(
    patch,
    path = "/records/prune",
    operation_id = "prune_records",
    tag = "Records",
    summary = "Empty the payloads of records that were read",
    params(
        ("Connection-Id" = String, Header, description = "The connection's id."),
        ("Provider-Config-Key" = String, Header, description = "The integration's key."),
    ),
    request_body = PruneRecords,
    responses(
        (status = 200, description = "How many were pruned.", body = PrunedRecords),
    )
)]
async fn prune(
    caller: Caller<permission::WriteRecords>,
    state: web::Data<State>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, Failure> {
    Query::of(&request).end()?;
    let body: PruneRecords = body.json().await?;
    let wrong = |kind: &str, message: &str, field: &str| {
        let field = FieldError::new(kind, message, &[field]);
        Failure::fields(ErrorCode::InvalidBody, vec![field])
    };
    let limit = body.limit.unwrap_or(PRUNED_AT_ONCE);
    if !(1..=MOST).contains(&i64::from(limit)) {
        return Err(wrong("too_big", "must be 1 to 10000", "limit"));
    }
    let until = Cursor::decode(&body.until_cursor)
        .ok_or_else(|| wrong("invalid_string", NO_CURSOR, "until_cursor"))?;
    let name = stream_name(
        &state,
        caller.environment_id(),
        &request,
        body.model,
        body.variant,
    )
    .await?;
    let pruned = state.records.prune(&name, until, limit).await?;
    Ok(HttpResponse::Ok().json(PrunedRecords {
        count: pruned.count,
        has_more: pruned.has_more,
    }))
}

const NO_CURSOR: &str = "must be a cursor that this server gave, as it was given";

/// The model, and the variant if one is named.
fn names(query: &mut Query) -> Result<(String, Option<String>), Failure> {
    Ok((query.require("model")?, query.take("variant")))
}

/// The stream that a call is about. Its connection is named in headers.
async fn stream_name(
    state: &State,
    environment: EnvironmentId,
    request: &HttpRequest,
    model: String,
    variant: Option<String>,
) -> Result<StreamName, Failure> {
    let integration = header(request, "provider-config-key")?;
    let connection = header(request, "connection-id")?;
    let connection = number::find(&state.core, environment, &integration, &connection)
        .await
        .map_err(unknown_connection)?;
    Ok(StreamName {
        environment,
        connection,
        model,
        variant: variant.unwrap_or_else(|| BASE.to_owned()),
    })
}

fn header(request: &HttpRequest, name: &str) -> Result<String, Failure> {
    request
        .headers()
        .get(name)
        .and_then(|value| std::str::from_utf8(value.as_bytes()).ok())
        .filter(|value| !value.is_empty())
        .map(str::to_owned)
        .ok_or_else(|| {
            let field = FieldError::new("invalid_type", "Required", &[name]);
            Failure::fields(ErrorCode::InvalidHeaders, vec![field])
        })
}

fn wanted(mut query: Query) -> Result<Wanted, Failure> {
    let limit = query.number("limit", 1..=MOST)?.unwrap_or(DEFAULT_LIMIT);
    let cursor = match query.take("cursor") {
        None => Cursor::START,
        Some(text) => Cursor::decode(&text)
            .ok_or_else(|| Failure::query("invalid_string", NO_CURSOR, "cursor"))?,
    };
    let modified_after = match time(&mut query, "modified_after")? {
        None => time(&mut query, "delta")?,
        time => {
            query.take("delta");
            time
        }
    };
    // They are found by a hash of theirs, and may be of any characters.
    let ids = query.take_all_verbatim("ids");
    if ids.len() > MOST_IDS {
        return Err(Failure::query("too_big", "at most 100", "ids"));
    }
    let actions = query
        .take("filter")
        .map(|text| actions(&text))
        .transpose()?;
    query.end()?;
    Ok(Wanted {
        after: cursor.max(modified_after.map_or(Cursor::START, Cursor::at)),
        actions,
        ids: Some(ids).filter(|ids| !ids.is_empty()),
        limit: u32::try_from(limit).unwrap_or(u32::MAX),
    })
}

fn actions(text: &str) -> Result<Actions, Failure> {
    let mut actions = Actions {
        added: false,
        updated: false,
        deleted: false,
    };
    for word in text.split(',') {
        match word.trim().to_ascii_lowercase().as_str() {
            "added" => actions.added = true,
            "updated" => actions.updated = true,
            "deleted" => actions.deleted = true,
            _ => {
                let message = "must be added, updated, deleted, or several of them with commas";
                return Err(Failure::query("invalid_enum_value", message, "filter"));
            }
        }
    }
    Ok(actions)
}

fn time(query: &mut Query, name: &str) -> Result<Option<DateTime<Utc>>, Failure> {
    let Some(text) = query.take(name) else {
        return Ok(None);
    };
    // A plus that was not encoded has become a space.
    let text = text.trim().replace(' ', "+");
    let day = || {
        Some(
            text.parse::<NaiveDate>()
                .ok()?
                .and_time(NaiveTime::MIN)
                .and_utc(),
        )
    };
    let time = DateTime::parse_from_rfc3339(&text).map(|time| time.to_utc());
    time.ok().or_else(day).map(Some).ok_or_else(|| {
        let message = "must be a time as in 2026-11-23T12:00:00Z";
        Failure::query("invalid_string", message, name)
    })
}
