"""The traps of the design, one by one: who could get rights from the guard, forge its records, switch
it off or read its secrets, and cannot."""

import pathlib
import re

import psycopg
from guard_case import Cluster, finish, is_equal, not_ok, ok

PRELOAD = "shared_preload_libraries = 'migration_guard'"
DENIED = "42501"


def error_of(db, query, *arguments):
    """SQLSTATE and message; None if it runs."""
    try:
        db.execute(query, arguments or None)
    except psycopg.Error as error:
        return error.sqlstate, str(error).splitlines()[0]
    return None


def is_refused(name, db, query, state=DENIED, like=""):
    seen = error_of(db, query)
    if seen and seen[0] == state and re.search(like, seen[1]):
        ok(name)
    else:
        not_ok(name, seen)


def one(db, query, *arguments):
    row = db.execute(query, arguments or None).fetchone()
    return row and row[0]


def database(cluster, name, owner="postgres"):
    with cluster.connect(autocommit=True) as db:
        db.execute(f"CREATE DATABASE {name} OWNER {owner}")


def log_of(cluster):
    return (pathlib.Path(cluster.data).parent / "server.log").read_text(errors="replace")


def schemas_made_beforehand(cluster):
    for what, prepare in {
        "by the owner of the database": "SET ROLE dbowner; CREATE SCHEMA migration_guard",
        "by the owner, with a planted function": "SET ROLE dbowner; CREATE SCHEMA migration_guard; CREATE FUNCTION "
        "migration_guard.protect() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "by a superuser, but with a function in it": "CREATE SCHEMA migration_guard; "
        "CREATE FUNCTION migration_guard.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "by a superuser, but with a type in it": "CREATE SCHEMA migration_guard; CREATE TYPE migration_guard.e AS ENUM ('a')",
        "by a superuser, but others may create in it": "CREATE SCHEMA migration_guard; GRANT CREATE ON SCHEMA migration_guard TO dbowner",
        "the snapshots' one, by the owner": "SET ROLE dbowner; CREATE SCHEMA migration_guard_snapshots",
    }.items():
        database(cluster, "beforehand", "dbowner")
        with cluster.connect("beforehand", autocommit=True) as db:
            db.execute(prepare)
            db.execute("RESET ROLE")
            error = error_of(db, "CREATE EXTENSION migration_guard")
            if error and "schema" in error[1]:
                ok(f"a schema made beforehand {what} is refused: {error[1]}")
            else:
                not_ok(f"a schema made beforehand {what} is refused", error)
        with cluster.connect(autocommit=True) as db:
            db.execute("DROP DATABASE beforehand")
    database(cluster, "beforehand", "dbowner")
    with cluster.connect("beforehand", autocommit=True) as db:
        db.execute("CREATE SCHEMA migration_guard")
        is_equal("an empty one of the superuser is taken", None, error_of(db, "CREATE EXTENSION migration_guard"))
    with cluster.connect("beforehand", "dbowner", autocommit=True) as db:
        is_refused("the owner of the database cannot drop the schema", db, "DROP SCHEMA migration_guard CASCADE")
        is_refused("nor that of the snapshots", db, "DROP SCHEMA migration_guard_snapshots CASCADE")
        is_refused("nor the extension", db, "DROP EXTENSION migration_guard CASCADE")


def forging(cluster):
    with cluster.connect("traps", autocommit=True) as admin:
        admin.execute("CREATE TABLE forged (i int)")
        admin.execute("SELECT migration_guard.issue_token('{drop-table}')")
        admin.execute("GRANT pg_write_all_data, pg_read_all_data TO writer")
        tables = [row[0] for row in admin.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'migration_guard'::regnamespace AND relkind = 'r' ORDER BY 1")]
        before = {t: admin.execute(f"SELECT t::text FROM migration_guard.{t} t ORDER BY 1").fetchall() for t in tables}
    is_equal("the guard has tables", True, len(tables) >= 6)
    with cluster.connect("traps", "writer", autocommit=True) as db:
        for t in tables:
            key = "approval_id" if t == "approval_use" else "id"
            for query in (
                f"INSERT INTO migration_guard.{t} SELECT * FROM migration_guard.{t}",
                f"INSERT INTO migration_guard.{t} SELECT * FROM migration_guard.{t} ON CONFLICT DO NOTHING",
                f"UPDATE migration_guard.{t} SET {key} = {key} WHERE {key} > 0",
                f"DELETE FROM migration_guard.{t} WHERE {key} > 0",
                f"UPDATE migration_guard.{t} SET {key} = {key}",
                f"DELETE FROM migration_guard.{t}",
                f"TRUNCATE migration_guard.{t} CASCADE",
                f"WITH x AS (DELETE FROM migration_guard.{t} WHERE {key} > 0 RETURNING 1) SELECT * FROM x",
                f"MERGE INTO migration_guard.{t} t USING (SELECT 1) s ON t.{key} > 0 WHEN MATCHED THEN DELETE",
                f"ALTER TABLE migration_guard.{t} DISABLE TRIGGER ALL",
                f"DROP TRIGGER migration_guard_protect ON migration_guard.{t}",
            ):
                # An identity that is GENERATED ALWAYS is refused by Postgres beforehand.
                seen = error_of(db, query)
                if not (seen and seen[0] in (DENIED, "428C9")):
                    not_ok(f"pg_write_all_data: {query}", seen)
            try:
                with db.cursor() as cursor, cursor.copy(f"COPY migration_guard.{t} FROM STDIN") as copy:
                    copy.write("")
                not_ok(f"pg_write_all_data: COPY {t}", "runs")
            except psycopg.Error as error:
                if error.sqlstate != DENIED:
                    not_ok(f"pg_write_all_data: COPY {t}", error)
    with cluster.connect("traps", autocommit=True) as admin:
        admin.execute("SET session_replication_role = replica")
        for t in tables:
            if t != "policy":
                is_refused(f"nor a superuser under session_replication_role = replica: {t}", admin,
                           f"DELETE FROM migration_guard.{t} WHERE {'approval_id' if t == 'approval_use' else 'id'} > 0")
        admin.execute("RESET session_replication_role")
        for t in tables:
            is_equal(f"pg_write_all_data has forged nothing in {t}", before[t],
                     admin.execute(f"SELECT t::text FROM migration_guard.{t} t ORDER BY 1").fetchall())


EVIL = """
CREATE TABLE seen_by (who name, superuser bool);
GRANT ALL ON seen_by TO PUBLIC;
CREATE FUNCTION note() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO public.seen_by SELECT current_user, rolsuper FROM pg_roles WHERE rolname = current_user;
    BEGIN ALTER ROLE evil SUPERUSER; EXCEPTION WHEN OTHERS THEN NULL; END;
END $$;
CREATE FUNCTION evil_int(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM public.note(); RETURN i; EXCEPTION WHEN OTHERS THEN RETURN i; END $$;
CREATE FUNCTION evil_bool(i int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM public.evil_int(i); RETURN true; END $$;
CREATE FUNCTION evil_trigger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM public.evil_int(1); RETURN coalesce(new, old); END $$;
CREATE FUNCTION evil_any() RETURNS int LANGUAGE plpgsql VOLATILE AS $$ BEGIN RETURN public.evil_int(1); END $$;
CREATE DOMAIN evil_domain AS int CHECK (evil_bool(value));
CREATE TABLE evil_t (
    i int PRIMARY KEY DEFAULT evil_any() CHECK (evil_bool(i)),
    d evil_domain DEFAULT 1,
    g int GENERATED ALWAYS AS (evil_int(i)) STORED,
    t text);
CREATE INDEX evil_index ON evil_t (evil_int(i)) WHERE evil_bool(i);
CREATE STATISTICS evil_statistics ON (evil_int(i)), d FROM evil_t;
ALTER TABLE evil_t ENABLE ROW LEVEL SECURITY;
ALTER TABLE evil_t FORCE ROW LEVEL SECURITY;
CREATE POLICY evil_policy ON evil_t USING (evil_bool(i)) WITH CHECK (evil_bool(i));
CREATE TRIGGER evil_row BEFORE INSERT OR UPDATE OR DELETE ON evil_t FOR EACH ROW EXECUTE FUNCTION evil_trigger();
CREATE TRIGGER evil_statement AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON evil_t EXECUTE FUNCTION evil_trigger();
CREATE TABLE evil_part (i int, k int CHECK (evil_bool(k))) PARTITION BY RANGE (evil_int(i));
CREATE TABLE evil_part_1 PARTITION OF evil_part FOR VALUES FROM (0) TO (1000);
"""


def code_of_users(cluster):
    """A user's code runs as the user or not at all: what ran, and as whom, stands in seen_by."""
    with cluster.connect("traps", autocommit=True) as admin:
        token = one(admin, "SELECT migration_guard.issue_token('{*}', max_uses => 100)")
        # By the owner; by a superuser, whose own statements run a user's trigger as the superuser with
        # or without the guard: only functions of the guard and DDL are asked about.
        for by, attempts in {
            "evil": (
                "TRUNCATE evil_t", "DELETE FROM evil_t", "UPDATE evil_t SET t = 'x'", "ALTER TABLE evil_t DROP COLUMN t",
                "ALTER TABLE evil_t DROP COLUMN i CASCADE", "DROP TABLE evil_t", "DROP TABLE evil_t, evil_part",
                "TRUNCATE evil_part", "DROP DOMAIN evil_domain CASCADE", "DROP FUNCTION evil_int CASCADE",
                "SELECT migration_guard.snapshot_table('evil_t')", "SELECT migration_guard.snapshot_table('evil_part')",
            ),
            "postgres": (
                "DROP TABLE evil_t", "ALTER TABLE evil_t DROP COLUMN t", "TRUNCATE evil_part", "DROP TABLE evil_part",
                "DROP DOMAIN evil_domain CASCADE", "SELECT migration_guard.snapshot_table('evil_t')",
                "SELECT migration_guard.snapshot_table('evil_part')",
            ),
        }.items():
            for attempt in attempts:
                for with_token in (False, True):
                    if attempt.startswith("SELECT") and not with_token:
                        continue
                    what = f"{attempt} by {by}{' with a token' if with_token else ''}"
                    with cluster.connect("traps", "evil", autocommit=True) as owner:
                        owner.execute(EVIL)
                        owner.execute("INSERT INTO evil_t (i, t) SELECT g, 'a' FROM generate_series(1, 20) g; "
                                      "INSERT INTO evil_part SELECT g, g FROM generate_series(1, 20) g")
                        owner.execute("DELETE FROM seen_by WHERE who IS NOT NULL")
                    with cluster.connect("traps", by, autocommit=True) as db:
                        if with_token:
                            db.execute("SELECT set_config('migration_guard.token', %s, false)", [token])
                        error = error_of(db, attempt)
                        if with_token and error:
                            not_ok(f"{what} runs", error)
                        if not with_token and (not error or error[0] != DENIED):
                            not_ok(f"{what} is stopped", error)
                        snapshot = one(admin, "SELECT max(id) FROM migration_guard.snapshot WHERE dropped_at IS NULL AND table_name LIKE %s", "public.evil_%")
                        if snapshot and with_token:
                            for follow in (f"SELECT * FROM migration_guard.compare_snapshot({snapshot})",
                                           f"SELECT * FROM migration_guard.restore_table({snapshot})",
                                           f"SELECT * FROM migration_guard.restore_table({snapshot}, new_name => 'evil_copy')"):
                                error_of(db, follow)
                    seen = admin.execute("SELECT DISTINCT who FROM seen_by WHERE who <> 'evil' OR superuser").fetchall()
                    is_equal(f"no code of the owner ran with other rights: {what}", [], seen)
                    is_equal(f"evil is no superuser: {what}", False, one(admin, "SELECT rolsuper FROM pg_roles WHERE rolname = 'evil'"))
                    admin.execute("SET migration_guard.mode = off")
                    admin.execute("DROP OWNED BY evil CASCADE; GRANT CREATE ON SCHEMA public TO evil")
                    admin.execute("RESET migration_guard.mode")
                    for (left,) in admin.execute("SELECT id FROM migration_guard.snapshot WHERE dropped_at IS NULL").fetchall():
                        error_of(admin, "SELECT migration_guard.drop_snapshot(%s)", left)


def the_trap_springs(cluster):
    """The trap works: the same table, without the guard's care, runs the owner's code as whoever asks."""
    with cluster.connect("traps", autocommit=True) as admin:
        with cluster.connect("traps", "evil", autocommit=True) as owner:
            owner.execute(EVIL)
            owner.execute("INSERT INTO evil_t (i, t) VALUES (1, 'a'); DELETE FROM seen_by WHERE who IS NOT NULL")
        admin.execute("BEGIN; SET LOCAL row_security = off; CREATE TABLE x AS SELECT evil_int(i) FROM evil_t")
        is_equal("a superuser that is not careful would be noticed", "postgres", one(admin, "SELECT who FROM seen_by"))
        admin.execute("ROLLBACK")
        admin.execute("SET migration_guard.mode = off; DROP OWNED BY evil CASCADE; GRANT CREATE ON SCHEMA public TO evil; RESET migration_guard.mode")


def placeholders(cluster, preloaded):
    how = "preloaded" if preloaded else "not preloaded"
    with cluster.connect("traps", autocommit=True) as admin:
        admin.execute("DROP TABLE IF EXISTS kept")
        admin.execute("SET migration_guard.mode = off; DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT 1 AS i; "
                      "ALTER TABLE kept OWNER TO app; RESET migration_guard.mode")
    for setting, value in {"mode": "off", "auto_snapshot": "off", "admin_role": "app"}.items():
        try:
            with cluster.connect("traps", "app", autocommit=True, options=f"-c migration_guard.{setting}={value}") as db:
                error = error_of(db, "DROP TABLE kept")
                is_equal(f"{how}: PGOPTIONS with {setting}={value} does not open the door", DENIED, error and error[0])
                is_equal(f"{how}: and {setting} is what it was", False, one(db, f"SHOW migration_guard.{setting}") == value)
        except psycopg.OperationalError as error:
            ok(f"{how}: PGOPTIONS with {setting}={value} is refused: {str(error).splitlines()[0][-80:]}")
        with cluster.connect("traps", "app", autocommit=True) as db:
            error_of(db, f"SET migration_guard.{setting} = '{value}'")
            error = error_of(db, "DROP TABLE kept")
            is_equal(f"{how}: SET {setting} before anything else does not open the door", DENIED, error and error[0])
            is_equal(f"{how}: nor is it set afterwards", False, one(db, f"SHOW migration_guard.{setting}") == value)
        with cluster.connect("traps", "app", autocommit=True) as db:
            for query in (f"ALTER ROLE app SET migration_guard.{setting} = '{value}'",
                          f"ALTER ROLE app IN DATABASE traps SET migration_guard.{setting} = '{value}'",
                          f"ALTER DATABASE owned SET migration_guard.{setting} = '{value}'"):
                is_refused(f"{how}: {query}", db, query)
            is_refused(f"{how}: an owner cannot unload it", db, "ALTER DATABASE owned SET session_preload_libraries = ''")
    with cluster.connect("traps", "app", autocommit=True, options="-c migration_guard.token=mg_x -c migration_guard.migration=m") as db:
        db.execute("CREATE TABLE IF NOT EXISTS by_app (i int)")
        error = error_of(db, "DROP TABLE kept")
        is_equal(f"{how}: a token given through PGOPTIONS is read", DENIED, error and error[0])
        is_equal(f"{how}: and never shown", "mg_***", one(db, "SHOW migration_guard.token"))
    with cluster.connect("traps", autocommit=True) as admin:
        is_equal(f"{how}: the name given through PGOPTIONS is used", 1, one(
            admin, "SELECT count(DISTINCT migration_name) FROM migration_guard.migrations_history WHERE migration_name = 'm'"))
        admin.execute("SET migration_guard.mode = off; DROP TABLE by_app")
        token = one(admin, "SELECT migration_guard.issue_token('{drop-table}')")
    with cluster.connect("traps", "app", autocommit=True, options=f"-c migration_guard.token={token}") as db:
        is_equal(f"{how}: and opens the door", None, error_of(db, "DROP TABLE kept"))


def secrets(cluster):
    with cluster.connect("traps", autocommit=True) as admin:
        admin.execute("CREATE TABLE logged (i int); ALTER TABLE logged OWNER TO app")
        tokens = [one(admin, "SELECT migration_guard.issue_token('{truncate}')") for _ in range(4)]
        unknown = "mg_" + "x" * 43
        before = len(log_of(cluster))
    with cluster.connect("traps", "app", autocommit=True) as db:
        for token in (*tokens, unknown):
            error_of(db, f"SELECT 'MARK'; SET LOCAL migration_guard.token = '{token}'; DROP TABLE logged")
            error_of(db, f"SET migration_guard.token = '{token}'")
            error_of(db, "DROP TABLE logged")
            error_of(db, f"SELECT migration_guard.use_token('{token}'); SELECT 1/0")
            error_of(db, f"DO $$ BEGIN PERFORM set_config('migration_guard.token', '{token}', true); DROP TABLE logged; END $$")
            error_of(db, f"SELECT '{token}'::int")
            error_of(db, f"SELECT 1/0 -- {token}")
            error_of(db, "SELECT migration_guard.use_token(%s)", token)
            error_of(db, "SELECT set_config('migration_guard.token', %s, false), 1/0", token)
            error_of(db, "SELECT migration_guard.use_token(%s), 1/0", token)
            error_of(db, f"PREPARE p AS SELECT migration_guard.use_token('{token}')")
            error_of(db, "EXECUTE p")
            error_of(db, "DEALLOCATE p")
            error_of(db, f"CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$ SELECT migration_guard.use_token('{token}') $$")
            error_of(db, "SELECT f()")
        db.execute("SELECT 'END OF IT'")
    log = log_of(cluster)[before:]
    is_equal("the log is being written", True, "END OF IT" in log and "blocked DROP TABLE" in log)
    for token in (*tokens, unknown):
        lines = [line for line in log.splitlines() if token in line]
        is_equal("no token is in the server log", [], [line.replace(token, "TOKEN")[:300] for line in lines[:3]])
    with cluster.connect("traps", autocommit=True) as admin:
        for table in ("migration_statements", "migrations_history", "approval"):
            is_equal(f"nor in {table}", 0, one(
                admin, f"SELECT count(*) FROM migration_guard.{table} t WHERE " +
                " OR ".join(f"strpos(t::text, '{token}') > 0" for token in (*tokens, unknown))))
        # Passwords.
        for query in ("CREATE ROLE pw PASSWORD 'geheim'", "ALTER ROLE pw PASSWORD E'ge\\x68eim' VALID UNTIL 'infinity'",
                      "ALTER ROLE pw /* PASSWORD 'geheim' */ ENCRYPTED PASSWORD U&'geheim'", "ALTER USER pw WITH PASSWORD $x$geheim$x$",
                      "DO $$ BEGIN EXECUTE format('ALTER ROLE pw PASSWORD %L', 'geheim'); END $$", "DROP ROLE pw",
                      "SET migration_guard.statement_text = 'full'", "CREATE ROLE pw PASSWORD 'geheim'", "DROP ROLE pw"):
            admin.execute(query)
        is_equal("the statements are in the history", True, one(
            admin, "SELECT count(*) >= 6 FROM migration_guard.migration_statements WHERE command IN ('CREATE ROLE', 'ALTER ROLE', 'DROP ROLE')"))
        is_equal("but no password", [], admin.execute(
            "SELECT statement FROM migration_guard.migration_statements WHERE statement ~* 'geheim|ge.x68eim'").fetchall())


def xmin(cluster):
    with cluster.connect("traps", autocommit=True) as admin:
        admin.execute("CREATE TABLE old AS SELECT 1 AS i; ALTER TABLE old OWNER TO app")
    with cluster.connect("traps", "app") as db:
        for touch in ("ALTER TABLE old SET (fillfactor = 90)", "ALTER TABLE old ADD COLUMN IF NOT EXISTS j int",
                      "ALTER TABLE old RENAME TO old2; ALTER TABLE old2 RENAME TO old", "COMMENT ON TABLE old IS 'x'",
                      "CREATE INDEX ON old (i)", "ALTER TABLE old ALTER COLUMN i TYPE bigint", "ANALYZE old"):
            db.execute(touch)
            error = error_of(db, "DROP TABLE old")
            is_equal(f"an old table stays old after {touch}", DENIED, error and error[0])
            db.rollback()
        db.execute("CREATE TABLE new AS SELECT 1 AS i")
        db.execute("ALTER TABLE new SET (fillfactor = 90)")
        is_equal("a new one may go", None, error_of(db, "DROP TABLE new"))
        db.rollback()
        db.execute("CREATE TABLE new AS SELECT 1 AS i")
        db.execute("SAVEPOINT s")
        db.execute("DROP TABLE new")
        db.execute("ROLLBACK TO s")
        db.execute("ALTER TABLE new RENAME TO newer")
        is_equal("also after a savepoint", None, error_of(db, "TRUNCATE newer; DROP TABLE newer"))
        db.rollback()


def prepare(cluster):
    with cluster.connect(autocommit=True) as db:
        db.execute("CREATE ROLE dbowner LOGIN; CREATE ROLE writer LOGIN; CREATE ROLE evil LOGIN; CREATE ROLE app LOGIN")
        db.execute("CREATE DATABASE owned OWNER app")
    database(cluster, "traps")
    with cluster.connect("traps", autocommit=True) as db:
        db.execute("CREATE EXTENSION migration_guard")
        db.execute("SELECT migration_guard.enable()")
        db.execute("GRANT CREATE ON SCHEMA public TO app, evil")


with Cluster(PRELOAD, "log_statement = 'all'", "log_min_duration_statement = 0", "log_min_error_statement = 'debug5'",
             "log_parameter_max_length = -1", "log_parameter_max_length_on_error = -1", "log_duration = on") as cluster:
    prepare(cluster)
    schemas_made_beforehand(cluster)
    forging(cluster)
    the_trap_springs(cluster)
    code_of_users(cluster)
    placeholders(cluster, True)
    secrets(cluster)
    xmin(cluster)
with Cluster(name="bare") as cluster:
    prepare(cluster)
    placeholders(cluster, False)
    xmin(cluster)
finish()
