-- Until when one server registers this integration with its provider; the
-- others wait for what comes of it. Null while nobody does.
ALTER TABLE integrations ADD COLUMN registering_until timestamptz;
