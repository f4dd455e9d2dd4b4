-- Placeholder of the snapshot branch: discard in the merge.
GRANT USAGE ON SCHEMA migration_guard TO PUBLIC;
