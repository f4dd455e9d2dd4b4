"""Errors of Postgres are the same with and without the library: each field of the protocol, and what
psql prints. The bare server has no library at all; the other is preloaded and armed."""

import os
import subprocess

from attempts import FIELDS, create_database, guarded, outcome, run_all
from guard_case import Cluster, finish, is_equal, not_ok, ok

SETUP = r"""
CREATE TABLE t (id int PRIMARY KEY, v text NOT NULL, n int CONSTRAINT positive CHECK (n > 0), u int CONSTRAINT once UNIQUE);
INSERT INTO t VALUES (1, 'one', 1, 1), (2, 'two', 2, 2);
CREATE TABLE child (id int, t_id int CONSTRAINT to_t REFERENCES t);
INSERT INTO child VALUES (1, 1);
CREATE VIEW v AS SELECT id FROM t;
CREATE VIEW v2 AS SELECT id FROM v;
CREATE INDEX i ON t (v);
CREATE SEQUENCE s;
CREATE SCHEMA room;
CREATE TABLE room.chair (id int);
CREATE DOMAIN small AS int CONSTRAINT is_small CHECK (VALUE < 10);
CREATE TABLE domained (d small);
CREATE TYPE mood AS ENUM ('good');
CREATE TABLE moody (m mood);
CREATE TYPE pair AS (a int, b int);
CREATE TABLE holds_pair (p pair);
CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION f(text) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION fails(i int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1 / (i - i); END $$;
CREATE FUNCTION raises() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a message' USING ERRCODE = 'MG001', DETAIL = 'a detail', HINT = 'a hint', COLUMN = 'c',
        CONSTRAINT = 'k', DATATYPE = 'd', TABLE = 't', SCHEMA = 's';
END $$;
CREATE FUNCTION outer_raises() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM raises(); END $$;
CREATE FUNCTION ddl_fails() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CREATE TABLE x (id nosuch); END $$;
CREATE FUNCTION execute_fails() RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'SELECT nosuch FROM t'; END $$;
CREATE FUNCTION drop_fails() RETURNS void LANGUAGE plpgsql AS $$ BEGIN DROP TABLE nosuch; END $$;
CREATE FUNCTION sql_fails() RETURNS int LANGUAGE sql AS 'SELECT fails(1)';
CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    IF tg_tag = 'CREATE DOMAIN' THEN RAISE EXCEPTION 'no domains' USING ERRCODE = 'ZZ123', HINT = 'none at all'; END IF;
END $$;
CREATE FUNCTION trigger_raises() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM outer_raises(); RETURN NEW; END $$;
CREATE TABLE triggered (id int);
CREATE TRIGGER t AFTER INSERT ON triggered FOR EACH ROW EXECUTE FUNCTION trigger_raises();
CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$ BEGIN COMMIT; PERFORM outer_raises(); END $$;
"""

# statement, or (role, statement)
STATEMENTS = [
    "CREATE TABLE x (id nosuch)",
    "CREATE TABLE x (\n    id int,\n    v nosuch.nosuch\n)",
    "CREATE TABLE t (id int)",
    "CREATE TABLE nosuch.t (id int)",
    "CREATE TABLE x (id int PRIMARY KEY, id2 int PRIMARY KEY)",
    "CREATE TABLE x (id int REFERENCES nosuch)",
    "CREATE TABLE x (id int DEFAULT nosuch())",
    "CREATE TABLE x (id int CHECK (nosuch > 1))",
    "CREATE TABLE x AS SELECT 1 / 0 AS id",
    "CREATE INDEX ON t (nosuch)",
    "CREATE UNIQUE INDEX ON child ((id / 0))",
    "CREATE VIEW x AS SELECT nosuch FROM t",
    "CREATE OR REPLACE VIEW v AS SELECT v FROM t",
    "CREATE FUNCTION x() RETURNS int LANGUAGE sql AS 'SELECT nosuch'",
    "CREATE FUNCTION x() RETURNS int LANGUAGE plpgsql AS 'BEGIN nosuch; END'",
    "CREATE TRIGGER x BEFORE INSERT ON t EXECUTE FUNCTION nosuch()",
    "CREATE EXTENSION nosuch",
    "CREATE DOMAIN refused AS int",
    "CREATE INDEX CONCURRENTLY x ON t (nosuch)",
    "BEGIN; CREATE INDEX CONCURRENTLY x ON t (v)",
    "INSERT INTO t VALUES (3, 'three', -1, 3)",
    "INSERT INTO t VALUES (3, 'three', 1, 1)",
    "INSERT INTO t VALUES (1, 'three', 1, 3)",
    "INSERT INTO t VALUES (3, NULL, 1, 3)",
    "INSERT INTO child VALUES (2, 7)",
    "INSERT INTO domained VALUES (11)",
    "INSERT INTO moody VALUES ('nosuch')",
    "INSERT INTO triggered VALUES (1)",
    "INSERT INTO t VALUES (1)",
    "DELETE FROM t WHERE id = 1",
    "DELETE FROM t WHERE nosuch = 1",
    "DELETE FROM nosuch",
    "DELETE FROM v2 USING nosuch",
    "UPDATE t SET n = 0 WHERE id = 1",
    "UPDATE t SET n = fails(n) WHERE id = 1",
    "UPDATE t SET nosuch = 1",
    "UPDATE t SET id = 2 WHERE id = 1",
    "UPDATE t SET v = DEFAULT WHERE id = 1",
    "MERGE INTO t USING child c ON t.id = c.nosuch WHEN MATCHED THEN DELETE",
    "WITH x AS (DELETE FROM t WHERE id = fails(id) RETURNING 1) SELECT * FROM x",
    "SELECT raises()",
    "SELECT outer_raises()",
    "SELECT ddl_fails()",
    "SELECT execute_fails()",
    "SELECT drop_fails()",
    "SELECT sql_fails()",
    "SELECT 1 / 0",
    "SELECT * FROM nosuch",
    "SELEC 1",
    "DROP TABEL t",
    "SELECT 1; SELECT nosuch; SELECT 2",
    "CREATE TEMPORARY TABLE fine (id int); CREATE TABLE x (id nosuch)",
    "DO $$ BEGIN nosuch syntax; END $$",
    "DO $$ BEGIN PERFORM nosuch(); END $$",
    "DO $$ BEGIN PERFORM outer_raises(); END $$",
    "DO $$ BEGIN EXECUTE 'CREATE TABLE x (id nosuch)'; END $$",
    "DO $$ BEGIN EXECUTE 'ALTER TABLE t ADD CONSTRAINT c CHECK (n > 1)'; END $$",
    "DO $$ BEGIN RAISE EXCEPTION SQLSTATE '0Z0Z0' USING MESSAGE = 'odd'; END $$",
    "DO $$ BEGIN ASSERT false, 'asserted'; END $$",
    "CALL commits()",
    "SET statement_timeout = 100; SELECT pg_sleep(5)",
    "SET statement_timeout = 100; DO $$ BEGIN PERFORM pg_sleep(5); END $$",
    "SET statement_timeout = 100; CREATE TABLE slow AS SELECT pg_sleep(5)",
    "DROP TABLE nosuch",
    "DROP TABLE nosuch.nosuch",
    "DROP TABLE a.b.c.d",
    "DROP TABLE nosuch.public.t",
    "DROP TABLE v",
    "DROP TABLE i",
    "DROP TABLE s",
    "DROP VIEW t",
    "DROP VIEW v",
    "DROP INDEX t",
    "DROP INDEX nosuch",
    "DROP INDEX t_pkey",
    "DROP INDEX CONCURRENTLY t_pkey",
    "DROP SEQUENCE nosuch",
    "DROP MATERIALIZED VIEW t",
    "DROP FOREIGN TABLE t",
    "DROP TYPE nosuch",
    "DROP TYPE nosuch.nosuch",
    "DROP TYPE a.b.c.d",
    "DROP TYPE mood",
    "DROP TYPE t",
    "DROP TYPE int4",
    "DROP TYPE small",
    "DROP DOMAIN mood",
    "DROP DOMAIN nosuch",
    "DROP FUNCTION f",
    "DROP FUNCTION f CASCADE",
    "DROP FUNCTION IF EXISTS f",
    "DROP FUNCTION nosuch",
    "DROP FUNCTION nosuch(int)",
    "DROP FUNCTION f(nosuch)",
    "DROP FUNCTION a.b.c.d(int)",
    "DROP PROCEDURE f(int)",
    "DROP AGGREGATE f(int)",
    "DROP FUNCTION count(*)",
    "DROP ROUTINE f",
    "DROP OPERATOR === (int, int)",
    "DROP OPERATOR === (nosuch, int)",
    "DROP OPERATOR === (NONE, NONE)",
    "DROP OPERATOR CLASS nosuch USING nosuch",
    "DROP OPERATOR CLASS nosuch USING btree",
    "DROP OPERATOR FAMILY nosuch USING nosuch",
    "DROP CAST (nosuch AS int)",
    "DROP CAST (text AS mood)",
    "DROP TRANSFORM FOR nosuch LANGUAGE sql",
    "DROP TRANSFORM FOR int LANGUAGE nosuch",
    "DROP COLLATION nosuch",
    "DROP CONVERSION nosuch",
    "DROP LANGUAGE nosuch",
    "DROP ACCESS METHOD nosuch",
    "DROP STATISTICS nosuch",
    "DROP TEXT SEARCH PARSER nosuch",
    "DROP PUBLICATION nosuch",
    "DROP SUBSCRIPTION nosuch",
    "DROP SERVER nosuch",
    "DROP FOREIGN DATA WRAPPER nosuch",
    "DROP EVENT TRIGGER nosuch",
    "DROP SCHEMA nosuch",
    "DROP SCHEMA nosuch CASCADE",
    "DROP SCHEMA room",
    "DROP SCHEMA pg_catalog CASCADE",
    "DROP SCHEMA a.b",
    "DROP EXTENSION nosuch",
    "DROP EXTENSION plpgsql, nosuch",
    "DROP TRIGGER nosuch ON t",
    "DROP TRIGGER nosuch ON nosuch",
    "DROP TRIGGER nosuch ON a.b.c.d",
    "DROP RULE nosuch ON t",
    "DROP RULE nosuch ON nosuch.t",
    "DROP POLICY nosuch ON t",
    "DROP OWNED BY nosuch",
    "DROP OWNED BY nosuch CASCADE",
    "DROP ROLE nosuch",
    "DROP DATABASE nosuch",
    "DROP TABLESPACE nosuch",
    "TRUNCATE nosuch",
    "TRUNCATE v",
    "TRUNCATE nosuch.public.t",
    "ALTER TABLE nosuch DROP COLUMN x",
    "ALTER TABLE t DROP COLUMN nosuch",
    "ALTER TABLE t DROP COLUMN ctid",
    "ALTER TABLE t ALTER COLUMN nosuch SET DEFAULT 1",
    "ALTER TABLE t ADD COLUMN v int",
    "ALTER TABLE t ADD COLUMN x nosuch",
    "ALTER TABLE t ADD CONSTRAINT c CHECK (n > 1)",
    "ALTER TABLE t ADD CONSTRAINT positive CHECK (n > 1)",
    "ALTER TABLE t ALTER COLUMN v TYPE int USING v::int",
    "ALTER TABLE t ALTER COLUMN v TYPE int",
    "ALTER TABLE t DROP CONSTRAINT nosuch",
    "ALTER TABLE t DROP CONSTRAINT nosuch CASCADE",
    "ALTER TABLE t DROP CONSTRAINT t_pkey",
    "ALTER TABLE t RENAME COLUMN nosuch TO x",
    "ALTER TABLE v DROP COLUMN id",
    "ALTER TABLE a.b.c.d DROP COLUMN id",
    "ALTER TABLE nosuch.public.t DROP COLUMN id",
    "ALTER TYPE pair DROP ATTRIBUTE nosuch",
    "ALTER TYPE nosuch DROP ATTRIBUTE a CASCADE",
    "ALTER DOMAIN small ADD CONSTRAINT c CHECK (nosuch > 100)",
    "ALTER FUNCTION f RENAME TO g",
    "ALTER FUNCTION nosuch(int) RENAME TO g",
    "ALTER EVENT TRIGGER nosuch DISABLE",
    "ALTER ROLE nosuch SET migration_x.y = 1",
    "ALTER SYSTEM SET nosuch = 1",
    "ALTER DATABASE nosuch SET work_mem = '1MB'",
    "EXECUTE nosuch",
    "PREPARE p AS SELECT nosuch",
    "EXPLAIN ANALYZE UPDATE t SET n = 0 WHERE id = 1",
    "COPY t FROM '/nosuch/file'",
    "COPY (SELECT 1 / 0) TO STDOUT",
    "REFRESH MATERIALIZED VIEW t",
    "LOCK TABLE nosuch",
    "COMMENT ON TABLE nosuch IS 'x'",
    "GRANT SELECT ON nosuch TO PUBLIC",
    "VACUUM nosuch",
    "BEGIN; VACUUM t",
    "BEGIN; SELECT 1 / 0; SELECT 1",
    "BEGIN READ ONLY; CREATE TABLE x (id int)",
    "BEGIN READ ONLY; DROP TABLE nosuch",
    "BEGIN READ ONLY; DELETE FROM t WHERE id = 1",
    ("weak", "DROP TABLE t"),
    ("weak", "DROP TABLE t CASCADE"),
    ("weak", "DROP TABLE t, nosuch"),
    ("weak", "DROP TABLE room.chair"),
    ("weak", "DROP VIEW v CASCADE"),
    ("weak", "DROP FUNCTION f(int)"),
    ("weak", "DROP TYPE mood CASCADE"),
    ("weak", "DROP DOMAIN small CASCADE"),
    ("weak", "DROP SCHEMA room CASCADE"),
    ("weak", "DROP OWNED BY postgres"),
    ("weak", "DROP TRIGGER t ON triggered"),
    ("weak", "DROP EXTENSION plpgsql CASCADE"),
    ("weak", "DROP EVENT TRIGGER mine"),
    ("weak", "DROP LANGUAGE plpgsql CASCADE"),
    ("weak", "DROP CAST (int AS text)"),
    ("weak", "DROP CAST (int AS bool)"),
    ("weak", "DROP ACCESS METHOD hash CASCADE"),
    ("weak", "DROP TRANSFORM FOR int LANGUAGE sql"),
    ("weak", "DROP OPERATOR + (int, int)"),
    ("weak", "DROP OPERATOR CLASS int4_ops USING btree"),
    ("weak", "DROP TEXT SEARCH PARSER \"default\""),
    ("weak", "DROP COLLATION \"C\""),
    ("weak", "ALTER TABLE t DROP COLUMN v"),
    ("weak", "ALTER TABLE room.chair DROP COLUMN id"),
    ("weak", "ALTER TABLE t DROP CONSTRAINT t_pkey CASCADE"),
    ("weak", "TRUNCATE t"),
    ("weak", "TRUNCATE room.chair"),
    ("weak", "TRUNCATE t CASCADE"),
    ("weak", "DELETE FROM t"),
    ("weak", "DELETE FROM v"),
    ("weak", "DELETE FROM room.chair"),
    ("weak", "UPDATE t SET v = 'x'"),
    ("weak", "MERGE INTO t USING child ON true WHEN MATCHED THEN DELETE"),
    ("weak", "EXPLAIN ANALYZE DELETE FROM t"),
    ("weak", "WITH x AS (DELETE FROM t RETURNING 1) SELECT * FROM x"),
    ("weak", "CREATE TABLE x (id int)"),
    ("weak", "ALTER SYSTEM SET work_mem = '1MB'"),
    ("weak", "ALTER ROLE postgres SET work_mem = '1MB'"),
    ("weak", "ALTER DATABASE same SET work_mem = '1MB'"),
]


def fields_of(cluster, role, statement):
    with cluster.connect("same", user=role, autocommit=True) as connection:
        seen = outcome(connection, statement)
        return {**seen.fields, "notices": seen.notices}


def printed(cluster, role, statements):
    """What psql prints for each statement in turn, positions and carets included."""
    script = "".join(f"\\echo {number}\n{text}\n;\nROLLBACK;\n" for number, text in enumerate(statements))
    return subprocess.run(
        [f"{os.environ['PG_BIN']}/psql", "-X", "-h", cluster.host, "-p", cluster.port, "-U", role, "-d", "same", "-f", "-"],
        input="\\set VERBOSITY verbose\nSET lc_messages = 'C';\n" + script,
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C"},
    )


def without_source_lines(text):
    """VERBOSITY verbose names the line of the server's source; refusals of the same error may only differ there."""
    return [line for line in text.splitlines() if not line.startswith("LOCATION:")]


def prepare(cluster, arm):
    run_all(cluster, "postgres", ["DROP DATABASE IF EXISTS same", "DROP ROLE IF EXISTS weak", "CREATE ROLE weak LOGIN"])
    if arm:
        guarded(cluster, "same")
    else:
        create_database(cluster, "same")
    run_all(cluster, "same", [SETUP, "CREATE EVENT TRIGGER mine ON ddl_command_start EXECUTE FUNCTION on_ddl()"])


def compare(bare, guarded_server, label):
    prepare(bare, arm=False)
    for entry in STATEMENTS:
        role, statement = entry if isinstance(entry, tuple) else ("postgres", entry)
        expected = fields_of(bare, role, statement)
        seen = fields_of(guarded_server, role, statement)
        name = f"{role}: {' '.join(statement.split())} | {label}"
        if "sqlstate" not in expected:
            not_ok(f"{name}: Postgres itself has nothing against it")
        elif expected == seen:
            ok(f"{name} | {expected['sqlstate']}")
        else:
            names = [*FIELDS, "notices"]
            not_ok(name, {f: (expected.get(f), seen.get(f)) for f in names if expected.get(f) != seen.get(f)})
    for role in ("postgres", "weak"):
        statements = [
            e[1] if isinstance(e, tuple) else e
            for e in STATEMENTS
            if (e[0] if isinstance(e, tuple) else "postgres") == role
        ]
        one, two = printed(bare, role, statements), printed(guarded_server, role, statements)
        carets = sum(line.strip() == "^" for line in one.stderr.splitlines())
        if role == "postgres":
            (ok if carets > 30 else not_ok)(f"psql prints carets ({carets}) | {label}")
        is_equal(f"psql prints the same as {role} on stdout | {label}", one.stdout, two.stdout)
        lines, other = without_source_lines(one.stderr), without_source_lines(two.stderr)
        if lines == other:
            ok(f"psql prints the same {len(lines)} lines of errors as {role} | {label}")
        else:
            at = next((i for i, (a, b) in enumerate(zip(lines, other)) if a != b), min(len(lines), len(other)))
            not_ok(f"psql prints other errors as {role} | {label}", (lines[at - 1 : at + 3], other[at - 1 : at + 3]))


def main():
    library = "shared_preload_libraries = 'migration_guard'"
    with Cluster(name="bare") as bare:
        with Cluster(library, name="armed") as armed:
            prepare(armed, arm=True)
            compare(bare, armed, "armed")
        with Cluster(library, name="disarmed") as disarmed:
            prepare(disarmed, arm=False)
            compare(bare, disarmed, "library alone")
        os.environ["RUST_BACKTRACE"] = "1"
        with Cluster(library, name="backtrace") as traced:
            prepare(traced, arm=True)
            compare(bare, traced, "armed, RUST_BACKTRACE=1")
            with traced.connect("same", autocommit=True) as connection:
                seen = outcome(connection, "DROP TABLE t CASCADE")
                is_equal("a refusal has no backtrace in it", [False] * 3,
                         ["backtrace" in str(seen.fields[f]) for f in ("message_primary", "message_detail", "message_hint")])
    finish()


main()
