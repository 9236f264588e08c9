-- What is wrong with a connection whose refreshes fail, and when the
-- background looks after it next. No default here is volatile, so nothing is
-- rewritten.
ALTER TABLE connections
    -- The operation that says why; NULL while nothing is wrong.
    ADD COLUMN refresh_error_log_id uuid,
    -- On how many days refreshes failed since the last that succeeded, and the
    -- last day (UTC) that was counted.
    ADD COLUMN refresh_failure_days smallint NOT NULL DEFAULT 0,
    ADD COLUMN refresh_failure_counted_on date,
    ADD COLUMN keep_alive_at timestamptz NOT NULL DEFAULT now() + interval '1 day';

ALTER TABLE refresh_leases
    -- The version of the credentials that the holder spends.
    ADD COLUMN credentials_version bigint NOT NULL DEFAULT 0,
    -- Somebody waits for the holder to show that it lives.
    ADD COLUMN is_contested boolean NOT NULL DEFAULT false;
