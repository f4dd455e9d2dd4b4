-- status(): every row that is not ok, and the line that mends it, which is then run.
CREATE EXTENSION migration_guard;
CREATE FUNCTION bad() RETURNS TABLE (item text, state text, detail text, hint text) LANGUAGE sql AS
$$ SELECT item, state, detail, hint FROM migration_guard.status() WHERE state <> 'ok' $$;
SELECT * FROM bad();
SELECT hint FROM bad() \gset
:hint
SELECT item, state, detail, hint FROM migration_guard.status() WHERE item <> 'version';
-- Twice changes nothing.
SELECT count(*) FROM migration_guard.policy;
SELECT migration_guard.enable();
SELECT count(*) FROM migration_guard.policy;
SELECT evtname, evtevent, evtenabled, evtfoid::regproc, obj_description(oid, 'pg_event_trigger')
FROM pg_event_trigger ORDER BY 1;

-- A trigger that is gone.
SET migration_guard.mode = 'off';
DROP EVENT TRIGGER migration_guard_drop;
RESET migration_guard.mode;
SELECT * FROM bad();
CREATE TABLE t (i int);
DROP TABLE t;
SELECT hint FROM bad() \gset
:hint
SELECT * FROM bad();
-- One that is disabled: the database is not armed at all.
UPDATE pg_event_trigger SET evtenabled = 'D' WHERE evtname = 'migration_guard_start';
SELECT * FROM bad();
SELECT hint FROM bad() \gset
:hint
SELECT * FROM bad();
-- One that does not fire under session_replication_role = replica.
UPDATE pg_event_trigger SET evtenabled = 'O' WHERE evtname IN ('migration_guard_end', 'migration_guard_rewrite');
SELECT * FROM bad();
SELECT hint FROM bad() \gset
:hint
SELECT * FROM bad();

-- Modes and automatic snapshots, set in the session and for the database.
SET migration_guard.mode = 'off';
SELECT * FROM bad();
SELECT hint FROM bad() \gset
:hint
SET migration_guard.mode = 'warn';
SET migration_guard.auto_snapshot = off;
SELECT * FROM bad();
SELECT hint FROM bad() WHERE item = 'mode' \gset
:hint
SELECT hint FROM bad() \gset
:hint
SET migration_guard.mode = 'observe';
SELECT * FROM bad();
SET migration_guard.mode = 'off';
ALTER DATABASE regress_status SET migration_guard.mode = 'off';
\c -
SELECT * FROM bad();
SELECT hint FROM bad() \gset
:hint
\c -
SELECT * FROM bad();

-- Settings granted to others.
CREATE ROLE stat_one;
CREATE ROLE "stat two";
GRANT SET ON PARAMETER session_replication_role TO stat_one, "stat two";
GRANT SET, ALTER SYSTEM ON PARAMETER migration_guard.mode TO PUBLIC;
SELECT * FROM bad();
SELECT hint FROM bad() \gexec
SELECT * FROM bad();

-- Another version of the SQL objects than of the library.
SELECT extversion AS version FROM pg_extension WHERE extname = 'migration_guard' \gset
UPDATE pg_extension SET extversion = '0.0.0-test' WHERE extname = 'migration_guard';
SELECT item, state, replace(detail, :'version', 'VERSION') AS detail, hint FROM bad();
UPDATE pg_extension SET extversion = :'version' WHERE extname = 'migration_guard';
SELECT * FROM bad();

-- For everybody to read.
SET ROLE stat_one;
SELECT item, state FROM migration_guard.status();
SELECT migration_guard.enable();
SELECT migration_guard.disable();
RESET ROLE;

-- disable() opens what enable() closed, and keeps the history.
DROP TABLE IF EXISTS t2;
CREATE TABLE t2 (i int);
SELECT migration_guard.disable();
SELECT migration_guard.disable();
SELECT * FROM bad();
DROP TABLE t2;
SELECT count(*) > 0 AS kept FROM migration_guard.migrations_history;
REVOKE ALL ON PARAMETER session_replication_role FROM stat_one, "stat two";
DROP ROLE stat_one, "stat two";
-- Once disabled the extension goes without a token.
DROP FUNCTION bad();
DROP EXTENSION migration_guard;
SELECT nspname FROM pg_namespace WHERE nspname LIKE 'migration_guard%';
-- And it can come back.
CREATE EXTENSION migration_guard;
SELECT migration_guard.enable();

-- RESET ALL is no way around: it would take the line away that loads the guard.
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET session_preload_libraries = ''migration_guard''', current_database()); END $$;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET ALL', current_database()); END $$;
ALTER ROLE CURRENT_USER RESET ALL;
