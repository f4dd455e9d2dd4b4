#!/usr/bin/env bash
# Every suite on every Postgres at hand; the counts come last. Failing suites show their diffs.
#   MG_MAJORS="15"            only these major versions
#   MG_SUITES="regress cases" only these suites (lint core pg_test regress regress_event isolation cases demo readme)
#   MG_ONLY=name              only the SQL files, specs or cases whose name contains this
source "$(dirname "${BASH_SOURCE[0]}")/lib/all.sh"
cd "$ROOT" || exit
export MG_PROFILE=${MG_PROFILE:-dev} # quick to build, and overflow checks are on

ensure_tools
scratch=$(mktemp -d "${TMPDIR:-/tmp}/mg-test.XXXXXX")
[ "$(id -un)" = "$MG_USER" ] || chown "$MG_USER" "$scratch"
at_exit() {
    cluster_stop_all
    rm -rf "$scratch"
    # A machine that builds a fresh clone each time would gather a cache for each.
    [ "${CI:-}" != true ] || rm -rf "$MG_HOME"
}
trap at_exit EXIT

declare -a TABLE
passed=0 failed=0 skipped=0

# record SUITE VERSION PASSED FAILED SKIPPED: a suite that ran nothing has failed.
record() {
    local ok=$3 bad=$4 skip=$5
    if [ $((ok + bad)) = 0 ]; then
        bad=1
        echo "not ok - $1 on $2 ran no test"
    fi
    TABLE+=("$1, $2, $ok passed, $bad failed, $skip skipped")
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
}
count() { grep -cE "$1" "$2" || true; }
wanted() { case " ${MG_SUITES:-$1} " in *" $1 "*) return 0 ;; *) return 1 ;; esac; }
chosen() { case $1 in *"${MG_ONLY:-}"*) return 0 ;; *) return 1 ;; esac; }

# count_lines SUITE VERSION LOG STATUS: of "ok - x", "not ok - x", "skip - x" and an exit code.
count_lines() {
    local bad
    bad=$(count '^not ok' "$3")
    if [ "$4" != 0 ] && [ "$bad" = 0 ]; then
        echo "not ok - $1 on $2 ended with exit code $4"
        bad=1
    fi
    record "$1" "$2" "$(count '^ok ' "$3")" "$bad" "$(count '^skip' "$3")"
}

# count_cargo SUITE VERSION LOG STATUS: of all "test result:" lines.
count_cargo() {
    local numbers
    numbers=$(awk '/^test result:/ { p += $4; f += $6; i += $8 } END { print p + 0, f + 0, i + 0 }' "$3")
    read -r p f i <<<"$numbers"
    [ "$4" = 0 ] || [ "$f" != 0 ] || f=1
    record "$1" "$2" "$p" "$f" "$i"
}

# run_logged LOG COMMAND...: shows and keeps the output; the exit code goes to $status.
run_logged() {
    local log=$1
    shift
    status=0
    "$@" 2>&1 | tee "$log" || status=$?
}

# regress_driver PG_CONFIG PROGRAM: the one of that version, or of another if that one does not even
# start (the wheel's for 18 does not); they serve every server.
regress_driver() {
    local config driver
    for config in "$1" $(MG_MAJORS='' pg_configs | sort -r); do
        driver=$(dirname "$("$config" --pgxs)")/../test/$2
        if "$driver" --version >/dev/null 2>&1; then
            echo "$driver"
            return
        fi
    done
    return 1
}

# regress_suite SUITE: SQL files (sql/) or isolation specs (specs/) against their expected output,
# each in a database of its own, on a server with the settings in the suite's postgresql.conf.
regress_suite() {
    local suite=$1 config=$2 kind=regress folder=sql ext=sql program=pg_regress driver file name log bad=0 ok=0
    [ "$suite" = isolation ] && kind=isolation folder=specs ext=spec program=pg_isolation_regress
    say "$suite on Postgres $major"
    if ! driver=$(regress_driver "$config" "$kind/$program"); then
        echo "skip - $suite on Postgres $major: SKIPPED, no $program that runs is to be had"
        TABLE+=("$suite, $major, 0 passed, 0 failed, 1 skipped")
        skipped=$((skipped + 1))
        return
    fi
    local lines=()
    [ ! -e "tests/$suite/postgresql.conf" ] || mapfile -t lines <"tests/$suite/postgresql.conf"
    # The server's user has to read the files, and the checkout may be closed to it.
    cp -r "tests/$suite" "$scratch/$suite-$major" 2>/dev/null || mkdir -p "$scratch/$suite-$major"
    [ "$(id -un)" = "$MG_USER" ] || chown -R "$MG_USER" "$scratch/$suite-$major"
    cluster_start "$config" "$suite" "${lines[@]}"
    while read -r file; do
        name=$(basename "$file" ".$ext")
        chosen "$name" || continue
        log=$scratch/$suite-$major-$name.log
        local dir=$scratch/$suite-$major out=$scratch/$suite-$major/out-$name
        local options=(--host="$PGHOST" --port="$PGPORT" --user=postgres --dbname="${suite}_$name"
            --bindir="$PG_BIN" --inputdir="$dir" --outputdir="$out")
        [ $kind = regress ] || options+=(--load-extension=migration_guard)
        as_server mkdir -p "$out"
        if (cd "$dir" && as_server_here "$driver" "${options[@]}" "$name") >"$log" 2>&1 </dev/null; then
            ok=$((ok + 1))
            echo "ok - $name"
        else
            bad=$((bad + 1))
            echo "not ok - $name"
            cat "$out/regression.diffs" 2>/dev/null || cat "$log"
        fi
    done < <(find "tests/$suite/$folder" -name "*.$ext" 2>/dev/null | sort)
    [ $bad = 0 ] || check_crash "$suite"
    cluster_stop "$suite"
    record "$suite" "$major" $ok $bad 0
}
# isolationtester and psql are started relative to the current folder by some versions.
as_server_here() {
    if [ "$(id -un)" = "$MG_USER" ]; then "$@"; else runuser -u "$MG_USER" -- "$@"; fi
}
check_crash() { cluster_log "$1" | grep -aE 'PANIC|terminated by signal|FATAL' | tail -n 20 || true; }

cases_suite() {
    local config=$1 file log=$scratch/cases-$major.log one=$scratch/case.log
    : >"$log"
    for file in tests/cases/*.sh tests/cases/*.py; do
        [ -e "$file" ] && chosen "$(basename "$file")" || continue
        say "$(basename "$file") on Postgres $major"
        local runner=(bash)
        case $file in *.py) runner=("$python") ;; esac
        run_logged "$one" env PG_CONFIG="$config" PG_MAJOR="$major" PG_BIN="$("$config" --bindir)" \
            PYTHON="$python" PYTHONPATH="$ROOT/tests/run" PYTHONDONTWRITEBYTECODE=1 \
            timeout "${MG_CASE_TIMEOUT:-900}" "${runner[@]}" "$file"
        if [ "$status" != 0 ] && ! grep -q '^not ok' "$one"; then
            echo "not ok - $file ended with exit code $status" | tee -a "$one"
        elif [ "$status" = 0 ] && ! grep -qE '^(ok|not ok|skip) ' "$one"; then
            echo "not ok - $file ran no test" | tee -a "$one"
        fi
        cat "$one" >>"$log"
    done
    count_lines cases "$major" "$log" 0
}

pg_tests() {
    local config=$1 data=$scratch/pgdata-$major runas=()
    [ "$(id -un)" = "$MG_USER" ] || runas=(--runas "$MG_USER")
    say "pg_test on Postgres $major"
    run_logged "$scratch/pg_test.log" cargo pgrx test "pg$major" "${runas[@]}" --pgdata "$data" \
        --no-default-features --features "pg$major"
    count_cargo pg_test "$major" "$scratch/pg_test.log" "$status"
    rm -rf "$data"
}

mapfile -t configs < <(pg_configs)
[ ${#configs[@]} -gt 0 ] || die "no supported Postgres found; name one in PG_CONFIGS"
write_pgrx_config "${configs[@]}"
python=$(ensure_python)

if wanted lint; then
    say lint
    run_logged "$scratch/lint.log" "$ROOT/scripts/lint.sh"
    count_lines lint all "$scratch/lint.log" "$status"
fi
if wanted core; then
    say "core"
    run_logged "$scratch/core.log" cargo test -p guard_core
    count_cargo core none "$scratch/core.log" "$status"
fi
for config in "${configs[@]}"; do
    major=$(major_of "$config")
    # pg_test installs a build of its own: the real one goes in after it.
    if wanted pg_test; then pg_tests "$config"; fi
    if ! (install_extension "$config"); then
        record install "$major" 0 1 0
        continue
    fi
    for suite in regress regress_event isolation; do
        if wanted $suite; then regress_suite $suite "$config"; fi
    done
    if wanted cases; then cases_suite "$config"; fi
    if wanted demo; then
        say "demo on Postgres $major"
        run_logged "$scratch/demo.log" env MG_RUN_STOP=1 MG_INSTALLED=1 PG_CONFIG="$config" "$ROOT/scripts/run.sh"
        record demo "$major" "$([ "$status" = 0 ] && count '^== ' "$scratch/demo.log" || echo 0)" \
            "$([ "$status" = 0 ] && echo 0 || echo 1)" 0
    fi
    # Wording does not depend on the version, so the README is checked on one.
    if wanted readme && [ "$config" = "${configs[0]}" ]; then
        say "readme on Postgres $major"
        run_logged "$scratch/readme.log" env MG_INSTALLED=1 PG_CONFIG="$config" "$ROOT/scripts/readme.sh"
        count_lines readme "$major" "$scratch/readme.log" "$status"
    fi
done

say "suite, Postgres, passed, failed, skipped"
printf '%s\n' "${TABLE[@]}"
printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" = 0 ]
