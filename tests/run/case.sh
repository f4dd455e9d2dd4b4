# For tests/cases/*.sh:  source "$(dirname "$0")/../run/case.sh"
# Gives cluster_start, cluster_use, cluster_stop (all are stopped at the end) and one line per result.
# The runner sets PG_CONFIG; by hand: PG_CONFIG=... bash tests/cases/x.sh
# shellcheck shell=bash
# shellcheck source=scripts/lib/all.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib/all.sh"
PG_CONFIG=${PG_CONFIG:-$(first_pg_config)}
PG_MAJOR=$(major_of "$PG_CONFIG")
PG_BIN=$("$PG_CONFIG" --bindir)
PATH=$PG_BIN:$PATH
export PG_CONFIG PG_MAJOR PG_BIN PATH
CASE_FAILED=0
case_exit() {
    local code=$?
    cluster_stop_all
    [ $code != 0 ] || exit "$CASE_FAILED"
}
trap case_exit EXIT

export PRELOAD="shared_preload_libraries = 'migration_guard'"

ok() { echo "ok - $*"; }
not_ok() {
    echo "not ok - $*"
    CASE_FAILED=1
}
skip() { echo "skip - $*"; }

# is NAME EXPECTED SEEN
is() {
    if [ "$2" = "$3" ]; then
        ok "$1"
    else
        not_ok "$1"
        printf '    expected: %s\n    seen:     %s\n' "$2" "$3"
    fi
}
# like NAME REGEX SEEN
like() {
    if grep -qE -- "$2" <<<"$3"; then ok "$1"; else
        not_ok "$1"
        printf '    expected to match: %s\n    seen: %s\n' "$2" "$3"
    fi
}
# sql SQL [psql option]...: the bare answer, errors included; the exit code is psql's.
sql() {
    local query=$1
    shift
    psql -XAtq -v ON_ERROR_STOP=1 "$@" -c "$query" 2>&1
}
