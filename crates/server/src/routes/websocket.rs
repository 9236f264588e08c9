//! The websocket that a page waits on for its popup's result (CONTRACT 2.2).

use std::time::Duration;

use actix_web::http::Method;
use actix_web::http::header::{CONNECTION, ORIGIN, RETRY_AFTER, UPGRADE};
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use actix_ws::{CloseCode, MessageStream, Session};
use futures_util::StreamExt;
use linkspan_api::popup::PopupMessage;
use linkspan_shared::popup_channels;
use tokio::sync::oneshot;

use crate::app::State;
use crate::error::Failure;
use crate::{meter, pages, popup};

/// A browser that has not answered the last ping when the next is due is gone.
const PING_EVERY: Duration = Duration::from_secs(25);
/// When a page that found no seat may look again: most wait for less.
const RETRY_AFTER_SECONDS: u32 = 30;

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    meter::serve(config, Method::GET, "/", root);
}

/// With an Upgrade header the websocket, otherwise the front page.
async fn root(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<HttpResponse, actix_web::Error> {
    let is_upgrade = request.headers().contains_key(UPGRADE)
        && request
            .headers()
            .get(CONNECTION)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.to_ascii_lowercase().contains("upgrade"));
    if !is_upgrade {
        return Ok(pages::front(&state.core.settings.public_url));
    }
    let seat = match state.seats.take(&request) {
        Ok(seat) => seat,
        Err(failure) => return Ok(refusal(&failure)),
    };
    let (response, session, messages) = actix_ws::handle(&request, payload)?;
    let origin = request
        .headers()
        .get(ORIGIN)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    actix_web::rt::spawn(async move {
        if let Err(error) = wait(&state, origin, session, messages).await {
            tracing::debug!(%error, "a popup's websocket ended early");
        }
        drop(seat);
    });
    Ok(response)
}

fn refusal(failure: &Failure) -> HttpResponse {
    let mut response = failure.error_response();
    let seconds = RETRY_AFTER_SECONDS.into();
    response.headers_mut().insert(RETRY_AFTER, seconds);
    response
}

#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the browser closed it")]
    Closed(#[from] actix_ws::Closed),
    #[error(transparent)]
    Unopened(#[from] linkspan_shared::Error),
}

/// Tells the page its id, then waits for the flow's result or for the page to
/// go.
async fn wait(
    state: &web::Data<State>,
    origin: Option<String>,
    mut session: Session,
    messages: MessageStream,
) -> Result<(), Ended> {
    let (ws_client_id, result) = match state.channels.open(origin.as_deref()).await {
        Ok(channel) => channel,
        Err(error) => {
            tracing::error!(%error, "a popup's channel could not be opened");
            session.close(Some(CloseCode::Error.into())).await?;
            return Err(error.into());
        }
    };
    popup::watch(state);
    let ack = PopupMessage::ConnectionAck {
        ws_client_id: ws_client_id.clone(),
    };
    let ended = match send(&mut session, &ack).await {
        Ok(()) => relay(&mut session, messages, result).await,
        Err(closed) => Err(closed),
    };
    state.channels.close(&ws_client_id).await;
    ended?;
    Ok(session.close(None).await?)
}

async fn relay(
    session: &mut Session,
    mut messages: MessageStream,
    mut result: oneshot::Receiver<PopupMessage>,
) -> Result<(), actix_ws::Closed> {
    let mut ping = actix_web::rt::time::interval(PING_EVERY);
    let over = actix_web::rt::time::sleep(popup_channels::LIFE);
    tokio::pin!(over);
    let mut is_there = true;
    loop {
        tokio::select! {
            result = &mut result => return match result {
                Ok(message) => send(session, &message).await,
                Err(_) => Ok(()),
            },
            message = messages.next() => {
                is_there = true;
                match message {
                    Some(Ok(actix_ws::Message::Ping(bytes))) => session.pong(&bytes).await?,
                    Some(Ok(actix_ws::Message::Close(_)) | Err(_)) | None => return Ok(()),
                    Some(Ok(_)) => {}
                }
            },
            _ = ping.tick() => {
                if !std::mem::take(&mut is_there) {
                    return Ok(());
                }
                session.ping(b"").await?;
            },
            () = &mut over => return Ok(()),
        }
    }
}

async fn send(session: &mut Session, message: &PopupMessage) -> Result<(), actix_ws::Closed> {
    // The message is made of strings and flags, which always serialise.
    let text = serde_json::to_string(message).unwrap_or_default();
    session.text(text).await
}
