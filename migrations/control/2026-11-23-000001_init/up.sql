-- Tenancy ---------------------------------------------------------------

CREATE TABLE accounts (
    id          uuid        PRIMARY KEY,
    name        text        NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE environments (
    id             uuid        PRIMARY KEY,
    account_id     uuid        NOT NULL REFERENCES accounts (id),
    name           text        NOT NULL,
    is_production  boolean     NOT NULL,
    -- Identifies the environment to browsers; it is not a secret.
    public_key     uuid        NOT NULL UNIQUE,
    created_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (account_id, name)
);

-- API keys are stored as the SHA-256 of their text and shown once.
CREATE TABLE api_keys (
    environment_id  uuid        NOT NULL REFERENCES environments (id),
    id              uuid        NOT NULL,
    name            text        NOT NULL,
    hash            bytea       NOT NULL UNIQUE,
    scopes          text[]      NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    deleted_at      timestamptz,
    PRIMARY KEY (environment_id, id)
);

-- Vault -----------------------------------------------------------------

-- One row per version of an environment's data key, wrapped by a root key.
-- The highest version seals, once every process has had time to load it; the
-- others only open.
CREATE TABLE data_keys (
    environment_id  uuid        NOT NULL REFERENCES environments (id),
    version         integer     NOT NULL CHECK (version > 0),
    root_key_id     text        NOT NULL,
    wrapped         bytea       NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (environment_id, version)
);
CREATE INDEX data_keys_root_key_id ON data_keys (root_key_id);

-- Proves at start that the configured keyring belongs to this database: a
-- known text sealed by each root key that was ever the primary one.
CREATE TABLE root_keys (
    id          text        PRIMARY KEY,
    check_value bytea       NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);

-- Integrations and connections ------------------------------------------

CREATE TABLE integrations (
    environment_id    uuid        NOT NULL REFERENCES environments (id),
    id                uuid        NOT NULL,
    unique_key        text        NOT NULL,
    provider          text        NOT NULL,
    display_name      text,
    client_id         text,
    -- Sealed JSON object: client_secret and the secret configuration fields.
    secrets           bytea       NOT NULL,
    scopes            text,
    config            jsonb       NOT NULL DEFAULT '{}',
    forward_webhooks  boolean     NOT NULL DEFAULT true,
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (environment_id, id),
    UNIQUE (environment_id, unique_key)
);

CREATE TABLE connections (
    environment_id       uuid        NOT NULL,
    id                   bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    integration_id       uuid        NOT NULL,
    connection_id        text        NOT NULL,
    -- Sealed JSON: the credentials, and in their own columns what the sweeps
    -- and the compare-and-set of a refresh need of them.
    credentials          bytea       NOT NULL,
    credentials_version  bigint      NOT NULL DEFAULT 1,
    credentials_expire_at timestamptz,
    connection_config    jsonb       NOT NULL DEFAULT '{}',
    -- Sealed JSON object.
    metadata             bytea       NOT NULL,
    tags                 jsonb       NOT NULL DEFAULT '{}',
    end_user             jsonb,
    last_refresh_failure_at timestamptz,
    last_fetched_at      timestamptz NOT NULL DEFAULT now(),
    created_at           timestamptz NOT NULL DEFAULT now(),
    updated_at           timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (environment_id, id),
    UNIQUE (environment_id, integration_id, connection_id),
    FOREIGN KEY (environment_id, integration_id)
        REFERENCES integrations (environment_id, id) ON DELETE CASCADE
);

-- Who may call the provider to refresh a connection now. A row outlives its
-- holder and is then taken over.
CREATE TABLE refresh_leases (
    environment_id  uuid        NOT NULL,
    connection      bigint      NOT NULL,
    holder          uuid        NOT NULL,
    expires_at      timestamptz NOT NULL,
    PRIMARY KEY (environment_id, connection),
    FOREIGN KEY (environment_id, connection)
        REFERENCES connections (environment_id, id) ON DELETE CASCADE
);

-- Flows -----------------------------------------------------------------

CREATE TABLE connect_sessions (
    environment_id        uuid        NOT NULL REFERENCES environments (id),
    id                    uuid        NOT NULL,
    token_hash            bytea       NOT NULL UNIQUE,
    -- NULL allows every integration of the environment.
    allowed_integrations  text[],
    -- Sealed JSON: configuration defaults can carry client secrets.
    details               bytea       NOT NULL,
    created_at            timestamptz NOT NULL DEFAULT now(),
    expires_at            timestamptz NOT NULL,
    PRIMARY KEY (environment_id, id)
);
CREATE INDEX connect_sessions_expires_at ON connect_sessions (expires_at);

-- An authorisation under way; taken once by its callback.
CREATE TABLE oauth_flows (
    environment_id  uuid        NOT NULL,
    id              uuid        NOT NULL,
    integration_id  uuid        NOT NULL,
    state_hash      bytea       NOT NULL UNIQUE,
    -- Sealed JSON: PKCE verifier, redirect URI, result channel, session.
    details         bytea       NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    expires_at      timestamptz NOT NULL,
    PRIMARY KEY (environment_id, id),
    FOREIGN KEY (environment_id, integration_id)
        REFERENCES integrations (environment_id, id) ON DELETE CASCADE
);
CREATE INDEX oauth_flows_integration ON oauth_flows (environment_id, integration_id);
CREATE INDEX oauth_flows_expires_at ON oauth_flows (expires_at);
