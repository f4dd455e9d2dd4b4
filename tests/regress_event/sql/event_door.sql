-- Without preload: the first statement of a session meets the event triggers alone, every later one
-- the hooks that they brought along.
SET client_min_messages = warning;
CREATE EXTENSION migration_guard;
SELECT migration_guard.enable();
CREATE ROLE door_owner LOGIN;
CREATE SCHEMA door AUTHORIZATION door_owner;
CREATE TABLE door.a (id int PRIMARY KEY);
INSERT INTO door.a VALUES (1), (2), (3);
ALTER TABLE door.a OWNER TO door_owner;
CREATE TABLE door.b (id int REFERENCES door.a, note text);
ALTER TABLE door.b OWNER TO door_owner;

\echo == what is not guarded is said
SELECT item, state, detail, replace(hint, quote_ident(current_database()), 'DATABASE') AS hint
FROM migration_guard.status() WHERE item = 'preload';

\c - door_owner
\echo == the first statement of a session
DROP TABLE door.a;
\c - door_owner
DROP TABLE door.a CASCADE;
\c - door_owner
DO $$ BEGIN EXECUTE 'DROP TABLE door.a CASCADE'; END $$;
\c - door_owner
ALTER TABLE door.b DROP COLUMN note;
\c - door_owner
DROP SCHEMA door CASCADE;
\c - door_owner
DROP OWNED BY door_owner CASCADE;
\c - postgres
DROP EXTENSION migration_guard CASCADE;

\c - door_owner
\echo == once DDL has loaded the library, the session is guarded as with preload
CREATE TABLE door.c (id int);
DELETE FROM door.a;
TRUNCATE door.a CASCADE;
DROP TABLE door.c;

\c - postgres
\echo == with a token the first statement passes, and what it drops is kept
SELECT set_config('door.token', migration_guard.issue_token('{drop-table,drop-cascade}', '{door.*}'), false) <> '' AS issued;
DO $$ BEGIN EXECUTE format('ALTER ROLE door_owner SET migration_guard.token = %L', current_setting('door.token')); END $$;
\c - door_owner
SET client_min_messages = warning;
DROP TABLE door.a CASCADE;
\c - postgres
SET client_min_messages = warning;
ALTER ROLE door_owner RESET migration_guard.token;
SELECT command, object_identity, statement, verdict, rules, snapshot_id IS NOT NULL AS kept
FROM migration_guard.migration_statements WHERE rules <> '{}';
SELECT object, action FROM migration_guard.restore_table((SELECT max(id) FROM migration_guard.snapshots));
SELECT count(*) FROM door.a;

SELECT migration_guard.disable();
DROP SCHEMA door CASCADE;
SELECT migration_guard.purge_snapshots('0') > 0 AS purged;
DROP EXTENSION migration_guard CASCADE;
DROP ROLE door_owner;
