"""What status() says of preloading and of settings outside of the session; each line that it gives is
typed as it stands, under the guard in full force, and mends it."""

import subprocess

from guard_case import Cluster, finish, is_equal


def bad(cluster, dbname="postgres", user="postgres"):
    with cluster.connect(dbname, user, autocommit=True) as db:
        return {row[0]: row[1:] for row in db.execute(
            "SELECT item, state, hint FROM migration_guard.status() WHERE state <> 'ok'").fetchall()}


def type_it(cluster, line, dbname="postgres"):
    """As a person would, in psql."""
    run = subprocess.run(["psql", "-X", "-v", "ON_ERROR_STOP=1", "-h", cluster.host, "-p", cluster.port, "-U", "postgres",
                          "-d", dbname], input=line + "\n", capture_output=True, text=True)
    is_equal(f"runs: {line}", (0, ""), (run.returncode, run.stderr.strip()))


with Cluster() as cluster:
    with cluster.connect(autocommit=True) as db:
        db.execute('CREATE DATABASE "Odd db"')
        db.execute("CREATE ROLE plain LOGIN")
    for name in ("postgres", "Odd db"):
        with cluster.connect(name, autocommit=True) as db:
            db.execute("CREATE EXTENSION migration_guard")
            db.execute("SELECT migration_guard.enable()")
    for name in ("Odd db", "postgres"):
        seen = bad(cluster, name)
        is_equal(f"not preloaded, {name}", {"preload": "degraded"}, {k: v[0] for k, v in seen.items()})
        is_equal("everybody may read it", seen, bad(cluster, name, "plain"))
        type_it(cluster, seen["preload"][1], name)
        after = bad(cluster, name)
        is_equal(f"then in session_preload_libraries, {name}", True, "shared_preload_libraries" in after.get("preload", ("", ""))[1])
        is_equal("and nothing else is wrong", ["preload"], list(after))
    # Modes for a role, for a role in a database, and in the server's configuration.
    for where, line in {
        "a database": "ALTER DATABASE postgres SET migration_guard.mode = 'off'",
        "a role": "ALTER ROLE postgres SET migration_guard.mode = 'observe'",
        "a role in a database": "ALTER ROLE postgres IN DATABASE postgres SET migration_guard.mode = 'observe'",
        "the server": "ALTER SYSTEM SET migration_guard.mode = 'off'",
    }.items():
        with cluster.connect(autocommit=True) as db:
            db.execute("SET migration_guard.mode = off")
            db.execute(line)
            db.execute("SELECT pg_reload_conf(), pg_sleep(0.3)")
        seen = bad(cluster)
        is_equal(f"{where}: status() sees it", ["mode", "preload"], sorted(seen))
        type_it(cluster, seen["mode"][1])
        with cluster.connect(autocommit=True) as db:
            db.execute("SELECT pg_sleep(0.3)")
        is_equal(f"{where}: and it is mended", ["preload"], list(bad(cluster)))
        with cluster.connect(autocommit=True, options="-c migration_guard.mode=off") as db:
            db.execute("ALTER DATABASE postgres RESET migration_guard.mode; ALTER ROLE postgres RESET migration_guard.mode; "
                       "ALTER ROLE postgres IN DATABASE postgres RESET migration_guard.mode")
    # The last step, and the restart that it asks for.
    type_it(cluster, bad(cluster)["preload"][1])
    with cluster.connect(autocommit=True) as db:
        db.execute("SELECT pg_reload_conf(), pg_sleep(0.3)")
    with cluster.connect(autocommit=True) as db:
        is_equal("shared_preload_libraries waits for a restart", True,
                 db.execute("SELECT pending_restart FROM pg_settings WHERE name = 'shared_preload_libraries'").fetchone()[0])
with Cluster("shared_preload_libraries = 'migration_guard'") as cluster:
    with cluster.connect(autocommit=True) as db:
        db.execute("CREATE EXTENSION migration_guard")
        db.execute("SELECT migration_guard.enable()")
    is_equal("preloaded: nothing is wrong", {}, bad(cluster))
finish()
