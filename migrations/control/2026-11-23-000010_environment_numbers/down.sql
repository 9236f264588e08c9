DROP TABLE webhook_signing_keys;
ALTER TABLE connections DROP COLUMN webhook_url_override;
ALTER TABLE integrations
    DROP CONSTRAINT integrations_environment_id_fkey,
    ADD CONSTRAINT integrations_environment_id_fkey FOREIGN KEY (environment_id)
        REFERENCES environments (id);
ALTER TABLE connect_sessions
    DROP CONSTRAINT connect_sessions_environment_id_fkey,
    ADD CONSTRAINT connect_sessions_environment_id_fkey FOREIGN KEY (environment_id)
        REFERENCES environments (id);
ALTER TABLE data_keys
    DROP CONSTRAINT data_keys_environment_id_fkey,
    ADD CONSTRAINT data_keys_environment_id_fkey FOREIGN KEY (environment_id)
        REFERENCES environments (id);
ALTER TABLE api_keys
    DROP CONSTRAINT api_keys_environment_id_fkey,
    ADD CONSTRAINT api_keys_environment_id_fkey FOREIGN KEY (environment_id)
        REFERENCES environments (id);
ALTER TABLE api_keys DROP COLUMN number;
ALTER TABLE environments DROP COLUMN number;
