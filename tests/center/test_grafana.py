"""Dashboards that Grafana imports: every store, every question, nothing overlapping."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from needs import absent
from probekit.center.dashboards.grafana import dashboard
from probekit.center.dashboards.questions import SECTIONS
from probekit.center.dashboards.stores import STORES
from probekit.cli.dashboards_grafana import DATASOURCES
from probekit.cli.group import cli

HOME = Path(__file__).parents[2]
QUESTIONS = [question for _, questions in SECTIONS for question in questions]
CHECK = """import type {{Dashboard}} from "@grafana/schema";
const found: Partial<Dashboard> = {document};
export default found;
"""
COMPILE = (
    "--noEmit",
    "--strict",
    "--skipLibCheck",
    *("--moduleResolution", "bundler"),
    *("--module", "esnext"),
    *("--target", "es2020"),
)


def panels(store):
    return [p for p in dashboard(store)["panels"] if p["type"] == "timeseries"]


def test_the_command_knows_every_store():
    assert set(STORES) == set(DATASOURCES)


@pytest.mark.parametrize("store", STORES)
def test_the_command_writes_json_with_every_question(store):
    done = CliRunner().invoke(cli, ["dashboards", "grafana", "--datasource", store])
    found = json.loads(done.output)
    titles = [p["title"] for p in found["panels"] if p["type"] != "row"]

    assert 0 == done.exit_code
    assert [question.title for question in QUESTIONS] == titles
    assert [title for title, _ in SECTIONS] == [
        p["title"] for p in found["panels"] if p["type"] == "row"
    ]


@pytest.mark.parametrize("store", STORES)
def test_panels_have_ids_of_their_own_and_do_not_overlap(store):
    found = dashboard(store)["panels"]
    cells = [
        (x, y)
        for place in (p["gridPos"] for p in found)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(cells) == len(set(cells))
    assert len(found) == len({p["id"] for p in found})
    assert all(0 <= x < 24 for x, _ in cells)


@pytest.mark.parametrize("store", STORES)
def test_each_target_asks_for_its_metric(store):
    for panel, question in zip(panels(store), QUESTIONS, strict=True):
        (target,) = panel["targets"]
        text = json.dumps(target)
        name = question.metric.replace(".", "_" if store == "prometheus" else ".")

        assert name in text
        assert ("error" in text) >= question.failed


def compiler():
    servers = os.environ.get("PROBEKIT_SERVERS") or HOME / "var" / "servers"
    home = Path(servers) / "grafana"
    program = home / "node_modules" / "typescript" / "bin" / "tsc"
    if shutil.which("node") is None or not program.exists():
        absent("@grafana/schema", "run tests/backends/install.sh")
    return home, program


@pytest.mark.backend
def test_grafanas_own_types_accept_every_dashboard():
    home, program = compiler()
    files = []
    for store in STORES:
        path = home / f"check_{store}.ts"
        path.write_text(CHECK.format(document=json.dumps(dashboard(store))))
        files.append(path)
    done = subprocess.run(
        ["node", program, *COMPILE, *files],
        cwd=home,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert (0, "") == (done.returncode, done.stdout)


@pytest.mark.backend
def test_grafanas_own_types_refuse_a_wrong_one():
    home, program = compiler()
    path = home / "check_wrong.ts"
    wrong = {**dashboard("prometheus"), "refresh": 30}
    path.write_text(CHECK.format(document=json.dumps(wrong)))
    done = subprocess.run(
        ["node", program, *COMPILE, path],
        cwd=home,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode
    assert "'number' is not assignable to type 'string'" in done.stdout


@pytest.mark.backend
def test_promtool_parses_every_query(tmp_path):
    program = shutil.which("promtool")
    if program is None:
        absent("promtool", "run tests/backends/install.sh")
    rules = [
        {"record": f"r{index}", "expr": _filled(p["targets"][0]["expr"])}
        for index, p in enumerate(panels("prometheus"))
    ]
    path = tmp_path / "rules.yml"
    path.write_text(json.dumps({"groups": [{"name": "g", "rules": rules}]}))
    done = subprocess.run(
        [program, "check", "rules", path],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert 0 == done.returncode, done.stdout + done.stderr


def _filled(expression):
    return expression.replace("$__rate_interval", "1m").replace("$metric", "m_total")
