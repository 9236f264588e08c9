//! Pages that wait for their popup's result, so that every server process can
//! reach them (CONTRACT 2.2).
//!
//! One process has the page's websocket, another may send the browser to the
//! provider, and a third may take the callback. The row of a channel is where
//! they meet: it is made with the websocket, bound once, and gone with the
//! websocket.

use std::time::Duration;

use chrono::Utc;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use linkspan_api::popup::PopupMessage;
use serde_json::Value;
use uuid::Uuid;

use crate::db::Connection;
use crate::db::schema::popup_channels;
use crate::{Error, token};

/// How long a row outlives a process that was killed. No page waits longer.
pub const LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// What a binding found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The origin of the page that waits, if its browser named it.
    pub origin: Option<String>,
}

/// Opens a channel: `holder` is the process that has its websocket.
///
/// # Errors
/// When the database fails.
pub async fn open(
    conn: &mut Connection,
    holder: Uuid,
    ws_client_id: &str,
    origin: Option<&str>,
) -> Result<(), Error> {
    diesel::insert_into(popup_channels::table)
        .values((
            popup_channels::id_hash.eq(token::hash(ws_client_id)),
            popup_channels::holder.eq(holder),
            popup_channels::origin.eq(origin),
            popup_channels::expires_at.eq(Utc::now() + LIFE),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// Binds a channel to the flow that names it first; `None` for a channel that
/// is not there or not free.
///
/// # Errors
/// When the database fails.
pub async fn bind(conn: &mut Connection, ws_client_id: &str) -> Result<Option<Bound>, Error> {
    let origin: Option<Option<String>> = diesel::update(popup_channels::table)
        .filter(popup_channels::id_hash.eq(token::hash(ws_client_id)))
        .filter(popup_channels::is_bound.eq(false))
        .filter(popup_channels::expires_at.gt(diesel::dsl::now))
        .set(popup_channels::is_bound.eq(true))
        .returning(popup_channels::origin)
        .get_result(conn)
        .await
        .optional()?;
    Ok(origin.map(|origin| Bound { origin }))
}

/// Leaves a flow's result for the process that has the websocket. The first
/// result stays; a page that is gone gets none.
///
/// # Errors
/// When the database fails.
pub async fn leave(
    conn: &mut Connection,
    ws_client_id: &str,
    message: &PopupMessage,
) -> Result<(), Error> {
    let message = serde_json::to_value(message).map_err(|source| Error::Stored {
        what: "popup result",
        source,
    })?;
    diesel::update(popup_channels::table)
        .filter(popup_channels::id_hash.eq(token::hash(ws_client_id)))
        .filter(popup_channels::result.is_null())
        .set(popup_channels::result.eq(message))
        .execute(conn)
        .await?;
    Ok(())
}

/// Takes every result that was left for a process, with the hash of its
/// channel's id.
///
/// # Errors
/// When the database fails.
pub async fn take(
    conn: &mut Connection,
    holder: Uuid,
) -> Result<Vec<(Vec<u8>, PopupMessage)>, Error> {
    let rows: Vec<(Vec<u8>, Option<Value>)> = diesel::delete(popup_channels::table)
        .filter(popup_channels::holder.eq(holder))
        .filter(popup_channels::result.is_not_null())
        .returning((popup_channels::id_hash, popup_channels::result))
        .get_results(conn)
        .await?;
    rows.into_iter()
        .map(|(id_hash, result)| {
            let message = serde_json::from_value(result.unwrap_or_default());
            let message = message.map_err(|source| Error::Stored {
                what: "popup result",
                source,
            })?;
            Ok((id_hash, message))
        })
        .collect()
}

/// Forgets a channel.
///
/// # Errors
/// When the database fails.
pub async fn close(conn: &mut Connection, ws_client_id: &str) -> Result<(), Error> {
    diesel::delete(popup_channels::table.find(token::hash(ws_client_id)))
        .execute(conn)
        .await?;
    Ok(())
}

/// Forgets every channel of a process.
///
/// # Errors
/// When the database fails.
pub async fn close_all(conn: &mut Connection, holder: Uuid) -> Result<(), Error> {
    diesel::delete(popup_channels::table)
        .filter(popup_channels::holder.eq(holder))
        .execute(conn)
        .await?;
    Ok(())
}

/// Deletes what processes left behind that did not stop in order.
///
/// # Errors
/// When the database fails.
pub async fn sweep(conn: &mut Connection) -> Result<usize, Error> {
    Ok(diesel::delete(popup_channels::table)
        .filter(popup_channels::expires_at.lt(diesel::dsl::now))
        .execute(conn)
        .await?)
}
