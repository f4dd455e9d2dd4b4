"""What the extension is made of: every member is listed here, has a comment, and is not PUBLIC's to write."""

from guard_case import Cluster, finish, is_equal

FOR_PUBLIC = """
begin_migration compare_snapshot drop_snapshot end_migration is_administrator issue_token pin_snapshot
purge_snapshots restore_table revoke rule_list snapshot_table status use_token version
""".split()
FUNCTIONS = """
begin_migration(text,text,text)
compare_snapshot(bigint)
disable()
drop_snapshot(bigint)
enable(text)
end_migration()
is_administrator()
issue_token(text[],text[],text,interval,integer,text)
on_ddl_command_end()
on_ddl_command_start()
on_sql_drop()
on_table_rewrite()
pin_snapshot(bigint)
protect()
purge_snapshots(interval)
restore_table(bigint,text,boolean)
revoke(bigint,text)
rule_list()
snapshot_table(regclass,text)
status()
use_token(text)
version()
""".split("\n")[1:-1]
RELATIONS = """
r approval
r approval_use
r migration_statements
r migrations_history
r policy
r snapshot
S approval_id_seq
S migration_statements_id_seq
S migrations_history_id_seq
S policy_id_seq
S snapshot_id_seq
v approvals
v rules
v snapshots
""".split("\n")[1:-1]

with Cluster("shared_preload_libraries = 'migration_guard'") as cluster, cluster.connect(autocommit=True) as db:

    def column(query):
        return [row[0] for row in db.execute(query)]

    db.execute("CREATE EXTENSION migration_guard")
    db.execute(
        "CREATE TEMP VIEW member AS SELECT d.classid, d.objid FROM pg_depend d, pg_extension e "
        "WHERE e.extname = 'migration_guard' AND d.refclassid = 'pg_extension'::regclass "
        "AND d.refobjid = e.oid AND d.deptype = 'e'"
    )

    # The list. Row types, array types and indexes belong to their tables.
    is_equal("functions are those of the list", sorted(FUNCTIONS), sorted(column(
        "SELECT replace(objid::regprocedure::text, 'migration_guard.', '') FROM member "
        "WHERE classid = 'pg_proc'::regclass")))
    is_equal("tables, views and sequences are those of the list", sorted(RELATIONS), sorted(column(
        "SELECT c.relkind::text || ' ' || c.relname FROM member m JOIN pg_class c ON c.oid = m.objid "
        "WHERE classid = 'pg_class'::regclass")))
    is_equal("the rest is the schema of the snapshots", ["schema migration_guard_snapshots"], column(
        "SELECT pg_describe_object(classid, objid, 0) FROM member WHERE classid NOT IN "
        "('pg_proc'::regclass, 'pg_class'::regclass, 'pg_type'::regclass) ORDER BY 1"))
    is_equal("no type but those of its tables", [], column(
        "SELECT objid::regtype FROM member m JOIN pg_type t ON t.oid = objid WHERE classid = 'pg_type'::regclass "
        "AND typrelid = 0 AND typelem = 0"))
    is_equal("nothing else is in the schemas", [], column(
        "SELECT pg_describe_object('pg_class'::regclass, c.oid, 0) FROM pg_class c "
        "WHERE relnamespace IN ('migration_guard'::regnamespace, 'migration_guard_snapshots'::regnamespace) "
        "AND relkind <> 'i' AND NOT EXISTS (SELECT FROM member m WHERE m.objid = c.oid) UNION ALL "
        "SELECT p.oid::regprocedure::text FROM pg_proc p WHERE pronamespace = 'migration_guard'::regnamespace "
        "AND NOT EXISTS (SELECT FROM member m WHERE m.objid = p.oid)"))

    # Comments.
    is_equal("every member has a comment", [], column(
        "SELECT pg_describe_object(classid, objid, 0) FROM member m WHERE classid <> 'pg_type'::regclass "
        "AND obj_description(objid, (SELECT relname FROM pg_class WHERE oid = m.classid)) IS NULL ORDER BY 1"))
    is_equal("both schemas have a comment", [], column(
        "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'migration_guard%' "
        "AND obj_description(oid, 'pg_namespace') IS NULL"))
    is_equal("the extension has a comment", [], column(
        "SELECT extname FROM pg_extension WHERE extname = 'migration_guard' "
        "AND obj_description(oid, 'pg_extension') IS NULL"))
    is_equal("every column has a comment", [], column(
        "SELECT c.relname || '.' || a.attname FROM member m JOIN pg_class c ON c.oid = m.objid "
        "AND relkind IN ('r', 'v') JOIN pg_attribute a ON attrelid = c.oid AND attnum > 0 AND NOT attisdropped "
        "WHERE m.classid = 'pg_class'::regclass AND col_description(c.oid, attnum) IS NULL ORDER BY 1"))
    is_equal("every trigger has a comment", [], column(
        "SELECT tgrelid::regclass::text || ' ' || tgname FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid "
        "WHERE relnamespace = 'migration_guard'::regnamespace AND NOT tgisinternal "
        "AND obj_description(t.oid, 'pg_trigger') IS NULL"))
    db.execute("SELECT migration_guard.enable()")
    is_equal("every event trigger has a comment", [], column(
        "SELECT evtname FROM pg_event_trigger WHERE obj_description(oid, 'pg_event_trigger') IS NULL"))
    is_equal("every setting has a description", [], column(
        "SELECT name FROM pg_settings WHERE name LIKE 'migration_guard.%' AND coalesce(short_desc, '') = ''"))

    # Rights.
    is_equal("every table refuses strangers", [r[2:] for r in RELATIONS if r[0] == "r"], column(
        "SELECT relname FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid WHERE tgname = 'migration_guard_protect' "
        "AND tgenabled = 'A' AND tgtype = 62 AND relnamespace = 'migration_guard'::regnamespace ORDER BY 1"))
    db.execute("CREATE ROLE nobody")
    is_equal("PUBLIC reads two views and nothing else", ["rules SELECT", "snapshots SELECT"], column(
        "SELECT relname || ' ' || p FROM member m JOIN pg_class c ON c.oid = m.objid AND relkind IN ('r', 'v'), "
        "unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) p "
        "WHERE m.classid = 'pg_class'::regclass AND (has_table_privilege('nobody', c.oid, p) "
        "OR CASE WHEN p IN ('DELETE', 'TRUNCATE', 'TRIGGER') THEN false "
        "ELSE has_any_column_privilege('nobody', c.oid, p) END) ORDER BY 1"))
    is_equal("PUBLIC has no right to a sequence", [], column(
        "SELECT relname FROM member m JOIN pg_class c ON c.oid = m.objid WHERE m.classid = 'pg_class'::regclass "
        "AND CASE relkind WHEN 'S' THEN has_sequence_privilege('nobody', c.oid, 'USAGE, SELECT, UPDATE') END"))
    is_equal("PUBLIC may use the schemas and create in none",
             ["migration_guard USAGE", "migration_guard_snapshots USAGE"], column(
        "SELECT nspname || ' ' || p FROM pg_namespace, unnest('{USAGE,CREATE}'::text[]) p "
        "WHERE nspname LIKE 'migration_guard%' AND has_schema_privilege('nobody', oid, p) ORDER BY 1"))
    is_equal("PUBLIC may execute what is listed", sorted(FOR_PUBLIC), column(
        "SELECT proname FROM member m JOIN pg_proc p ON p.oid = m.objid WHERE m.classid = 'pg_proc'::regclass "
        "AND has_function_privilege('nobody', p.oid, 'EXECUTE') ORDER BY 1"))
    is_equal("everything belongs to the superuser", [], column(
        "SELECT relname FROM pg_class WHERE relnamespace::regnamespace::text LIKE 'migration_guard%' "
        "AND relowner <> 10 UNION ALL "
        "SELECT proname FROM pg_proc WHERE pronamespace = 'migration_guard'::regnamespace AND proowner <> 10 "
        "UNION ALL SELECT nspname FROM pg_namespace WHERE nspname LIKE 'migration_guard%' AND nspowner <> 10"))
    is_equal("no function runs as its owner", [], column(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'migration_guard'::regnamespace AND prosecdef"))
    is_equal("pg_dump takes every table and sequence along", sorted(r[2:] for r in RELATIONS if r[0] in "rS"), column(
        "SELECT relname FROM pg_extension, unnest(extconfig) c JOIN pg_class ON pg_class.oid = c "
        "WHERE extname = 'migration_guard' ORDER BY 1"))
finish()
