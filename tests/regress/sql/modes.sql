-- The modes: enforce, warn, observe, off.
CREATE EXTENSION migration_guard;
SELECT migration_guard.enable();
CREATE ROLE mode_owner LOGIN;
GRANT CREATE ON SCHEMA public TO mode_owner;
CREATE FUNCTION recorded(OUT command text, OUT object_identity text, OUT verdict text, OUT rules text[], OUT approved boolean, OUT kept boolean)
RETURNS SETOF record LANGUAGE sql AS $$
    SELECT s.command, s.object_identity, s.verdict, s.rules, s.approval_id IS NOT NULL, s.snapshot_id IS NOT NULL
    FROM migration_guard.migration_statements s
    WHERE s.rules <> '{}' AND id > coalesce(nullif(current_setting('mode.from', true), ''), '0')::bigint ORDER BY id $$;
CREATE FUNCTION from_here() RETURNS void LANGUAGE sql AS
$$ SELECT set_config('mode.from', (SELECT coalesce(max(id), 0)::text FROM migration_guard.migration_statements), false) $$;
CREATE FUNCTION fill() RETURNS void LANGUAGE plpgsql SET client_min_messages = 'warning' AS $$
BEGIN
    FOR i IN 1..6 LOOP
        EXECUTE format('CREATE TABLE IF NOT EXISTS t%s (i int, j int)', i);
        EXECUTE format('INSERT INTO t%s (i) VALUES (1)', i);
    END LOOP;
END $$;
SELECT fill();

-- Only superusers set it.
SET ROLE mode_owner;
SET migration_guard.mode = 'off';
SET migration_guard.auto_snapshot = off;
SET migration_guard.admin_role = 'mode_owner';
SELECT set_config('migration_guard.mode', 'off', false);
CREATE FUNCTION sneak() RETURNS void LANGUAGE sql SET migration_guard.mode = 'off' AS 'DROP TABLE t1';
CREATE FUNCTION sneak() RETURNS void LANGUAGE sql AS 'DROP TABLE t1';
ALTER FUNCTION sneak() SET migration_guard.mode = 'off';
ALTER ROLE mode_owner SET migration_guard.mode = 'off';
RESET ROLE;
SET migration_guard.mode = 'nonsense';
SET migration_guard.nonsense = 'x';

-- enforce, the default.
SHOW migration_guard.mode;
SELECT from_here();
DROP TABLE t1;
TRUNCATE t2;
DELETE FROM t3;
UPDATE t4 SET i = 2;
ALTER TABLE t5 DROP COLUMN j;
DROP TABLE t6 CASCADE;
SELECT * FROM recorded();

-- warn: the same sentence as a WARNING; it runs, is kept and recorded.
SET migration_guard.mode = 'warn';
SELECT state, detail, hint FROM migration_guard.status() WHERE item = 'mode';
SELECT from_here();
DROP TABLE t1;
TRUNCATE t2;
DELETE FROM t3;
UPDATE t4 SET i = 2;
ALTER TABLE t5 DROP COLUMN j;
DO $$ BEGIN EXECUTE 'DROP TABLE t6'; END $$;
SELECT * FROM recorded();
-- A token is used in any mode, and then there is no WARNING.
SELECT migration_guard.issue_token('{*}', max_uses => 2, reason => 'modes') AS tok \gset
SELECT fill();
SELECT from_here();
SET migration_guard.token = :'tok';
TRUNCATE t2;
RESET migration_guard.token;
-- One that does not help says why.
SET migration_guard.token = 'mg_x';
TRUNCATE t1;
RESET migration_guard.token;
SELECT * FROM recorded();
SELECT uses FROM migration_guard.approvals;

-- observe: silent; it runs, is kept and recorded.
SET migration_guard.mode = 'observe';
SELECT state, detail, hint FROM migration_guard.status() WHERE item = 'mode';
SELECT fill();
SELECT from_here();
DROP TABLE t1;
TRUNCATE t2;
DELETE FROM t3;
UPDATE t4 SET i = 2;
ALTER TABLE t5 DROP COLUMN i;
SELECT * FROM recorded();
-- Not where the policy allows: nothing is kept then.
INSERT INTO migration_guard.policy (rule, object_pattern, action) VALUES ('drop-table', 'public.t6', 'allow');
SELECT from_here();
DROP TABLE t6;
SELECT * FROM recorded();
-- Nor with automatic snapshots off.
SET migration_guard.auto_snapshot = off;
SELECT from_here();
DROP TABLE t4;
SELECT * FROM recorded();
RESET migration_guard.auto_snapshot;
-- What was kept comes back.
SELECT object, action FROM migration_guard.restore_table((SELECT max(id) FROM migration_guard.snapshots WHERE table_name = 'public.t1'))
WHERE object ~ '^(table|rows)';
SELECT * FROM t1;

-- off: nothing is gated, nothing recorded, nothing kept.
SET migration_guard.mode = 'off';
SELECT state, detail, hint FROM migration_guard.status() WHERE item = 'mode';
SELECT from_here();
CREATE TABLE off (i int);
DROP TABLE t1;
DROP TABLE off;
SELECT * FROM recorded();
SELECT count(*) FROM migration_guard.migration_statements WHERE id > current_setting('mode.from')::bigint;
-- But the guard's tables stay closed.
DELETE FROM migration_guard.migrations_history;
INSERT INTO migration_guard.approval_use VALUES (1, 99);

-- Back: SET LOCAL, a rollback, and the line that status() gives.
SELECT hint FROM migration_guard.status() WHERE item = 'mode' \gset
:hint
SELECT state FROM migration_guard.status() WHERE item = 'mode';
BEGIN;
SET LOCAL migration_guard.mode = 'off';
DROP TABLE t2;
ROLLBACK;
DROP TABLE t2;
BEGIN;
SAVEPOINT s;
SET LOCAL migration_guard.mode = 'off';
ROLLBACK TO s;
DROP TABLE t2;
ROLLBACK;
SELECT migration_guard.disable();
DROP TABLE t2;
DROP OWNED BY mode_owner;
DROP ROLE mode_owner;
