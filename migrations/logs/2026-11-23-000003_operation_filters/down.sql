DROP INDEX logs.operations_failed;
DROP INDEX logs.operations_connection;
