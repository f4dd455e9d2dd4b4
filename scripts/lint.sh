#!/usr/bin/env bash
# Everything a reader of the code may rely on, one result line each.
source "$(dirname "${BASH_SOURCE[0]}")/lib/all.sh"
cd "$ROOT" || exit
failed=0

# check NAME COMMAND...: the command's output is shown when it fails.
check() {
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then
        echo "ok - $name"
    else
        printf 'not ok - %s\n%s\n' "$name" "$output"
        failed=1
    fi
}

clippy() { cargo clippy --quiet --all-targets "$@" -- -D warnings; }

# code FILES ON STDIN: prints file:line:text without comments and without test modules.
code() {
    xargs -r awk '
        FNR == 1 { in_tests = 0; cfg_test = 0 }
        /^[[:space:]]*#\[cfg\((any\()?test/ { cfg_test = 1; next }
        cfg_test && /^[[:space:]]*#\[/ { next }
        cfg_test { cfg_test = 0; if ($0 ~ /^[[:space:]]*(pub )?mod .*\{/) in_tests = 1 }
        in_tests { next }
        { sub(/\/\/.*/, ""); print FILENAME ":" FNR ":" $0 }'
}
nothing() { # nothing PATTERN: fails and shows what it found
    ! grep -nE "$1" | cut -d: -f2-
}
no_unsafe() {
    find src crates -name '*.rs' -not -path 'src/pg/*' -not -path 'src/pg.rs' | code |
        nothing '\bunsafe([[:space:]]*(\{|fn|impl|extern|trait)|\()'
}
no_unwrap() {
    find src -name '*.rs' -not -path '*/tests/*' -not -name 'tests.rs' | code |
        nothing '\.(unwrap|expect)\('
}

ensure_tools
mapfile -t configs < <(pg_configs)
[ ${#configs[@]} -gt 0 ] || die "no supported Postgres found; name one in PG_CONFIGS"
write_pgrx_config "${configs[@]}"

check "cargo fmt" cargo fmt --all --check
check "unsafe stays in src/pg" no_unsafe
check "no unwrap and no expect outside tests" no_unwrap
check "clippy guard_core" clippy -p guard_core
for config in "${configs[@]}"; do
    major=$(major_of "$config")
    check "clippy for Postgres $major" clippy --no-default-features --features "pg$major pg_test"
done
if have shellcheck; then
    check "shellcheck" shellcheck -x -P "$ROOT" -S warning scripts/*.sh scripts/lib/*.sh benches/*.sh tests/run/*.sh
else
    echo "skip - shellcheck: not installed"
fi
exit $failed
