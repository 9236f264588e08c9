-- Whether a browser that comes with the environment's public key must also
-- show that the product's backend sent it.
ALTER TABLE environments ADD COLUMN hmac_required boolean NOT NULL DEFAULT false;

-- The key by which a backend shows that, made when it is first asked for. At
-- most one for each environment: its id is the environment's.
CREATE TABLE hmac_keys (
    environment_id  uuid        NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
    id              uuid        NOT NULL CHECK (id = environment_id),
    -- Sealed: the key's text.
    key             bytea       NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (environment_id, id)
);
