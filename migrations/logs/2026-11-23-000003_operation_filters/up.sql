-- What a list of one connection's operations, or of the failed ones, reads.
-- ONLY: partitions made from now on have the indexes; building them on those
-- that are written to now would hold up every writer, and these go with
-- retention anyway.
CREATE INDEX operations_connection ON ONLY logs.operations
    (environment_id, connection_id, created_at, id);
CREATE INDEX operations_failed ON ONLY logs.operations
    (environment_id, created_at, id) WHERE status = 'failed';
