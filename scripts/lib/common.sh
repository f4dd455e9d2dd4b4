# Sourced by every script: where things are, how to speak, who runs the servers.
# shellcheck shell=bash

set -euo pipefail
umask 022 # the server's user must be able to read what root builds

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# Settings of the caller's own sessions must not reach ours. PG_VERSION makes
# `cargo pgrx test` run no test at all, PGRX_TEST_SKIP makes it call a skip a pass.
while read -r mg_name; do unset "$mg_name"; done < <(compgen -e | grep -E '^PG[A-Z]+$')
unset PG_VERSION PG_CONFIG_PATH PGRX_TEST_SKIP PG_COLOR mg_name

# Servers, wheels and virtual environments live here: outside the checkout, which may sit in
# a home directory that the server's user cannot enter, and one folder per checkout.
if [ -z "${MG_CACHE:-}" ]; then
    if [ "$(id -u)" = 0 ]; then
        MG_CACHE=/var/cache/migration_guard
    else
        MG_CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/migration_guard
    fi
fi
MG_HOME=$MG_CACHE/$(basename "$ROOT")-$(printf %s "$ROOT" | cksum | cut -d' ' -f1)
export ROOT MG_CACHE MG_HOME
export PGRX_HOME=$MG_HOME/pgrx
mkdir -p "$MG_HOME"

say() { printf '\n== %s\n' "$*"; }
note() { printf '   %s\n' "$*" >&2; }
die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Postgres refuses to run as root, so root hands its servers to an ordinary user.
if [ "$(id -u)" = 0 ]; then MG_USER=${MG_USER:-postgres}; else MG_USER=$(id -un); fi
export MG_USER

# as_server COMMAND...: as the user who owns the servers, from a folder that user can enter.
as_server() (
    cd /
    if [ "$(id -un)" = "$MG_USER" ]; then "$@"; else runuser -u "$MG_USER" -- "$@"; fi
)

# as_root COMMAND...: for package managers.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}
