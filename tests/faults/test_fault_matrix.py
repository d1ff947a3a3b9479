"""The matrix is whole: each row has a test, and the page is what was measured."""

import json
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from faultmatrix import ROWS
from page import MEASURED, PAGE, collect, page

pytestmark = pytest.mark.faults
TESTS = Path(__file__).parents[1]


def marked():
    """Rows that some test says it proves."""
    return {
        row
        for path in TESTS.rglob("test_*.py")
        for mark in re.findall(r"mark\.row\(([^)]*)\)", path.read_text())
        for row in re.findall(r'"(\w+)"', mark)
    } - {"name"}


def test_every_row_has_a_test_and_every_mark_a_row():
    assert set(ROWS) == marked()


def test_the_page_says_what_was_measured():
    """Made by `tests/faults/page.py`, not by hand."""
    measured = json.loads(MEASURED.read_text())

    assert page(measured) == PAGE.read_text()
    assert set(ROWS) <= {
        row for test in measured["tests"].values() for row in test["rows"]
    }


def test_cases_of_one_test_are_told_together(tmp_path):
    """And a failed one stands out."""
    for n, word in enumerate(["passed", "failed", "passed"]):
        (tmp_path / f"{n}.json").write_text(
            json.dumps(
                {"rows": ["P1"], "test": f"a.py::t[{n}]", "outcome": word, "seconds": 1,
                 "form": "short", "seed": 7, "measured": [f"{n} killed"]}
            )
        )  # fmt: skip
    peers = TESTS / "faults" / "peers" / "measured.json"
    found = collect(tmp_path, peers)
    text = page(found)

    assert {"passed": 2, "failed": 1} == dict(found["tests"]["a.py::t"]["outcomes"])
    assert "2 cases passed, **1 failed**<br>0 killed<br>1 killed<br>2 killed" in text
