ALTER TABLE connections DROP COLUMN config_secrets;
