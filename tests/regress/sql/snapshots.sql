-- Snapshots and restores as their users see them: rights, refusals, names, values, comparison.
-- (What every feature of a table looks like after a restore: tests/cases/restore_oracle.sh.)
SET client_min_messages = warning;
SET client_encoding = utf8;
CREATE EXTENSION IF NOT EXISTS migration_guard;
CREATE ROLE snap_owner;
CREATE ROLE snap_member IN ROLE snap_owner;
CREATE ROLE snap_other;
CREATE ROLE snap_admin;
CREATE SCHEMA shop AUTHORIZATION snap_owner;
GRANT USAGE ON SCHEMA shop TO PUBLIC;
SELECT coalesce(max(id), 0) AS base FROM migration_guard.snapshot \gset
-- numbers of snapshots, whatever ran before
CREATE FUNCTION pg_temp.last() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS
    'SELECT max(id) FROM migration_guard.snapshot';
SET ROLE snap_owner;
CREATE TYPE shop.mood AS ENUM ('sad', 'ok');
CREATE TABLE shop.customers (id serial PRIMARY KEY, name text NOT NULL, mood shop.mood DEFAULT 'ok');
CREATE TABLE shop.orders (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer int REFERENCES shop.customers ON DELETE CASCADE);
INSERT INTO shop.customers (name) VALUES ('Ann'), ('Bob'), ('Čeněk');
INSERT INTO shop.orders (customer) VALUES (1), (1), (2);

\echo == arguments and targets
SELECT migration_guard.snapshot_table(NULL);
SELECT migration_guard.snapshot_table('shop.customers', '');
SELECT migration_guard.snapshot_table('shop.nothing');
SELECT migration_guard.snapshot_table('shop.customers_pkey');
SELECT migration_guard.snapshot_table('pg_catalog.pg_class');
SELECT migration_guard.restore_table(NULL);
SELECT migration_guard.restore_table(0);
SELECT migration_guard.restore_table(-1, 'x');
SELECT migration_guard.restore_table(1, '');
SELECT migration_guard.restore_table(1, NULL, NULL);
SELECT migration_guard.compare_snapshot(NULL);
SELECT migration_guard.pin_snapshot(0);

\echo == a table dropped with CASCADE comes back, with the foreign key of another table
SELECT migration_guard.snapshot_table('shop.customers', 'before the drop') - :base AS number;
SELECT id - :base AS number, kind, table_name, label, taken_by, migration_id, row_count, bytes > 0 AS bytes,
       pinned, restorable, reason
  FROM migration_guard.snapshots WHERE id > :base;
DROP TABLE shop.customers CASCADE;
SELECT * FROM migration_guard.restore_table(pg_temp.last());
TABLE shop.customers ORDER BY id;
INSERT INTO shop.customers (name) VALUES ('Dan') RETURNING id, mood;
INSERT INTO shop.orders (customer) VALUES (77);
SELECT conname, convalidated FROM pg_constraint WHERE conname = 'orders_customer_fkey';

\echo == the table is there: changed rows go back, missing ones return, new ones stay; triggers are silent
CREATE TABLE shop.log (what text);
CREATE FUNCTION shop.noisy() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN INSERT INTO shop.log VALUES (TG_OP); RETURN NEW; END$$;
CREATE TRIGGER noisy AFTER INSERT OR UPDATE OR DELETE ON shop.customers
    FOR EACH ROW EXECUTE FUNCTION shop.noisy();
ALTER TABLE shop.customers ENABLE ALWAYS TRIGGER noisy;
ALTER TABLE shop.customers DISABLE TRIGGER noisy;
UPDATE shop.customers SET name = 'Nobody' WHERE id = 1;
DELETE FROM shop.customers WHERE id = 2;
ALTER TABLE shop.customers ENABLE ALWAYS TRIGGER noisy;
SELECT * FROM migration_guard.compare_snapshot(pg_temp.last());
SELECT * FROM migration_guard.restore_table(pg_temp.last());
SELECT * FROM migration_guard.compare_snapshot(pg_temp.last());
TABLE shop.customers ORDER BY id;
SELECT count(*) AS trigger_ran FROM shop.log;
SELECT tgname, tgenabled FROM pg_trigger WHERE tgname = 'noisy';
DROP TRIGGER noisy ON shop.customers;

\echo == a copy beside the original
SELECT * FROM migration_guard.restore_table(pg_temp.last(), new_name => 'customers_restored');
\d shop.customers_restored
SELECT * FROM migration_guard.restore_table(pg_temp.last(), new_name => 'customers_restored');
SELECT * FROM migration_guard.restore_table(pg_temp.last(), new_name => 'a.b.c');
SELECT * FROM migration_guard.restore_table(pg_temp.last(), new_name => 'nowhere.x');
SELECT object, action FROM migration_guard.restore_table(pg_temp.last(), new_name => 'shop."Odd ""Copy"""') LIMIT 1;
SELECT count(*) FROM shop."Odd ""Copy""";

\echo == the name is taken by another table
DROP TABLE shop.customers CASCADE;
CREATE TABLE shop.customers (something int);
DO $$
DECLARE message text; detail text; hint text; state text;
BEGIN
    PERFORM migration_guard.restore_table(pg_temp.last());
EXCEPTION WHEN duplicate_table THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT, state = RETURNED_SQLSTATE;
    RAISE WARNING '% % %', state, message, regexp_replace(hint, '\d+', 'N');
END $$;
DROP TABLE shop.customers;
SELECT count(*) FROM migration_guard.restore_table(pg_temp.last());

\echo == rows that refer to nothing: the foreign key of the other table comes back, not validated
SELECT migration_guard.snapshot_table('shop.customers') - :base > 0 AS kept;
DROP TABLE shop.customers CASCADE;
INSERT INTO shop.orders (customer) VALUES (77);
SELECT object, action, detail FROM migration_guard.restore_table(pg_temp.last()) WHERE object LIKE '%orders%';
INSERT INTO shop.orders (customer) VALUES (78);
DELETE FROM shop.orders WHERE customer = 77;
ALTER TABLE shop.orders VALIDATE CONSTRAINT orders_customer_fkey;

\echo == without a key: refused, replaced with force, and what was there is kept
CREATE TABLE shop.bag (v int);
INSERT INTO shop.bag VALUES (1), (1), (2);
SELECT migration_guard.snapshot_table('shop.bag') - :base AS number;
SELECT pg_temp.last() AS bag \gset
UPDATE shop.bag SET v = v + 10;
SELECT * FROM migration_guard.compare_snapshot(:bag);
DO $$ BEGIN PERFORM migration_guard.restore_table(pg_temp.last());
EXCEPTION WHEN object_not_in_prerequisite_state THEN RAISE WARNING '%', sqlerrm; END $$;
SELECT object, action, regexp_replace(detail, 'snapshot \d+', 'snapshot N') AS detail
  FROM migration_guard.restore_table(:bag, force => true);
SELECT array_agg(v ORDER BY v) FROM shop.bag;
SELECT regexp_replace(label, '\d+', 'N') AS label, row_count FROM migration_guard.snapshots ORDER BY id DESC LIMIT 1;

\echo == who may
RESET ROLE;
SELECT last - 1 AS bag FROM pg_temp.last() AS last \gset
SET ROLE snap_other;
SELECT count(*) AS seen FROM migration_guard.snapshots;
TABLE migration_guard.snapshot;
SELECT migration_guard.snapshot_table('shop.customers');
DO $$ BEGIN PERFORM migration_guard.restore_table(pg_temp.last());
EXCEPTION WHEN insufficient_privilege THEN RAISE WARNING '%', regexp_replace(sqlerrm, '\d+', 'N'); END $$;
DO $$ BEGIN PERFORM migration_guard.compare_snapshot(pg_temp.last());
EXCEPTION WHEN insufficient_privilege THEN RAISE WARNING '%', regexp_replace(sqlerrm, '\d+', 'N'); END $$;
SELECT migration_guard.drop_snapshot(pg_temp.last());
SELECT migration_guard.purge_snapshots();
SET ROLE snap_member;
SELECT count(*) > 0 AS seen FROM migration_guard.snapshots;
SELECT count(*) > 0 AS restored FROM migration_guard.restore_table(:bag, force => true);
SELECT migration_guard.pin_snapshot(:bag);
SELECT migration_guard.drop_snapshot(:bag);

\echo == a renamed owner keeps its rights, a new role of the old name gets none
RESET ROLE;
ALTER ROLE snap_owner RENAME TO snap_renamed;
CREATE ROLE snap_owner;
SET ROLE snap_owner;
SELECT count(*) AS seen FROM migration_guard.snapshots;
DO $$ BEGIN PERFORM migration_guard.restore_table(pg_temp.last());
EXCEPTION WHEN insufficient_privilege THEN RAISE WARNING '%', regexp_replace(sqlerrm, '\d+', 'N'); END $$;
SET ROLE snap_renamed;
SELECT count(*) > 0 AS seen FROM migration_guard.snapshots;
RESET ROLE;
DROP ROLE snap_owner;
ALTER ROLE snap_renamed RENAME TO snap_owner;

\echo == snapshots are readable by the owner alone
SELECT c.relname LIKE 'snapshot\_%' AS named, pg_get_userbyid(c.relowner) = 'snap_owner' AS owned,
       has_table_privilege('snap_owner', c.oid, 'SELECT') AS owner_reads,
       has_table_privilege('snap_owner', c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE') AS owner_writes,
       has_table_privilege('snap_other', c.oid, 'SELECT') AS other_reads
  FROM pg_class c WHERE c.relname = 'snapshot_' || :bag;

\echo == row level security does not hide rows from a snapshot, and comes back with the table
SET ROLE snap_owner;
CREATE TABLE shop.secret (id int PRIMARY KEY, who name);
INSERT INTO shop.secret VALUES (1, 'x'), (2, 'y');
ALTER TABLE shop.secret ENABLE ROW LEVEL SECURITY;
ALTER TABLE shop.secret FORCE ROW LEVEL SECURITY;
CREATE POLICY none ON shop.secret USING (false);
SELECT count(*) AS visible FROM shop.secret;
SELECT migration_guard.snapshot_table('shop.secret') - :base > 0 AS kept;
DROP TABLE shop.secret;
SELECT * FROM migration_guard.restore_table(pg_temp.last());
SELECT count(*) AS visible FROM shop.secret;
RESET ROLE;
SELECT count(*) AS really FROM shop.secret;
DELETE FROM shop.secret;
SET ROLE snap_owner;
SELECT * FROM migration_guard.restore_table(pg_temp.last());
SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = 'shop.secret'::regclass;
RESET ROLE;
SELECT count(*) AS really FROM shop.secret;

\echo == code of the owner runs with the rights of the owner, never with more
SET ROLE snap_owner;
CREATE TABLE shop.who (name text);
CREATE FUNCTION shop.spy(v int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        RAISE EXCEPTION 'ran with the rights of a superuser';
    END IF;
    RETURN v;
END $$;
CREATE DOMAIN shop.spied AS int CHECK (shop.spy(VALUE) IS NOT NULL);
CREATE TABLE shop.trap (id int PRIMARY KEY, v shop.spied DEFAULT shop.spy(3) CHECK (shop.spy(v) > 0),
    g int GENERATED ALWAYS AS (shop.spy(id)) STORED);
CREATE INDEX ON shop.trap (shop.spy(id)) WHERE shop.spy(1) = 1;
CREATE INDEX ON shop.trap ((shop.spy(7) + id));
CREATE STATISTICS shop.trap_st ON (shop.spy(id)), v FROM shop.trap;
INSERT INTO shop.trap VALUES (1, 1), (2, 2);
RESET ROLE;
SELECT migration_guard.snapshot_table('shop.trap') - :base > 0 AS kept;
SET ROLE snap_owner;
DROP TABLE shop.trap;
RESET ROLE;
SELECT object, action FROM migration_guard.restore_table(pg_temp.last());
SET ROLE snap_owner;
TABLE shop.trap ORDER BY id;
DELETE FROM shop.trap WHERE id = 1;
RESET ROLE;
SELECT object, action, detail FROM migration_guard.restore_table(pg_temp.last());
SELECT * FROM migration_guard.compare_snapshot(pg_temp.last());

\echo == types may go: the snapshot stays
SET ROLE snap_owner;
CREATE TABLE shop.moods (id int PRIMARY KEY, m shop.mood, ms shop.mood[]);
INSERT INTO shop.moods VALUES (1, 'sad', '{ok,NULL}');
SELECT migration_guard.snapshot_table('shop.moods') - :base > 0 AS kept;
DROP TABLE shop.moods;
ALTER TABLE shop.customers DROP COLUMN mood;
DROP TABLE shop.customers_restored, shop."Odd ""Copy""";
DROP TYPE shop.mood;
DO $$ BEGIN PERFORM migration_guard.restore_table(pg_temp.last());
EXCEPTION WHEN undefined_object THEN RAISE WARNING '%', sqlerrm; END $$;
CREATE TYPE shop.mood AS ENUM ('ok', 'sad');
SELECT object, action, detail FROM migration_guard.restore_table(pg_temp.last());
TABLE shop.moods;

\echo == a partition tree
CREATE TABLE shop.part (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE shop.part_1 PARTITION OF shop.part FOR VALUES FROM (1) TO (10);
INSERT INTO shop.part VALUES (1, 'one');
SELECT migration_guard.snapshot_table('shop.part') - :base > 0 AS kept;
SELECT pg_temp.last() - 1 AS tree \gset
DROP TABLE shop.part;
SELECT object, action, detail FROM migration_guard.restore_table(:tree);
SELECT tableoid::regclass, * FROM shop.part;

\echo == the schema is gone too
CREATE TABLE shop.last (id int PRIMARY KEY);
INSERT INTO shop.last VALUES (5);
SELECT migration_guard.snapshot_table('shop.last') - :base > 0 AS kept;
RESET ROLE;
DROP SCHEMA shop CASCADE;
SET ROLE snap_owner;
SELECT * FROM migration_guard.restore_table(pg_temp.last());
TABLE shop.last;
RESET ROLE;
SELECT nspname, pg_get_userbyid(nspowner) AS owner FROM pg_namespace WHERE nspname = 'shop';

\echo == an owner who may not create in the schema
CREATE SCHEMA closed;
GRANT USAGE ON SCHEMA closed TO snap_owner;
CREATE TABLE closed.t (id serial PRIMARY KEY);
ALTER TABLE closed.t OWNER TO snap_owner;
SELECT migration_guard.snapshot_table('closed.t') - :base > 0 AS kept;
DROP TABLE closed.t;
SET ROLE snap_owner;
SELECT * FROM migration_guard.restore_table(pg_temp.last());
SELECT has_schema_privilege('closed', 'CREATE') AS may_create;
SELECT * FROM migration_guard.restore_table(pg_temp.last(), new_name => 'copy');
RESET ROLE;

\echo == pinning, dropping, purging
SELECT count(*) > 0 AS pinned FROM migration_guard.snapshots WHERE pinned AND id = :bag;
SELECT migration_guard.drop_snapshot(pg_temp.last());
SELECT restorable, reason ~ '^dropped at' AS reason FROM migration_guard.snapshots WHERE id = pg_temp.last();
DO $$ BEGIN PERFORM migration_guard.restore_table(pg_temp.last());
EXCEPTION WHEN object_not_in_prerequisite_state THEN RAISE WARNING '%', regexp_replace(sqlerrm, '\d+', 'N'); END $$;
SELECT migration_guard.purge_snapshots() AS none_expired;
SELECT migration_guard.purge_snapshots('0') > 0 AS purged;
SELECT id = :bag AS the_pinned_one FROM migration_guard.snapshots WHERE restorable AND id > :base;
SELECT count(*) AS tables_left FROM pg_class
 WHERE relnamespace = 'migration_guard_snapshots'::regnamespace AND relkind = 'r'
   AND substr(relname, 10)::bigint > :base;
SELECT migration_guard.drop_snapshot(:bag);

\echo == rights on the members, and comments
SELECT c.oid::regclass AS uncommented FROM pg_class c
 WHERE c.relnamespace = 'migration_guard'::regnamespace AND c.relname LIKE 'snapshot%'
   AND c.relkind IN ('r', 'v', 'S') AND obj_description(c.oid, 'pg_class') IS NULL;
SELECT p.oid::regprocedure AS uncommented FROM pg_proc p
 WHERE p.pronamespace = 'migration_guard'::regnamespace AND obj_description(p.oid, 'pg_proc') IS NULL
   AND (p.proname LIKE '%snapshot%' OR p.proname = 'restore_table');
SELECT a.attrelid::regclass, a.attname AS uncommented FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
 WHERE c.relnamespace = 'migration_guard'::regnamespace AND c.relname IN ('snapshot', 'snapshots')
   AND a.attnum > 0 AND col_description(a.attrelid, a.attnum) IS NULL;
SELECT c.oid::regclass AS writable FROM pg_class c
 WHERE c.relnamespace IN ('migration_guard'::regnamespace, 'migration_guard_snapshots'::regnamespace)
   AND c.relname LIKE 'snapshot%' AND c.relkind IN ('r', 'v')
   AND has_table_privilege('snap_other', c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE');
SELECT has_schema_privilege('snap_other', 'migration_guard_snapshots', 'CREATE') AS may_create;

DROP SCHEMA shop, closed CASCADE;
DROP ROLE snap_member, snap_owner, snap_other, snap_admin;
