# Installs what is missing on a fresh machine; does nothing where all is there.
# shellcheck shell=bash

CARGO_PGRX_VERSION=0.18.1   # the version that Cargo.toml pins

have() { command -v "$1" >/dev/null 2>&1; }

# apt_missing PACKAGE...: installs them in one go; silent success without apt.
apt_missing() {
    have apt-get || return 0
    local package missing=()
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    note "installing ${missing[*]}"
    as_root apt-get update -qq >&2 || note "apt-get update failed; going on with the old lists"
    DEBIAN_FRONTEND=noninteractive as_root apt-get install -y -qq --no-install-recommends "${missing[@]}" \
        >"$MG_HOME/apt.log" 2>&1 || {
        tail -n 20 "$MG_HOME/apt.log" >&2
        return 1
    }
}

# What every build needs. Rust itself is the one thing asked of the reader.
ensure_tools() {
    have cargo || die "Rust is missing: see https://rustup.rs"
    have clang && have pkg-config && have cc && have sudo && [ -n "$(find /usr/lib -name 'libclang*.so*' -print -quit)" ] ||
        apt_missing build-essential clang libclang-dev pkg-config sudo
    python3 -c 'import venv, ensurepip' 2>/dev/null || apt_missing python3 python3-venv
    if [ "$(id -u)" = 0 ] && ! id -u "$MG_USER" >/dev/null 2>&1; then
        useradd --system --no-create-home --home-dir / "$MG_USER"
    fi
    if [ "$(cargo pgrx --version 2>/dev/null)" != "cargo-pgrx $CARGO_PGRX_VERSION" ]; then
        note "installing cargo-pgrx $CARGO_PGRX_VERSION (a few minutes)"
        cargo install cargo-pgrx --version "$CARGO_PGRX_VERSION" --locked --quiet
    fi
}

# A Python environment with a real migration tool and a driver; prints its python.
ensure_python() {
    local venv=$MG_HOME/venv
    if ! "$venv/bin/python" -c 'import alembic, psycopg' 2>/dev/null; then
        note "creating a Python environment with Alembic and psycopg"
        rm -rf "$venv"
        python3 -m venv "$venv" >&2
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
            -r "$ROOT/scripts/demo/requirements.txt" >&2
    fi
    echo "$venv/bin/python"
}
