#!/usr/bin/env bash
# Snapshots travel with pg_dump: the registry, its numbers and the kept rows are the same in another
# database, readable by the same role, and can be restored there.
source "$(dirname "$0")/../run/case.sh"
set +e +o pipefail # a failing step is a result, not the end
cluster_start "$PG_CONFIG" dump "$PRELOAD"
a="snapshot_dump_a_$$"
b="snapshot_dump_b_$$"
work=$(mktemp -d)
passed=0
failed=0
sql() { "$PG_BIN/psql" -X -q -At -v ON_ERROR_STOP=1 -d "$1" -c "$2" 2>&1; }
same() {
    if [ "$2" = "$3" ]; then passed=$((passed + 1)); echo "ok - $1"
    else failed=$((failed + 1)); echo "not ok - $1"; echo "    expected: $2"; echo "    seen: $3"; fi
}
clean() {
    for d in "$a" "$b"; do sql postgres "DROP DATABASE IF EXISTS $d WITH (FORCE)" >/dev/null; done
    sql postgres 'DROP ROLE IF EXISTS dump_owner' >/dev/null
    rm -rf "$work"
}
trap 'code=$?; clean; (exit $code); case_exit' EXIT
clean
mkdir -p "$work"
sql postgres "CREATE DATABASE $a" || exit 1
"$PG_BIN/psql" -X -q -v ON_ERROR_STOP=1 -d "$a" <<'SQL' >/dev/null || exit 1
CREATE EXTENSION migration_guard;
CREATE ROLE dump_owner;
CREATE SCHEMA d AUTHORIZATION dump_owner;
SET ROLE dump_owner;
CREATE TYPE d.mood AS ENUM ('sad', 'ok');
CREATE TABLE d.gone (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, m d.mood, t text);
INSERT INTO d.gone (m, t) SELECT 'ok', 't' || i FROM generate_series(1, 100) i;
CREATE TABLE d.there (id int PRIMARY KEY, v text);
INSERT INTO d.there VALUES (1, 'one'), (2, 'two');
SELECT migration_guard.snapshot_table('d.gone'), migration_guard.snapshot_table('d.there', 'a label');
DROP TABLE d.gone;
UPDATE d.there SET v = 'changed';
SQL
registry="SELECT md5(string_agg(s::text, E'\n' ORDER BY id)) FROM migration_guard.snapshot s"
for format in plain custom; do
    sql postgres "DROP DATABASE IF EXISTS $b WITH (FORCE)" >/dev/null
    sql postgres "CREATE DATABASE $b"
    if [ $format = plain ]; then
        "$PG_BIN/pg_dump" -d "$a" >"$work/dump.sql"
        "$PG_BIN/psql" -X -q -v ON_ERROR_STOP=1 -d "$b" -f "$work/dump.sql" >"$work/log" 2>&1
    else
        "$PG_BIN/pg_dump" -Fc -d "$a" -f "$work/dump"
        "$PG_BIN/pg_restore" -j 2 -d "$b" "$work/dump" >"$work/log" 2>&1
    fi
    same "$format: the dump restores without an error" "0" "$?"
    same "$format: the registry is the same" "$(sql "$a" "$registry")" "$(sql "$b" "$registry")"
    same "$format: the owner reads the kept rows" "100" \
        "$(sql "$b" 'SET ROLE dump_owner; SELECT count(*) FROM migration_guard_snapshots.snapshot_1')"
    same "$format: the dropped table comes back" "100 ok" \
        "$(sql "$b" "SET ROLE dump_owner; SELECT count(*) FROM migration_guard.restore_table(1); SELECT count(*) || ' ' || max(m) FROM d.gone" | tail -1)"
    same "$format: the table that is there gets its rows back" "one,two" \
        "$(sql "$b" "SET ROLE dump_owner; SELECT count(*) FROM migration_guard.restore_table(2); SELECT string_agg(v, ',' ORDER BY id) FROM d.there" | tail -1)"
    same "$format: numbers go on" "3" "$(sql "$b" "SELECT migration_guard.snapshot_table('d.there')")"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
