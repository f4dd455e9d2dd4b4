"""For tests/cases/*.py: throwaway servers and one line per result.

    from guard_case import Cluster, is_equal, ok, not_ok, skip, finish
    with Cluster("shared_preload_libraries = 'migration_guard'") as cluster:
        with cluster.connect() as connection: ...
    finish()
"""

import os
import pathlib
import subprocess
import sys

import psycopg

ROOT = pathlib.Path(__file__).resolve().parents[2]
failed = 0


def ok(name):
    print(f"ok - {name}", flush=True)


def not_ok(name, seen=None):
    global failed
    failed += 1
    print(f"not ok - {name}" + ("" if seen is None else f"\n    seen: {seen}"), flush=True)


def skip(name):
    print(f"skip - {name}", flush=True)


def is_equal(name, expected, seen):
    if expected == seen:
        ok(name)
    else:
        not_ok(name, f"{seen!r} instead of {expected!r}")


def finish():
    sys.exit(1 if failed else 0)


class Cluster:
    """A server of its own. A shell that holds it open does the starting and stopping."""

    def __init__(self, *conf, name="py"):
        script = (
            f'source "{ROOT}/scripts/lib/all.sh"; trap cluster_stop_all EXIT; config=$1; name=$2; shift 2; '
            'cluster_start "$config" "$name" "$@"; echo "$PGHOST $PGPORT $PGDATA_DIR"; read -r _ || true'
        )
        self.shell = subprocess.Popen(
            ["bash", "-c", script, "cluster", os.environ["PG_CONFIG"], name, *conf],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        line = self.shell.stdout.readline().split()
        if len(line) != 3:
            raise RuntimeError("the server did not start")
        self.host, self.port, self.data = line

    def connect(self, dbname="postgres", user="postgres", **options):
        return psycopg.connect(host=self.host, port=self.port, dbname=dbname, user=user, **options)

    def stop(self):
        self.shell.stdin.close()
        self.shell.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
