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


def record(backend, server, sent, read_back):
    """Note one comparison; returns whether both are equal.

    Args:
        backend: What is shown first, as ``influxdb:// (HTTP, v1)``.
        server: Name and version.
        sent: What → value, as the server should tell it.
        read_back: The same keys, as it told them.

    """
    ROWS.mkdir(parents=True, exist_ok=True)
    row = {"backend": backend, "server": server}
    row |= {"sent": sent, "read_back": read_back, "equal": sent == read_back}
    name = re.sub(r"[^a-z0-9]+", "-", f"{backend} {server}".lower()).strip("-")
    text = json.dumps(row, ensure_ascii=False, indent=1, default=str)
    (ROWS / f"{name}.json").write_text(text + "\n", "utf-8")
    return row["equal"]


def render():
    """Write the page from all rows there are."""
    rows = [json.loads(path.read_text("utf-8")) for path in sorted(ROWS.glob("*.json"))]
    lines = [
        f"| {row['backend']} | {row['server']} | {_cell(row['sent'])} "
        f"| {'the same' if row['equal'] else _cell(row['read_back'])} "
        f"| {'yes' if row['equal'] else '**no**'} |\n"
        for row in rows
    ]
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(HEAD + "".join(lines), "utf-8")


def _cell(told):
    found = "; ".join(f"{what} {value}" for what, value in told.items())
    return found.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    render()
