"""What is neither stopped nor flagged: no ERROR, no WARNING, no rule in the history."""

import os

from attempts import guarded, create_database, outcome, run_all
from guard_case import Cluster, finish, is_equal, not_ok, ok

SETUP = """
CREATE TABLE t (id int PRIMARY KEY, v text, n int NOT NULL DEFAULT 0);
INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 100) i;
CREATE TABLE u (id int PRIMARY KEY REFERENCES t ON DELETE CASCADE, v varchar(10));
INSERT INTO u SELECT i, i FROM generate_series(1, 50) i;
CREATE INDEX t_v ON t (v);
CREATE INDEX t_n ON t (n);
ALTER TABLE t ADD CONSTRAINT positive CHECK (n >= 0);
CREATE FUNCTION noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER a_trigger BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION noop();
CREATE RULE a_rule AS ON INSERT TO u DO ALSO NOTHING;
CREATE POLICY a_policy ON t USING (true);
CREATE VIEW a_view AS SELECT id, v FROM t;
CREATE VIEW lonely_view AS SELECT 1 AS one;
CREATE MATERIALIZED VIEW kept AS SELECT id FROM t;
CREATE UNIQUE INDEX kept_id ON kept (id);
CREATE MATERIALIZED VIEW lonely_matview AS SELECT 1 AS one;
CREATE SEQUENCE lonely_sequence;
CREATE TYPE lonely_type AS ENUM ('a');
CREATE DOMAIN lonely_domain AS int;
CREATE FUNCTION lonely_function() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION doubled(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE TABLE empty (id int, v text);
CREATE TABLE part (id int) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (100);
CREATE TABLE empty_part (id int) PARTITION BY RANGE (id);
CREATE TABLE empty_part_1 PARTITION OF empty_part FOR VALUES FROM (0) TO (100);
CREATE SCHEMA hollow;
INSERT INTO part VALUES (1);
CREATE STATISTICS a_statistic ON id, v FROM t;
CREATE PROCEDURE rolls_back() LANGUAGE plpgsql AS $$
BEGIN CREATE TABLE born (); ROLLBACK; CREATE TABLE born (id int); COMMIT; PERFORM 1 FROM born; ROLLBACK; END $$;
CREATE PROCEDURE drops_its_own() LANGUAGE plpgsql AS $$
BEGIN COMMIT; CREATE TABLE own (id int); INSERT INTO own VALUES (1); DELETE FROM own; DROP TABLE own; COMMIT; END $$;
"""

# name (or None for the statement), statements. Each runs in a session of its own, in order.
HARMLESS = [
    # Temporary objects
    "CREATE TEMPORARY TABLE x AS SELECT 1 AS id; DELETE FROM x; UPDATE x SET id = 2; TRUNCATE x; DROP TABLE x",
    ["CREATE TEMPORARY TABLE x (id int, v text)", "INSERT INTO x VALUES (1)", "ALTER TABLE x DROP COLUMN v", "TRUNCATE x",
     "UPDATE x SET id = 1", "DELETE FROM x", "DROP TABLE x CASCADE"],
    ["CREATE TEMPORARY TABLE x (id int) ON COMMIT DROP"],
    ["BEGIN; CREATE TEMPORARY TABLE x ON COMMIT DELETE ROWS AS SELECT 1 AS id; COMMIT", "DROP TABLE x"],
    ["CREATE TEMPORARY TABLE x AS SELECT 1 AS id", "CREATE TEMPORARY VIEW y AS SELECT * FROM x", "DROP TABLE x CASCADE"],
    ["CREATE TEMPORARY TABLE x AS SELECT 1 AS id", "DISCARD TEMP"],
    # Made in the same transaction
    ["BEGIN", "CREATE TABLE x AS SELECT 1 AS id, 2 AS v", "DELETE FROM x", "UPDATE x SET id = 1", "TRUNCATE x",
     "INSERT INTO x VALUES (1)", "TRUNCATE x", "ALTER TABLE x DROP COLUMN v", "DROP TABLE x", "COMMIT"],
    ["BEGIN", "SAVEPOINT a", "CREATE TABLE x AS SELECT 1 AS id", "RELEASE a", "ALTER TABLE x SET (fillfactor = 50)",
     "SAVEPOINT b", "TRUNCATE x", "ROLLBACK TO b", "DROP TABLE x", "COMMIT"],
    ["BEGIN", "CREATE TABLE x (id int, v text) PARTITION BY RANGE (id)",
     "CREATE TABLE x1 PARTITION OF x FOR VALUES FROM (0) TO (9)", "INSERT INTO x VALUES (1)", "TRUNCATE x",
     "ALTER TABLE x DROP COLUMN v", "DROP TABLE x CASCADE", "COMMIT"],
    ["BEGIN", "CREATE SCHEMA s", "CREATE TABLE s.x AS SELECT 1 AS id", "CREATE VIEW s.v AS SELECT * FROM s.x",
     "CREATE SEQUENCE s.q", "DROP SCHEMA s CASCADE", "COMMIT"],
    ["BEGIN", "CREATE SCHEMA s", "CREATE TYPE s.e AS ENUM ('a')", "CREATE DOMAIN s.d AS int",
     "CREATE FUNCTION s.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "CREATE TABLE s.x (e s.e, d s.d DEFAULT s.f())",
     "DROP SCHEMA s CASCADE", "COMMIT"],
    ["BEGIN", "CREATE TYPE e AS ENUM ('a')", "CREATE TABLE x (e e, v int)", "DROP TYPE e CASCADE", "DROP TABLE x", "COMMIT"],
    ["BEGIN", "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "CREATE VIEW x AS SELECT f()",
     "DROP FUNCTION f() CASCADE", "COMMIT"],
    ["BEGIN", "CREATE TABLE x (id int PRIMARY KEY)", "CREATE TABLE y (id int REFERENCES x)", "INSERT INTO x VALUES (1)",
     "INSERT INTO y VALUES (1)", "TRUNCATE x CASCADE", "DROP TABLE x CASCADE", "DROP TABLE y", "COMMIT"],
    "DO $$ BEGIN CREATE TABLE x AS SELECT 1 AS id; DELETE FROM x; DROP TABLE x; END $$",
    "CALL rolls_back()",
    "CALL drops_its_own()",
    # A column added and dropped in one transaction
    ["BEGIN", "ALTER TABLE t ADD COLUMN passing int", "UPDATE t SET passing = 1 WHERE id > 0", "ALTER TABLE t DROP COLUMN passing", "COMMIT"],
    ["BEGIN", "SAVEPOINT a", "ALTER TABLE part ADD COLUMN passing int", "RELEASE a", "ALTER TABLE part DROP COLUMN passing CASCADE", "COMMIT"],
    # Nothing to drop
    "DROP TABLE IF EXISTS nosuch",
    "DROP TABLE IF EXISTS nosuch.nosuch CASCADE",
    "DROP SCHEMA IF EXISTS nosuch CASCADE",
    "DROP TYPE IF EXISTS nosuch CASCADE",
    "DROP FUNCTION IF EXISTS nosuch(int) CASCADE",
    "DROP EXTENSION IF EXISTS nosuch CASCADE",
    "DROP TRIGGER IF EXISTS nosuch ON t",
    "DROP TRIGGER IF EXISTS nosuch ON nosuch",
    "ALTER TABLE t DROP COLUMN IF EXISTS nosuch",
    "ALTER TABLE IF EXISTS nosuch DROP COLUMN id",
    "ALTER TABLE t DROP CONSTRAINT IF EXISTS nosuch CASCADE",
    "DROP OWNED BY idle",
    "DROP SCHEMA hollow",
    # Rows named by a condition, or none
    "DELETE FROM t WHERE id = 1",
    "DELETE FROM t WHERE id > 99 RETURNING *",
    "DELETE FROM t USING u WHERE t.id = u.id AND u.id = 3",
    "DELETE FROM t USING u JOIN part p ON p.id = u.id WHERE t.v = u.v",
    "DELETE FROM t WHERE EXISTS (SELECT FROM u WHERE u.id = t.id AND u.id = 4)",
    "DELETE FROM t WHERE id IN (SELECT id FROM u WHERE id = 5)",
    "DELETE FROM t WHERE false",
    "DELETE FROM t WHERE NULL",
    "UPDATE t SET v = '' WHERE id = 2",
    "UPDATE t SET v = u.v FROM u WHERE u.id = t.id AND t.id = 6",
    "UPDATE t SET v = '' WHERE v = 'nosuch' OR id = 7",
    "DELETE FROM a_view WHERE id = 8",
    "WITH gone AS (DELETE FROM t WHERE id = 9 RETURNING id) DELETE FROM u WHERE id IN (SELECT id FROM gone)",
    "WITH x AS (SELECT 1) UPDATE t SET v = '' WHERE id = 10",
    "INSERT INTO t (id, v) VALUES (11, 'x') ON CONFLICT (id) DO UPDATE SET v = excluded.v",
    "MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN UPDATE SET v = u.v",
    "MERGE INTO t USING (SELECT 12 AS id) s ON true WHEN MATCHED AND t.id = s.id THEN DELETE",
    "MERGE INTO t USING (SELECT 500 AS id) s ON true WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id)",
    ["BEGIN", "DECLARE c CURSOR FOR SELECT * FROM t WHERE id = 13 FOR UPDATE", "FETCH c", "DELETE FROM t WHERE CURRENT OF c", "COMMIT"],
    ["PREPARE d(int) AS DELETE FROM t WHERE id = $1", *["EXECUTE d(14)"] * 7],
    "DO $$ DECLARE i int := 15; BEGIN DELETE FROM t WHERE id = i; END $$",
    "EXPLAIN DELETE FROM t",
    "EXPLAIN (VERBOSE, COSTS OFF) UPDATE t SET v = ''",
    "EXPLAIN ANALYZE DELETE FROM t WHERE id = 16",
    "SELECT * FROM t; SELECT count(*) FROM u",
    "COPY t TO STDOUT",
    "COPY (DELETE FROM t WHERE id = 17 RETURNING id) TO STDOUT",
    # Nothing in it
    "TRUNCATE empty",
    "TRUNCATE empty CASCADE",
    "TRUNCATE empty_part",
    # One thing alone
    "DROP INDEX t_v",
    "CREATE INDEX t_v ON t (v)",
    "ALTER TABLE t DROP CONSTRAINT positive",
    "DROP TRIGGER a_trigger ON t",
    "DROP RULE a_rule ON u",
    "DROP POLICY a_policy ON t",
    "DROP STATISTICS a_statistic",
    "DROP VIEW lonely_view",
    "DROP VIEW a_view CASCADE",
    "DROP MATERIALIZED VIEW lonely_matview",
    "DROP SEQUENCE lonely_sequence",
    "DROP TYPE lonely_type",
    "DROP DOMAIN lonely_domain",
    "DROP FUNCTION lonely_function()",
    "ALTER TABLE u DROP CONSTRAINT u_id_fkey",
    "ALTER TABLE t ALTER COLUMN n DROP DEFAULT, ALTER COLUMN n DROP NOT NULL",
    "ALTER TABLE part DETACH PARTITION part_1",
    "ALTER TABLE part ATTACH PARTITION part_1 FOR VALUES FROM (0) TO (100)",
    # Changes and maintenance
    "ALTER TABLE t ALTER COLUMN n TYPE bigint",
    "ALTER TABLE u ALTER COLUMN v TYPE varchar(20)",
    "ALTER TABLE t ADD COLUMN r float DEFAULT random()",
    "ALTER TABLE t RENAME COLUMN r TO s",
    "ALTER TABLE t ADD COLUMN g int GENERATED ALWAYS AS (doubled(id)) STORED",
    "CREATE OR REPLACE VIEW a_view2 AS SELECT id FROM t",
    "CREATE OR REPLACE VIEW a_view2 AS SELECT id, v FROM t",
    "CREATE OR REPLACE FUNCTION doubled(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2 * $1'",
    "REFRESH MATERIALIZED VIEW kept",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY kept",
    "REFRESH MATERIALIZED VIEW kept WITH NO DATA",
    "CREATE INDEX CONCURRENTLY t_later ON t (n, v)",
    "REINDEX INDEX CONCURRENTLY t_later",
    "DROP INDEX CONCURRENTLY t_later",
    "REINDEX TABLE t",
    "REINDEX TABLE CONCURRENTLY t",
    "CLUSTER t USING t_pkey",
    "VACUUM t",
    "VACUUM FULL t",
    "VACUUM (ANALYZE) t",
    "ANALYZE t",
    "LOCK TABLE t",
    "BEGIN; LOCK TABLE t; COMMIT",
    "COMMENT ON TABLE t IS 'a table'",
    "GRANT SELECT ON t TO idle",
    "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
    "CREATE TABLE with_serial (id serial PRIMARY KEY, v text UNIQUE, i int GENERATED ALWAYS AS IDENTITY)",
    "CREATE SCHEMA with_parts CREATE TABLE x (id int) CREATE VIEW v AS SELECT * FROM x",
    "SELECT * INTO made FROM t",
    ["BEGIN", "CREATE TABLE two_phases (id int)", "ALTER TABLE t ADD COLUMN two int", "PREPARE TRANSACTION 'tp'", "COMMIT PREPARED 'tp'"],
    ["BEGIN", "CREATE TABLE two_phases_2 (id int)", "DROP TABLE two_phases_2", "PREPARE TRANSACTION 'tp'", "ROLLBACK PREPARED 'tp'"],
    ["BEGIN", "CREATE TABLE rolled (id int)", "ROLLBACK"],
    ["BEGIN READ ONLY", "SELECT count(*) FROM t", "COMMIT"],
    ["BEGIN ISOLATION LEVEL SERIALIZABLE", "CREATE TABLE in_serializable (id int)", "DELETE FROM t WHERE id = 18", "COMMIT"],
]

# LOCK TABLE outside a transaction is an error of Postgres, whatever is loaded.
ERRORS_ANYWAY = {"LOCK TABLE t": "25P01"}


def run_one(connection, statement):
    if "TO STDOUT" in statement:

        def copied(c):
            with c.cursor().copy(statement) as copy:
                list(copy)

        return outcome(connection, copied)
    return outcome(connection, statement)


def flagged(cluster, dbname):
    with cluster.connect(dbname) as connection:
        return connection.execute(
            "SELECT count(*), string_agg(command || ' ' || rules::text, ', ') FILTER (WHERE rules <> '{}' OR risk <> 'safe')"
            " FROM migration_guard.migration_statements"
        ).fetchone()


def try_all(cluster, dbname, label):
    before = flagged(cluster, dbname)[1]
    for harmless in HARMLESS:
        statements = [harmless] if isinstance(harmless, str) else harmless
        line = f"{'; '.join(dict.fromkeys(statements))} | {label}"
        seen = []
        with cluster.connect(dbname, user="app", autocommit=True) as connection:
            for statement in statements:
                result = run_one(connection, statement)
                if result.sqlstate and ERRORS_ANYWAY.get(statement) != result.sqlstate:
                    seen.append(f"{statement}: {result!r}")
                seen += [f"{statement}: {n}" for n in result.notices if n[0] == "WARNING"]
                seen += [f"{statement}: {n}" for n in result.notices if "migration_guard" in n[1]]
        after = flagged(cluster, dbname)[1]
        if after != before:
            seen.append(f"the history says {after}")
            before = after
        (not_ok(line, seen) if seen else ok(line))


def prepare(cluster, dbname):
    run_all(cluster, dbname, [f"GRANT CREATE ON DATABASE {dbname} TO app", "GRANT CREATE ON SCHEMA public TO app"])
    run_all(cluster, dbname, [SETUP], user="app")


DESTRUCTIVE = [
    "ALTER TABLE t DROP COLUMN v CASCADE", "DELETE FROM u", "UPDATE t SET n = 1", "TRUNCATE t CASCADE",
    "DROP TABLE t CASCADE", "DROP SCHEMA hollow CASCADE", "DROP OWNED BY app CASCADE",
]


def everything_runs(cluster, dbname, label):
    with cluster.connect(dbname, user="app", autocommit=True) as connection:
        for statement in DESTRUCTIVE:
            seen = outcome(connection, statement)
            warned = [n for n in seen.notices if n[0] == "WARNING" and "privileges" not in n[1]]
            is_equal(f"{statement} | {label}", (None, []), (seen.sqlstate, warned))


def main():
    with Cluster("shared_preload_libraries = 'migration_guard'", "max_prepared_transactions = 5") as cluster:
        run_all(cluster, "postgres", ["CREATE ROLE app LOGIN", "CREATE ROLE idle", "GRANT idle TO app"])
        guarded(cluster, "armed")
        prepare(cluster, "armed")
        try_all(cluster, "armed", "preloaded")
        count, rules = flagged(cluster, "armed")
        (ok if count > 60 else not_ok)(f"the history has rows of these statements ({count})")

        # The xmin of an altered table says nothing about its age.
        with cluster.connect("armed", user="app", autocommit=True) as connection:
            connection.execute("BEGIN; ALTER TABLE t SET (fillfactor = 90)")
            seen = outcome(connection, "DROP TABLE t CASCADE")
            is_equal("a table altered in the transaction is not a new one", "42501", seen.sqlstate)
            connection.execute("ROLLBACK")
            # Replacing a function does not make it a new one.
            connection.execute("BEGIN; CREATE SCHEMA old; CREATE FUNCTION old.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; COMMIT")
            connection.execute("BEGIN; CREATE OR REPLACE FUNCTION old.f() RETURNS int LANGUAGE sql AS 'SELECT 2'")
            seen = outcome(connection, "DROP SCHEMA old CASCADE")
            is_equal("a function replaced in the transaction is not a new one", ["drop-schema"], seen.rules)
            connection.execute("ROLLBACK")
            # A column that a rolled-back savepoint added was another one.
            connection.execute("BEGIN; SAVEPOINT a; ALTER TABLE part ADD COLUMN c1 int; ROLLBACK TO a")
            connection.execute("COMMIT")
            connection.execute("ALTER TABLE part ADD COLUMN c2 int")
            seen = outcome(connection, "ALTER TABLE part DROP COLUMN c2")
            is_equal("a column added by an earlier transaction is not a new one", "42501", seen.sqlstate)
            connection.execute("BEGIN; SAVEPOINT a; CREATE TABLE part_x (LIKE part); ROLLBACK TO a")
            seen = outcome(connection, "DROP TABLE part")
            is_equal("a savepoint that was rolled back makes nothing new", "42501", seen.sqlstate)
            connection.execute("ROLLBACK")

        create_database(cluster, "without")
        prepare(cluster, "without")
        everything_runs(cluster, "without", "preloaded, a database without the extension")

        create_database(cluster, "before")
        run_all(cluster, "before", ["CREATE EXTENSION migration_guard"])
        prepare(cluster, "before")
        everything_runs(cluster, "before", "preloaded, before enable()")
        is_equal("nothing is recorded before enable()", (0, None), flagged(cluster, "before"))
        with cluster.connect("before") as connection:
            rows = connection.execute("SELECT count(*) FROM migration_guard.migrations_history").fetchone()
            is_equal("no migration is recorded before enable()", (0,), rows)

        guarded(cluster, "disarmed")
        prepare(cluster, "disarmed")
        with cluster.connect("disarmed") as connection:
            connection.execute("SELECT migration_guard.disable()")
        everything_runs(cluster, "disarmed", "preloaded, after disable()")

    with Cluster("max_prepared_transactions = 5", name="events") as cluster:
        run_all(cluster, "postgres", ["CREATE ROLE app LOGIN", "CREATE ROLE idle", "GRANT idle TO app"])
        guarded(cluster, "armed")
        prepare(cluster, "armed")
        try_all(cluster, "armed", "event triggers alone")
    finish()


main()
