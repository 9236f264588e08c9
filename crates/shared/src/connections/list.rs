//! Listing connections.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use diesel_async::RunQueryDsl;
use linkspan_api::connect::Tags;

use super::Connection;
use super::store::{Row, write};
use crate::Error;
use crate::db;
use crate::db::schema::{connections, integrations};
use crate::tenancy::EnvironmentId;
use crate::vault::EnvironmentKeys;

/// Which connections to list. What is absent does not restrict.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only the one with this id, in any integration.
    pub connection_id: Option<String>,
    /// Only those whose id, end user's name or email contains this text, in
    /// upper or lower case.
    pub search: Option<String>,
    /// Only those of this end user.
    pub end_user_id: Option<String>,
    /// Only those of end users of this organisation.
    pub end_user_organization_id: Option<String>,
    /// Only those of these integrations.
    pub integrations: Option<Vec<String>>,
    /// Only those that have all of these labels. Five names (`end_user_id`,
    /// `end_user_email`, `end_user_display_name`, `organization_id`,
    /// `organization_display_name`) also find what is known of the end user.
    pub tags: Tags,
    /// At most this many.
    pub limit: i64,
    /// Skip this many.
    pub offset: i64,
}

/// Labels that stand for something of the end user, as the published clients
/// write them, with where that is.
const END_USER_TAGS: [(&str, &str); 5] = [
    ("end_user_id", "connections.end_user ->> 'id' = "),
    ("end_user_email", "connections.end_user ->> 'email' = "),
    (
        "end_user_display_name",
        "connections.end_user ->> 'display_name' = ",
    ),
    (
        "organization_id",
        "connections.end_user #>> '{organization,id}' = ",
    ),
    (
        "organization_display_name",
        "connections.end_user #>> '{organization,display_name}' = ",
    ),
];

/// Connections of an environment with their integration's key and provider,
/// newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(
    conn: &mut db::Connection,
    keys: &EnvironmentKeys,
    environment: EnvironmentId,
    filter: &Filter,
) -> Result<Vec<(Connection, String, String)>, Error> {
    let mut query = connections::table
        .inner_join(
            integrations::table.on(integrations::environment_id
                .eq(connections::environment_id)
                .and(integrations::id.eq(connections::integration_id))),
        )
        .filter(connections::environment_id.eq(environment))
        .order(connections::id.desc())
        .limit(filter.limit)
        .offset(filter.offset)
        .select((
            Row::as_select(),
            integrations::unique_key,
            integrations::provider,
        ))
        .into_boxed();
    if let Some(id) = &filter.connection_id {
        query = query.filter(connections::connection_id.eq(id));
    }
    if let Some(text) = &filter.search {
        let pattern = containing(text);
        query = query.filter(
            sql::<Bool>("(connections.connection_id ILIKE ")
                .bind::<Text, _>(pattern.clone())
                .sql(" OR connections.end_user ->> 'display_name' ILIKE ")
                .bind::<Text, _>(pattern.clone())
                .sql(" OR connections.end_user ->> 'email' ILIKE ")
                .bind::<Text, _>(pattern)
                .sql(")"),
        );
    }
    if let Some(id) = &filter.end_user_id {
        let is_theirs = sql::<Bool>("connections.end_user ->> 'id' = ").bind::<Text, _>(id);
        query = query.filter(is_theirs);
    }
    if let Some(id) = &filter.end_user_organization_id {
        let is_theirs =
            sql::<Bool>("connections.end_user #>> '{organization,id}' = ").bind::<Text, _>(id);
        query = query.filter(is_theirs);
    }
    if let Some(unique_keys) = &filter.integrations {
        query = query.filter(integrations::unique_key.eq_any(unique_keys));
    }
    for (name, value) in &filter.tags {
        let label = write("tags", &Tags::from([(name.to_lowercase(), value.clone())]))?;
        let has_label =
            sql::<Bool>("(connections.tags @> ").bind::<diesel::sql_types::Jsonb, _>(label);
        let also = END_USER_TAGS.iter().find(|(tag, _)| tag == name);
        query = match also {
            Some((_, of_user)) => {
                let of_user = format!(" OR {of_user}");
                query.filter(has_label.sql(&of_user).bind::<Text, _>(value).sql(")"))
            }
            None => query.filter(has_label.sql(")")),
        };
    }
    query
        .load::<(Row, String, String)>(conn)
        .await?
        .into_iter()
        .map(|(row, key, provider)| Ok((row.open(keys)?, key, provider)))
        .collect()
}

/// A LIKE pattern for texts that contain this one, whose own `%` and `_` stand
/// for themselves.
fn containing(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_search_takes_wildcards_by_the_letter() {
        assert_eq!(super::containing(r"50%_a\b"), r"%50\%\_a\\b%");
    }
}
