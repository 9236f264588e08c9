ALTER TABLE refresh_leases DROP COLUMN credentials_version, DROP COLUMN is_contested;
ALTER TABLE connections
    DROP COLUMN refresh_error_log_id,
    DROP COLUMN refresh_failure_days,
    DROP COLUMN refresh_failure_counted_on,
    DROP COLUMN keep_alive_at;
