CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL);
INSERT INTO customers SELECT n, 'Customer ' || n FROM generate_series(1, 1000) n;
DROP TABLE customers;
-- Somebody reviews it, and issues a token for this table, for one use:
SELECT migration_guard.issue_token(
    rules => ARRAY['drop-table'], objects => ARRAY['public.customers'], reason => 'moved to the CRM'
) AS token \gset
SET migration_guard.token = :'token';
DROP TABLE customers;
-- It was a mistake after all:
SELECT id, kind, table_name, row_count FROM migration_guard.snapshots;
SELECT * FROM migration_guard.restore_table(1);
SELECT count(*) FROM customers;
SELECT command, object_identity, verdict, snapshot_id FROM migration_guard.migration_statements ORDER BY id;
