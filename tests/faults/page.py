"""Makes ``docs/explanation/reliability.md`` of the matrix and what a run measured.

page.py collect FOLDER PEERS   → measured.json, of a run's records and the peers'
page.py                        → the page, of measured.json
"""

import json
import os
import platform
import sys
from collections import defaultdict
from datetime import datetime, timezone
from pathlib import Path

from faultmatrix import GROUPS, ROWS

HERE = Path(__file__).parent
MEASURED = HERE / "measured.json"
PAGE = HERE.parents[1] / "docs" / "explanation" / "reliability.md"
OPEN = HERE / "open.md"

HEAD = """\
# Faults and promises

<!-- made by tests/faults/page.py of faultmatrix.py and open.md: edit those -->

Each promise of [what is lost when](what-is-lost-when.md) has tests that inject the
fault. This page is made of what they measured. `make faults-short` runs them as CI
does, `make faults` tries everything where the short form takes a sample (about
{minutes:.0f} minutes), `make faults-peers` gives other libraries the same work. A run
prints its seed, and `PROBEKIT_FAULT_SEED=…` plays it again.

After every test of `tests/faults` the books are audited: `recorded = delivered + stored
+ dropped` for each signal, as `probekit status --json` shows them; no traceback,
nothing printed into the host's output. Records are compared by identity: each operation
has an event with an id and a step of a counter whose series stands for fifty ids. The
truth lies in shared memory that survives the process.

Last run: {when}, {form} form, Python {python}, {cpus} cores that were shared with other
work, seed {seeds}. {passed} tests passed, {failed} failed, {skipped} were skipped.
"""

PEERS_HEAD = """
## The same faults, other libraries

{versions}, each with its defaults and, where it exports by itself, an interval of one
second; Python {python}. 500 operations before the receiver comes and another process
starts; {kills} kills; ten children of multiprocessing; exit while the receiver hangs.
An operation is a step of a counter and, where the library has such a thing, an event. A
request that comes again byte for byte is taken once, whoever sends it. StatsD and a
scraped page have no exit to hold: nothing waits for an answer.

"""
WORKLOADS = {
    "outage": "receiver down, exit, restart: lost",
    "kill": "SIGKILL: lost",
    "fork": "children of multiprocessing: lost",
    "hang": "exit with a hanging receiver",
}


def collect(folder, peers):
    """One file of a run's many: by test, cases of one test together."""
    tests = {}
    for path in sorted(Path(folder).glob("*.json")):
        found = json.loads(path.read_text())
        name = found["test"].partition("[")[0]
        test = tests.setdefault(
            name,
            {"rows": found["rows"], "outcomes": defaultdict(int), "seconds": 0.0,
             "form": found["form"], "seed": None, "measured": []},
        )  # fmt: skip
        test["outcomes"][found["outcome"]] += 1
        test["seconds"] = round(test["seconds"] + found["seconds"], 1)
        test["seed"] = test["seed"] or found["seed"]
        test["measured"] += found["measured"]
    for test in tests.values():
        test["measured"].sort()
    forms = {test["form"] for test in tests.values()}
    return {
        "run": {
            "when": datetime.now(timezone.utc).date().isoformat(),
            "form": "long" if "long" in forms else "short",
            "python": platform.python_version(),
            "cpus": os.cpu_count(),
        },
        "tests": dict(sorted(tests.items())),
        "peers": json.loads(Path(peers).read_text()),
    }


def cell(text):
    """*text* inside a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def outcome(tests):
    """How many cases passed, and what did not."""
    count = defaultdict(int)
    for test in tests:
        for word, times in test["outcomes"].items():
            count[word] += times
    passed = count.pop("passed", 0)
    text = f"{passed} case{'s' * (passed != 1)} passed"
    return text + "".join(f", **{n} {word}**" for word, n in sorted(count.items()))


def row_line(name, tests):
    """One line of the matrix."""
    mine = {test: found for test, found in tests.items() if name in found["rows"]}
    figures = [figure for found in mine.values() for figure in found["measured"]]
    other = {"P1": "SIGTERM", "P2": "SIGKILL"}.get(name)  # one test for two rows
    told = [cell(each) for each in figures if not (other and other in each)]
    measured = "<br>".join([outcome(mine.values()), *told])
    files = sorted({test.partition("::")[0] for test in mine})
    row = ROWS[name]
    proofs = ", ".join(f"`{each}`" for each in files)
    return (
        f"| {name} | {cell(row.fault)} | {cell(row.promise)} | {measured} | {proofs} |"
    )


def peer_text(found):
    """What one library lost of one workload."""
    if "added_s" in found:
        return f"{found['added_s']:+.2f} s"
    parts = [f"{lost:,} {kind}" for kind, lost in found["lost"].items()]
    twice = [f"{n:,} {kind}" for kind, n in found["twice"].items() if n]
    text = ", ".join(parts) + f" of {found['of']:,}"
    return text + (f"; twice {', '.join(twice)}" if twice else "")


def peers_table(peers):
    """Workloads down, libraries across."""
    names = list(peers["versions"])
    lines = [
        "| row | fault | " + " | ".join(names) + " |",
        "|---" * (len(names) + 2) + "|",
    ]
    for workload, words in WORKLOADS.items():
        row = next(name for name, row in ROWS.items() if row.workload == workload)
        found = peers["results"][workload]
        texts = " | ".join(peer_text(found[name]) for name in names)
        lines.append(f"| {row} | {words} | {texts} |")
    return "\n".join(lines) + "\n"


def page(measured):
    """The whole page."""
    tests, run, peers = measured["tests"], measured["run"], measured["peers"]
    count = defaultdict(int)
    for found in tests.values():
        for word, times in found["outcomes"].items():
            count[word] += times
    seeds = sorted({found["seed"] for found in tests.values() if found["seed"]})
    parts = [
        HEAD.format(
            **run,
            minutes=sum(found["seconds"] for found in tests.values()) / 60,
            seeds=", ".join(map(str, seeds)),
            passed=count["passed"],
            failed=count["failed"],
            skipped=count["skipped"],
        )
    ]
    for title, rows in GROUPS.items():
        parts.append(f"\n## {title}\n\n| row | fault | promise | measured | test |\n")
        parts.append("|---|---|---|---|---|\n")
        parts += [row_line(name, tests) + "\n" for name in rows]
    versions = ", ".join(f"{name} {v}" for name, v in peers["versions"].items())
    parts.append(
        PEERS_HEAD.format(
            versions=versions, python=peers["python"], kills=peers["kills"]
        )
    )
    parts += [peers_table(peers), "\n", OPEN.read_text()]
    return "".join(parts)


def main(arguments):
    """Collect, where asked to; write the page."""
    if arguments[:1] == ["collect"]:
        found = collect(*arguments[1:])
        text = json.dumps(found, indent=1, ensure_ascii=False)
        MEASURED.write_text(text + "\n")
    PAGE.write_text(page(json.loads(MEASURED.read_text())))


if __name__ == "__main__":
    main(sys.argv[1:])
