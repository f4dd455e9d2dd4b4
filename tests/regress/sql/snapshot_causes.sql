-- What is kept before each kind of statement, and how it comes back. In the mode observe nothing is
-- stopped, and what a destructive statement would lose is kept all the same.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS migration_guard;
SELECT migration_guard.enable();
SET migration_guard.mode = 'observe';
CREATE ROLE cause_owner;
CREATE SCHEMA c AUTHORIZATION cause_owner;
CREATE FUNCTION c.last() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS
    'SELECT max(id) FROM migration_guard.snapshot';
SET ROLE cause_owner;
CREATE TYPE c.mood AS ENUM ('sad', 'ok');

\echo == truncate: all rows return; identity goes on behind what it had reached
CREATE TABLE c.t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text, m c.mood);
INSERT INTO c.t (v, m) VALUES ('a', 'ok'), ('b', 'sad'), ('c', NULL);
TRUNCATE c.t RESTART IDENTITY;
SELECT object, action, detail FROM migration_guard.restore_table(c.last());
TABLE c.t ORDER BY id;
INSERT INTO c.t (v) VALUES ('d') RETURNING id;
SELECT kind, row_count FROM migration_guard.snapshots WHERE id = c.last();

\echo == truncate, then rows written since: they stay, what is missing returns
TRUNCATE c.t RESTART IDENTITY;
INSERT INTO c.t (v) VALUES ('new 1'), ('new 2');
INSERT INTO c.t (id, v) OVERRIDING SYSTEM VALUE VALUES (100, 'new 100');
SELECT object, action, detail FROM migration_guard.restore_table(c.last());
TABLE c.t ORDER BY id;
SELECT * FROM migration_guard.compare_snapshot(c.last());

\echo == delete: missing rows return, others are left alone
DELETE FROM c.t;
INSERT INTO c.t (id, v) OVERRIDING SYSTEM VALUE VALUES (4, 'changed');
SELECT object, action, detail FROM migration_guard.restore_table(c.last());
TABLE c.t ORDER BY id;

\echo == update: changed rows go back, rows written since stay
UPDATE c.t SET v = 'all the same', m = 'sad';
INSERT INTO c.t (v) VALUES ('later') RETURNING id > 4 AS new;
SELECT object, action, detail FROM migration_guard.restore_table(c.last());
SELECT v, m FROM c.t ORDER BY id;

\echo == a second time: nothing left to do
SELECT object, action, detail FROM migration_guard.restore_table(c.last());

\echo == drop column: key and column are kept; default, constraints, index and comment return
CREATE TABLE c.d (id int PRIMARY KEY, a text, "B c" c.mood NOT NULL DEFAULT 'ok' CHECK ("B c" <> 'sad' OR id > 0),
    n int UNIQUE, z int);
CREATE INDEX d_expr ON c.d (lower(a), "B c");
COMMENT ON COLUMN c.d."B c" IS 'the mood';
INSERT INTO c.d SELECT i, 'x' || i, CASE WHEN i % 2 = 0 THEN 'ok' ELSE 'sad' END::c.mood, i, i FROM generate_series(1, 4) i;
ALTER TABLE c.d DROP COLUMN "B c", DROP COLUMN n;
SELECT kind FROM migration_guard.snapshots WHERE id = c.last();
SELECT column_name::text, data_type::text FROM information_schema.columns
 WHERE table_name = 'snapshot_' || c.last() ORDER BY ordinal_position;
DELETE FROM c.d WHERE id = 2;
SELECT object, action, detail FROM migration_guard.restore_table(c.last());
TABLE c.d ORDER BY id;
\d c.d
SELECT col_description('c.d'::regclass, attnum) FROM pg_attribute WHERE attrelid = 'c.d'::regclass AND attname = 'B c';
DO $$ BEGIN PERFORM migration_guard.restore_table(c.last());
EXCEPTION WHEN duplicate_column THEN RAISE WARNING '%', sqlerrm; END $$;

\echo == drop column, rows written since without a value: NOT NULL cannot return, and it says so
ALTER TABLE c.d DROP COLUMN "B c";
INSERT INTO c.d (id) VALUES (50);
SELECT object, action, detail FROM migration_guard.restore_table(c.last());
SELECT id, "B c" FROM c.d ORDER BY id;

\echo == drop of a serial column and of a generated column
CREATE TABLE c.s (id int PRIMARY KEY, s serial, g int GENERATED ALWAYS AS (id * 2) STORED);
INSERT INTO c.s (id) VALUES (1), (2), (3);
ALTER TABLE c.s DROP COLUMN s, DROP COLUMN g;
SELECT object, action, detail FROM migration_guard.restore_table(c.last());
INSERT INTO c.s (id) VALUES (4);
TABLE c.s ORDER BY id;

\echo == drop of the key itself: the rows were kept whole
CREATE TABLE c.k (id int PRIMARY KEY, v text);
INSERT INTO c.k VALUES (1, 'one'), (2, 'two');
ALTER TABLE c.k DROP COLUMN id;
SELECT kind FROM migration_guard.snapshots WHERE id = c.last();
DO $$ BEGIN PERFORM migration_guard.restore_table(c.last());
EXCEPTION WHEN object_not_in_prerequisite_state THEN RAISE WARNING '%', sqlerrm; END $$;
SELECT object, action, regexp_replace(detail, 'snapshot \d+', 'snapshot N') AS detail
  FROM migration_guard.restore_table(c.last(), force => true);
SELECT v, id FROM c.k ORDER BY id;

\echo == drop column of a partitioned table
CREATE TABLE c.p (id int PRIMARY KEY, v text DEFAULT 'x', w int) PARTITION BY RANGE (id);
CREATE TABLE c.p1 PARTITION OF c.p FOR VALUES FROM (0) TO (10);
CREATE TABLE c.p2 PARTITION OF c.p DEFAULT;
CREATE INDEX p_v ON c.p (v);
INSERT INTO c.p VALUES (1, 'one', 1), (11, 'eleven', 11);
ALTER TABLE c.p DROP COLUMN v;
SELECT c.last() - 2 AS tree \gset
DO $$ BEGIN PERFORM migration_guard.restore_table(c.last());
EXCEPTION WHEN object_not_in_prerequisite_state THEN RAISE WARNING '%', regexp_replace(sqlerrm, '\d+', 'N'); END $$;
SELECT object, action, detail FROM migration_guard.restore_table(:tree);
SELECT tableoid::regclass, * FROM c.p ORDER BY id;
SELECT indexrelid::regclass, inhparent::regclass, indisvalid FROM pg_index LEFT JOIN pg_inherits ON inhrelid = indexrelid
 WHERE indrelid IN ('c.p'::regclass, 'c.p1'::regclass) ORDER BY indexrelid::regclass::text;

\echo == truncate of a partitioned table
TRUNCATE c.p;
SELECT c.last() - 1 AS first, c.last() AS second \gset
SELECT object, action, detail FROM migration_guard.restore_table(:first);
SELECT object, action, detail FROM migration_guard.restore_table(:second);
SELECT count(*) FROM c.p;

\echo == foreign keys are checked, cascades and triggers stay silent; deferred constraints are no obstacle
CREATE TABLE c.parent (id int PRIMARY KEY);
CREATE TABLE c.child (id int PRIMARY KEY, p int REFERENCES c.parent ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED, v int);
INSERT INTO c.parent VALUES (1), (2);
INSERT INTO c.child VALUES (1, 1, 1), (2, 2, 2);
DELETE FROM c.child;
SELECT object, action, detail FROM migration_guard.restore_table(c.last());
DELETE FROM c.child;
DELETE FROM c.parent WHERE id = 2;
SELECT migration_guard.restore_table(c.last());
SELECT count(*) FROM c.child;

\echo == inside one transaction with the statement; undone by a rollback
BEGIN;
DROP TABLE c.t;
SELECT count(*) > 3 AS rows FROM migration_guard.restore_table(c.last());
SELECT count(*) FROM c.t;
ROLLBACK;
SELECT count(*) FROM c.t;
BEGIN ISOLATION LEVEL REPEATABLE READ;
DROP TABLE c.t;
SELECT count(*) > 3 AS rows FROM migration_guard.restore_table(c.last());
COMMIT;
SELECT count(*) FROM c.t;

\echo == too large, and for how long
RESET ROLE;
SET migration_guard.snapshot_max_bytes = '1kB';
SET ROLE cause_owner;
DROP TABLE c.t;
RESET ROLE;
SET migration_guard.snapshot_max_bytes = '10MB';
SET migration_guard.snapshot_retention = '1 day';
SET ROLE cause_owner;
DROP TABLE c.t;
SELECT expires_at - taken_at BETWEEN '23 hours' AND '25 hours' AS a_day FROM migration_guard.snapshots WHERE id = c.last();

RESET ROLE;
SET migration_guard.mode = 'off';
DROP SCHEMA c CASCADE;
SELECT migration_guard.purge_snapshots('0') > 0 AS purged;
DROP ROLE cause_owner;
