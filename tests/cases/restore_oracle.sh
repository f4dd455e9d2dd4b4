#!/usr/bin/env bash
# The oracle of a restore: pg_dump -s of the database, the rows' checksums and the sequences' values
# are the same before a DROP TABLE ... CASCADE and after restore_table, one table per feature.
source "$(dirname "$0")/../run/case.sh"
set +e +o pipefail # a failing step is a result, not the end
cluster_start "$PG_CONFIG" oracle "$PRELOAD"
database="restore_oracle_$$"
work=$(mktemp -d)
passed=0
failed=0

run() { "$PG_BIN/psql" -X -q -v ON_ERROR_STOP=1 -d "$database" "$@"; }
value() { run -At -c "$1"; }
ok() { passed=$((passed + 1)); echo "ok - $1"; }
not_ok() { failed=$((failed + 1)); echo "not ok - $1"; sed 's/^/    /' "${2:-/dev/null}" | head -40; }
schema() { "$PG_BIN/pg_dump" -s -d "$database" -N 'migration_guard*' | grep -v -E '^\\(un)?restrict '; }
clean() {
    "$PG_BIN/psql" -X -q -d postgres -c "DROP DATABASE IF EXISTS $database WITH (FORCE)" >/dev/null 2>&1
    "$PG_BIN/psql" -X -q -d postgres -c 'DROP ROLE IF EXISTS oracle_owner' \
        -c 'DROP ROLE IF EXISTS oracle_reader' -c 'DROP ROLE IF EXISTS oracle_writer' >/dev/null 2>&1
    rm -rf "$work"
}
trap 'code=$?; clean; (exit $code); case_exit' EXIT
clean
mkdir -p "$work"
"$PG_BIN/psql" -X -q -d postgres -v ON_ERROR_STOP=1 -c "CREATE DATABASE $database" || exit 1
run <<'SQL' || exit 1
CREATE EXTENSION migration_guard;
CREATE ROLE oracle_owner; CREATE ROLE oracle_reader; CREATE ROLE oracle_writer;
CREATE SCHEMA f AUTHORIZATION oracle_owner;
CREATE SCHEMA "Odd Schema.x" AUTHORIZATION oracle_owner;
GRANT USAGE ON SCHEMA f TO PUBLIC;
CREATE PUBLICATION oracle_pub;
SET ROLE oracle_owner;
CREATE TYPE f.mood AS ENUM ('sad', 'ok', 'it''s');
CREATE TYPE f.pair AS (a int, b text, c date);
CREATE DOMAIN f.positive AS int CHECK (VALUE > 0);
CREATE DOMAIN f.moods AS f.mood[];
CREATE TYPE f.span AS RANGE (subtype = float8);
CREATE COLLATION f.de (provider = libc, locale = 'C');
CREATE FUNCTION f.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION f.twice(int) RETURNS int IMMUTABLE LANGUAGE sql RETURN $1 * 2;
CREATE TABLE f.parent_a (id int NOT NULL, a text DEFAULT 'pa', CONSTRAINT a_short CHECK (length(a) < 100));
CREATE TABLE f.parent_b (b int);
CREATE TABLE f.referenced (id int PRIMARY KEY, other int UNIQUE);
INSERT INTO f.referenced SELECT i, i + 100 FROM generate_series(1, 10) i;
SQL
version=$(value 'SHOW server_version_num')

# feature NAME TABLE [KIND]: the SQL that makes it comes on standard input
feature() {
    local name=$1 table=$2 what=${3:-TABLE} sums sequences publications id
    { echo 'SET ROLE oracle_owner;'; cat; } >"$work/make.sql"
    if ! run -f "$work/make.sql" >"$work/make.log" 2>&1; then not_ok "$name (set-up)" "$work/make.log"; return; fi
    sums="SELECT md5(string_agg(t::text, E'\n' ORDER BY t::text COLLATE \"C\")) || ' ' || count(*) FROM $table t"
    sequences="SELECT string_agg(schemaname || '.' || sequencename || '=' || coalesce(last_value::text, 'new'), ',' ORDER BY 1) FROM (SELECT * FROM pg_sequences WHERE schemaname !~ '^migration_guard' ORDER BY 1, 2) s"
    publications="SELECT string_agg(p::text, ',' ORDER BY p::text) FROM pg_publication_tables p"
    schema >"$work/before.sql"
    { value "$sums"; value "$sequences"; value "$publications"; } >"$work/before.data" 2>&1
    id=$(run -At -v t="$table" 2>"$work/error.log" <<'SQL'
SET ROLE oracle_owner;
SELECT migration_guard.snapshot_table(:'t');
SQL
)
    if [ -z "$id" ]; then not_ok "$name (snapshot)" "$work/error.log"; return; fi
    if ! run -c "SET client_min_messages = error; DROP $what $table CASCADE" >"$work/error.log" 2>&1; then
        not_ok "$name (drop)" "$work/error.log"; return
    fi
    if [ "$(value "SELECT to_regclass('$table') IS NULL")" != t ]; then not_ok "$name (not dropped)"; return; fi
    if ! run -At -c 'SET ROLE oracle_owner' -c "SELECT * FROM migration_guard.restore_table($id)" \
        >"$work/report.txt" 2>&1; then not_ok "$name (restore)" "$work/report.txt"; return; fi
    schema >"$work/after.sql"
    { value "$sums"; value "$sequences"; value "$publications"; } >"$work/after.data" 2>&1
    if ! diff -u "$work/before.sql" "$work/after.sql" >"$work/diff"; then
        grep failed "$work/report.txt" >>"$work/diff"; not_ok "$name (schema)" "$work/diff"; return
    fi
    if ! diff -u "$work/before.data" "$work/after.data" >"$work/diff"; then not_ok "$name (data)" "$work/diff"; return; fi
    if grep -q '|failed|\||skipped|' "$work/report.txt"; then not_ok "$name (report)" "$work/report.txt"; return; fi
    ok "$name"
}

feature 'plain columns and typmods' f.plain <<'SQL'
CREATE TABLE f.plain (a int, b varchar(10), c numeric(12,3), d char(4), e timestamptz(3), f bit varying(5), g text[], h int[][], i interval day to second(2), j jsonb, k xid8, l oid, m uuid, n inet, o tsvector, p point, q int4range, r money, s bytea);
INSERT INTO f.plain VALUES (1, 'x', 1.5, 'ab', now(), B'101', '{a,NULL,"q\"uote"}', '{{1,2},{3,4}}', '3 days 04:05:06', '{"a":[1]}', '7', 5, gen_random_uuid(), '10.0.0.1/8', 'a b', '(1,2)', '[1,5)', '12.34', '\xdead'), (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
SQL
feature 'no columns' f.nothing <<'SQL'
CREATE TABLE f.nothing ();
SQL
feature 'no rows' f.empty <<'SQL'
CREATE TABLE f.empty (a int PRIMARY KEY, m f.mood);
SQL
feature 'names with quotes, dots, capitals, letters' '"Odd Schema.x"."Ünï ""tab"".le"' <<'SQL'
CREATE TABLE "Odd Schema.x"."Ünï ""tab"".le" ("a.b" serial PRIMARY KEY, "C ""q""" text DEFAULT 'it''s \ here', "select" f.mood, "ß" int CHECK ("ß" > 0));
INSERT INTO "Odd Schema.x"."Ünï ""tab"".le" ("select", "ß") SELECT 'it''s', i FROM generate_series(1, 3) i;
CREATE INDEX "idx ""x"" .y" ON "Odd Schema.x"."Ünï ""tab"".le" ("C ""q""");
COMMENT ON COLUMN "Odd Schema.x"."Ünï ""tab"".le"."C ""q""" IS 'com''ment \ with é';
SQL
feature 'user types: enum, domain, composite, range, arrays of them' f.types <<'SQL'
CREATE TABLE f.types (id int PRIMARY KEY, e f.mood DEFAULT 'ok', d f.positive, c f.pair, r f.span, ea f.mood[], ca f.pair[], dm f.moods, da f.positive[], mr f.span[]);
INSERT INTO f.types VALUES (1, 'it''s', 5, ROW(1, 'a,b "c" \d (e)', '2020-02-03'), '[1.5,2.25)', '{ok,NULL,"it''s"}', ARRAY[ROW(2, NULL, NULL)::f.pair, NULL], '{sad,ok}', '{1,2,NULL}', ARRAY['[1,2]'::f.span]), (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), (3, 'sad', 1, ROW(NULL, NULL, NULL), 'empty', '{}', '{}', '{}', '{}', '{}'), (4, 'sad', 1, ROW(0, '', NULL), '(,)', '{}', '{}', '{}', '{{1,2},{3,4}}', '{}');
SQL
feature 'collations' f.collated <<'SQL'
CREATE TABLE f.collated (a text COLLATE "C" PRIMARY KEY, b text COLLATE f.de, c varchar(3) COLLATE "POSIX", d name);
INSERT INTO f.collated VALUES ('a', 'b', 'c', 'd');
CREATE INDEX collated_b ON f.collated (b COLLATE "C" text_pattern_ops DESC NULLS LAST);
SQL
feature 'storage, compression, statistics, options' f.options <<'SQL'
CREATE TABLE f.options (a text, b text, c int, d bytea) WITH (fillfactor = 70, autovacuum_enabled = false, toast.autovacuum_enabled = false, parallel_workers = 2);
ALTER TABLE f.options ALTER a SET STORAGE external, ALTER b SET STORAGE main, ALTER b SET COMPRESSION pglz, ALTER c SET STATISTICS 500, ALTER c SET (n_distinct = -0.5), ALTER d SET STORAGE plain;
INSERT INTO f.options SELECT repeat('x', 10000), repeat('y', 10000), 1, '\x00';
SQL
feature 'dropped columns and fast defaults' f.dropped <<'SQL'
CREATE TABLE f.dropped (a int, b text, c int);
INSERT INTO f.dropped VALUES (1, 'x', 2);
ALTER TABLE f.dropped DROP COLUMN b;
ALTER TABLE f.dropped ADD COLUMN d text DEFAULT 'fast', ADD COLUMN e f.mood DEFAULT 'ok';
ALTER TABLE f.dropped ALTER d SET DEFAULT 'later';
SQL
feature 'defaults' f.defaults <<'SQL'
CREATE TABLE f.defaults (a int DEFAULT f.twice(4), b timestamptz DEFAULT now(), c text DEFAULT 'a''b', d f.mood DEFAULT 'sad', e interval DEFAULT '1 mon 2 days', g date DEFAULT '2020-01-31');
INSERT INTO f.defaults DEFAULT VALUES;
SQL
feature 'generated column' f.generated <<'SQL'
CREATE TABLE f.generated (a int, b int GENERATED ALWAYS AS (a * 2) STORED, c int GENERATED ALWAYS AS (f.twice(a)) STORED NOT NULL, d text);
INSERT INTO f.generated (a) VALUES (1), (2);
SQL
if [ "$version" -ge 180000 ]; then
feature 'virtual generated column, named and unvalidated NOT NULL, NOT ENFORCED, WITHOUT OVERLAPS' f.new18 <<'SQL'
CREATE TABLE f.new18 (a int CONSTRAINT a_there NOT NULL, b int GENERATED ALWAYS AS (a * 2) VIRTUAL, c int, d int CONSTRAINT d_positive CHECK (d > 0) NOT ENFORCED, g int NOT NULL NO INHERIT);
INSERT INTO f.new18 (a, c, d, g) VALUES (1, NULL, -1, 1);
ALTER TABLE f.new18 ADD CONSTRAINT c_there NOT NULL c NOT VALID;
COMMENT ON CONSTRAINT a_there ON f.new18 IS 'not null';
SQL
feature 'WITHOUT OVERLAPS' f.temporal <<'SQL'
CREATE TABLE f.temporal (a int4range, b tsrange, CONSTRAINT t_pk PRIMARY KEY (a, b WITHOUT OVERLAPS));
INSERT INTO f.temporal VALUES ('[1,2)', '[2020-01-01,2021-01-01)');
SQL
fi
feature 'serial' f.serials <<'SQL'
CREATE TABLE f.serials (a serial PRIMARY KEY, b smallserial, c bigserial, d int);
INSERT INTO f.serials (d) SELECT generate_series(1, 5);
ALTER SEQUENCE f.serials_b_seq RENAME TO "Odd seq";
ALTER SEQUENCE "f"."Odd seq" INCREMENT BY 5 MAXVALUE 30000 CYCLE CACHE 3;
COMMENT ON SEQUENCE f.serials_a_seq IS 'the numbers';
GRANT USAGE ON SEQUENCE f.serials_a_seq TO oracle_reader;
SQL
feature 'identity' f.identity <<'SQL'
CREATE TABLE f.identity (a int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, b bigint GENERATED BY DEFAULT AS IDENTITY (SEQUENCE NAME f.b_numbers START WITH 1000 INCREMENT BY -2 MINVALUE -5 MAXVALUE 2000), c smallint GENERATED ALWAYS AS IDENTITY);
INSERT INTO f.identity (b) VALUES (DEFAULT), (7), (DEFAULT);
GRANT SELECT ON SEQUENCE f.b_numbers TO oracle_reader WITH GRANT OPTION;
SQL
feature 'identity never used' f.identity_new <<'SQL'
CREATE TABLE f.identity_new (a int GENERATED ALWAYS AS IDENTITY (START WITH 5));
SQL
feature 'constraints' f.constraints <<'SQL'
CREATE TABLE f.constraints (a int, b int, c int, d int4range, e text,
  CONSTRAINT pk PRIMARY KEY (a, b) INCLUDE (c) WITH (fillfactor = 80), CONSTRAINT u UNIQUE NULLS NOT DISTINCT (c) DEFERRABLE INITIALLY DEFERRED,
  UNIQUE (e), CONSTRAINT ex EXCLUDE USING gist (d WITH &&) WHERE (a > 0), CONSTRAINT ck CHECK (b > f.twice(0)) NO INHERIT, CHECK (c IS NOT NULL OR e <> ''));
INSERT INTO f.constraints VALUES (1, 1, 1, '[1,2)', 'x'), (2, 1, NULL, '[2,3)', 'y');
ALTER TABLE f.constraints ADD CONSTRAINT later CHECK (a > 1) NOT VALID;
COMMENT ON CONSTRAINT pk ON f.constraints IS 'key''s comment';
COMMENT ON INDEX f.pk IS 'index of the key';
SQL
feature 'foreign keys of its own' f.own_fk <<'SQL'
CREATE TABLE f.own_fk (id int PRIMARY KEY, r int REFERENCES f.referenced ON DELETE CASCADE ON UPDATE SET NULL, o int CONSTRAINT to_other REFERENCES f.referenced (other) MATCH FULL DEFERRABLE INITIALLY DEFERRED, parent int REFERENCES f.own_fk);
INSERT INTO f.own_fk VALUES (1, 1, 101, 1), (2, 2, 102, 1);
ALTER TABLE f.own_fk ADD CONSTRAINT unchecked FOREIGN KEY (r) REFERENCES f.referenced NOT VALID;
SQL
feature 'foreign keys of other tables' f.target <<'SQL'
CREATE TABLE f.target (id int PRIMARY KEY, u int UNIQUE);
INSERT INTO f.target VALUES (1, 11), (2, 12);
CREATE TABLE f.source_a (t int REFERENCES f.target ON DELETE CASCADE, u int CONSTRAINT "by U" REFERENCES f.target (u) DEFERRABLE);
INSERT INTO f.source_a VALUES (1, 12);
CREATE TABLE f.source_b (t int);
INSERT INTO f.source_b VALUES (99);
ALTER TABLE f.source_b ADD CONSTRAINT unchecked FOREIGN KEY (t) REFERENCES f.target NOT VALID;
COMMENT ON CONSTRAINT "by U" ON f.source_a IS 'kept too';
SQL
feature 'indexes' f.indexes <<'SQL'
CREATE TABLE f.indexes (a int, b text, c int[], d jsonb);
INSERT INTO f.indexes VALUES (1, 'X', '{1}', '{}');
CREATE INDEX ON f.indexes (lower(b), f.twice(a)) WHERE a > 0;
CREATE UNIQUE INDEX i_unique ON f.indexes (a DESC NULLS LAST) INCLUDE (b) WITH (fillfactor = 60);
CREATE INDEX i_gin ON f.indexes USING gin (c) WITH (fastupdate = off);
CREATE INDEX i_hash ON f.indexes USING hash (b);
CREATE INDEX i_expr ON f.indexes ((a + 1)); ALTER INDEX f.i_expr ALTER COLUMN 1 SET STATISTICS 77;
COMMENT ON INDEX f.i_gin IS 'gin';
CLUSTER f.indexes USING i_unique;
SQL
feature 'replica identity by index' f.replica <<'SQL'
CREATE TABLE f.replica (a int NOT NULL, b int);
CREATE UNIQUE INDEX replica_a ON f.replica (a);
ALTER TABLE f.replica REPLICA IDENTITY USING INDEX replica_a;
SQL
feature 'replica identity full' f.replica_full <<'SQL'
CREATE TABLE f.replica_full (a int);
ALTER TABLE f.replica_full REPLICA IDENTITY FULL;
SQL
feature 'triggers and their states' f.triggers <<'SQL'
CREATE TABLE f.triggers (a int, b int);
CREATE TRIGGER plain BEFORE INSERT ON f.triggers FOR EACH ROW EXECUTE FUNCTION f.touch();
CREATE TRIGGER "off" AFTER UPDATE OF b ON f.triggers FOR EACH ROW WHEN (OLD.b IS DISTINCT FROM NEW.b) EXECUTE FUNCTION f.touch('x');
CREATE TRIGGER always AFTER DELETE ON f.triggers REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION f.touch();
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON f.triggers DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION f.touch();
CREATE TRIGGER replica BEFORE UPDATE ON f.triggers FOR EACH ROW EXECUTE FUNCTION f.touch();
ALTER TABLE f.triggers DISABLE TRIGGER "off"; ALTER TABLE f.triggers ENABLE ALWAYS TRIGGER always; ALTER TABLE f.triggers ENABLE REPLICA TRIGGER replica;
COMMENT ON TRIGGER plain ON f.triggers IS 'a trigger';
SQL
feature 'rules' f.rules <<'SQL'
CREATE TABLE f.rules (a int);
INSERT INTO f.rules VALUES (1);
CREATE RULE no_delete AS ON DELETE TO f.rules DO INSTEAD NOTHING;
CREATE RULE log AS ON INSERT TO f.rules DO ALSO SELECT 1;
ALTER TABLE f.rules DISABLE RULE log;
COMMENT ON RULE no_delete ON f.rules IS 'a rule';
SQL
feature 'row security and policies' f.rls <<'SQL'
CREATE TABLE f.rls (a int, owner name);
INSERT INTO f.rls VALUES (1, 'oracle_reader'), (2, 'someone');
ALTER TABLE f.rls ENABLE ROW LEVEL SECURITY; ALTER TABLE f.rls FORCE ROW LEVEL SECURITY;
CREATE POLICY mine ON f.rls FOR SELECT TO oracle_reader, oracle_writer USING (owner = current_user);
CREATE POLICY "No ""more" ON f.rls AS RESTRICTIVE USING (f.twice(a) > 0) WITH CHECK (a > 0);
COMMENT ON POLICY mine ON f.rls IS 'a policy';
SQL
feature 'extended statistics' f.extended <<'SQL'
CREATE TABLE f.extended (a int, b int, c text);
INSERT INTO f.extended VALUES (1, 1, 'x');
CREATE STATISTICS f.st_ab (ndistinct, dependencies) ON a, b FROM f.extended;
CREATE STATISTICS f.st_expr ON (a + b), lower(c) FROM f.extended;
ALTER STATISTICS f.st_ab SET STATISTICS 300;
COMMENT ON STATISTICS f.st_ab IS 'statistics';
SQL
feature 'grants, grantors, column grants' f.grants <<'SQL'
CREATE TABLE f.grants (a int, b int);
GRANT SELECT, INSERT ON f.grants TO oracle_writer WITH GRANT OPTION;
GRANT UPDATE (b), SELECT (a) ON f.grants TO oracle_reader;
GRANT SELECT ON f.grants TO PUBLIC;
REVOKE TRIGGER ON f.grants FROM oracle_owner;
SET ROLE oracle_writer;
GRANT SELECT ON f.grants TO oracle_reader WITH GRANT OPTION;
SQL
feature 'grants: everything revoked from the owner' f.revoked <<'SQL'
CREATE TABLE f.revoked (a int);
REVOKE ALL ON f.revoked FROM oracle_owner;
SQL
feature 'default privileges do not leak' f.leak <<'SQL'
CREATE TABLE f.leak (a int);
ALTER DEFAULT PRIVILEGES IN SCHEMA f GRANT SELECT ON TABLES TO PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA f GRANT USAGE ON SEQUENCES TO PUBLIC;
SQL
run -c 'ALTER DEFAULT PRIVILEGES FOR ROLE oracle_owner IN SCHEMA f REVOKE SELECT ON TABLES FROM PUBLIC' -c 'ALTER DEFAULT PRIVILEGES FOR ROLE oracle_owner IN SCHEMA f REVOKE USAGE ON SEQUENCES FROM PUBLIC'
feature 'comments' f.comments <<'SQL'
CREATE TABLE f.comments (a int, b int);
COMMENT ON TABLE f.comments IS 'two
lines'; COMMENT ON COLUMN f.comments.b IS 'the second';
SQL
feature 'unlogged with serial' f.unlogged <<'SQL'
CREATE UNLOGGED TABLE f.unlogged (a serial, b int GENERATED ALWAYS AS IDENTITY);
INSERT INTO f.unlogged DEFAULT VALUES;
SQL
feature 'inheritance: child of two parents' f.child <<'SQL'
CREATE TABLE f.child (c int NOT NULL, CONSTRAINT c_up CHECK (c > 0)) INHERITS (f.parent_a, f.parent_b);
INSERT INTO f.child VALUES (1, 'x', 2, 3);
ALTER TABLE f.child ALTER a SET DEFAULT 'child';
SQL
feature 'typed table' f.typed <<'SQL'
CREATE TABLE f.typed OF f.pair (a WITH OPTIONS NOT NULL, PRIMARY KEY (a));
INSERT INTO f.typed VALUES (1, 'x', '2020-01-01');
SQL
feature 'partition' f.part_1 <<'SQL'
CREATE TABLE f.part (id int NOT NULL, k text NOT NULL DEFAULT 'k', r int REFERENCES f.referenced, PRIMARY KEY (id, k), CHECK (id > 0)) PARTITION BY RANGE (id);
CREATE TABLE f.part_1 PARTITION OF f.part FOR VALUES FROM (1) TO (10);
CREATE TABLE f.part_2 PARTITION OF f.part DEFAULT;
CREATE INDEX part_k ON f.part (k);
CREATE TRIGGER t AFTER INSERT ON f.part FOR EACH ROW EXECUTE FUNCTION f.touch();
ALTER TABLE f.part_1 DISABLE TRIGGER t;
CREATE INDEX only_one ON f.part_1 (r);
INSERT INTO f.part SELECT i, 'k' || i, 1 FROM generate_series(1, 15) i;
SQL
feature 'partition tree of three levels' f.tree <<'SQL'
CREATE TABLE f.tree (id int NOT NULL, k text, g int GENERATED ALWAYS AS (id + 1) STORED, PRIMARY KEY (id)) PARTITION BY LIST (id);
CREATE TABLE f.tree_a PARTITION OF f.tree FOR VALUES IN (1, 2) PARTITION BY RANGE (id);
CREATE TABLE f.tree_a1 PARTITION OF f.tree_a FOR VALUES FROM (1) TO (2);
CREATE TABLE f.tree_a2 (k text, id int NOT NULL, g int GENERATED ALWAYS AS (id + 1) STORED);
ALTER TABLE f.tree_a ATTACH PARTITION f.tree_a2 FOR VALUES FROM (2) TO (3);
CREATE TABLE f.tree_b PARTITION OF f.tree DEFAULT;
CREATE INDEX tree_k ON f.tree (k);
INSERT INTO f.tree (id, k) VALUES (1, 'one'), (2, 'two'), (3, 'three');
GRANT SELECT ON f.tree, f.tree_a2 TO oracle_reader; COMMENT ON TABLE f.tree_a1 IS 'leaf';
SQL
feature 'hash partitions' f.hashed <<'SQL'
CREATE TABLE f.hashed (id int, k text) PARTITION BY HASH (id, lower(k));
CREATE TABLE f.hashed_0 PARTITION OF f.hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE f.hashed_1 PARTITION OF f.hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO f.hashed SELECT i, 'k' FROM generate_series(1, 20) i;
SQL
run -c 'CREATE TABLE f.published (a int PRIMARY KEY, b int, c int); ALTER TABLE f.published OWNER TO oracle_owner; ALTER PUBLICATION oracle_pub ADD TABLE f.published (a, b) WHERE (a > 5)'
feature 'publication with columns and filter' f.published <<'SQL'
INSERT INTO f.published VALUES (1, 2, 3);
SQL
run -c 'CREATE FOREIGN DATA WRAPPER oracle_fdw' -c "CREATE SERVER \"a server\" FOREIGN DATA WRAPPER oracle_fdw OPTIONS (host 'x')" -c 'GRANT USAGE ON FOREIGN SERVER "a server" TO oracle_owner'
feature 'foreign table (never read)' f.foreign 'FOREIGN TABLE' <<'SQL'
CREATE FOREIGN TABLE f.foreign (a int OPTIONS (column_name 'A ''q''') NOT NULL DEFAULT 3, b text COLLATE "C", CONSTRAINT c CHECK (a > 0)) SERVER "a server" OPTIONS ("Table" 'it''s');
COMMENT ON FOREIGN TABLE f.foreign IS 'far away'; COMMENT ON COLUMN f.foreign.a IS 'col';
CREATE TRIGGER tr BEFORE INSERT ON f.foreign FOR EACH ROW EXECUTE FUNCTION f.touch();
ALTER FOREIGN TABLE f.foreign DISABLE TRIGGER tr;
GRANT SELECT ON f.foreign TO oracle_reader;
SQL
feature 'wide rows out of line' f.wide <<'SQL'
CREATE TABLE f.wide (id int PRIMARY KEY, t text, j f.pair);
INSERT INTO f.wide SELECT i, (SELECT string_agg(md5((i * n)::text), '') FROM generate_series(1, 400) n), ROW(i, repeat('z', 20000), NULL)::f.pair FROM generate_series(1, 20) i;
SQL
feature 'everything at once' f.everything <<'SQL'
CREATE TABLE f.everything (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, n serial, m f.mood NOT NULL DEFAULT 'ok', p f.pair, d f.positive CHECK (d < 1000), g int GENERATED ALWAYS AS (d * 2) STORED, r int CONSTRAINT fk REFERENCES f.referenced, t text COLLATE "C" NOT NULL) WITH (fillfactor = 90);
INSERT INTO f.everything (p, d, r, t) SELECT ROW(i, 'x', NULL)::f.pair, i, i, 't' || i FROM generate_series(1, 10) i;
CREATE UNIQUE INDEX ON f.everything (t, m); CREATE INDEX e_partial ON f.everything (lower(t)) WHERE m = 'ok';
CREATE TRIGGER tr BEFORE UPDATE ON f.everything FOR EACH ROW EXECUTE FUNCTION f.touch();
ALTER TABLE f.everything ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON f.everything USING (d > 0);
CREATE TABLE f.refers (e bigint REFERENCES f.everything); INSERT INTO f.refers VALUES (1);
GRANT SELECT ON f.everything TO oracle_reader; COMMENT ON TABLE f.everything IS 'all'; COMMENT ON COLUMN f.everything.m IS 'mood';
SQL
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
