-- The history: what is recorded, under which migration, and what is not.
CREATE EXTENSION migration_guard;
SELECT migration_guard.enable();
CREATE ROLE hist_owner LOGIN;
GRANT CREATE ON SCHEMA public TO hist_owner;
SET application_name = 'history test';

-- What is expected of every row, whatever made it: asked again at the end.
CREATE VIEW faults AS
SELECT h.id, h.migration_name, fault
FROM migration_guard.migrations_history h
CROSS JOIN LATERAL (
    SELECT count(*) AS n, array_agg(position ORDER BY position) AS positions,
           encode(sha256(convert_to(coalesce(string_agg(fingerprint, '' ORDER BY position), ''), 'UTF8')), 'hex') AS checksum
    FROM migration_guard.migration_statements s WHERE s.migration_id = h.id) s
CROSS JOIN LATERAL (VALUES
    ('count', h.statement_count <> s.n OR s.n = 0),
    ('positions', s.positions <> (SELECT array_agg(g) FROM generate_series(1, s.n::int) g)),
    ('checksum', h.checksum NOT LIKE 'given-%' AND h.checksum <> s.checksum),
    ('entry_hash', h.entry_hash !~ '^[0-9a-f]{64}$'),
    ('previous_hash', h.previous_hash IS NOT NULL),
    ('status', (h.status, h.source, h.rollback_applied) <> ('applied', 'session', false) OR h.rollback_at IS NOT NULL),
    ('session_role', h.session_role <> session_user),
    ('application_name', h.application_name NOT IN ('history test', 'pg_regress/history')),
    ('times', NOT (h.started_at <= h.finished_at AND h.applied_at <= clock_timestamp() AND h.execution_time >= '0')),
    ('lsn', NOT (h.start_lsn <= h.end_lsn)),
    ('transaction_id', h.transaction_id IS NULL)) f (fault, there)
WHERE there IS DISTINCT FROM false;

-- One row per transaction, with its statements in order.
CREATE TABLE one (i int);
BEGIN;
CREATE TABLE two (i int);
ALTER TABLE two ADD COLUMN t text;
COMMENT ON TABLE two IS 'two';
COMMIT;
SELECT h.migration_name = 'transaction ' || h.transaction_id AS named_by_transaction, statement_count, status, source,
       h.risk, applied_by, session_role, ticket, approval_id, client_addr, metadata ? 'server_version' AS version
FROM migration_guard.migrations_history h ORDER BY id;
SELECT migration_id, position, command, object_type, object_identity, statement, risk, verdict, rules, snapshot_id, approval_id, error
FROM migration_guard.migration_statements ORDER BY id;
-- The same tokens give the same fingerprint, but other text another checksum.
CREATE  TABLE Three /* x */ (I INT);
BEGIN;
SET LOCAL migration_guard.mode = 'observe';
DROP TABLE three;
COMMIT;
CREATE TABLE three (i int);
SELECT count(DISTINCT fingerprint) AS fingerprints, count(DISTINCT checksum) AS checksums
FROM migration_guard.migration_statements WHERE statement ILIKE 'create%three%';

CREATE VIEW last AS
SELECT CASE WHEN h.migration_name LIKE 'transaction %' THEN 'transaction' ELSE h.migration_name END AS migration,
       position, command, object_type, object_identity, statement
FROM migration_guard.migration_statements s JOIN migration_guard.migrations_history h ON h.id = s.migration_id
WHERE s.id > coalesce(nullif(current_setting('hist.from', true), ''), '0')::bigint ORDER BY s.id;
CREATE FUNCTION from_here() RETURNS void LANGUAGE sql AS
$$ SELECT set_config('hist.from', (SELECT coalesce(max(id), 0)::text FROM migration_guard.migration_statements), false) $$;

-- A rollback leaves nothing, nor does one to a savepoint, nor a failing statement.
SELECT from_here();
BEGIN;
CREATE TABLE gone (i int);
ROLLBACK;
BEGIN;
CREATE TABLE stays (i int);
SAVEPOINT s;
CREATE TABLE gone (i int);
SAVEPOINT deeper;
CREATE TABLE gone2 (i int);
RELEASE deeper;
ROLLBACK TO s;
CREATE TABLE stays2 (i int);
COMMIT;
CREATE TABLE one (i int);
DO $$ BEGIN CREATE TABLE gone (i int); RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN CREATE TABLE stays3 (i int); END $$;
SELECT * FROM last;

-- It can be read inside the transaction; what was read and then rolled back to a savepoint goes,
-- what was read and stays is there once.
SELECT from_here();
BEGIN;
CREATE TABLE r1 (i int);
SELECT position, object_identity FROM last;
SAVEPOINT s;
CREATE TABLE r2 (i int);
SELECT position, object_identity FROM last;
ROLLBACK TO s;
SELECT position, object_identity FROM last;
CREATE TABLE r3 (i int);
SAVEPOINT s2;
SELECT position, object_identity FROM last;
ROLLBACK TO s2;
CREATE TABLE r4 (i int);
COMMIT;
SELECT position, object_identity FROM last;
BEGIN;
CREATE TABLE r5 (i int);
SELECT statement_count FROM migration_guard.migrations_history ORDER BY id DESC LIMIT 1;
CREATE TABLE r6 (i int);
SELECT statement_count FROM migration_guard.migrations_history ORDER BY id DESC LIMIT 1;
ROLLBACK;
SELECT position, object_identity FROM last;

-- Names through the setting: one row per name and backend.
SELECT from_here();
SET migration_guard.migration = 'v1';
SET migration_guard.ticket = 'T-1';
CREATE TABLE n1 (i int);
CREATE TABLE n2 (i int);
SET migration_guard.migration = 'v2';
RESET migration_guard.ticket;
CREATE TABLE n3 (i int);
RESET migration_guard.migration;
CREATE TABLE n4 (i int);
SET migration_guard.migration = 'v1';
CREATE TABLE n5 (i int);
RESET migration_guard.migration;
-- Several names in one transaction, SET LOCAL, and a name that a rollback takes back.
BEGIN;
CREATE TABLE n6 (i int);
SET LOCAL migration_guard.migration = 'v3';
CREATE TABLE n7 (i int);
SAVEPOINT s;
SET LOCAL migration_guard.migration = 'v4';
CREATE TABLE n8 (i int);
SELECT count(*) FROM last;
ROLLBACK TO s;
CREATE TABLE n9 (i int);
SET LOCAL migration_guard.migration = '';
CREATE TABLE n10 (i int);
COMMIT;
SELECT migration, position, object_identity FROM last;
SELECT migration_name, statement_count, ticket FROM migration_guard.migrations_history WHERE migration_name LIKE 'v_' ORDER BY id;
-- Another backend, or a later session, has a row of its own.
\c -
SET migration_guard.migration = 'v1';
CREATE TABLE n11 (i int);
RESET migration_guard.migration;
SELECT migration_name, statement_count FROM migration_guard.migrations_history WHERE migration_name = 'v1' ORDER BY id;

-- begin_migration and end_migration; a rollback undoes them, too.
SELECT from_here();
SELECT migration_guard.end_migration();
SELECT migration_guard.begin_migration(NULL);
SELECT migration_guard.begin_migration('');
SELECT migration_guard.begin_migration('  ');
SELECT migration_guard.begin_migration('b1', ticket => 'T-2');
CREATE TABLE b1 (i int);
BEGIN;
CREATE TABLE b2 (i int);
CREATE TABLE b3 (i int);
COMMIT;
SELECT migration_guard.end_migration();
CREATE TABLE b4 (i int);
SELECT migration_guard.begin_migration('b1', 'given-1');
CREATE TABLE b5 (i int);
CREATE TABLE b6 (i int);
SELECT migration_guard.end_migration();
BEGIN;
SELECT migration_guard.begin_migration('b2');
CREATE TABLE b7 (i int);
ROLLBACK;
CREATE TABLE b7 (i int);
BEGIN;
CREATE TABLE b8 (i int);
SELECT migration_guard.begin_migration('b3');
CREATE TABLE b9 (i int);
SELECT migration_guard.end_migration();
CREATE TABLE b10 (i int);
COMMIT;
SELECT migration, position, object_identity FROM last;
SELECT migration_name, checksum LIKE 'given-1' AS given, statement_count, ticket FROM migration_guard.migrations_history WHERE migration_name LIKE 'b_' ORDER BY id;
-- The name may be anything.
SET migration_guard.migration = 'Ä "q" ''s'' . -- x';
CREATE TABLE b11 (i int);
RESET migration_guard.migration;
SELECT migration_name FROM migration_guard.migrations_history ORDER BY id DESC LIMIT 1;

-- Exact slices: multi-statement strings, DO blocks, functions, prepared statements.
SELECT from_here();
CREATE TABLE s1 (i int)\; CREATE TABLE  s2 (t text DEFAULT ';')\; COMMENT ON TABLE s1 IS 'a;b';
DO $do$ BEGIN
    CREATE TABLE s3 (i int);   CREATE TABLE s4 (i int);
    EXECUTE 'CREATE TABLE s5 ' || '(i int)';
END $do$;
CREATE FUNCTION make() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CREATE TABLE s6 (i int); ALTER TABLE s6 ADD COLUMN x text; END $$;
SELECT make();
CREATE PROCEDURE make_and_commit() LANGUAGE plpgsql AS $$ BEGIN CREATE TABLE s7 (i int); COMMIT; CREATE TABLE s8 (i int); ROLLBACK; CREATE TABLE s9 (i int); END $$;
CALL make_and_commit();
PREPARE p AS DELETE FROM s1;
CREATE SCHEMA sch CREATE TABLE s10 (i serial PRIMARY KEY) CREATE VIEW s11 AS SELECT * FROM s10;
CREATE TABLE s12 AS SELECT 1 AS i;
SELECT 1 AS i INTO s13;
SELECT migration, position, command, object_identity, statement FROM last;

-- Verdicts, rules, risk, approval and snapshot stand with the statement, the worst with the migration.
SELECT from_here();
INSERT INTO n1 VALUES (1), (2);
SELECT migration_guard.issue_token('{*}', max_uses => 3, reason => 'history') AS tok \gset
SET migration_guard.token = :'tok';
EXECUTE p;
INSERT INTO s1 VALUES (1);
BEGIN;
CREATE TABLE after_it (i int);
EXECUTE p;
TRUNCATE n1;
DROP TABLE n2, n3;
COMMIT;
RESET migration_guard.token;
SELECT position, command, object_type, object_identity, s.risk, verdict, s.rules, s.snapshot_id IS NOT NULL AS kept, a.reason AS approved
FROM migration_guard.migration_statements s LEFT JOIN migration_guard.approvals a ON a.id = s.approval_id
WHERE s.id > current_setting('hist.from')::bigint ORDER BY s.id;
SELECT h.risk, statement_count, a.reason AS approved FROM migration_guard.migrations_history h
LEFT JOIN migration_guard.approvals a ON a.id = h.approval_id ORDER BY h.id DESC LIMIT 2;
-- A refused statement leaves no row here.
SELECT from_here();
DROP TABLE n4;
SELECT * FROM last;

-- Secrets.
SELECT from_here();
CREATE ROLE hist_secret PASSWORD 'geheim';
ALTER ROLE hist_secret WITH ENCRYPTED PASSWORD $$geheim$$ VALID UNTIL 'infinity';
DO $$ BEGIN EXECUTE 'ALTER ROLE hist_secret PASSWORD ''geheim'''; END $$;
DROP ROLE hist_secret;
CREATE FOREIGN DATA WRAPPER hist_fdw;
CREATE SERVER hist_server FOREIGN DATA WRAPPER hist_fdw OPTIONS (host 'h', password 'geheim');
CREATE USER MAPPING FOR hist_owner SERVER hist_server OPTIONS (user 'u', password 'geheim');
ALTER USER MAPPING FOR hist_owner SERVER hist_server OPTIONS (SET password 'geheim');
SET client_min_messages = error;
CREATE SUBSCRIPTION hist_sub CONNECTION 'host=h user=u password=geheim dbname=d' PUBLICATION p WITH (connect = false);
RESET client_min_messages;
ALTER SUBSCRIPTION hist_sub CONNECTION 'postgresql://u:geheim@h/d';
ALTER SUBSCRIPTION hist_sub SET (slot_name = NONE);
DROP SUBSCRIPTION hist_sub;
SELECT command, object_identity, statement FROM last;
SELECT count(*) FROM migration_guard.migration_statements s WHERE s::text LIKE '%geheim%';

-- How much text is kept.
SELECT from_here();
SET migration_guard.token = '';
CREATE TABLE x1 (t text DEFAULT 'a constant');
SET migration_guard.statement_text = 'full';
CREATE TABLE x2 (t text DEFAULT 'a constant');
SET migration_guard.statement_text = 'none';
CREATE TABLE x3 (t text DEFAULT 'a constant');
RESET migration_guard.statement_text;
SELECT object_identity, statement, length(fingerprint), length(checksum) FROM migration_guard.migration_statements
WHERE object_identity LIKE 'public.x_' ORDER BY id;
SET ROLE hist_owner;
SET migration_guard.statement_text = 'none';
RESET ROLE;

-- Commands that may not run in a transaction.
SELECT from_here();
CREATE TABLE con (i int, t text);
INSERT INTO con VALUES (1, 'a'), (1, 'b');
CREATE INDEX CONCURRENTLY con_i ON con (i);
CREATE UNIQUE INDEX CONCURRENTLY con_unique ON con (i);
SELECT indisvalid FROM pg_index WHERE indexrelid = 'con_unique'::regclass;
DROP INDEX CONCURRENTLY con_unique;
REINDEX INDEX CONCURRENTLY con_i;
REINDEX TABLE CONCURRENTLY con;
DROP INDEX CONCURRENTLY con_i;
VACUUM con;
BEGIN;
CREATE INDEX CONCURRENTLY con_i ON con (i);
ROLLBACK;
SELECT migration, position, command, statement FROM last;

-- REFRESH MATERIALIZED VIEW only within a named migration.
CREATE MATERIALIZED VIEW mv AS SELECT * FROM con;
SELECT from_here();
REFRESH MATERIALIZED VIEW mv;
SET migration_guard.migration = 'refresh';
REFRESH MATERIALIZED VIEW mv;
RESET migration_guard.migration;
SELECT migration, command, object_identity FROM last;

-- Nothing of these.
SELECT from_here();
CREATE TEMP TABLE temporary (i int);
DROP TABLE temporary;
SELECT 1;
INSERT INTO con VALUES (2, 'c');
DELETE FROM con WHERE i = 2;
DROP TABLE IF EXISTS nothing;
SET work_mem = '4MB';
SELECT * FROM last;

-- Nobody writes it by hand; SELECT is granted to nobody.
INSERT INTO migration_guard.migrations_history SELECT * FROM migration_guard.migrations_history LIMIT 1;
UPDATE migration_guard.migrations_history SET ticket = 'x' WHERE id = 1;
DELETE FROM migration_guard.migration_statements WHERE id = 1;
COPY migration_guard.migrations_history FROM STDIN;
\.
SET ROLE hist_owner;
SELECT count(*) FROM migration_guard.migrations_history;
SELECT count(*) FROM migration_guard.migration_statements;
RESET ROLE;

-- Thousands of statements in one transaction.
SELECT from_here();
DO $$ BEGIN FOR i IN 1..2500 LOOP EXECUTE format('COMMENT ON TABLE con IS %L', i); END LOOP; END $$;
SELECT statement_count FROM migration_guard.migrations_history ORDER BY id DESC LIMIT 1;
BEGIN;
SAVEPOINT s;
DO $$ BEGIN FOR i IN 1..1500 LOOP EXECUTE format('COMMENT ON TABLE con IS %L', i); END LOOP; END $$;
ROLLBACK TO s;
COMMENT ON TABLE con IS 'the end';
COMMIT;
SELECT statement_count FROM migration_guard.migrations_history ORDER BY id DESC LIMIT 1;

SELECT * FROM faults;
SELECT migration_guard.disable();
DROP OWNED BY hist_owner;
DROP ROLE hist_owner;
