-- The snapshot room: what was kept before a change. The rows live in ordinary tables of the schema
-- migration_guard_snapshots (they travel with pg_dump); this registry says what they are.

CREATE SCHEMA migration_guard_snapshots;
REVOKE ALL ON SCHEMA migration_guard_snapshots FROM PUBLIC;
GRANT USAGE ON SCHEMA migration_guard_snapshots TO PUBLIC;
COMMENT ON SCHEMA migration_guard_snapshots IS
    'Rows kept by migration_guard: one table per snapshot, readable by the owner of the original';

CREATE TABLE migration_guard.snapshot (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind          text NOT NULL CHECK (kind IN ('storage', 'copy', 'column', 'definition')),
    cause         text NOT NULL
                  CHECK (cause IN ('drop-table', 'truncate', 'delete', 'update', 'drop-column', 'manual')),
    relation      oid NOT NULL,
    database      text NOT NULL,
    part_of       bigint,
    schema_name   text NOT NULL,
    relation_name text NOT NULL,
    table_name    text NOT NULL,
    owner         text NOT NULL,
    owner_oid     oid NOT NULL,
    label         text,
    taken_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    taken_by      text NOT NULL,
    session_role  text NOT NULL,
    migration_id  bigint,
    statement_id  bigint,
    row_count     bigint NOT NULL,
    bytes         bigint NOT NULL,
    pinned        boolean NOT NULL DEFAULT false,
    expires_at    timestamptz,
    storage_name  text UNIQUE,
    definition    jsonb,
    columns       jsonb NOT NULL,
    restored_at   timestamptz,
    restored_by   text,
    dropped_at    timestamptz
);
CREATE INDEX snapshot_relation ON migration_guard.snapshot (relation);
CREATE INDEX snapshot_migration ON migration_guard.snapshot (migration_id);

COMMENT ON TABLE migration_guard.snapshot IS
    'The registry of snapshots: what was kept, of which table, why, and where its rows are';
COMMENT ON COLUMN migration_guard.snapshot.id IS 'Number of the snapshot, the argument of restore_table';
COMMENT ON COLUMN migration_guard.snapshot.kind IS
    'copy: rows and definition; column: key and the named columns; definition: no rows; storage: reserved for constant-time snapshots';
COMMENT ON COLUMN migration_guard.snapshot.cause IS 'The statement that made it necessary, or manual';
COMMENT ON COLUMN migration_guard.snapshot.relation IS 'OID of the original table in the database named by column database';
COMMENT ON COLUMN migration_guard.snapshot.database IS
    'System identifier and database OID where the snapshot was taken: elsewhere the OID means nothing and the name counts';
COMMENT ON COLUMN migration_guard.snapshot.part_of IS 'Snapshot of the partitioned parent that this one was taken with';
COMMENT ON COLUMN migration_guard.snapshot.schema_name IS 'Schema of the original table';
COMMENT ON COLUMN migration_guard.snapshot.relation_name IS 'Name of the original table within its schema';
COMMENT ON COLUMN migration_guard.snapshot.table_name IS 'Quoted identity of the original table';
COMMENT ON COLUMN migration_guard.snapshot.owner IS 'Owner of the original table: who may read and restore';
COMMENT ON COLUMN migration_guard.snapshot.owner_oid IS
    'OID of that role in the database named by column database: a rename changes nothing, a new role of the same name gets nothing';
COMMENT ON COLUMN migration_guard.snapshot.label IS 'Free text given to snapshot_table';
COMMENT ON COLUMN migration_guard.snapshot.taken_at IS 'When the snapshot was taken';
COMMENT ON COLUMN migration_guard.snapshot.taken_by IS 'Current user at that time';
COMMENT ON COLUMN migration_guard.snapshot.session_role IS 'Session user at that time';
COMMENT ON COLUMN migration_guard.snapshot.migration_id IS 'The migration whose statement made it necessary';
COMMENT ON COLUMN migration_guard.snapshot.statement_id IS 'The statement that made it necessary';
COMMENT ON COLUMN migration_guard.snapshot.row_count IS 'Rows kept';
COMMENT ON COLUMN migration_guard.snapshot.bytes IS 'Disk space of the kept rows when the snapshot was taken';
COMMENT ON COLUMN migration_guard.snapshot.pinned IS 'Never purged while true';
COMMENT ON COLUMN migration_guard.snapshot.expires_at IS 'When purge_snapshots may drop it; NULL: never by itself';
COMMENT ON COLUMN migration_guard.snapshot.storage_name IS 'Table in schema migration_guard_snapshots; NULL when no rows are kept';
COMMENT ON COLUMN migration_guard.snapshot.definition IS 'Versioned document: the steps that make the table again; NULL after the drop of the snapshot';
COMMENT ON COLUMN migration_guard.snapshot.columns IS 'The kept columns: name, type, and whether they are kept as text';
COMMENT ON COLUMN migration_guard.snapshot.restored_at IS 'Last restore from this snapshot';
COMMENT ON COLUMN migration_guard.snapshot.restored_by IS 'Who restored it last';
COMMENT ON COLUMN migration_guard.snapshot.dropped_at IS 'When its rows were dropped (drop_snapshot, purge_snapshots)';
COMMENT ON SEQUENCE migration_guard.snapshot_id_seq IS 'Numbers of snapshots';

REVOKE ALL ON TABLE migration_guard.snapshot FROM PUBLIC;
REVOKE ALL ON SEQUENCE migration_guard.snapshot_id_seq FROM PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('migration_guard.snapshot', '');
SELECT pg_catalog.pg_extension_config_dump('migration_guard.snapshot_id_seq', '');

CREATE VIEW migration_guard.snapshots WITH (security_barrier) AS
SELECT s.id, s.kind, s.table_name, s.label, s.taken_at, s.taken_by, s.migration_id, s.row_count,
       s.bytes, s.pinned, s.expires_at,
       s.dropped_at IS NULL AND (s.storage_name IS NULL OR c.oid IS NOT NULL) AS restorable,
       CASE WHEN s.dropped_at IS NOT NULL
                 THEN 'dropped at ' || pg_catalog.date_trunc('second', s.dropped_at)
            WHEN s.storage_name IS NOT NULL AND c.oid IS NULL THEN 'its rows are gone'
            WHEN s.storage_name IS NULL THEN 'definition only, no rows'
            WHEN s.restored_at IS NOT NULL
                 THEN 'restored at ' || pg_catalog.date_trunc('second', s.restored_at)
       END AS reason
  FROM migration_guard.snapshot s
  LEFT JOIN pg_catalog.pg_class c
         ON c.relname = s.storage_name
        AND c.relnamespace = (SELECT n.oid FROM pg_catalog.pg_namespace n
                               WHERE n.nspname = 'migration_guard_snapshots')
  LEFT JOIN pg_catalog.pg_roles o
         ON CASE WHEN s.database = (SELECT i.system_identifier || '/' || d.oid
                                      FROM pg_catalog.pg_control_system() i, pg_catalog.pg_database d
                                     WHERE d.datname = pg_catalog.current_database())
                 THEN o.oid = s.owner_oid ELSE o.rolname = s.owner END
 WHERE pg_catalog.pg_has_role(o.oid, 'USAGE')
    OR (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = current_user)
    OR EXISTS (SELECT FROM pg_catalog.pg_roles r
                WHERE r.rolname = pg_catalog.current_setting('migration_guard.admin_role', true)
                  AND pg_catalog.pg_has_role(r.oid, 'USAGE'));
COMMENT ON VIEW migration_guard.snapshots IS
    'Snapshots of the tables whose owner the current user may act as; administrators see all';
COMMENT ON COLUMN migration_guard.snapshots.id IS 'Number of the snapshot, the argument of restore_table';
COMMENT ON COLUMN migration_guard.snapshots.kind IS 'storage, copy, column or definition';
COMMENT ON COLUMN migration_guard.snapshots.table_name IS 'Quoted identity of the original table';
COMMENT ON COLUMN migration_guard.snapshots.label IS 'Free text given to snapshot_table';
COMMENT ON COLUMN migration_guard.snapshots.taken_at IS 'When the snapshot was taken';
COMMENT ON COLUMN migration_guard.snapshots.taken_by IS 'Current user at that time';
COMMENT ON COLUMN migration_guard.snapshots.migration_id IS 'The migration whose statement made it necessary';
COMMENT ON COLUMN migration_guard.snapshots.row_count IS 'Rows kept';
COMMENT ON COLUMN migration_guard.snapshots.bytes IS 'Disk space of the kept rows when the snapshot was taken';
COMMENT ON COLUMN migration_guard.snapshots.pinned IS 'Never purged while true';
COMMENT ON COLUMN migration_guard.snapshots.expires_at IS 'When purge_snapshots may drop it';
COMMENT ON COLUMN migration_guard.snapshots.restorable IS 'Can restore_table use it now?';
COMMENT ON COLUMN migration_guard.snapshots.reason IS 'Why not, or what to know about it';
GRANT SELECT ON migration_guard.snapshots TO PUBLIC;
