#!/usr/bin/env bash
# Builds for and installs into one Postgres: PG_CONFIG, or the pg_config on PATH.
source "$(dirname "${BASH_SOURCE[0]}")/lib/all.sh"
target=${PG_CONFIG:-$(command -v pg_config || true)}
[ -n "$target" ] || die "no pg_config on PATH; name one in PG_CONFIG"
target=$("$target" --bindir)/pg_config # Debian's pg_config on PATH is a wrapper
ensure_tools
write_pgrx_config "$target"
install_extension "$target"
echo "migration_guard is installed in $("$target" --version)."
echo "Next: shared_preload_libraries = 'migration_guard', a restart, CREATE EXTENSION migration_guard, SELECT migration_guard.enable()."
