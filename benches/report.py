"""Turns the measurements into a table of ratios against bare Postgres.

The ratio of a side is taken within each round, then the median over the rounds. The interval is
the one of order statistics: distribution-free, at least 95 % (Conover, Practical Nonparametric
Statistics, section 3.2).

    report.py RESULTS.csv VERSIONS.csv OUT.md
"""

import csv
import datetime
import math
import os
import platform
import statistics
import sys

NAMES = {
    "bare": "bare Postgres",
    "guard": "migration_guard",
    "pgaudit": "pgaudit, `log = 'ddl'`",
    "bare2": "bare Postgres, a second server",
    "logger": "PL/pgSQL logger",
}
TESTS = {"ddl": "DDL", "select": "`pgbench -S`", "tpcb": "pgbench default"}
BEGIN, END = "<!-- results: written by make bench -->", "<!-- end of results -->"


def interval(values):
    """The narrowest symmetric pair of order statistics that covers the median with 95 %."""
    values, n = sorted(values), len(values)
    tail, k = 0.0, 0
    while k < n // 2 and tail + math.comb(n, k) / 2**n <= 0.025:
        tail += math.comb(n, k) / 2**n
        k += 1
    # With k = 0 there are too few rounds for 95 %: the whole range is the honest answer.
    return values[max(k - 1, 0)], values[n - max(k, 1)]


def cpu_model():
    try:
        with open("/proc/cpuinfo") as f:
            return next(line.split(":", 1)[1].strip() for line in f if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"


def table(rows):
    runs = {}
    for test, clients, round_, side, tps in rows:
        runs.setdefault((test, int(clients)), {}).setdefault(side, {}).setdefault(int(round_), []).append(float(tps))
    for sides in runs.values():
        for side, rounds in sides.items():
            sides[side] = {r: statistics.mean(tps) for r, tps in rounds.items()}
    yield "| work | clients | side | rounds | transactions/s (median) | ratio to bare (median) | 95 % interval |"
    yield "|---|---|---|---|---|---|---|"
    for (test, clients), sides in sorted(runs.items(), key=lambda r: (list(TESTS).index(r[0][0]), r[0][1])):
        bare = sides["bare"]
        for side in sorted(sides, key=list(NAMES).index):
            own = sides[side]
            line = f"| {TESTS[test]} | {clients} | {NAMES[side]} | {len(own)} | {statistics.median(own.values()):.0f} "
            if side == "bare":
                yield line + "| 1 | |"
            else:
                ratios = [own[r] / bare[r] for r in own]
                low, high = interval(ratios)
                yield line + f"| **{statistics.median(ratios):.3f}** | {low:.3f} to {high:.3f} |"


def main(results, versions, out):
    with open(results) as f:
        lines = list(table(list(csv.reader(f))))
    with open(versions) as f:
        version = dict(csv.reader(f))
    settings = " ".join(f"{k}={v!r}" for k, v in sorted(os.environ.items()) if k.startswith("MG_BENCH_"))
    text = "\n".join(
        [
            BEGIN,
            "",
            f"Measured on {datetime.date.today()}: {cpu_model()}, {os.cpu_count()} cores, "
            f"{platform.system()} {platform.release().split('-')[0]}; Postgres {version['version']}, "
            f"pgaudit {version['pgaudit'] or 'absent'}, migration_guard {version['guard']}; "
            f"`{(settings + ' ').lstrip()}make bench`.",
            "",
            *lines,
            "",
            END,
        ]
    )
    print(text)
    with open(out) as f:
        page = f.read()
    head, _, rest = page.partition(BEGIN)
    tail = rest.partition(END)[2]
    with open(out, "w") as f:
        f.write(head + text + tail)


main(*sys.argv[1:])
