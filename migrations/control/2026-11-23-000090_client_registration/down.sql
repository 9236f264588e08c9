ALTER TABLE integrations DROP COLUMN registering_until;
