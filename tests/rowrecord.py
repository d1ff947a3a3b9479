"""Writes what tests of the fault matrix measured, for the page made of it.

A test that proves a row says so: ``@pytest.mark.row("P1")``. Where the environment
names a folder, each of them leaves a file there: rows, figures, seed, outcome, form.
"""

import hashlib
import json
import os
from pathlib import Path

FOLDER_VARIABLE = "PROBEKIT_FAULTS_RECORD"


def form():
    """``long`` where everything is tried, else ``short``."""
    return "long" if os.environ.get("PROBEKIT_FAULTS") == "long" else "short"


class RowRecorder:
    """A plugin of pytest: one JSON file for each test of a row.

    Args:
        folder: Where the files go; made when it is missing.
    """

    def __init__(self, folder):
        self._folder = Path(folder).resolve()  # tests change directories
        self._rows = {}

    def pytest_collection_modifyitems(self, items):
        for item in items:
            rows = [row for mark in item.iter_markers("row") for row in mark.args]
            if rows:
                self._rows[item.nodeid] = rows

    def pytest_runtest_logreport(self, report):
        rows = self._rows.get(report.nodeid)
        if rows is None or (report.when != "call" and report.passed):
            return
        outcome = report.outcome
        if report.when != "call" and not report.skipped:
            outcome = "failed"
        said = dict(report.user_properties)
        self._write(
            report.nodeid,
            {
                "rows": rows,
                "test": report.nodeid.removeprefix("tests/"),
                "outcome": outcome,
                "seconds": round(report.duration, 2),
                "form": form(),
                "seed": said.get("seed"),
                "measured": [v for k, v in report.user_properties if k == "measured"],
            },
        )

    def _write(self, nodeid, found):
        self._folder.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256(nodeid.encode()).hexdigest()[:16]
        path = self._folder / f"{name}.json"
        path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def register(config):
    """Record, where the environment asks for it; in a worker or where there is none."""
    folder = os.environ.get(FOLDER_VARIABLE)
    distributes = getattr(config.option, "dist", "no") != "no"
    if folder and (hasattr(config, "workerinput") or not distributes):
        config.pluginmanager.register(RowRecorder(folder), "rows")
