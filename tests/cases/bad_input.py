"""Odd names, huge statements, missing arguments, locks: the right result or a clear error, and
nothing is lost."""

import re
import time

import psycopg
from psycopg.sql import SQL, Identifier

from attempts import DIGEST, create_database, digest, guarded, outcome, run_all, try_in_new_session
from guard_case import Cluster, finish, is_equal, not_ok, ok

NAMES = [
    "Capitals", "with space", 'double"quote', "single'quote", "semi;colon", "do.t", "größe", "表", "Ωmega", "emoji🙂",
    "back\\slash", "back\\'slash", "per%cent", "star*", "under_score", "select", "user", "$dollar$", "1digit", "new\nline",
    "tab\there", "--comment", "/*comment*/", "{brace}", "comma,name", "(paren)", "[bracket]", "x" * 63, "é" * 31, '"', "'", "\\",
    "NULL", " leading", "trailing ", "mg_x", "a" + '"' * 5 + "b",
]


def check(name, good, seen=None):
    ok(name) if good else not_ok(name, seen)


def names(cluster):
    """Every odd name is refused with the name quoted, and the HINT is a statement that helps."""
    guarded(cluster, "names")
    run_all(cluster, "names", ["GRANT CREATE ON DATABASE names TO app", "GRANT CREATE ON SCHEMA public TO app"])
    boss = cluster.connect("names", autocommit=True)
    for name in NAMES:
        label = repr(name)
        for where in ("table", "schema", "column"):
            schema = name if where == "schema" else "public"
            table = name if where == "table" else "plain"
            column = name if where == "column" else "v"
            with cluster.connect("names", user="app", autocommit=True) as app:
                if where == "schema":
                    app.execute(SQL("CREATE SCHEMA {}").format(Identifier(schema)))
                full = Identifier(schema, table)
                app.execute(SQL("CREATE TABLE {} (id int, {} text)").format(full, Identifier(column)))
                app.execute(SQL("INSERT INTO {} VALUES (1, 'kept')").format(full))
                identity = app.execute("SELECT quote_ident(%s) || '.' || quote_ident(%s)", [schema, table]).fetchone()[0]
                if where == "column":
                    identity += app.execute("SELECT '.' || quote_ident(%s)", [column]).fetchone()[0]
                    attempt = SQL("ALTER TABLE {} DROP COLUMN {}").format(full, Identifier(column))
                else:
                    attempt = SQL("DROP TABLE {}").format(full)
                attempt = attempt.as_string(app)
                seen = outcome(app, attempt)
                check(f"{where} {label} is stopped", seen.sqlstate == "42501" and seen.rules == [f"drop-{'column' if where == 'column' else 'table'}"], seen)
                check(f"{where} {label} is quoted in the message", f" on {identity}: " in seen.message, (identity, seen))
                token = token_from_hint(boss, seen)
                if token is None:
                    not_ok(f"{where} {label}: the HINT issues a token", seen.fields)
                    continue
                app.execute(SQL("SET migration_guard.token = {}").format(token))
                again = outcome(app, attempt)
                check(f"{where} {label}: the HINT's token lets it through", again.sqlstate is None, again)
                app.execute("RESET migration_guard.token")
                third = outcome(app, SQL("DROP TABLE IF EXISTS {}").format(full).as_string(app))
                if where == "column":
                    check(f"{where} {label}: the token is of no use for the table", third.sqlstate == "42501", third)
                boss.execute("SET migration_guard.mode = off")
                boss.execute(SQL("DROP TABLE IF EXISTS {}").format(full))
                if where == "schema":
                    boss.execute(SQL("DROP SCHEMA {} CASCADE").format(Identifier(schema)))
                boss.execute("RESET migration_guard.mode")
    # Roles have odd names, too.
    for name in ("O'Neil \"x\".y", "größe"):
        boss.execute(SQL("CREATE ROLE {} LOGIN").format(Identifier(name)))
        boss.execute(SQL("GRANT CREATE ON SCHEMA public TO {}").format(Identifier(name)))
        with cluster.connect("names", user=name, autocommit=True) as odd:
            odd.execute("CREATE TABLE odd (id int)")
            seen = outcome(odd, "DROP TABLE odd")
            token = token_from_hint(boss, seen)
            check(f"role {name!r}: the HINT issues a token", token is not None, seen.fields)
            odd.execute(SQL("SET migration_guard.token = {}").format(token or ""))
            check(f"role {name!r}: the token lets it through", outcome(odd, "DROP TABLE odd").sqlstate is None)
    boss.close()


def token_from_hint(boss, refusal):
    """Runs the statement in the HINT as it stands."""
    hint = refusal.fields.get("message_hint") or ""
    found = re.search(r"(SELECT migration_guard\.issue_token\(.*\);) then run it again after: SET", hint, re.S)
    if not found:
        return None
    seen = outcome(boss, found.group(1))
    if seen.sqlstate:
        not_ok("the statement in the HINT runs", (found.group(1), seen))
        return None
    return seen.rows[0][0]


def timed(connection, statement, **options):
    started = time.monotonic()
    seen = outcome(connection, statement, **options)
    return seen, time.monotonic() - started


def huge(cluster):
    guarded(cluster, "huge")
    run_all(cluster, "huge", ["GRANT CREATE ON SCHEMA public TO app"])
    with cluster.connect("huge", user="app", autocommit=True) as app:
        megabytes = 10 * 1024 * 1024
        seen, took = timed(app, f"CREATE TABLE commented (id int) /* {'x' * megabytes} */")
        check("a CREATE TABLE with a comment of 10 MB runs in seconds", seen.sqlstate is None and took < 30, (seen, took))
        seen, took = timed(app, f"CREATE TABLE quoted (v text DEFAULT '{'y' * megabytes}')")
        check("a CREATE TABLE with a default of 10 MB runs in seconds", seen.sqlstate is None and took < 30, (seen, took))
        seen, took = timed(app, f"INSERT INTO commented SELECT 1; DROP TABLE commented /* {'x' * megabytes} */")
        check("a DROP TABLE with a comment of 10 MB is stopped", seen.rules == ["drop-table"] and took < 30, (seen, took))
        check("its error is short", len(seen.fields["message_detail"] or "") < 2000, seen.fields)
        numbers = ",".join(str(i) for i in range(1_400_000))
        seen, took = timed(app, f"DELETE FROM commented WHERE id IN ({numbers})")
        check(f"a DELETE with an IN list of {len(numbers) >> 20} MB runs", seen.sqlstate is None and took < 60, (seen, took))
        seen, took = timed(app, f"DELETE FROM commented WHERE 1 IN ({numbers[:2_000_000].rstrip(',')})")
        check("a DELETE with a list that names no column is stopped", seen.rules == ["delete-without-where"] and took < 60, (seen, took))

        many = ";".join(f"CREATE TABLE many_{i} (id int)" for i in range(5000))
        seen, took = timed(app, many)
        check(f"5,000 statements in one string run ({took:.0f} s)", seen.sqlstate is None and took < 120, (seen, took))
        counted = app.execute("SELECT count(*) FROM pg_class WHERE relname LIKE 'many\\_%'").fetchone()[0]
        is_equal("5,000 tables are there", 5000, counted)
    with cluster.connect("huge") as boss:
        rows = boss.execute(
            "SELECT count(*), count(DISTINCT position), count(DISTINCT statement), max(length(statement))"
            " FROM migration_guard.migration_statements WHERE object_identity LIKE 'public.many%'"
        ).fetchone()
        is_equal("5,000 statements are recorded with their own text", (5000, 5000, 5000, 31), rows)
    with cluster.connect("huge", user="app", autocommit=True) as app:
        seen, took = timed(app, ";".join(["SELECT 1"] * 5000 + ["DROP TABLE many_1"]))
        check("a DROP TABLE after 5,000 statements is stopped", seen.rules == ["drop-table"], seen)


def thousand(cluster):
    guarded(cluster, "thousand")
    run_all(cluster, "thousand", ["GRANT CREATE ON SCHEMA public TO app"])
    tables = [f"a_table_{i}" for i in range(1000)]
    statement = "DROP TABLE " + ", ".join(tables)
    with cluster.connect("thousand", user="app", autocommit=True) as app:
        app.execute(";".join(f"CREATE TABLE {t} (id int PRIMARY KEY, v text); INSERT INTO {t} VALUES (1, 'v')" for t in tables))
        seen, took = timed(app, statement)
        check(f"1,000 tables in one DROP are stopped in {took:.1f} s", seen.rules == ["drop-table"] and took < 5, (seen, took))
        detail, hint = seen.fields["message_detail"], seen.fields["message_hint"]
        check("the error is short", len(seen.message) < 300 and len(detail) < 5000 and len(hint) < 1000, (len(seen.message), len(detail), len(hint)))
        check("the error says how many more", "999 more" in seen.message and "980 more" in detail, (seen.message, detail[-200:]))
        left = app.execute("SELECT count(*) FROM pg_class WHERE relname LIKE 'a\\_table%' AND relkind = 'r'").fetchone()[0]
        is_equal("1,000 tables are still there", 1000, left)
        with cluster.connect("thousand", autocommit=True) as boss:
            token = boss.execute("SELECT migration_guard.issue_token(ARRAY['drop-table', 'no-snapshot'], for_role => 'app')").fetchone()[0]
        app.execute(SQL("SET migration_guard.token = {}").format(token))
        seen, took = timed(app, statement)
        check(f"under a token without snapshots they are dropped in {took:.1f} s", seen.sqlstate is None and took < 20, (seen, took))
        left = app.execute("SELECT count(*) FROM pg_class WHERE relname LIKE 'a\\_table%'").fetchone()[0]
        is_equal("1,000 tables are gone", 0, left)


def garbage(cluster):
    guarded(cluster, "garbage")
    run_all(cluster, "garbage", [DIGEST, "GRANT CREATE ON SCHEMA public TO app"])
    run_all(cluster, "garbage", ["CREATE TABLE t AS SELECT 1 AS id"], user="app")
    before = digest(cluster, "garbage")
    expected = {
        ";;;;": None, "": None, "--": None, "/* open": "42601", "'open": "42601", "$$open": "42601", '"open': "42601",
        "DROP TABLE": "42601", "DROP TABLE t t": "42601", "DROP TABLE \x01\x02": "42601", "\x7f": "42601",
        "DROP TABLE t;;;; DROP TABLE t": "42501", "DROP/**/TABLE/**/t": "42501", "\ufeffDROP TABLE t": "42601",
        "drop\ttable\u00a0t": "42601", "DROP TABLE U&\"\\0074\"": "42501", "DROP TABLE ONLY t": "42601",
        "SELECT " + "(" * 20000 + "1" + ")" * 20000: "42601",
        "SELECT " + " - ".join(["1"] * 100_000): "54001",
        "DELETE FROM t WHERE id = " + " + ".join(["1"] * 1000): None,
        "DELETE FROM t WHERE " + " AND ".join(["true"] * 10_000): "42501",
        "DELETE FROM t WHERE " + " OR ".join(["id = 2"] * 10_000): None,
        "DO $a$ BEGIN EXECUTE $b$ DO $c$ BEGIN EXECUTE $d$ DROP TABLE t $d$; END $c$ $b$; END $a$": "42501",
        "DROP TABLE " + "x" * 100_000: "42P01",
        "DROP TABLE t, " + ", ".join(["t"] * 2000): "42501",
        "ALTER TABLE t " + ", ".join(["DROP COLUMN id"] * 2000): "42501",
    }
    for statement, sqlstate in expected.items():
        seen = try_in_new_session(cluster, "garbage", "app", statement)
        is_equal(f"{statement[:40]!r} of {len(statement)} characters", sqlstate, seen.sqlstate)
    # A function that calls itself ends in the server's own error, whatever it attempts.
    run_all(
        cluster,
        "garbage",
        ["CREATE FUNCTION deep(i int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('CREATE TEMPORARY TABLE IF NOT EXISTS deep%s ()', i);"
         " RETURN deep(i + 1); END $$"],
        user="app",
    )
    before_deep = digest(cluster, "garbage")
    seen = try_in_new_session(cluster, "garbage", "app", "SELECT deep(1)")
    check("endless nesting ends in an error of the server", seen.sqlstate in ("54001", "53200"), seen)
    check("endless nesting leaves nothing behind", digest(cluster, "garbage") == before_deep)
    run_all(cluster, "garbage", ["DROP FUNCTION deep"], user="app")
    check("nothing is lost", digest(cluster, "garbage") == before)


def enabling(cluster):
    guarded(cluster, "enabling")
    run_all(cluster, "enabling", [DIGEST])
    with cluster.connect("enabling", autocommit=True) as boss:
        before = digest(cluster, "enabling")
        is_equal("enable() twice", None, outcome(boss, "SELECT migration_guard.enable()").sqlstate)
        is_equal("enable() twice changes nothing", before, digest(cluster, "enabling"))
        for preset in ("nosuch", "", "Standard"):
            is_equal(f"enable('{preset}')", "22023", outcome(boss, f"SELECT migration_guard.enable('{preset}')").sqlstate)
        is_equal("enable(NULL)", "22004", outcome(boss, "SELECT migration_guard.enable(NULL)").sqlstate)
        boss.execute("ALTER EVENT TRIGGER migration_guard_drop ENABLE ALWAYS")
        for role in ("app", "owner"):
            for call in ("enable()", "enable('observe')", "disable()"):
                seen = try_in_new_session(cluster, "enabling", role, f"SELECT migration_guard.{call}")
                is_equal(f"{call} by {role}", "42501", seen.sqlstate)
        is_equal("none of it changed anything", before, digest(cluster, "enabling"))
        is_equal("disable()", None, outcome(boss, "SELECT migration_guard.disable()").sqlstate)
        is_equal("disable() twice", None, outcome(boss, "SELECT migration_guard.disable()").sqlstate)
        boss.execute("CREATE TABLE t (id int); INSERT INTO t VALUES (1); TRUNCATE t")
        is_equal("enable() after disable()", None, outcome(boss, "SELECT migration_guard.enable()").sqlstate)
        boss.execute("INSERT INTO t VALUES (1)")
        is_equal("armed at once, in the same session", ["truncate"], outcome(boss, "TRUNCATE t").rules)
        boss.execute("BEGIN; SELECT migration_guard.disable(); ROLLBACK")
        is_equal("disable() rolled back", ["truncate"], outcome(boss, "TRUNCATE t").rules)
        boss.execute("BEGIN; SELECT migration_guard.disable()")
        is_equal("disable() holds in its transaction", None, outcome(boss, "TRUNCATE t").sqlstate)
        boss.execute("ROLLBACK")
        is_equal("and not after its rollback", ["drop-table"], outcome(boss, "DROP TABLE t").rules)


def arguments(cluster):
    """Every function of the interface with NULL and with empty text: an error of its own, no crash."""
    guarded(cluster, "arguments")
    with cluster.connect("arguments", autocommit=True) as boss:
        functions = boss.execute(
            "SELECT p.proname, array(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) t), p.proretset FROM pg_proc p"
            " WHERE p.pronamespace = 'migration_guard'::regnamespace AND p.prorettype <> 'event_trigger'::regtype"
            " AND p.prorettype <> 'trigger'::regtype ORDER BY 1"
        ).fetchall()
        check(f"{len(functions)} functions", len(functions) >= 15, functions)
        crashes = []
        for role in ("postgres", "app"):
            for name, types, _ in functions:
                # Each argument NULL in turn, empty in turn, and all of them.
                plausible = {"text": "'x'", "bigint": "0", "integer": "0", "regclass": "0", "boolean": "false",
                             "interval": "'1 hour'", "text[]": "'{x}'", "jsonb": "'{}'"}
                empty = {"text": "''", "text[]": "'{}'", "bigint": "-1", "integer": "-1", "interval": "'-1 hour'", "regclass": "0"}
                calls = set()
                for i, kind in enumerate(types):
                    for odd in ("NULL", empty.get(kind, "NULL"), "'{NULL}'" if kind.endswith("[]") else "NULL"):
                        values = [plausible.get(t, "NULL") for t in types]
                        values[i] = odd
                        calls.add((odd, ", ".join(f"{v}::{t}" for v, t in zip(values, types))))
                calls.add(("NULL", ", ".join(f"NULL::{t}" for t in types)))
                for odd, call in sorted(calls):
                    seen = try_in_new_session(cluster, "arguments", role, f"BEGIN; SELECT * FROM migration_guard.{name}({call}); ROLLBACK")
                    clear = seen.sqlstate is None or (not seen.sqlstate.startswith(("XX", "57", "08", "con")) and len(seen.message) > 5)
                    if not clear:
                        crashes.append((role, name, call, repr(seen)))
                        not_ok(f"{name}({call}) as {role}", seen)
                if types:
                    ok(f"{name}({', '.join(types)}) with NULL and empty arguments as {role}: {len(calls)} calls") if not any(
                        c[:2] == (role, name) for c in crashes
                    ) else None
        for token in ("", "x", "mg_", "mg_" + "x" * 42, "mg_" + "é" * 43, "mg_" + "x" * 100_000, ",", ",,,", "a,b"):
            for call in ("SELECT migration_guard.use_token({})", "SELECT set_config('migration_guard.token', {}, false)"):
                seen = try_in_new_session(cluster, "arguments", "app", SQL(call).format(token).as_string(boss))
                check(f"{call.split('(')[0][7:]} with {token[:20]!r}", seen.sqlstate in (None, "42501", "22023"), seen)


def locks(cluster):
    """A refusal does not wait for what the users of a table hold."""
    guarded(cluster, "locks")
    run_all(cluster, "locks", ["GRANT CREATE ON SCHEMA public TO app"])
    run_all(
        cluster,
        "locks",
        ["CREATE TABLE t (id int PRIMARY KEY, v text)", "INSERT INTO t SELECT i FROM generate_series(1, 1000) i",
              "CREATE TABLE child (id int REFERENCES t)", "INSERT INTO child VALUES (1)", "CREATE VIEW v AS SELECT * FROM t",
              "CREATE TABLE part (id int) PARTITION BY RANGE (id)", "CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10)",
              "INSERT INTO part VALUES (1)", "CREATE TYPE mood AS ENUM ('a')", "CREATE TABLE moody (m mood)", "CREATE TABLE empty (id int)"],
        user="app",
    )
    attempts = [
        "DROP TABLE t CASCADE", "DROP TABLE child", "ALTER TABLE t DROP COLUMN v CASCADE", "TRUNCATE t CASCADE", "TRUNCATE child",
        "DROP TABLE part", "DROP TABLE part_1", "TRUNCATE part", "DROP TYPE mood CASCADE", "DROP OWNED BY app CASCADE", "DELETE FROM t", "UPDATE part SET id = 2",
        "ALTER TABLE t DROP CONSTRAINT t_pkey CASCADE", "DROP VIEW v CASCADE; DROP TABLE t CASCADE",
    ]
    for mode in ("ACCESS SHARE", "ROW EXCLUSIVE", "SHARE ROW EXCLUSIVE", "ACCESS EXCLUSIVE"):
        with cluster.connect("locks", user="app") as holder:
            holder.execute(f"LOCK TABLE t, child, part, part_1, moody IN {mode} MODE")
            if mode == "ROW EXCLUSIVE":
                holder.execute("INSERT INTO empty VALUES (1)")
            for attempt in attempts:
                # The parser locks the target of DML, before any hook is called.
                if attempt.startswith(("DELETE", "UPDATE")) and "EXCLUSIVE" in mode and mode != "ROW EXCLUSIVE":
                    continue
                with cluster.connect("locks", user="app", autocommit=True) as app:
                    app.execute("SET statement_timeout = '5s'; SET lock_timeout = 0")
                    seen, took = timed(app, attempt)
                    check(f"{attempt}, while somebody holds {mode}, is refused at once", seen.rules and took < 1, (seen, took))
            if mode == "ROW EXCLUSIVE":
                # What is not committed yet may be there in a moment.
                with cluster.connect("locks", user="app", autocommit=True) as app:
                    app.execute("SET statement_timeout = '5s'; SET lock_timeout = 0")
                    seen, took = timed(app, "TRUNCATE empty")
                    check("TRUNCATE of an empty table that somebody writes to is refused at once", seen.rules == ["truncate"] and took < 1, (seen, took))
            holder.rollback()
    with cluster.connect("locks", user="app") as app:
        rows = app.execute("SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM child), (SELECT count(*) FROM part)").fetchone()
        is_equal("nothing is lost", (1000, 1, 1), rows)


def main():
    with Cluster("shared_preload_libraries = 'migration_guard'", "max_locks_per_transaction = 256") as cluster:
        run_all(cluster, "postgres", ["CREATE ROLE app LOGIN", "CREATE ROLE owner LOGIN"])
        for part in (names, huge, thousand, garbage, enabling, arguments, locks):
            try:
                part(cluster)
            except psycopg.Error as error:
                not_ok(f"{part.__name__} ended early", repr(error))
    finish()


main()
