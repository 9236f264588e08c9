-- A page that waits on a websocket for its popup's result. The page has not
-- said yet for which environment, so this is no tenant's table: a row is found
-- by the hash of a random capability, and by nothing else.
CREATE TABLE popup_channels (
    id_hash     bytea       PRIMARY KEY,
    -- The server process that has the websocket.
    holder      uuid        NOT NULL,
    -- The page's origin, as its browser named it.
    origin      text,
    -- Whether a flow has named the channel: it belongs to the first that does.
    is_bound    boolean     NOT NULL DEFAULT false,
    -- What the page is to be told, until its holder has fetched it. It says
    -- no more than the operation log does.
    result      jsonb,
    expires_at  timestamptz NOT NULL
);
CREATE INDEX popup_channels_expires_at ON popup_channels (expires_at);
CREATE INDEX popup_channels_ready ON popup_channels (holder) WHERE result IS NOT NULL;
