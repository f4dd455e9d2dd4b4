"""For cases that try statements and look at what came of them.

    outcome(connection, sql)   runs it; says what the server answered
    guarded(cluster, ...)      a database with the extension, armed
"""

import re

import psycopg
from psycopg import sql as quoting

FIELDS = (
    "severity_nonlocalized sqlstate message_primary message_detail message_hint statement_position "
    "internal_position internal_query context schema_name table_name column_name datatype_name constraint_name"
).split()


class Outcome:
    """What came of a statement: an error with all its fields, or none; and the notices."""

    def __init__(self, error, notices, rows=None):
        self.notices = notices
        self.rows = rows
        self.error = error
        self.fields = {} if error is None else {f: getattr(error.diag, f) for f in FIELDS}
        self.sqlstate = None if error is None else (error.diag.sqlstate or "?")
        self.message = "" if error is None else (error.diag.message_primary or str(error))

    @property
    def text(self):
        return self.message or "; ".join(m for _, m in self.notices)

    @property
    def rules(self):
        """The rule ids that a refusal of the guard names at the end of its message."""
        found = re.search(r"migration_guard stopped .*\(([a-z, -]+)\)$", self.text, re.S)
        return sorted(found.group(1).split(", ")) if found else None

    def __repr__(self):
        return f"{self.sqlstate or 'no error'} {self.text}".strip()


def outcome(connection, statement, params=None, **options):
    """Runs `statement`: text by the simple protocol, or a function that is given the connection."""
    notices = []
    listen = lambda d: notices.append((d.severity_nonlocalized, d.message_primary))
    connection.add_notice_handler(listen)
    error, rows = None, None
    try:
        if callable(statement):
            rows = statement(connection)
        else:
            cursor = connection.execute(statement, params, **options)
            rows = cursor.fetchall() if cursor.description else None
    except psycopg.Error as e:
        error = e
    finally:
        connection.remove_notice_handler(listen)
    return Outcome(error, notices, rows)


def try_in_new_session(cluster, dbname, user, statement, **options):
    """The first statement of a session."""
    try:
        connection = cluster.connect(dbname, user=user, autocommit=True, **options)
    except psycopg.Error as error:
        failed = Outcome(None, [])
        failed.message = str(error)
        failed.sqlstate = error.sqlstate or "connection refused"
        return failed
    with connection:
        return outcome(connection, statement)


def run_all(cluster, dbname, statements, user="postgres"):
    with cluster.connect(dbname, user=user, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def create_database(cluster, name, template=None, owner=None):
    with cluster.connect(autocommit=True) as connection:
        connection.execute(quoting.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(quoting.Identifier(name)))
        connection.execute(
            quoting.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                quoting.Identifier(name), quoting.Identifier(template or "template1")
            )
            + (quoting.SQL(" OWNER {}").format(quoting.Identifier(owner)) if owner else quoting.SQL(""))
        )


def guarded(cluster, name, statements=(), owner=None):
    """A database with the extension, the statements run in it, armed at the end."""
    create_database(cluster, name, owner=owner)
    run_all(cluster, name, ["CREATE EXTENSION migration_guard", *statements, "SELECT migration_guard.enable()"])


# A digest of all that an attempt could damage: rows, columns, objects, triggers, settings. The
# history is left out: it grows.
DIGEST = r"""
CREATE SCHEMA tools;
CREATE FUNCTION tools.digest() RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    one record;
    part text;
    all_parts text := '';
BEGIN
    FOR one IN SELECT c.oid::regclass AS name, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
               WHERE (nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema') AND relkind IN ('r', 'm')
                 AND NOT (nspname = 'migration_guard' AND relname IN ('migrations_history', 'migration_statements'))
               ORDER BY c.oid LOOP
        EXECUTE format('SELECT md5(string_agg(md5(t::text), '''' ORDER BY md5(t::text))) FROM %s t', one.name) INTO part;
        all_parts := concat(all_parts, one.name, part);
    END LOOP;
    SELECT concat(all_parts, string_agg(x, ',' ORDER BY x)) INTO all_parts FROM (
        SELECT concat('c', oid, relname, relkind, relnamespace, relrowsecurity) AS x FROM pg_class WHERE relnamespace NOT IN (11, 99)
              AND relpersistence <> 't' AND relkind NOT IN ('t') AND relname NOT LIKE 'pg\_toast%'
        UNION ALL SELECT concat('a', attrelid, attname, atttypid, attisdropped, atthasdef) FROM pg_attribute WHERE attrelid >= 16384
              AND attrelid IN (SELECT oid FROM pg_class WHERE relnamespace NOT IN (11, 99) AND relpersistence <> 't')
        UNION ALL SELECT concat('p', oid, proname, proowner, pronamespace, md5(prosrc)) FROM pg_proc WHERE oid >= 16384
        UNION ALL SELECT concat('n', oid, nspname, nspowner) FROM pg_namespace WHERE nspname NOT LIKE 'pg\_%temp\_%'
        UNION ALL SELECT concat('t', oid, typname) FROM pg_type WHERE oid >= 16384 AND typnamespace NOT IN (11, 99)
              AND typnamespace IN (SELECT oid FROM pg_namespace WHERE nspname NOT LIKE 'pg\_%temp\_%')
        UNION ALL SELECT concat('g', oid, tgname, tgenabled) FROM pg_trigger
        UNION ALL SELECT concat('e', oid, evtname, evtenabled, evtowner) FROM pg_event_trigger
        UNION ALL SELECT concat('x', oid, extname, extversion) FROM pg_extension
        UNION ALL SELECT concat('m', classid, objid, refobjid) FROM pg_depend WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass
        UNION ALL SELECT concat('o', oid, conname) FROM pg_constraint WHERE oid >= 16384
        UNION ALL SELECT concat('s', setdatabase, setrole, setconfig::text) FROM pg_db_role_setting
              WHERE setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
        UNION ALL SELECT 'f' || md5(pg_read_file('postgresql.auto.conf'))) AS everything;
    RETURN md5(all_parts);
END $$;
"""


def digest(cluster, dbname):
    with cluster.connect(dbname, autocommit=True) as connection:
        return connection.execute("SELECT tools.digest()").fetchone()[0]
