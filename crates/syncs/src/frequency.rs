//! How often a sync runs.

use diesel::prelude::*;
use diesel_async::{AsyncConnection, RunQueryDsl};
use linkspan_jobs::schedules::{self, Spec};
use linkspan_shared::Core;
use linkspan_shared::db::schema::syncs;

use crate::Error;
use crate::error::LEAST_SECONDS;
use crate::select::{Name, Scope, resolve};
use crate::sync::Sync;

/// As a schedule takes it: the word `every` may be left out, and there is a
/// `quarter hour` (CONTRACT 2.9).
pub(crate) fn normal(text: &str) -> String {
    let text = text.trim();
    let interval = text.strip_prefix("every ").unwrap_or(text).trim();
    if interval == "quarter hour" {
        return "every 15m".to_owned();
    }
    let is_cron = interval.split_whitespace().count() >= 5;
    match text.starts_with("every") || is_cron {
        true => text.to_owned(),
        false => format!("every {interval}"),
    }
}

/// Reads a frequency.
pub(crate) fn check(text: &str) -> Result<Spec, Error> {
    let spec = Spec::parse(&normal(text))?;
    match spec.interval() {
        Some(interval) if interval.as_secs() < LEAST_SECONDS => Err(Error::TooShort),
        _ => Ok(spec),
    }
}

/// A connection's own interval as the API shows it: `5 minutes`, `30m`.
pub(crate) fn interval(text: &str) -> String {
    let text = text.trim();
    match text.strip_prefix("every ").unwrap_or(text) {
        "half day" => "12h",
        "half hour" => "30m",
        "quarter hour" => "15m",
        "hour" => "1h",
        "day" => "1d",
        "month" => "30d",
        "week" => "1w",
        other => other,
    }
    .to_owned()
}

/// Lets a connection's sync run in other intervals than its function says, or in
/// those again. What holds now: the interval, or the function's frequency.
///
/// # Errors
/// [`Error::TooShort`], [`Error::Frequency`], [`Error::UnknownSync`], and those of
/// the connection.
pub async fn set(
    core: &Core,
    scope: &Scope<'_>,
    name: &Name,
    frequency: Option<&str>,
) -> Result<String, Error> {
    if let Some(text) = frequency {
        check(text)?;
    }
    let mut conn = core.db.conn().await?;
    let unknown = || Error::UnknownSync {
        integration: scope.integration.to_owned(),
        name: name.to_string(),
    };
    let one = std::slice::from_ref(name);
    let found = match resolve(
        &mut conn,
        &Scope {
            names: one,
            ..*scope
        },
    )
    .await
    {
        Err(Error::NoSyncs(_)) => return Err(unknown()),
        found => found?,
    };
    let id = found.into_iter().next().ok_or_else(unknown)?.id;
    let told = conn
        .transaction(async |conn| {
            let (mut sync, function) = Sync::lock(conn, scope.environment, id)
                .await?
                .ok_or_else(unknown)?;
            sync.frequency = frequency.map(str::to_owned);
            diesel::update(syncs::table.find((scope.environment, id)))
                .set((
                    syncs::frequency.eq(frequency),
                    syncs::updated_at.eq(diesel::dsl::now),
                ))
                .execute(conn)
                .await?;
            schedules::update(conn, &sync.schedule_key(), &sync.spec(&function)).await?;
            Ok::<_, Error>(match frequency {
                Some(text) => interval(text),
                None => function.frequency,
            })
        })
        .await?;
    drop(conn);
    core.jobs.wake();
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_may_be_left_out_and_half_a_minute_is_the_least() {
        for (text, seconds) in [
            ("every 30s", 30),
            ("1h", 3_600),
            ("every quarter hour", 900),
            ("half day", 43_200),
            ("every 5 minutes", 300),
            ("every week", 604_800),
        ] {
            let spec = check(text).unwrap();
            assert_eq!(spec.interval().unwrap().as_secs(), seconds, "{text}");
        }
        assert!(check("0 6 * * *").unwrap().interval().is_none());
        assert!(matches!(check("every 29s"), Err(Error::TooShort)));
        assert!(matches!(check("sometimes"), Err(Error::Frequency(_))));
        assert_eq!(interval("every half hour"), "30m");
        assert_eq!(interval("every 5 minutes"), "5 minutes");
    }
}
