import json
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
PROGRAMS = [
    (path, number, text)
    for path in (
        ROOT / "README.md",
        ROOT / "docs/tutorials/first-probe.md",
        ROOT / "docs/how-to/asgi.md",
        ROOT / "docs/how-to/cron.md",
        ROOT / "docs/how-to/flask.md",
    )
    for number, text in enumerate(BLOCK.findall(path.read_text(encoding="utf-8")), 1)
]


@pytest.fixture
def run(tmp_path):
    """Run a program in an empty folder, as a reader would."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PROBEKIT_", "OTEL_", "COV_"))
    } | {"XDG_STATE_HOME": str(tmp_path / "state"), "PYTHONWARNINGS": "error"}

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, *arguments],
            check=False,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=50,
        )
        assert 0 == done.returncode, done.stderr
        assert "" == done.stderr
        return done.stdout

    return run


def test_there_are_programs_to_run():
    """A pattern that finds nothing would prove nothing."""
    assert {
        *("README.md", "first-probe.md"),
        *("asgi.md", "cron.md", "flask.md"),
    } == {p.name for p, *_ in PROGRAMS}


@pytest.mark.parametrize(
    "path, number, text", PROGRAMS, ids=[f"{p.stem}-{n}" for p, n, _ in PROGRAMS]
)
def test_a_program_in_the_docs_runs(run, tmp_path, path, number, text):
    """Without an error and without a word that is not its own."""
    text = text.replace("/tmp/shop.jsonl", str(tmp_path / "shop.jsonl"))
    (tmp_path / "program.py").write_text(text, encoding="utf-8")
    run("program.py")


def test_the_tutorial_shows_what_it_says(run, tmp_path):
    """Calls, errors, groups and totals, read back by its own commands."""
    first, second = (
        text for path, _, text in PROGRAMS if path.name == "first-probe.md"
    )
    (tmp_path / "shop.py").write_text(first, encoding="utf-8")

    assert "refused: limit exceeded\n" == run("shop.py")
    (tmp_path / "business.py").write_text(second, encoding="utf-8")
    run("business.py")
    run("business.py")

    def query(sql):
        return json.loads(
            run("-m", "probekit", "query", sql, "--json", "--buffer", "buffer.db")
        )

    assert [{"function": "__main__.charge", "calls": 4, "errors": 1}] == query(
        "SELECT function, calls, errors FROM v_functions"
    )
    assert [{"type": "ValueError", "count": 1, "culprit": "__main__.charge"}] == query(
        "SELECT type, count, culprit FROM v_errors"
    )
    assert [{"p": "free", "total": 2}, {"p": "pro", "total": 4}] == query(
        "SELECT attributes ->> '$.plan' AS p, total FROM v_counters ORDER BY p"
        if sqlite3.sqlite_version_info >= (3, 38)
        else "SELECT json_extract(attributes, '$.plan') AS p, total FROM v_counters "
        "ORDER BY p"
    )
    assert "fail" not in run("-m", "probekit", "doctor", "--buffer", "buffer.db")
