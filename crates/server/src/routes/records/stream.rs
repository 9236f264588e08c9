//! `GET /records/stream`: changes as they happen, as Server-Sent Events.

use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::{Stream, stream};
use linkspan_api::ErrorCode;
use linkspan_records::{Cursor, Error, Query as Wanted, Store, StreamName, Watch};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::{NO_CURSOR, names, shown, stream_name};
use crate::app::State;
use crate::error::Failure;
use crate::extract::{Caller, Query, permission};
use crate::openapi::{Routes, routes};

/// Records that are read at once: one page is held for each reader.
const PAGE: u32 = 100;
/// How long nothing is sent at most, so that whoever is in between keeps the
/// connection.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a stream lasts. Then the caller comes again, and its key is looked at
/// again.
const LIFE: Duration = Duration::from_secs(15 * 60);
/// When it is to come again, in milliseconds.
const RETRY: &str = "retry: 1000\n\n";
/// Seconds after which a caller who found all streams taken may try again.
const FULL: u32 = 10;

pub(super) fn configure(routes: &mut Routes<'_>) {
    routes!(routes; changes);
}

#[utoipa::path(
    get,
    path = "/records/stream",
    operation_id = "stream_records",
    tag = "Records",
    summary = "Follow the changes of records",
    description = "Server-Sent Events: each has a record with its metadata as `data` and the \
                   record's cursor as `id`. What is there comes first, then each change within \
                   a second. A stream ends after 15 minutes and when the server stops; come \
                   again with the last id in `Last-Event-ID`, as browsers do by themselves.",
    params(
        ("model" = String, Query, description = "The model."),
        ("variant" = Option<String>, Query, description = "The variant of the sync; the base one when absent."),
        ("cursor" = Option<String>, Query, description = "Only what changed after this place; everything when absent."),
        ("Last-Event-ID" = Option<String>, Header, description = "The same; holds before `cursor`."),
        ("Connection-Id" = String, Header, description = "The connection's id."),
        ("Provider-Config-Key" = String, Header, description = "The integration's key."),
    ),
    responses(
        (status = 200, description = "The changes.", body = String, content_type = "text/event-stream"),
    )
)]
async fn changes(
    caller: Caller<permission::ReadRecords>,
    state: web::Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    let mut query = Query::of(&request);
    let (model, variant) = names(&mut query)?;
    let cursor = query.take("cursor");
    query.end()?;
    let last = request.headers().get("last-event-id");
    let place = match (last.filter(|last| !last.is_empty()), cursor) {
        (Some(last), _) => last
            .to_str()
            .ok()
            .and_then(Cursor::decode)
            .ok_or_else(wrong_last_event_id)?,
        (None, Some(cursor)) => Cursor::decode(&cursor)
            .ok_or_else(|| Failure::query("invalid_string", NO_CURSOR, "cursor"))?,
        (None, None) => Cursor::START,
    };
    let name = stream_name(&state, caller.environment_id(), &request, model, variant).await?;
    let full = || Failure::of(ErrorCode::TooManyStreams).retry_after(FULL);
    let seat = state
        .streams
        .clone()
        .try_acquire_owned()
        .map_err(|_| full())?;
    let watch = state.feed.watch(name.clone()).ok_or_else(full)?;
    let reader = Reader {
        store: state.records.clone(),
        name,
        place,
        watch,
        ends_at: Instant::now() + LIFE,
        is_new: true,
        _seat: seat,
    };
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-cache"))
        // nginx would hold events back.
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(reader.events()))
}

fn wrong_last_event_id() -> Failure {
    let field = linkspan_api::FieldError::new("invalid_string", NO_CURSOR, &["last-event-id"]);
    Failure::fields(ErrorCode::InvalidHeaders, vec![field])
}

/// Somebody who follows a stream.
struct Reader {
    store: Store,
    name: StreamName,
    place: Cursor,
    watch: Watch,
    ends_at: Instant,
    is_new: bool,
    _seat: OwnedSemaphorePermit,
}

impl Reader {
    /// A page at a time: the next is read when this one was taken.
    fn events(self) -> impl Stream<Item = Result<Bytes, Error>> {
        stream::unfold(Some(self), async |reader| {
            let mut reader = reader?;
            match reader.next().await {
                Ok(Some(events)) => Some((Ok(events), Some(reader))),
                Ok(None) => None,
                Err(error) => {
                    // Cut off, so that the caller comes again.
                    tracing::error!(%error, "a stream of changes was broken off");
                    Some((Err(error), None))
                }
            }
        })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        if std::mem::take(&mut self.is_new) {
            return Ok(Some(Bytes::from_static(RETRY.as_bytes())));
        }
        loop {
            let until = self.ends_at.min(Instant::now() + HEARTBEAT);
            let waited = tokio::time::timeout_at(until, self.watch.beyond(self.place)).await;
            let come_to = match waited {
                Ok(Some(come_to)) => come_to,
                Ok(None) => return Ok(None),
                Err(_) if Instant::now() >= self.ends_at => return Ok(None),
                Err(_) => return Ok(Some(Bytes::from_static(b":\n\n"))),
            };
            let wanted = Wanted {
                after: self.place,
                limit: PAGE,
                ..Wanted::default()
            };
            let page = self.store.list(&self.name, &wanted).await?;
            let Some(last) = page.records.last() else {
                // The stream has moved without a change, as when a tracking begins.
                self.place = come_to;
                continue;
            };
            self.place = last.cursor;
            let mut out = Vec::new();
            for record in &page.records {
                out.extend_from_slice(b"id: ");
                out.extend_from_slice(record.cursor.encode().as_bytes());
                out.extend_from_slice(b"\ndata: ");
                let start = out.len();
                shown::record(record, &mut out);
                one_line(out.get_mut(start..).unwrap_or_default());
                out.extend_from_slice(b"\n\n");
            }
            return Ok(Some(out.into()));
        }
    }
}

/// In JSON a line break is white space, since strings have theirs escaped; in an
/// event it would be an end.
fn one_line(json: &mut [u8]) {
    for byte in json {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}
