#!/usr/bin/env bash
# What the guard costs, beside bare Postgres, pgaudit and a PL/pgSQL logger. Four servers with the
# same settings; one is under load at a time. A round takes them in random order and then in reverse,
# so that whatever slows the machine down slows every side alike. The report compares within rounds.
#   MG_BENCH_ROUNDS=15 MG_BENCH_SECONDS=2 MG_BENCH_CLIENTS="1 8"   DDL
#   MG_BENCH_PAIRS=21 MG_BENCH_DML_SECONDS=2 MG_BENCH_DML_CLIENTS=1   DML
#   MG_BENCH_SIDES="guard pgaudit logger"   what to compare with bare
#   MG_BENCH_OUT=docs/benchmarks.md         where the results go, between the markers
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib/all.sh"
cd "$ROOT" || exit
rounds=${MG_BENCH_ROUNDS:-15} seconds=${MG_BENCH_SECONDS:-2} clients=${MG_BENCH_CLIENTS:-1 8}
pairs=${MG_BENCH_PAIRS:-21} dml_seconds=${MG_BENCH_DML_SECONDS:-2} dml_clients=${MG_BENCH_DML_CLIENTS:-1}
read -ra sides <<<"bare ${MG_BENCH_SIDES:-guard pgaudit logger}"
out=${MG_BENCH_OUT:-docs/benchmarks.md}

# In memory where there is room: a disk's own speed, and its moods, would blur the picture.
if [ -z "${TMPDIR:-}" ] && [ -w /dev/shm ] && [ "$(df --output=avail -m /dev/shm | tail -n 1)" -gt 8000 ]; then
    export TMPDIR=/dev/shm
fi
scratch=$(mktemp -d)
trap 'cluster_stop_all; rm -rf "$scratch"' EXIT
results=$scratch/results.csv

start_side() {
    local side=$1 preload=''
    case $side in
    guard) preload=migration_guard ;;
    pgaudit) preload=pgaudit ;;
    esac
    cluster_start "$config" "$side" "shared_preload_libraries = '$preload'" \
        "shared_buffers = 128MB" "max_wal_size = 8GB" "checkpoint_timeout = 1h" "autovacuum = off" \
        "$([ "$side" != pgaudit ] || echo "pgaudit.log = 'ddl'")"
    case $side in
    guard) psql -Xq -v ON_ERROR_STOP=1 -f benches/guard.sql >/dev/null ;;
    pgaudit) psql -Xq -c 'CREATE EXTENSION pgaudit' ;;
    logger) psql -Xq -v ON_ERROR_STOP=1 -f benches/logger.sql ;;
    esac
}

# measure TEST ROUND CLIENTS SIDE SECONDS PGBENCH-OPTION...: one line of results.
measure() {
    local test=$1 round=$2 c=$3 side=$4 duration=$5 tps
    shift 5
    cluster_use "$side"
    # Dead catalog rows of earlier rounds must not slow down later ones.
    psql -Xqc VACUUM -c CHECKPOINT
    pgbench -n -T "$duration" -c "$c" -j "$c" "$@" >"$scratch/out" 2>&1 || {
        cat "$scratch/out" >&2
        die "pgbench failed on $side"
    }
    if grep -q 'number of failed transactions: [1-9]' "$scratch/out"; then die "failed transactions on $side"; fi
    tps=$(sed -n 's/^tps = \([0-9.]*\).*/\1/p' "$scratch/out")
    [ "$round" = 0 ] || echo "$test,$c,$round,$side,$tps" | tee -a "$results"
}

# run_round TEST ROUND CLIENTS SECONDS "SIDES" PGBENCH-OPTION...: round 0 only warms up.
run_round() {
    local test=$1 round=$2 c=$3 duration=$4 order side
    read -ra order <<<"$5"
    shift 5
    mapfile -t order < <(shuf -e "${order[@]}" | tee "$scratch/order" && tac "$scratch/order")
    [ "$round" != 0 ] || duration=1
    for side in "${order[@]}"; do measure "$test" "$round" "$c" "$side" "$duration" "$@"; done
}

ensure_tools
config=$(MG_MAJORS=15 first_pg_config)
case " ${sides[*]} " in *" pgaudit "*)
    apt_missing postgresql-15-pgaudit
    config=$(MG_MAJORS=15 first_pg_config) # copied again, with pgaudit
    ;;
esac
case " ${sides[*]} " in *" guard "*) write_pgrx_config "$config" && MG_PROFILE=release install_extension "$config" ;; esac

for side in "${sides[@]}"; do start_side "$side"; done

say "DDL: $rounds rounds, each side twice $seconds s; test,clients,round,side,transactions per second"
for c in $clients; do
    for round in $(seq 0 "$rounds"); do
        run_round ddl "$round" "$c" "$seconds" "${sides[*]}" -f benches/ddl.pgbench postgres
    done
done

case " ${sides[*]} " in *" guard "*) dml_sides=(bare guard) ;; *) dml_sides=("${sides[@]:0:2}") ;; esac
say "DML: ${dml_sides[*]}, $pairs pairs, each side twice $dml_seconds s"
for side in "${dml_sides[@]}"; do
    cluster_use "$side"
    pgbench -i -q -s 10 postgres >/dev/null 2>&1
done
for test in select tpcb; do
    options=()
    [ $test = tpcb ] || options=(-S)
    for round in $(seq 0 "$pairs"); do
        run_round $test "$round" "$dml_clients" "$dml_seconds" "${dml_sides[*]}" "${options[@]}" postgres
    done
done

cluster_use bare
{
    echo "version,$(psql -XAtc 'SHOW server_version')"
    echo "pgaudit,$(psql -XAtc "SELECT default_version FROM pg_available_extensions WHERE name = 'pgaudit'")"
    echo "guard,$(git -C "$ROOT" describe --always --dirty 2>/dev/null || echo unknown)"
} >"$scratch/versions.csv"
python3 benches/report.py "$results" "$scratch/versions.csv" "$out"
