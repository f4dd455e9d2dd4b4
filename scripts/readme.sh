#!/usr/bin/env bash
# Runs the README's example on a throwaway server and compares the answers with the README.
#   --write   puts the answers into the README instead
#   MG_INSTALLED=1, PG_CONFIG=...   as for run.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/all.sh"
scratch=$(mktemp -d)
trap 'cluster_stop_all; rm -rf "$scratch"' EXIT

ensure_tools
config=${PG_CONFIG:-$(first_pg_config)}
[ "${MG_INSTALLED:-}" = 1 ] || { write_pgrx_config "$config" && install_extension "$config"; }
cluster_start "$config" readme "shared_preload_libraries = 'migration_guard'"
psql -Xq -v ON_ERROR_STOP=1 -c 'CREATE EXTENSION migration_guard' -c 'SELECT migration_guard.enable()' >/dev/null

{
    sed '/^<!-- example/q' "$ROOT/README.md"
    echo '```'
    psql -Xa <"$ROOT/scripts/demo/readme.sql" 2>&1 | sed 's/[[:space:]]*$//'
    echo '```'
    sed -n '/^<!-- end of example/,$p' "$ROOT/README.md"
} >"$scratch/README.md"

if [ "${1:-}" = --write ]; then
    cp "$scratch/README.md" "$ROOT/README.md"
elif diff -u "$ROOT/README.md" "$scratch/README.md"; then
    echo "ok - the README's example"
else
    echo "not ok - the README's example: see the difference above; scripts/readme.sh --write takes it over"
    exit 1
fi
