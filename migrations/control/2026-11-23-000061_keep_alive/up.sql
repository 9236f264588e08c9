-- What the background asks every ten minutes: connections that nobody looked
-- after for a day, without those that it has given up. Not CONCURRENTLY,
-- which waits for the migrator's own lock when two migrate at once; writers
-- wait for as long as building takes, a second or two for a million rows.
CREATE INDEX connections_keep_alive ON connections (keep_alive_at)
    WHERE refresh_failure_days < 4;
