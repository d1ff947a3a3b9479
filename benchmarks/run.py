"""Run every benchmark, print the tables and the sixteen goals, write the results.

Each benchmark is a module beside this one with ``run() -> Table``. Everything inside
one table was measured interleaved and shuffled, against the peer in the same rounds;
ratios hold, nanoseconds are this machine's and this hour's. Each has a process of its
own: what one leaves in memory would slow the next one's, ours and the peers' unalike.

``run.py NAME ...`` measures some and writes nothing.
"""

import contextlib
import datetime as dt
import importlib
import os
import platform
import subprocess
import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

HERE = Path(__file__).parent
BENCHMARKS = (
    "recording",
    "peers",
    "instrument",
    "journal",
    "folding",
    "encoding",
    "encoding_prometheus",
    "encoding_series",
    "encoding_monitors",
    "encoding_stores",
    "imports",
    "hostsample",
    "requests_frameworks",
    "scale",
    "leadership",
)
HOW = """
## How to rerun

`make bench` makes an environment of its own (`.venv-bench`) with the peers in it, runs
everything in about ten minutes and writes this file and the plots. Let nothing else
run meanwhile.
`.venv-bench/bin/python benchmarks/run.py journal imports` runs some and writes nothing;
`PROBEKIT_BENCH_SCALE=0.2` takes a fifth of the rounds, for a first look.

*quiet* is the minimum of an entry less the minimum of the bare one; *median* is that of
the differences within a round; *middle half* is between their quartiles. Ratios are of
quiet figures where nothing else is said.
"""


def machine() -> str:
    """The machine in one line, for the head of the results."""
    cpu = "unknown cpu"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            cpu = line.split(":", 1)[1].strip()
            break
    return (
        f"{platform.system()} {platform.machine()}, {cpu}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, {dt.datetime.now(dt.timezone.utc):%F}"
    )


def commit() -> str:
    """Which state of the code was measured."""
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        return subprocess.check_output(
            ["git", "-C", str(HERE), "describe", "--always", "--dirty"], text=True
        ).strip()
    return "unknown"


def load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


def table_of(name):
    """What *name* measures, in this process."""
    sys.path.insert(0, str(HERE))
    return importlib.import_module(name).run()


def measured(name):
    """One table; None when the benchmark failed, which is told and counted."""
    begin = time.monotonic()
    print(f"» {name}", flush=True)
    try:
        with ProcessPoolExecutor(1, get_context("spawn")) as alone:
            table = alone.submit(table_of, name).result()
    except Exception:
        traceback.print_exc()
        return None
    table.note += f" Took {time.monotonic() - begin:.0f} s."
    print(table.to_markdown(), flush=True)
    return table


def main(names: list[str]) -> int:
    """Run the named benchmarks, or all; return 1 if one failed or missed a floor."""
    sys.path.insert(0, str(HERE))
    goals, plots = (importlib.import_module(name) for name in ("goals", "plots"))
    begin, load_before = time.monotonic(), load()
    tried = names or BENCHMARKS
    tables = [measured(name) for name in tried]
    failed = [name for name, table in zip(tried, tables, strict=True) if table is None]
    tables = [table for table in tables if table is not None]
    verdicts = goals.to_markdown(tables)
    print(verdicts, flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}")
    if not names:
        took = (time.monotonic() - begin) / 60
        head = (
            "# Results\n\nMade by `make bench`; no figure is typed by hand. "
            f"Last run: {machine()}, commit {commit()}, {took:.1f} minutes, load of "
            f"the machine {load_before} before and {load()} after.\n\n"
            "Trust ratios inside one table: it was measured interleaved in one run.\n"
        )
        lost = f"\nFailed: {', '.join(failed)}.\n" if failed else ""
        parts = [head + lost, verdicts, *(table.to_markdown() for table in tables)]
        text = "\n".join([*parts, HOW.strip("\n"), ""])
        (HERE / "RESULTS.md").write_text(text, encoding="utf-8")
        plots.write(HERE / "plots", [p for table in tables for p in table.plots])
        print(f"written: {HERE / 'RESULTS.md'}, {took:.1f} minutes")
    missed = sum(table.floors_missed() for table in tables)
    return min(missed + len(failed), 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
