-- Comments and rights of the room's functions; runs after them.

COMMENT ON FUNCTION migration_guard.snapshot_table(regclass, text) IS
    'Keeps the rows and the definition of a table (a partitioned one with its partitions); returns the number of the snapshot';
COMMENT ON FUNCTION migration_guard.restore_table(bigint, text, boolean) IS
    'Brings a table, its rows or its dropped columns back from a snapshot, or makes a copy as new_name; one row per object';
COMMENT ON FUNCTION migration_guard.compare_snapshot(bigint) IS
    'Counts the rows that only the snapshot has, that only the table has, and that differ';
COMMENT ON FUNCTION migration_guard.pin_snapshot(bigint) IS
    'Keeps a snapshot from being purged';
COMMENT ON FUNCTION migration_guard.drop_snapshot(bigint) IS
    'Drops the rows of a snapshot now; for administrators';
COMMENT ON FUNCTION migration_guard.purge_snapshots(interval) IS
    'Drops expired snapshots, or those older than the interval, except pinned ones; returns how many; for administrators';
