//! The queries on `data_keys` and `root_keys`. Rotation and the check at start
//! are among the few that look at all environments.

use std::time::Duration;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Double};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::db::Connection;
use crate::db::schema::{data_keys, root_keys};

/// One version of an environment's data key, wrapped.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = data_keys, check_for_backend(diesel::pg::Pg))]
pub(super) struct DataKey {
    pub(super) environment_id: Uuid,
    pub(super) version: i32,
    pub(super) root_key_id: String,
    pub(super) wrapped: Vec<u8>,
}

/// All versions of an environment's data key, in their order, and whether each
/// is at least that old by the database's clock.
pub(super) async fn versions(
    conn: &mut Connection,
    environment: Uuid,
    age: Duration,
) -> QueryResult<Vec<(DataKey, bool)>> {
    let is_that_old = sql::<Bool>("created_at + make_interval(secs => ")
        .bind::<Double, _>(age.as_secs_f64())
        .sql(") <= now()");
    data_keys::table
        .filter(data_keys::environment_id.eq(environment))
        .order(data_keys::version)
        .select((DataKey::as_select(), is_that_old))
        .load(conn)
        .await
}

/// Inserts a version; `false` when it is there already.
pub(super) async fn insert(conn: &mut Connection, key: &DataKey) -> QueryResult<bool> {
    let inserted = diesel::insert_into(data_keys::table)
        .values(key)
        .on_conflict_do_nothing()
        .execute(conn)
        .await?;
    Ok(inserted == 1)
}

/// The newest version of each environment's data key.
pub(super) async fn newest(conn: &mut Connection) -> QueryResult<Vec<(Uuid, i32)>> {
    data_keys::table
        .distinct_on(data_keys::environment_id)
        .order((data_keys::environment_id, data_keys::version.desc()))
        .select((data_keys::environment_id, data_keys::version))
        .load(conn)
        .await
}

/// One data key for each root key that is in use.
pub(super) async fn one_per_root_key(conn: &mut Connection) -> QueryResult<Vec<DataKey>> {
    data_keys::table
        .distinct_on(data_keys::root_key_id)
        .order(data_keys::root_key_id)
        .select(DataKey::as_select())
        .load(conn)
        .await
}

/// Some data keys that another root key than `primary` wraps.
pub(super) async fn not_wrapped_by(
    conn: &mut Connection,
    primary: &str,
    limit: i64,
) -> QueryResult<Vec<DataKey>> {
    data_keys::table
        .filter(data_keys::root_key_id.ne(primary))
        .order((data_keys::environment_id, data_keys::version))
        .limit(limit)
        .select(DataKey::as_select())
        .load(conn)
        .await
}

/// Replaces how a data key is wrapped, if nobody else did; `false` otherwise.
pub(super) async fn rewrap(
    conn: &mut Connection,
    old: &DataKey,
    root_key_id: &str,
    wrapped: &[u8],
) -> QueryResult<bool> {
    let updated = diesel::update(data_keys::table.find((old.environment_id, old.version)))
        .filter(data_keys::root_key_id.eq(&old.root_key_id))
        .filter(data_keys::wrapped.eq(&old.wrapped))
        .set((
            data_keys::root_key_id.eq(root_key_id),
            data_keys::wrapped.eq(wrapped),
        ))
        .execute(conn)
        .await?;
    Ok(updated == 1)
}

/// The check values, by root key.
pub(super) async fn check_values(conn: &mut Connection) -> QueryResult<Vec<(String, Vec<u8>)>> {
    root_keys::table
        .select((root_keys::id, root_keys::check_value))
        .load(conn)
        .await
}

/// Inserts the check value of a root key, unless another process was faster.
pub(super) async fn insert_check_value(
    conn: &mut Connection,
    id: &str,
    check_value: &[u8],
) -> QueryResult<()> {
    diesel::insert_into(root_keys::table)
        .values((root_keys::id.eq(id), root_keys::check_value.eq(check_value)))
        .on_conflict_do_nothing()
        .execute(conn)
        .await
        .map(drop)
}
