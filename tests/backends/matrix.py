"""What was sent to each real server and what it said: a table that the tests make.

A test calls ``record``; ``python tests/backends/matrix.py`` renders what all runs have
left in ``var/matrix`` as ``docs/backends/matrix.md``.
"""

import json
import re
from pathlib import Path

HOME = Path(__file__).parents[2]
ROWS = HOME / "var" / "matrix"
PAGE = HOME / "docs" / "backends" / "matrix.md"
HEAD = """\
# Every backend, read back

Made by the tests of `tests/backends` (`python tests/backends/matrix.py`): each starts
the real server, sends through `probekit.configure(exporters=[…])`, and asks the server.

| backend | server | sent | read back | equal |
| --- | --- | --- | --- | --- |
"""


OUTAGES = """
## Every backend, taken away

`tests/backends/test_outage.py`: one application with all these exporters at once counts
10,000 operations, with an event for every tenth. In the middle all servers are killed
(SIGKILL); those that keep in memory what they acknowledge are ended by SIGTERM or stand
still (SIGSTOP). The last column is what the contract gives up at most: operations that
were on their way when a server died that acknowledges nothing, lost / double. Of a
backend that is sent totals, the last one is compared (no events: it takes none).

| backend | server | away | lost | double | events lost | double | given up |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""
COUNTS = ("operations lost", "operations double", "events lost", "events double")


def record(backend, server, sent, read_back):
    """Note one comparison; returns whether both are equal.

    Args:
        backend: What is shown first, as ``influxdb:// (HTTP, v1)``.
        server: Name and version.
        sent: What → value, as the server should tell it.
        read_back: The same keys, as it told them.

    """
    row = {"backend": backend, "server": server}
    row |= {"sent": sent, "read_back": read_back, "equal": sent == read_back}
    _keep("", row)
    return row["equal"]


def record_outage(backend, server, away, counts, allowed):
    """Note what became of a backend that was away.

    Args:
        backend: What is shown first.
        server: Name and version.
        away: For how long, and how it ended.
        counts: What of COUNTS is known → number.
        allowed: Operations that the contract gives up, lost and double.

    """
    row = {"backend": backend, "server": server, "away": away}
    _keep("outage-", row | {"counts": counts, "allowed": allowed})


def _keep(kind, row):
    ROWS.mkdir(parents=True, exist_ok=True)
    name = f"{row['backend']} {row['server']}".lower()
    name = kind + re.sub(r"[^a-z0-9]+", "-", name).strip("-")
    text = json.dumps(row, ensure_ascii=False, indent=1, default=str)
    (ROWS / f"{name}.json").write_text(text + "\n", "utf-8")


def render():
    """Write the page from all rows there are."""
    rows = [json.loads(path.read_text("utf-8")) for path in sorted(ROWS.glob("*.json"))]
    lines = [
        f"| {row['backend']} | {row['server']} | {_cell(row['sent'])} "
        f"| {'the same' if row['equal'] else _cell(row['read_back'])} "
        f"| {'yes' if row['equal'] else '**no**'} |\n"
        for row in rows
        if "sent" in row
    ]
    outages = [
        "| "
        + " | ".join(
            [row["backend"], row["server"], row["away"]]
            + [str(row["counts"].get(what, "–")) for what in COUNTS]
            + [" / ".join(map(str, row["allowed"]))]
        )
        + " |\n"
        for row in rows
        if "away" in row
    ]
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(HEAD + "".join(lines) + OUTAGES + "".join(outages), "utf-8")


def _cell(told):
    found = "; ".join(f"{what} {value}" for what, value in told.items())
    return found.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    render()
