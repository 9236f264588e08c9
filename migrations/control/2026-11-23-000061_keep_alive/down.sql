DROP INDEX connections_keep_alive;
