//! The HTTP of strict providers.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::{Answer, Refused, Shared};
use crate::journal::SeenRequest;
use crate::params::Params;
use crate::routes::MOST_BODY_BYTES;

/// Serves connections until it is aborted, and they with it.
pub(super) async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        connections.spawn(async move {
            match tls {
                None => serve(stream, shared).await,
                // A handshake that fails is the caller's to report.
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, shared).await;
                    }
                }
            }
        });
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: S, shared: Arc<Shared>) {
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(respond(request, &shared).await) }
    });
    // A caller that hangs up in the middle is not this server's fault.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn respond(request: Request<Incoming>, shared: &Shared) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let answer = match Limited::new(body, MOST_BODY_BYTES).collect().await {
        Ok(body) => match shared.decide(seen(&head, body.to_bytes())) {
            Some(answer) => answer,
            None => pending().await,
        },
        Err(_) => Refused::request("the body was cut off or is too large").answer(),
    };
    response(answer)
}

fn seen(head: &http::request::Parts, body: Bytes) -> SeenRequest {
    let query = head.uri.query().unwrap_or_default();
    let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        (name.as_str().to_owned(), value.into_owned())
    };
    SeenRequest {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: Params::parse(query.as_bytes()).into_pairs(),
        raw_query: query.to_owned(),
        headers: head.headers.iter().map(header).collect(),
        body,
    }
}

fn response(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    response.body(Full::new(answer.body)).unwrap_or_else(|_| {
        let mut response = Response::new(Full::new(Bytes::from_static(b"no such answer")));
        *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}
