DROP TABLE logs.counted_operations;
