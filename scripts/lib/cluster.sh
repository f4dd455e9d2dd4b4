# Throwaway servers: own folder, own port on 127.0.0.1, own socket folder; stopped by their own
# data folder, never by name. Several can be up at once.
# shellcheck shell=bash

declare -A CLUSTER_DIR CLUSTER_CONFIG
MG_PATH=$PATH

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# cluster_start PG_CONFIG NAME [LINE OF postgresql.conf]...
# Starts it and points psql, pg_dump and every libpq client of this shell to it.
cluster_start() {
    local config=$1 name=$2 bin dir port
    shift 2
    bin=$("$config" --bindir)
    dir=$(mktemp -d "${TMPDIR:-/tmp}/mg-$name.XXXXXX")
    [ "$(id -un)" = "$MG_USER" ] || chown "$MG_USER" "$dir"
    cluster_init "$config" "$dir/data"
    port=$(free_port)
    # Nobody but this user and root reaches the socket, and no other machine the port.
    as_server tee -a "$dir/data/postgresql.conf" >/dev/null <<CONF
listen_addresses = '127.0.0.1'
port = $port
unix_socket_directories = '$dir'
fsync = off
timezone = 'UTC'
log_line_prefix = '%m [%p] %q%u@%d/%a '
$(printf '%s\n' "$@")
CONF
    CLUSTER_DIR[$name]=$dir
    CLUSTER_CONFIG[$name]=$config
    as_server "$bin/pg_ctl" -D "$dir/data" -l "$dir/server.log" -w -t 60 start >/dev/null || {
        tail -n 30 "$dir/server.log" >&2
        die "the server of cluster $name did not start"
    }
    cluster_use "$name"
}

# initdb takes seconds: once per version, then a copy.
cluster_init() {
    local config=$1 data=$2 template
    template=$MG_HOME/initdb-pg$(major_of "$config")
    if [ "$(cat "$template/version" 2>/dev/null)" != "$("$config" --version)" ]; then
        rm -rf "$template"
        mkdir -p "$template"
        [ "$(id -un)" = "$MG_USER" ] || chown "$MG_USER" "$template"
        as_server "$("$config" --bindir)/initdb" -D "$template/data" -U postgres -A trust --no-sync \
            -E UTF8 --locale=C.UTF-8 >/dev/null
        "$config" --version >"$template/version"
    fi
    as_server cp -a "$template/data" "$data"
}

cluster_use() {
    local dir=${CLUSTER_DIR[$1]} config=${CLUSTER_CONFIG[$1]}
    PG_CONFIG=$config
    PG_MAJOR=$(major_of "$config")
    PG_BIN=$("$config" --bindir)
    PGHOST=$dir
    PGPORT=$(sed -n 's/^port = //p' "$dir/data/postgresql.conf" | tail -n 1)
    PGUSER=postgres
    PGDATABASE=postgres
    PGDATA_DIR=$dir/data
    PATH=$PG_BIN:$MG_PATH
    export PG_CONFIG PG_MAJOR PG_BIN PGHOST PGPORT PGUSER PGDATABASE PGDATA_DIR PATH
}

cluster_log() { cat "${CLUSTER_DIR[$1]}/server.log"; }

cluster_restart() {
    as_server "$PG_BIN/pg_ctl" -D "${CLUSTER_DIR[$1]}/data" -l "${CLUSTER_DIR[$1]}/server.log" \
        -w -m fast restart >/dev/null
}

cluster_stop() {
    local name=$1 dir
    dir=${CLUSTER_DIR[$name]:-}
    [ -n "$dir" ] || return 0
    if [ -e "$dir/data/postmaster.pid" ]; then
        as_server "$("${CLUSTER_CONFIG[$name]}" --bindir)/pg_ctl" -D "$dir/data" -w -m immediate stop >/dev/null || true
    fi
    rm -rf "$dir"
    unset "CLUSTER_DIR[$name]" "CLUSTER_CONFIG[$name]"
}

# For `trap cluster_stop_all EXIT`.
cluster_stop_all() {
    local name
    for name in "${!CLUSTER_DIR[@]}"; do cluster_stop "$name"; done
}
