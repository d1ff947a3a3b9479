"""Run every benchmark, print the tables, and write benchmarks/RESULTS.md.

Each benchmark is a module beside this one with ``run() -> Table``. Everything inside
one table was measured interleaved and shuffled in one process, against the peer in
the same rounds; ratios hold, nanoseconds are this machine's and this hour's.
"""

import datetime as dt
import importlib
import os
import platform
import sys
from pathlib import Path

HERE = Path(__file__).parent
BENCHMARKS = (
    "recording",
    "instrument",
    "encoding",
    "encoding_prometheus",
    "encoding_series",
    "encoding_monitors",
    "encoding_stores",
    "requests_flask",
    "requests_frameworks",
)


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


def main(names: list[str]) -> int:
    """Run the named benchmarks, or all; return 1 if a floor was missed."""
    sys.path.insert(0, str(HERE))
    parts, missed = [], 0
    for name in names or BENCHMARKS:
        print(f"» {name}", flush=True)
        table = importlib.import_module(name).run()
        text = table.to_markdown()
        print(text, flush=True)
        parts.append(text)
        missed += table.floors_missed()
    if not names:
        head = (
            "# Results\n\nMade by `make bench`; no figure is typed by hand. "
            f"Last run: {machine()}.\n\n"
            "Trust ratios inside one table: it was measured interleaved in one run.\n"
        )
        (HERE / "RESULTS.md").write_text(
            head + "\n" + "\n".join(parts), encoding="utf-8"
        )
        print(f"written: {HERE / 'RESULTS.md'}")
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
