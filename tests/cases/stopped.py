"""What is stopped, one line each: attempt | role | preloaded or not | expected | seen.

Every attempt is the first statement of a session without a token, and is tried with the library in
shared_preload_libraries, with it in session_preload_libraries of the database, and without preload.
After it all rows, columns, objects and settings of the database must be what they were; where an
attempt is expected to run, they must not.
"""

import os

from attempts import DIGEST, create_database, digest, guarded, outcome, run_all, try_in_new_session
from guard_case import Cluster, finish, is_equal, not_ok, ok, skip

MAJOR = int(os.environ["PG_MAJOR"])

ROLES = [
    "CREATE ROLE app LOGIN",
    "CREATE ROLE boss LOGIN",  # owns the database
    "CREATE ROLE other",
]

AS_SUPERUSER = [
    DIGEST,
    "GRANT USAGE ON SCHEMA tools TO PUBLIC",
    "GRANT CREATE ON SCHEMA public TO app",
    "GRANT CREATE ON DATABASE base TO app",
    "CREATE FOREIGN DATA WRAPPER nowhere",
    "CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere",
    "GRANT USAGE ON FOREIGN SERVER nowhere TO app",
    "CREATE FUNCTION tools.as_superuser(statement text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER"
    " AS $$ BEGIN EXECUTE statement; END $$",
]

AS_APP = """
CREATE TABLE analyzed (id int PRIMARY KEY, v text, w int);
INSERT INTO analyzed SELECT i, 'v' || i, i FROM generate_series(1, 300) i;
ANALYZE analyzed;
CREATE TABLE never (id int PRIMARY KEY, v text);
INSERT INTO never SELECT i, 'n' || i FROM generate_series(1, 300) i;
CREATE TABLE part (id int, v text, extra text) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (100);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (100) TO (1000);
INSERT INTO part SELECT i, 'p' || i FROM generate_series(1, 300) i;
CREATE TABLE parent (id int PRIMARY KEY, v text);
INSERT INTO parent SELECT i, 'p' || i FROM generate_series(1, 30) i;
CREATE TABLE child (id int PRIMARY KEY, parent_id int REFERENCES parent);
INSERT INTO child SELECT i, i FROM generate_series(1, 30) i;
CREATE VIEW on_parent AS SELECT id, v FROM parent;
CREATE VIEW on_view AS SELECT id FROM on_parent;
CREATE TABLE inherited (id int, v text);
CREATE TABLE heir (more int) INHERITS (inherited);
INSERT INTO heir VALUES (1, 'a', 2);
CREATE SCHEMA room;
CREATE TABLE room.chair (id int);
INSERT INTO room.chair VALUES (1);
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TABLE moody (id int, m mood);
INSERT INTO moody VALUES (1, 'good');
CREATE TYPE pair AS (a int, b int);
CREATE TABLE typed OF pair;
INSERT INTO typed VALUES (1, 2);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE domained (id int, p positive);
INSERT INTO domained VALUES (1, 1);
CREATE FUNCTION a_default() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1';
CREATE TABLE defaulted (id int, x int DEFAULT a_default());
CREATE FUNCTION doubled(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE TABLE generated (id int, g int GENERATED ALWAYS AS (doubled(id)) STORED);
INSERT INTO generated VALUES (1);
CREATE FUNCTION row_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TABLE triggered (id int);
CREATE TRIGGER t BEFORE INSERT ON triggered FOR EACH ROW EXECUTE FUNCTION row_trigger();
CREATE SEQUENCE numbers;
CREATE TABLE numbered (id int DEFAULT nextval('numbers'));
CREATE FOREIGN TABLE far_away (id int) SERVER nowhere;
CREATE TABLE secured (id int, who text);
INSERT INTO secured VALUES (1, 'app'), (2, 'app');
ALTER TABLE secured ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON secured USING (who = current_user);
CREATE VIEW through AS SELECT id, v FROM never;
CREATE MATERIALIZED VIEW kept AS SELECT id FROM parent;
CREATE FUNCTION sql_delete() RETURNS void LANGUAGE sql AS 'DELETE FROM never';
CREATE FUNCTION sql_update() RETURNS void LANGUAGE sql AS $$ UPDATE never SET v = '' $$;
CREATE FUNCTION plpgsql_delete() RETURNS void LANGUAGE plpgsql AS $$ BEGIN DELETE FROM never; END $$;
CREATE FUNCTION plpgsql_loop() RETURNS int LANGUAGE plpgsql AS
    $$ DECLARE r record; BEGIN FOR r IN DELETE FROM never RETURNING id LOOP RETURN r.id; END LOOP; END $$;
CREATE FUNCTION plpgsql_drop() RETURNS void LANGUAGE plpgsql AS $$ BEGIN DROP TABLE never; END $$;
CREATE FUNCTION sql_drop() RETURNS void LANGUAGE sql AS 'DROP TABLE never';
CREATE FUNCTION run(statement text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE statement; END $$;
CREATE FUNCTION run_as_app(statement text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    AS $$ BEGIN EXECUTE statement; END $$;
CREATE FUNCTION run_caught(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'ran';
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE 'caught %: %', SQLSTATE, SQLERRM;
    RETURN 'caught';
END $$;
CREATE TABLE steps (what text);
CREATE PROCEDURE commit_and(statement text) LANGUAGE plpgsql AS $$
BEGIN COMMIT; EXECUTE 'SELECT 1'; COMMIT; EXECUTE statement; COMMIT; END $$;
CREATE TABLE pulled (statement text);
CREATE FUNCTION pull() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE NEW.statement; RETURN NULL; END $$;
CREATE TRIGGER pull AFTER INSERT ON pulled FOR EACH ROW EXECUTE FUNCTION pull();
CREATE TABLE ruled (id int);
CREATE RULE also AS ON INSERT TO ruled DO ALSO DELETE FROM never;
CREATE TABLE delayed (statement text);
CREATE CONSTRAINT TRIGGER pull AFTER INSERT ON delayed DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION pull();
GRANT ALL ON ALL TABLES IN SCHEMA public TO other;
"""


class Attempt:
    def __init__(self, name, how, rules, role="app", none="stopped", options=None, since=0):
        self.name, self.how, self.role, self.none = name, how, role, none
        self.rules = None if rules is None else sorted(rules.split())  # None: Postgres refuses itself
        self.options, self.since = options or {}, since


def attempts():
    every = []

    def ddl(how, rules, name=None, **more):
        every.append(Attempt(name or how, how, rules, **more))

    def dml(how, rules, name=None, **more):
        ddl(how, rules, name, none="runs", **more)

    # Definitions: both doors see them.
    ddl("DROP TABLE analyzed", "drop-table")
    ddl("DROP TABLE never", "drop-table", "DROP TABLE, never analyzed")
    ddl("DROP TABLE IF EXISTS never", "drop-table")
    ddl("DROP TABLE never CASCADE", "drop-table drop-cascade")
    ddl("DROP TABLE analyzed, child, nosuch", "drop-table", "DROP TABLE, several, one missing")
    ddl("DROP TABLE analyzed, child, moody", "drop-table", "DROP TABLE, several")
    ddl("DROP TABLE part", "drop-table", "DROP TABLE, partitioned")
    ddl("DROP TABLE part_1", "drop-table", "DROP TABLE, one partition")
    ddl("DROP TABLE parent CASCADE", "drop-table drop-cascade", "DROP TABLE CASCADE with foreign key and views")
    ddl("DROP TABLE inherited CASCADE", "drop-table drop-cascade", "DROP TABLE CASCADE with an heir")
    ddl("DROP TABLE heir", "drop-table", "DROP TABLE, an heir")
    ddl("DROP FOREIGN TABLE far_away", "drop-table")
    ddl("DROP TABLE secured", "drop-table", "DROP TABLE under row level security")
    ddl("DROP TABLE room.chair", "drop-table")
    ddl("DROP SCHEMA room CASCADE", "drop-schema drop-table")
    ddl("DROP SCHEMA IF EXISTS nosuch, room CASCADE", "drop-schema drop-table")
    ddl("DROP OWNED BY app", "drop-owned drop-table")
    ddl("DROP OWNED BY app CASCADE", "drop-owned drop-table")
    ddl("DROP OWNED BY CURRENT_USER", "drop-owned drop-table")
    ddl("ALTER TABLE analyzed DROP COLUMN v", "drop-column")
    ddl("ALTER TABLE analyzed DROP v", "drop-column")
    ddl("ALTER TABLE IF EXISTS analyzed DROP COLUMN IF EXISTS v", "drop-column")
    ddl("ALTER TABLE parent DROP COLUMN v CASCADE", "drop-column drop-cascade")
    ddl("ALTER TABLE part DROP COLUMN extra", "drop-column", "ALTER TABLE DROP COLUMN, partitioned")
    ddl("ALTER TABLE inherited DROP COLUMN v", "drop-column", "ALTER TABLE DROP COLUMN, inherited")
    ddl(
        "ALTER TABLE analyzed ADD COLUMN z int, DROP COLUMN v, ALTER COLUMN w SET DEFAULT 1, DROP COLUMN w",
        "drop-column",
        "ALTER TABLE with several subcommands",
    )
    ddl("ALTER FOREIGN TABLE far_away DROP COLUMN id", "drop-column")
    ddl("ALTER TABLE generated DROP COLUMN id CASCADE", "drop-column drop-cascade", "DROP COLUMN CASCADE takes a generated one")
    ddl("ALTER TABLE parent DROP CONSTRAINT parent_pkey CASCADE", "drop-cascade", "DROP CONSTRAINT CASCADE takes a foreign key")
    ddl("ALTER TYPE pair DROP ATTRIBUTE b CASCADE", "drop-column", "DROP ATTRIBUTE CASCADE takes a column of a typed table")
    ddl("DROP TYPE mood CASCADE", "drop-column drop-cascade")
    ddl("DROP TYPE pair CASCADE", "drop-table drop-cascade", "DROP TYPE CASCADE takes a typed table")
    ddl("DROP DOMAIN positive CASCADE", "drop-column drop-cascade")
    ddl("DROP FUNCTION a_default() CASCADE", "drop-cascade", "DROP FUNCTION CASCADE takes a default")
    ddl("DROP FUNCTION doubled(int) CASCADE", "drop-column drop-cascade", "DROP FUNCTION CASCADE takes a generated column")
    ddl("DROP FUNCTION row_trigger CASCADE", "drop-cascade", "DROP FUNCTION CASCADE takes a trigger")
    ddl("DROP SEQUENCE numbers CASCADE", "drop-cascade", "DROP SEQUENCE CASCADE takes a default")
    ddl("DROP VIEW on_parent CASCADE", "drop-cascade", "DROP VIEW CASCADE takes a view")
    ddl("DROP FUNCTION pull CASCADE", "drop-cascade")
    ddl("SELECT run('DROP TABLE never')", "drop-table", "DROP TABLE by EXECUTE in a function")
    ddl("SELECT run_as_app('DROP TABLE never')", "drop-table", "DROP TABLE in a SECURITY DEFINER function")
    ddl("SELECT tools.as_superuser('DROP TABLE public.never')", "drop-table", "DROP TABLE in a SECURITY DEFINER function of a superuser")
    ddl("SELECT run_caught('DROP TABLE never')", "drop-table", "DROP TABLE caught by an exception block")
    ddl(
        "SELECT run_caught('DROP TABLE never'), run_caught('DROP TABLE never'), run('DROP TABLE never')",
        "drop-table",
        "DROP TABLE caught twice, then not",
    )
    ddl("SELECT run_caught('ALTER TABLE analyzed DROP COLUMN v')", "drop-column", "DROP COLUMN caught by an exception block")
    ddl("SELECT plpgsql_drop()", "drop-table", "DROP TABLE in PL/pgSQL")
    ddl("SELECT sql_drop()", "drop-table", "DROP TABLE in an SQL function")
    ddl("DO $$ BEGIN DROP TABLE never; END $$", "drop-table", "DROP TABLE in a DO block")
    ddl("DO $$ BEGIN EXECUTE 'DROP SCHEMA room CASCADE'; END $$", "drop-schema drop-table", "DROP SCHEMA by EXECUTE in a DO block")
    ddl("CALL commit_and('DROP TABLE never')", "drop-table", "DROP TABLE in a procedure after COMMIT")
    ddl("CALL commit_and('ALTER TABLE analyzed DROP COLUMN v')", "drop-column", "DROP COLUMN in a procedure after COMMIT")
    ddl("INSERT INTO pulled VALUES ('DROP TABLE never')", "drop-table", "DROP TABLE in a trigger function")
    ddl("INSERT INTO delayed VALUES ('DROP TABLE never')", "drop-table", "DROP TABLE in a deferred trigger")
    ddl("SELECT 1; DROP TABLE never; SELECT 2", "drop-table", "DROP TABLE in a string of several statements")
    ddl("BEGIN; DROP TABLE never; COMMIT", "drop-table", "DROP TABLE inside BEGIN")
    ddl("BEGIN; SAVEPOINT a; DROP TABLE never; COMMIT", "drop-table", "DROP TABLE after a savepoint")
    ddl(
        "BEGIN; ALTER TABLE never SET (fillfactor = 90); DROP TABLE never; COMMIT",
        "drop-table",
        "DROP TABLE of a table altered in the same transaction",
    )
    ddl(
        "BEGIN; ALTER TABLE analyzed RENAME COLUMN v TO x; ALTER TABLE analyzed DROP COLUMN x; COMMIT",
        "drop-column",
        "DROP COLUMN of a column renamed in the same transaction",
    )
    ddl(
        "BEGIN; CREATE TABLE mother (LIKE part_1) PARTITION BY RANGE (id); ALTER TABLE part DETACH PARTITION part_1;"
        " ALTER TABLE mother ATTACH PARTITION part_1 FOR VALUES FROM (0) TO (100); DROP TABLE mother; COMMIT",
        "drop-table",
        "DROP TABLE of a new parent with an old partition",
    )
    ddl(
        "BEGIN; CREATE SCHEMA fresh; ALTER TABLE never SET SCHEMA fresh; DROP SCHEMA fresh CASCADE; COMMIT",
        "drop-table drop-cascade",
        "DROP SCHEMA of a new schema with an old table",
    )
    ddl(
        "CREATE TEMPORARY TABLE heiress () INHERITS (inherited); DROP TABLE inherited CASCADE",
        "drop-table drop-cascade",
        "DROP TABLE CASCADE with a temporary heir",
    )
    ddl(prepared_drop, "drop-table", "DROP TABLE by the extended protocol")

    # Rows: only the hooks see them.
    dml("TRUNCATE analyzed", "truncate")
    dml("TRUNCATE TABLE ONLY never", "truncate")
    dml("TRUNCATE never, analyzed RESTART IDENTITY", "truncate", "TRUNCATE, several")
    dml("TRUNCATE part", "truncate", "TRUNCATE, partitioned")
    dml("TRUNCATE part_2", "truncate", "TRUNCATE, one partition")
    dml("TRUNCATE inherited", "truncate", "TRUNCATE, inherited")
    dml("TRUNCATE parent CASCADE", "truncate", "TRUNCATE CASCADE by foreign key")
    dml("SELECT run('TRUNCATE never')", "truncate", "TRUNCATE by EXECUTE in a function")
    dml("DO $$ BEGIN TRUNCATE never; END $$", "truncate", "TRUNCATE in a DO block")
    dml("SELECT 1; TRUNCATE never", "truncate", "TRUNCATE in a string of several statements")
    dml("SELECT run_caught('TRUNCATE never')", "truncate", "TRUNCATE caught by an exception block")
    dml("SELECT tools.as_superuser('TRUNCATE public.never')", "truncate", "TRUNCATE in a SECURITY DEFINER function of a superuser")
    dml("CALL commit_and('TRUNCATE never')", "truncate", "TRUNCATE in a procedure after COMMIT")
    d, u = "delete-without-where", "update-without-where"
    dml("DELETE FROM never", d)
    dml("DELETE FROM ONLY never", d)
    dml("DELETE FROM never WHERE true", d)
    dml("DELETE FROM never WHERE 1 = 1", d)
    dml("DELETE FROM never WHERE 1 = 1 AND 'a' <> 'b' OR now() > '2020-01-01'", d, "DELETE WHERE without a column")
    dml("DELETE FROM never USING parent", d)
    dml("DELETE FROM never USING parent p WHERE p.id = 1", d)
    dml("DELETE FROM never WHERE EXISTS (SELECT FROM parent)", d)
    dml("DELETE FROM never RETURNING id", d)
    dml("WITH gone AS (DELETE FROM never RETURNING id) SELECT count(*) FROM gone", d, "DELETE in a CTE")
    dml("WITH gone AS (DELETE FROM never RETURNING v) INSERT INTO steps SELECT v FROM gone", d, "DELETE in a CTE of INSERT")
    dml("WITH a AS (SELECT 1), gone AS (DELETE FROM never) UPDATE parent SET v = 'x' WHERE id = 1", d, "DELETE in a CTE of UPDATE")
    dml("DELETE FROM part", d, "DELETE, partitioned")
    dml("DELETE FROM part_1", d, "DELETE, one partition")
    dml("DELETE FROM inherited", d, "DELETE, inherited")
    dml("DELETE FROM secured", d, "DELETE under row level security")
    dml("DELETE FROM through", d, "DELETE through a view")
    dml("UPDATE through SET v = ''", u, "UPDATE through a view")
    dml("INSERT INTO ruled VALUES (1)", d, "DELETE by a rule")
    dml("UPDATE never SET v = ''", u)
    dml("UPDATE never SET v = '' WHERE true", u)
    dml("UPDATE never SET v = p.v || '!' FROM parent p", u)
    dml("UPDATE part SET v = ''", u, "UPDATE, partitioned")
    dml("WITH changed AS (UPDATE never SET v = '' RETURNING id) SELECT count(*) FROM changed", u, "UPDATE in a CTE")
    dml("SELECT sql_delete()", d, "DELETE in an SQL function")
    dml("SELECT sql_update()", u, "UPDATE in an SQL function")
    dml("SELECT plpgsql_delete()", d, "DELETE in PL/pgSQL")
    dml("SELECT plpgsql_loop()", d, "DELETE in a FOR loop of PL/pgSQL")
    dml("SELECT run('DELETE FROM never')", d, "DELETE by EXECUTE in a function")
    dml("SELECT run_caught('DELETE FROM never')", d, "DELETE caught by an exception block")
    dml("DO $$ BEGIN UPDATE never SET v = ''; END $$", u, "UPDATE in a DO block")
    dml("CALL commit_and('DELETE FROM never')", d, "DELETE in a procedure after COMMIT")
    dml("INSERT INTO pulled VALUES ('DELETE FROM never')", d, "DELETE in a trigger function")
    dml("SELECT tools.as_superuser('DELETE FROM public.never')", d, "DELETE in a SECURITY DEFINER function of a superuser")
    dml("EXPLAIN ANALYZE DELETE FROM never", d)
    dml("SELECT 1; DELETE FROM never; SELECT 2", d, "DELETE in a string of several statements")
    dml("BEGIN; DELETE FROM never; COMMIT", d, "DELETE inside BEGIN")
    dml("PREPARE d AS DELETE FROM never; EXECUTE d", d, "DELETE by PREPARE and EXECUTE")
    dml("PREPARE d(int) AS DELETE FROM never WHERE $1 = 1; EXECUTE d(1)", d, "DELETE by PREPARE with a parameter alone")
    dml(copied_out, d, "DELETE in COPY TO STDOUT")
    dml(extended, d, "DELETE by the extended protocol, binary")
    dml(many_times, d, "DELETE by a server-side prepared statement, seventh run")
    dml("MERGE INTO never n USING (SELECT 1) p ON true WHEN MATCHED THEN DELETE", d, "MERGE ON true, DELETE")
    dml("MERGE INTO never n USING (SELECT 1) p ON 1 = 1 WHEN MATCHED THEN UPDATE SET v = ''", u, "MERGE ON 1 = 1, UPDATE")

    # The guard itself.
    for role in ("app", "boss"):
        for how in GUARD_DDL:
            ddl(how, None, role=role)
        for how in GUARD_OTHER:
            ddl(how, None, role=role)
        ddl("SET migration_guard.mode = off; DROP TABLE analyzed", None, role=role)
        ddl("SELECT set_config('migration_guard.mode', 'off', true); DROP TABLE analyzed", None, role=role)
    for how in GUARD_DDL:
        ddl(how, "guard-tamper", role="postgres")
    for how in GUARD_OTHER:
        dml(how, "guard-tamper", role="postgres")
    for how, since, none in GUARD_SYSTEM:
        ddl(how, "guard-tamper", role="postgres", since=since, none=none)
    return every


GUARD_DDL = [
    "DROP SCHEMA migration_guard CASCADE",
    "DROP SCHEMA migration_guard_snapshots CASCADE",
    "DROP EXTENSION migration_guard CASCADE",
    "DROP FUNCTION migration_guard.on_ddl_command_start() CASCADE",
    "DROP FUNCTION migration_guard.protect() CASCADE",
    "DROP TABLE migration_guard.migrations_history CASCADE",
    "DROP TABLE migration_guard.policy CASCADE",
    "DROP TRIGGER migration_guard_protect ON migration_guard.migration_statements",
    "ALTER TABLE migration_guard.policy DISABLE TRIGGER ALL",
    "ALTER TABLE migration_guard.policy DISABLE TRIGGER migration_guard_protect",
    "ALTER TABLE migration_guard.migrations_history RENAME TO h",
    "ALTER TABLE migration_guard.migrations_history DROP COLUMN checksum",
    "ALTER TABLE migration_guard.policy SET SCHEMA public",
    "ALTER SCHEMA migration_guard RENAME TO g",
    "ALTER EXTENSION migration_guard DROP TABLE migration_guard.policy",
    "ALTER FUNCTION migration_guard.protect() RENAME TO unprotect",
    "ALTER FUNCTION migration_guard.protect() SET SCHEMA public",
    "SET search_path = migration_guard; ALTER FUNCTION protect() SECURITY DEFINER",
    "CREATE OR REPLACE FUNCTION migration_guard.protect() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    "SET search_path = migration_guard; CREATE OR REPLACE FUNCTION protect() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    "CREATE RULE r AS ON INSERT TO migration_guard.policy DO INSTEAD NOTHING",
    "CREATE TRIGGER zz BEFORE INSERT ON migration_guard.policy FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "DO $$ BEGIN DROP EXTENSION migration_guard CASCADE; END $$",
]

# Of these the event triggers see nothing, and so does a superuser's session without preload.
GUARD_OTHER = [
    "ALTER EVENT TRIGGER migration_guard_start DISABLE",
    "ALTER EVENT TRIGGER migration_guard_drop ENABLE REPLICA",
    "ALTER EVENT TRIGGER migration_guard_end RENAME TO e",
    "DROP EVENT TRIGGER migration_guard_rewrite",
    "ALTER ROLE app SET migration_guard.mode = 'off'",
    "ALTER DATABASE base SET migration_guard.mode = 'off'",
    "ALTER DATABASE base SET session_preload_libraries = 'plpgsql'",
    "ALTER DATABASE base SET session_replication_role = 'replica'",
    "ALTER ROLE ALL SET migration_guard.auto_snapshot = off",
]

GUARD_SYSTEM = [
    ("ALTER SYSTEM SET migration_guard.mode = 'off'", 0, "unknown"),
    ("ALTER SYSTEM SET migration_guard.auto_snapshot = off", 0, "unknown"),
    ("ALTER SYSTEM SET shared_preload_libraries = 'plpgsql'", 0, "runs"),
    ("ALTER SYSTEM SET session_replication_role = 'replica'", 0, "runs"),
    ("ALTER SYSTEM SET event_triggers = off", 17, "runs"),
    ("ALTER ROLE app SET session_replication_role = 'replica'", 0, "runs"),
]


def prepared_drop(connection):
    connection.execute("DROP TABLE never", prepare=True, binary=True)


def copied_out(connection):
    with connection.cursor().copy("COPY (DELETE FROM never RETURNING id) TO STDOUT") as copy:
        return len(list(copy))


def extended(connection):
    connection.execute("DELETE FROM never WHERE %s = 1", [1], prepare=True, binary=True)


def many_times(connection):
    for i in range(7):
        with connection.transaction(force_rollback=i < 6):
            try:
                with connection.transaction():
                    connection.execute("DELETE FROM never WHERE %s = 1", [1], prepare=True)
            except Exception:
                if i == 6:
                    raise


class Place:
    """A database in one of the three ways of loading."""

    def __init__(self, cluster, preload):
        self.cluster, self.preload, self.name = cluster, preload, f"db_{preload}"
        self.fresh()

    def fresh(self):
        create_database(self.cluster, self.name, template="base", owner="boss")
        if self.preload != "shared":
            run_all(
                self.cluster,
                "postgres",
                ["ALTER SYSTEM RESET ALL", "ALTER ROLE app RESET ALL", "ALTER ROLE ALL RESET ALL"],
            )
        if self.preload == "session":
            preload = f"ALTER DATABASE {self.name} SET session_preload_libraries = 'migration_guard'"
            run_all(self.cluster, "postgres", [preload])
        run_all(self.cluster, "postgres", [f"GRANT CREATE ON DATABASE {self.name} TO app"])
        self.digest = digest(self.cluster, self.name)


def try_one(place, attempt):
    expected = attempt.none if place.preload == "none" else "stopped"
    how = attempt.how
    if isinstance(how, str):
        how = how.replace("DATABASE base", f"DATABASE {place.name}")
    seen = try_in_new_session(place.cluster, place.name, attempt.role, how, **attempt.options)
    sqlstate = seen.sqlstate
    if sqlstate is None and seen.notices and seen.notices[0][1].startswith("caught "):
        sqlstate = seen.notices[0][1][7:12]
    by = " ".join(seen.rules) if seen.rules else "by Postgres"
    now = digest(place.cluster, place.name)
    intact = now == place.digest
    text = "no error" if sqlstate is None else f"{sqlstate} {by}"
    if expected == "stopped":
        good = sqlstate == "42501" and intact and (attempt.rules is None or seen.rules == attempt.rules)
    elif expected == "unknown":  # a setting that the server does not know without the library
        good = sqlstate == "42704" and intact
    else:
        good = sqlstate is None and not intact
    line = f"{attempt.name} | {attempt.role} | {place.preload} | {expected} | {text}"
    if good:
        ok(line)
    else:
        state = "all is there" if intact else "SOMETHING IS GONE"
        not_ok(line, f"{state}; expected {attempt.rules}; {seen!r}")
    if not intact:
        place.fresh()


def build(cluster):
    run_all(cluster, "postgres", ROLES)
    guarded(cluster, "base", [], owner="boss")
    run_all(cluster, "base", AS_SUPERUSER)
    run_all(cluster, "base", [AS_APP], user="app")
    has_extension = False
    try:
        run_all(cluster, "base", ["CREATE EXTENSION citext SCHEMA public"])
        run_all(cluster, "base", ["CREATE TABLE cited (id int, c citext)", "INSERT INTO cited VALUES (1, 'c')"], user="app")
        has_extension = True
    except Exception:
        skip(f"DROP EXTENSION CASCADE that takes a column: this Postgres {MAJOR} has no citext")
    with cluster.connect(autocommit=True) as connection:
        connection.execute("ALTER DATABASE base WITH ALLOW_CONNECTIONS false")
    return has_extension


def status_names_the_gap(place):
    with place.cluster.connect(place.name, user="app", autocommit=True) as connection:
        rows = {r[0]: r[1:] for r in connection.execute("SELECT * FROM migration_guard.status()").fetchall()}
    state, detail, hint = rows["preload"]
    if place.preload == "none":
        is_equal("status() without preload", "degraded", state)
        for word in ("TRUNCATE", "DELETE", "UPDATE", "databases", "roles", "event triggers", "ALTER SYSTEM"):
            (ok if word in detail else not_ok)(f"status() names what is not guarded: {word}")
        line = f"ALTER DATABASE {place.name} SET session_preload_libraries = 'migration_guard';"
        is_equal("status() gives the mending line", line, hint)
    elif place.preload == "session":
        is_equal("status() with session preload", "degraded", state)
    else:
        is_equal("status() with shared preload", "ok", state)


def mending_line_works(place):
    """The line that status() gives can be typed into the session that asked for it, and helps."""
    with place.cluster.connect(place.name, autocommit=True) as connection:
        rows = connection.execute("SELECT hint FROM migration_guard.status() WHERE item = 'preload'").fetchall()
        is_equal("the mending line runs where status() was asked", "no error", repr(outcome(connection, rows[0][0])))
    seen = try_in_new_session(place.cluster, place.name, "app", "TRUNCATE never")
    is_equal("after it TRUNCATE is stopped", ["truncate"], seen.rules)
    place.fresh()


def loaded_by_ddl(place):
    """Plans that were made before the library came into the session."""
    for prepare, execute, rule in (
        ("PREPARE d AS DELETE FROM never", "EXECUTE d", "delete-without-where"),
        ("PREPARE d AS DELETE FROM never WHERE true", "EXECUTE d", "delete-without-where"),
        ("PREPARE d(int) AS DELETE FROM never WHERE $1 = 1", "EXECUTE d(1)", "delete-without-where"),
        ("SELECT 1", "SELECT plpgsql_delete()", "delete-without-where"),
        ("SELECT 1", "SELECT sql_update()", "update-without-where"),
    ):
        with place.cluster.connect(place.name, user="app", autocommit=True) as connection:
            connection.execute(prepare)
            connection.execute("BEGIN")
            connection.execute(execute)
            connection.execute("ROLLBACK")
            connection.execute("COMMENT ON TABLE steps IS 'loads the library'")
            seen = outcome(connection, execute)
        line = f"{prepare}; {execute}, planned before the first DDL | app | none | stopped | {seen.sqlstate}"
        (ok(line) if seen.rules == [rule] else not_ok(line, repr(seen)))
        if digest(place.cluster, place.name) != place.digest:
            not_ok(line + ": rows are gone")
            place.fresh()


def planned_before_enable(cluster):
    """A plan made in a database that was not armed yet."""
    guarded(cluster, "later")
    run_all(cluster, "later", ["SELECT migration_guard.disable()", "CREATE TABLE t AS SELECT 1 AS id"])
    with cluster.connect("later", autocommit=True) as early:
        early.execute("PREPARE d AS DELETE FROM t")
        early.execute("BEGIN; EXECUTE d; ROLLBACK")
        run_all(cluster, "later", ["SELECT migration_guard.enable()"])
        seen = outcome(early, "EXECUTE d")
        line = f"DELETE planned before enable() | postgres | shared | stopped | {seen.sqlstate} {seen.rules}"
        (ok if seen.rules == ["delete-without-where"] else not_ok)(line)


def mode_by_pgoptions(place):
    """A mode in PGOPTIONS: refused at the start of the session, or without effect."""
    for role in ("app", "boss"):
        seen = try_in_new_session(
            place.cluster, place.name, role, "DROP TABLE analyzed", options="-c migration_guard.mode=off"
        )
        line = f"PGOPTIONS -c migration_guard.mode=off; DROP TABLE | {role} | {place.preload} | stopped | {seen.sqlstate}"
        intact = digest(place.cluster, place.name) == place.digest
        # psycopg knows no SQLSTATE of a connection that was refused.
        refused = "permission denied" in seen.text or seen.sqlstate == "42501"
        (ok(line) if refused and intact else not_ok(line, repr(seen)))


def main():
    every = attempts()
    with Cluster("shared_preload_libraries = 'migration_guard'", name="shared") as shared, Cluster(
        name="plain"
    ) as plain:
        cited = build(shared)
        build(plain)
        if cited:
            every.append(
                Attempt("DROP EXTENSION CASCADE that takes a column", "DROP EXTENSION citext CASCADE",
                        "drop-column drop-cascade", role="postgres")
            )
        for cluster, preload in (shared, "shared"), (plain, "session"), (plain, "none"):
            place = Place(cluster, preload)
            for attempt in every:
                if MAJOR >= attempt.since:
                    try_one(place, attempt)
            mode_by_pgoptions(place)
            status_names_the_gap(place)
        planned_before_enable(shared)
        loaded_by_ddl(place)
        mending_line_works(place)
    finish()


main()
