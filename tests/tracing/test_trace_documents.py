"""What the pages about traces say is true: their programs run, their tables hold."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from probekit.tracing import Tail
from probekit.tracing.connection import LOST

ROOT = Path(__file__).parents[2]
PAGES = ("traces.md", "opentelemetry.md")
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
PROGRAMS = [
    (name, number, text)
    for name in PAGES
    for number, text in enumerate(
        BLOCK.findall((ROOT / "docs/how-to" / name).read_text(encoding="utf-8"))
    )
]


@pytest.mark.e2e
@pytest.mark.parametrize(
    "name, number, text", PROGRAMS, ids=[f"{n}-{k}" for n, k, _ in PROGRAMS]
)
def test_a_program_on_the_pages_runs_in_silence(tmp_path, name, number, text):
    done = subprocess.run(
        [sys.executable, "-c", text],
        cwd=tmp_path,
        env=os.environ | {"PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )

    assert (0, "", "") == (done.returncode, done.stderr, done.stdout.strip())


def test_every_rule_of_the_tail_is_on_the_page_with_its_default():
    text = (ROOT / "docs/how-to/traces.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| `?([\w.,]+)`? \|", text, re.MULTILINE))
    tail = Tail()
    told = {
        "errors": str(tail.errors),
        "slower_than_s": "none",
        "slower_than_p99": str(tail.slower_than_p99),
        "share": str(tail.share),
        "most_spans": f"{tail.most_spans:,}",
    }

    assert set(Tail.__slots__) == set(told)
    assert told == rows


def test_the_loss_of_the_tail_has_a_reason_on_the_page():
    text = (ROOT / "docs/explanation/what-is-lost-when.md").read_text(encoding="utf-8")

    assert f"| `{LOST}` |" in text


def test_the_names_for_zero_code_lead_to_the_exporters():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    targets = re.findall(
        r"entry-points\.opentelemetry_(\w+)_exporter\]\nprobekit = \"(.+):(\w+)\"", text
    )

    assert ["logs", "metrics", "traces"] == sorted(kind for kind, *_ in targets)
    for _, module, name in targets:
        assert callable(getattr(importlib.import_module(module), name))
