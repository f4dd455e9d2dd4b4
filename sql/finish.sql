-- Runs last: what every table and function of the schema has in common.

-- Every table refuses writes by anybody but the guard; see src/pg/protect.rs. The triggers do
-- nothing until the database is armed, so that a dump can be restored.
DO $$
DECLARE
    relation pg_catalog.regclass;
BEGIN
    FOR relation IN SELECT c.oid FROM pg_catalog.pg_class c
                    WHERE c.relnamespace = 'migration_guard'::pg_catalog.regnamespace AND c.relkind = 'r' LOOP
        EXECUTE pg_catalog.format('CREATE TRIGGER migration_guard_protect BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE '
            'ON %s FOR EACH STATEMENT EXECUTE FUNCTION migration_guard.protect()', relation);
        EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE ALWAYS TRIGGER migration_guard_protect', relation);
        EXECUTE pg_catalog.format('COMMENT ON TRIGGER migration_guard_protect ON %s IS %L', relation,
            'Refuses writes by anybody but the guard');
    END LOOP;
END
$$;

CREATE VIEW migration_guard.rules AS SELECT * FROM migration_guard.rule_list();
COMMENT ON VIEW migration_guard.rules IS 'Every rule of this release';
COMMENT ON COLUMN migration_guard.rules.rule IS 'Id, as used in policy and tokens';
COMMENT ON COLUMN migration_guard.rules.family IS 'Group of the rule';
COMMENT ON COLUMN migration_guard.rules.risk IS 'How bad it would be';
COMMENT ON COLUMN migration_guard.rules.summary IS 'When it fires';
COMMENT ON COLUMN migration_guard.rules.safer_way IS 'What to do instead';

COMMENT ON FUNCTION migration_guard.enable(text) IS 'Arms this database: creates the event triggers and the policy of the preset (observe, standard or strict)';
COMMENT ON FUNCTION migration_guard.disable() IS 'Disarms this database; history, policy and snapshots stay';
COMMENT ON FUNCTION migration_guard.status() IS 'What is guarded and what is not, with the line that mends it';
COMMENT ON FUNCTION migration_guard.version() IS 'Version of the loaded library';
COMMENT ON FUNCTION migration_guard.rule_list() IS 'The rows of the view rules';
COMMENT ON FUNCTION migration_guard.is_administrator() IS 'Is the caller a superuser or a member of migration_guard.admin_role?';
COMMENT ON FUNCTION migration_guard.issue_token(text[], text[], text, interval, integer, text) IS 'Issues a token that allows these rules on these objects; it is shown once';
COMMENT ON FUNCTION migration_guard.use_token(text) IS 'Presents a token for the rest of the transaction';
COMMENT ON FUNCTION migration_guard.revoke(bigint, text) IS 'Makes a token worthless';
COMMENT ON FUNCTION migration_guard.begin_migration(text, text, text) IS 'Names the migration that the following statements of this session belong to';
COMMENT ON FUNCTION migration_guard.end_migration() IS 'Ends the migration that begin_migration began';
COMMENT ON FUNCTION migration_guard.on_ddl_command_start() IS 'Event trigger: decides before a statement runs';
COMMENT ON FUNCTION migration_guard.on_ddl_command_end() IS 'Event trigger: records a statement that ran';
COMMENT ON FUNCTION migration_guard.on_sql_drop() IS 'Event trigger: compares what went with what was approved';
COMMENT ON FUNCTION migration_guard.on_table_rewrite() IS 'Event trigger: notes that a table is rewritten';
COMMENT ON FUNCTION migration_guard.protect() IS 'Trigger: refuses writes to the guard''s tables by anybody else';

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

-- Nothing is for PUBLIC but what is listed here; each of these checks its caller.
REVOKE ALL ON ALL TABLES IN SCHEMA migration_guard FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA migration_guard FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA migration_guard FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    migration_guard.status(), migration_guard.version(), migration_guard.rule_list(),
    migration_guard.is_administrator(),
    migration_guard.issue_token(text[], text[], text, interval, integer, text),
    migration_guard.revoke(bigint, text),
    migration_guard.use_token(text),
    migration_guard.snapshot_table(regclass, text),
    migration_guard.restore_table(bigint, text, boolean),
    migration_guard.compare_snapshot(bigint), migration_guard.pin_snapshot(bigint),
    migration_guard.drop_snapshot(bigint), migration_guard.purge_snapshots(interval),
    migration_guard.begin_migration(text, text, text), migration_guard.end_migration()
TO PUBLIC;
GRANT SELECT ON migration_guard.rules, migration_guard.snapshots TO PUBLIC;
