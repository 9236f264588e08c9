-- Sealed: the values of connection_config that its provider's template marks
-- secret. Null where there are none.
ALTER TABLE connections ADD COLUMN config_secrets bytea;
