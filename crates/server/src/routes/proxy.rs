//! `ANY /proxy/*`: a call to an API with a connection's credentials (CONTRACT 2.7).

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::body::{self, BodySize, BoxBody, MessageBody};
use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, rt, web};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};
use linkspan_api::ErrorCode;
use linkspan_net::{Body as Outgoing, BodyError, Client};
use linkspan_proxy::{AnswerBody, Body, Broken, Call, Error, Instructions};
use tokio::sync::mpsc;

use crate::app::State;
use crate::error::Failure;
use crate::extract::{Caller, permission};
use crate::openapi::Routes;

/// The scope around [`call`] takes every method and path below `/proxy`, so only
/// the document needs its description.
pub(crate) fn describe(routes: &mut Routes<'_>) {
    routes.describe_only::<__path_call, (Caller<permission::CallProxy>,)>();
}

/// Pieces of a streamed body that wait for the API to take them.
const PIECES: usize = 8;
/// Seconds after which a call that found its provider's calls all taken is
/// worth another try.
const SATURATED: u32 = 1;

#[utoipa::path(
    method(get, post, put, patch, delete),
    path = "/proxy/{path}",
    operation_id = "proxy",
    tag = "Proxy",
    summary = "Call an API with a connection's credentials",
    params(
        ("path" = String, Path, description = "The path of the API, with the query that it is to get."),
        ("Connection-Id" = String, Header, description = "The connection's id."),
        ("Provider-Config-Key" = String, Header, description = "The integration's key."),
        ("Retries" = Option<String>, Header, description = "How often to try again; 0 when absent."),
        ("Retry-On" = Option<String>, Header, description = "Statuses to try again after, comma separated."),
        ("Base-Url-Override" = Option<String>, Header, description = "The API's address in place of the provider's."),
        ("Decompress" = Option<String>, Header, description = "`true`: hand over the decompressed body."),
    ),
    request_body(content = Object, description = "Whatever the API is to get."),
    responses(
        (status = 200, description = "Whatever the API answered: its status, headers and body. HEAD and OPTIONS go through as well."),
    )
)]
pub(crate) async fn call(
    caller: Caller<permission::CallProxy>,
    state: web::Data<State>,
    client: web::Data<Client>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Failure> {
    let headers = request.headers();
    let instructions = Instructions::read(
        headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes())),
    )
    .map_err(|fields| Failure::fields(ErrorCode::InvalidHeaders, fields))?;
    let method = http::Method::from_bytes(request.method().as_str().as_bytes())
        .map_err(|_| Failure::of(ErrorCode::InvalidHeaders))?;
    let limit = state.proxy.settings().held_body_limit;
    let body = read(payload.into_inner(), length(headers), limit).await?;
    let call = Call {
        client: &client,
        environment: caller.environment_id(),
        instructions: &instructions,
        method,
        path_and_query: after_prefix(&request),
    };
    let answer = state.proxy.call(call, body).await?;
    Ok(pass_on(answer, request.method()))
}

/// The raw path, since decoding would lose what the API may tell apart.
fn after_prefix(request: &HttpRequest) -> &str {
    let target = request
        .uri()
        .path_and_query()
        .map_or("/", |target| target.as_str());
    target.strip_prefix("/proxy").unwrap_or(target)
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// Holds a body up to the limit; whatever is larger, or turns out to be, is
/// streamed.
async fn read(mut payload: Payload, length: Option<u64>, limit: usize) -> Result<Body, Failure> {
    let mut held = BytesMut::new();
    let is_large = length.is_some_and(|length| usize::try_from(length).map_or(true, |n| n > limit));
    if !is_large {
        let Some(first) = payload.next().await else {
            return Ok(Body::Held(Bytes::new()));
        };
        let first = first.map_err(broken)?;
        let is_whole = length.is_some_and(|length| first.len() as u64 == length);
        if is_whole {
            return Ok(Body::Held(first));
        }
        held.extend_from_slice(&first);
        while held.len() <= limit {
            match payload.next().await {
                Some(piece) => held.extend_from_slice(&piece.map_err(broken)?),
                None => return Ok(Body::Held(held.freeze())),
            }
        }
    }
    Ok(Body::Streamed {
        body: streamed(held.freeze(), payload),
        length,
    })
}

fn broken(_: impl std::error::Error) -> Failure {
    Failure::new(
        ErrorCode::InvalidBody,
        "The body ended before it was complete.",
    )
}

/// A body that goes on as it comes. actix's payloads stay on their thread, so
/// a task there hands the pieces over, and stops reading when the API does.
fn streamed(begun: Bytes, mut payload: Payload) -> Outgoing {
    let (pieces, rest) = mpsc::channel::<Result<Bytes, BodyError>>(PIECES);
    rt::spawn(async move {
        loop {
            let piece = tokio::select! {
                piece = payload.next() => piece,
                () = pieces.closed() => None,
            };
            let Some(piece) = piece else { break };
            let is_broken = piece.is_err();
            let piece = piece.map_err(|error| error.to_string().into());
            if pieces.send(piece).await.is_err() || is_broken {
                break;
            }
        }
    });
    let begun = (!begun.is_empty()).then_some(Ok(begun));
    let rest = stream::unfold(rest, |mut rest| async {
        let piece = rest.recv().await?;
        Some((piece, rest))
    });
    Outgoing::stream(stream::iter(begun).chain(rest))
}

/// The API's answer as ours: its status, its headers, its body.
fn pass_on(answer: http::Response<AnswerBody>, method: &Method) -> HttpResponse {
    let (head, body) = answer.into_parts();
    let status = StatusCode::from_u16(head.status.as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut response = HttpResponse::new(status);
    for (name, value) in &head.headers {
        let name = HeaderName::from_bytes(name.as_str().as_bytes());
        let value = HeaderValue::from_bytes(value.as_bytes());
        if let (Ok(name), Ok(value)) = (name, value) {
            response.headers_mut().append(name, value);
        }
    }
    let size = size(response.headers(), status, method);
    response.set_body(match size {
        BodySize::None => BoxBody::new(body::None::new()),
        size => BoxBody::new(Passing {
            body,
            size,
            broken: None,
        }),
    })
}

/// A body that is passed on piece by piece. actix drops it when the caller
/// goes, and that ends the call at the API.
struct Passing {
    body: AnswerBody,
    size: BodySize,
    broken: Option<Broken>,
}

impl MessageBody for Passing {
    type Error = Broken;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Broken>>> {
        if let Some(broken) = self.broken.take() {
            return Poll::Ready(Some(Err(broken)));
        }
        loop {
            match ready!(Pin::new(&mut self.body).poll_next(cx)) {
                // An empty chunk would end a chunked answer.
                Some(Ok(piece)) if piece.is_empty() => {}
                // An error closes the connection at once. Coming a moment later,
                // it leaves the caller the status and what there is of a body.
                Some(Err(broken)) => {
                    self.broken = Some(broken);
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                piece => return Poll::Ready(piece),
            }
        }
    }
}

/// How long the answer's body is. To a HEAD request `Content-Length` is that of
/// a body which does not come (RFC 9110, 8.6).
fn size(headers: &HeaderMap, status: StatusCode, method: &Method) -> BodySize {
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return BodySize::None;
    }
    match length(headers) {
        Some(length) => BodySize::Sized(length),
        None if *method == Method::HEAD => BodySize::None,
        None => BodySize::Stream,
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match (error.code(), error) {
            (ErrorCode::GenericErrorSupport, Error::Connection(cause)) => cause.into(),
            (code, error @ Error::Saturated { .. }) => {
                Self::new(code, error.to_string()).retry_after(SATURATED)
            }
            (code, error) => Self::new(code, error.to_string()),
        }
    }
}
