//! The websocket that a page waits on for its popup's result (CONTRACT 2.2).

use std::time::Duration;

use actix_web::http::header::{CONNECTION, ORIGIN, UPGRADE};
use actix_web::{HttpRequest, HttpResponse, web};
use actix_ws::{CloseCode, MessageStream, Session};
use futures_util::StreamExt;
use linkspan_api::popup::PopupMessage;
use tokio::sync::oneshot;

use crate::app::State;
use crate::{pages, popup};

/// A browser that says nothing at all for this long is gone.
const PING_EVERY: Duration = Duration::from_secs(25);

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config.route("/", web::get().to(root));
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
    });
    Ok(response)
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
    loop {
        tokio::select! {
            result = &mut result => return match result {
                Ok(message) => send(session, &message).await,
                Err(_) => Ok(()),
            },
            message = messages.next() => match message {
                Some(Ok(actix_ws::Message::Ping(bytes))) => session.pong(&bytes).await?,
                Some(Ok(actix_ws::Message::Close(_)) | Err(_)) | None => return Ok(()),
                Some(Ok(_)) => {}
            },
            _ = ping.tick() => session.ping(b"").await?,
        }
    }
}

async fn send(session: &mut Session, message: &PopupMessage) -> Result<(), actix_ws::Closed> {
    // The message is made of strings and flags, which always serialise.
    let text = serde_json::to_string(message).unwrap_or_default();
    session.text(text).await
}
