#!/usr/bin/env bash
# The demonstration: a guarded database on real input. Every step prints the statement and the
# server's own answer, and the script fails, naming the step, if the answer is not the one it tells of.
#   MG_RUN_STOP=1   stop and remove the server at the end
#   PG_CONFIG=...   run on this Postgres instead of the first one at hand
#   MG_INSTALLED=1  the extension is installed there already
source "$(dirname "${BASH_SOURCE[0]}")/lib/all.sh"
DEMO=$ROOT/scripts/demo
finished=no

at_exit() {
    if [ $finished = no ] || [ "${MG_RUN_STOP:-}" = 1 ]; then cluster_stop_all; fi
    rm -rf "$scratch"
}
scratch=$(mktemp -d)
trap at_exit EXIT

step() {
    step=$*
    say "$step"
}
fail() {
    printf '\nFAILED at: %s\n  %s\n' "$step" "$*" >&2
    exit 1
}

# ask ROLE SQL: shows the statement and the answer, keeps them in $answer and $status.
ask() {
    local role=$1 sql=$2
    printf '%s=> %s\n' "$role" "$sql"
    status=0
    answer=$(psql -X -U "$role" -d shop -v ON_ERROR_STOP=1 -c "$sql" 2>&1) || status=$?
    printf '%s\n' "$answer"
}
answered() { [ "$status" = 0 ] || fail "the server should have carried this out"; }
refused() {
    [ "$status" != 0 ] || fail "the server should have refused this"
    grep -q 'migration_guard' <<<"$answer" || fail "refused, but not by the guard"
    grep -q '^DETAIL: ' <<<"$answer" || fail "the refusal does not say what would be lost"
    grep -q '^HINT: ' <<<"$answer" || fail "the refusal does not say what to do"
}
# value SQL: one value, silently.
value() { psql -X -U postgres -d shop -v ON_ERROR_STOP=1 -Atc "$1"; }
same() { [ "$2" = "$3" ] || fail "$1 differ: $2 before, $3 after"; }

# alembic ARGUMENT...: the real tool. Of Python's chain of tracebacks the last error is shown.
alembic() {
    printf '$ %salembic %s\n' "${PGOPTIONS:+PGOPTIONS='$PGOPTIONS' }" "$*"
    status=0
    answer=$(cd "$DEMO/alembic" && "$python" -B -m alembic "$@" 2>&1) || status=$?
    answer=$(awk '/^Traceback/ { if (!seen++) before = text; text = before; skip = 1 }
                  skip && /^[^ T]/ { skip = 0 }
                  !skip { text = text $0 "\n" }
                  END { printf "%s", text }' <<<"$answer")
    printf '%s\n' "$answer"
}

fingerprint_of_reviews() {
    value 'SELECT count(*) || $$ rows, md5 $$ || md5(string_agg(md5(r::text), $$$$ ORDER BY review_id)) FROM reviews r'
}
fingerprint_of_fax() {
    value 'SELECT count(fax) || $$ values, md5 $$ || md5(string_agg(customer_id || $$:$$ || fax, $$,$$ ORDER BY customer_id)) FROM customers'
}
# pg_dump puts a random key into \restrict, and its version into a comment.
definition_of_reviews() { pg_dump -U postgres -s -t public.reviews shop | grep -vE '^(\\(un)?restrict|--|$)'; }

step "Build and install migration_guard"
ensure_tools
config=${PG_CONFIG:-$(first_pg_config)}
[ "${MG_INSTALLED:-}" = 1 ] || { write_pgrx_config "$config" && install_extension "$config"; }
python=$(ensure_python)

step "Start a throwaway server that loads it"
cluster_start "$config" demo "shared_preload_libraries = 'migration_guard'"
psql -X -Atc 'SELECT version()' -c 'SHOW shared_preload_libraries'

step "Fill a database: pgbench at scale 10, and a shop of twelve tables owned by the role app"
psql -Xq -c 'CREATE ROLE app LOGIN' -c 'CREATE ROLE reporting' -c 'CREATE DATABASE shop OWNER app'
pgbench -i -s 10 -q shop 2>&1 | tail -n 1
psql -Xq -U app -d shop -f "$DEMO/shop.sql"
ask postgres "SELECT relname, relowner::regrole AS owner, pg_size_pretty(pg_total_relation_size(oid)) AS size FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 2, 1"
same "the numbers of tables" 16 "$(value "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")"

step "Arm the guard"
ask postgres 'CREATE EXTENSION migration_guard'
answered
ask postgres 'SELECT migration_guard.enable()'
answered
ask postgres 'SELECT * FROM migration_guard.status()'
answered
same "the items that are off" 0 "$(value "SELECT count(*) FROM migration_guard.status() WHERE state = 'off'")"

step "A slip of the owner in psql is refused"
ask app 'DROP TABLE orders CASCADE'
refused
same "the orders" 20000 "$(value 'SELECT count(*) FROM orders')"

step "So is one of a superuser"
ask postgres 'TRUNCATE pgbench_accounts'
refused
same "the accounts" 1000000 "$(value 'SELECT count(*) FROM pgbench_accounts')"

step "Alembic adds a table, a column and two indexes: nothing is in its way"
alembic upgrade 0002
[ "$status" = 0 ] || fail "the migrations should have passed"
same "the revisions" 0002 "$(value 'SELECT version_num FROM alembic_version')"

reviews=$(fingerprint_of_reviews)
fax=$(fingerprint_of_fax)
definition_of_reviews >"$scratch/before.sql"

step "Alembic's next revision drops the table reviews and the column customers.fax: it is refused"
alembic upgrade head
refused
same "the revisions" 0002 "$(value 'SELECT version_num FROM alembic_version')"
same "the reviews" "$reviews" "$(fingerprint_of_reviews)"

step "A superuser reviews it and issues a token: these rules, these objects, this role, once"
ask postgres "SELECT migration_guard.issue_token(rules => ARRAY['drop-table', 'drop-column'], objects => ARRAY['public.reviews', 'public.customers.fax'], for_role => 'app', max_uses => 1, reason => 'reviews moved to another service')"
answered
token=$(grep -oE 'mg_[A-Za-z0-9_-]{43}' <<<"$answer") || fail "the answer holds no token"

step "With the token the same migration passes"
export PGOPTIONS="-c migration_guard.token=$token"
alembic upgrade head
unset PGOPTIONS
[ "$status" = 0 ] || fail "the migration should have passed"
same "the revisions" 0003 "$(value 'SELECT version_num FROM alembic_version')"
same "the tables called reviews" 0 "$(value "SELECT count(*) FROM pg_tables WHERE tablename = 'reviews'")"

step "What it destroyed was kept"
ask postgres 'SELECT id, kind, table_name, taken_by, row_count, bytes, restorable FROM migration_guard.snapshots ORDER BY id'
answered
table_snapshot=$(value "SELECT max(id) FROM migration_guard.snapshots WHERE table_name LIKE '%reviews'")
column_snapshot=$(value "SELECT max(id) FROM migration_guard.snapshots WHERE table_name LIKE '%customers%'")
[ -n "$table_snapshot" ] && [ -n "$column_snapshot" ] || fail "a snapshot is missing"

step "The table comes back, row by row and with its whole definition"
ask app "SELECT * FROM migration_guard.restore_table($table_snapshot)"
answered
definition_of_reviews >"$scratch/after.sql"
printf 'before: %s\nafter:  %s\n' "$reviews" "$(fingerprint_of_reviews)"
same "the reviews" "$reviews" "$(fingerprint_of_reviews)"
diff "$scratch/before.sql" "$scratch/after.sql" || fail "pg_dump shows another definition"
echo "pg_dump -s -t reviews: no difference in $(wc -l <"$scratch/after.sql") lines"
same "the numbers of reviews that a new one gets" "$(value 'SELECT max(review_id) + 1 FROM reviews')" \
    "$(value "INSERT INTO reviews (product_id, customer_id, stars) VALUES (1, 5000, 5) RETURNING review_id" | head -n 1)"

step "So does the column"
ask app "SELECT * FROM migration_guard.restore_table($column_snapshot)"
answered
printf 'before: %s\nafter:  %s\n' "$fax" "$(fingerprint_of_fax)"
same "the values of fax" "$fax" "$(fingerprint_of_fax)"

step "The history"
ask postgres "SELECT id, migration_name, status, applied_by, risk, statement_count AS statements, execution_time, left(checksum, 8) AS checksum FROM migration_guard.migrations_history ORDER BY id"
answered
ask postgres "SELECT migration_id, position, command, object_identity, verdict, rules, snapshot_id FROM migration_guard.migration_statements ORDER BY migration_id, position"
answered
[ "$(value "SELECT count(*) FROM migration_guard.migrations_history WHERE status = 'applied' AND applied_by = 'app'")" -ge 3 ] ||
    fail "the history does not show the three migrations of app"
[ "$(value "SELECT count(*) FROM migration_guard.migration_statements WHERE command = 'DROP TABLE' AND snapshot_id IS NOT NULL")" -ge 1 ] ||
    fail "the history does not show the DROP TABLE with its snapshot"

step "Every step did what it says"
finished=yes
[ "${MG_RUN_STOP:-}" = 1 ] && exit 0
stop="$PG_BIN/pg_ctl -D $PGDATA_DIR stop"
[ "$(id -un)" = "$MG_USER" ] || stop="(cd / && runuser -u $MG_USER -- $stop)"
cat <<END
The server stays up.
connect: $PG_BIN/psql -h 127.0.0.1 -p $PGPORT -U app shop
stop:    $stop && rm -rf ${CLUSTER_DIR[demo]}
END
