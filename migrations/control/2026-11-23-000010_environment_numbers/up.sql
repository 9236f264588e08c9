-- The API names environments and keys by number. Adding an identity rewrites
-- these two tables, which have a row for each environment and key: small ones.
ALTER TABLE environments ADD COLUMN number bigint NOT NULL GENERATED ALWAYS AS IDENTITY UNIQUE;
ALTER TABLE api_keys ADD COLUMN number bigint NOT NULL GENERATED ALWAYS AS IDENTITY UNIQUE;

-- Deleting an environment deletes what is in it. The constraints are validated
-- by the next migration, so that none of this waits for a scan.
ALTER TABLE api_keys
    DROP CONSTRAINT api_keys_environment_id_fkey,
    ADD CONSTRAINT api_keys_environment_id_fkey FOREIGN KEY (environment_id)
        REFERENCES environments (id) ON DELETE CASCADE NOT VALID;
ALTER TABLE data_keys
    DROP CONSTRAINT data_keys_environment_id_fkey,
    ADD CONSTRAINT data_keys_environment_id_fkey FOREIGN KEY (environment_id)
        REFERENCES environments (id) ON DELETE CASCADE NOT VALID;
ALTER TABLE connect_sessions
    DROP CONSTRAINT connect_sessions_environment_id_fkey,
    ADD CONSTRAINT connect_sessions_environment_id_fkey FOREIGN KEY (environment_id)
        REFERENCES environments (id) ON DELETE CASCADE NOT VALID;
ALTER TABLE integrations
    DROP CONSTRAINT integrations_environment_id_fkey,
    ADD CONSTRAINT integrations_environment_id_fkey FOREIGN KEY (environment_id)
        REFERENCES environments (id) ON DELETE CASCADE NOT VALID;

-- Where webhooks about one connection go instead of the environment's address.
ALTER TABLE connections ADD COLUMN webhook_url_override text;

-- What webhooks to the product are signed with; one for each environment.
CREATE TABLE webhook_signing_keys (
    environment_id  uuid        NOT NULL UNIQUE REFERENCES environments (id) ON DELETE CASCADE,
    id              uuid        NOT NULL,
    -- Sealed.
    key             bytea       NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (environment_id, id)
);
