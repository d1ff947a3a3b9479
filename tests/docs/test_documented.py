import re
import sqlite3
from dataclasses import fields
from pathlib import Path

import click
import pytest

from probekit._version import __version__
from probekit.buffer import schema
from probekit.cli.group import COMMANDS, cli
from probekit.scrub import __file__ as package_file
from probekit.settings import Limits, Retention, Settings
from probekit.settings.environment import VARIABLES
from probekit.settings.load import RULES

SOURCE = Path(package_file).parents[1]
ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
RECORDS = sorted((ROOT / "docs" / "adr").glob("*.md"))
# ``make bench`` writes it.
MADE = {ROOT / "benchmarks" / "RESULTS.md"}


def page(name):
    return (REFERENCE / name).read_text(encoding="utf-8")


def first_cells(text):
    """All words in code style in the first column of the tables of *text*."""
    cells = re.findall(r"^\|([^|]*)\|", text, re.MULTILINE)
    return {word for cell in cells for word in re.findall(r"`([^`]+)`", cell)}


def section(text, heading):
    """The text below *heading*, up to the next one of its depth."""
    level = heading.split()[0]
    _, _, rest = text.partition(f"{heading}\n")
    return re.split(rf"^{level} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def test_every_setting_is_documented_and_no_other_one():
    """The table is the truth about names and variables."""
    text = page("settings.md")
    rows = re.findall(r"^\| `(\w+)` \|([^|]*)\|", text, re.MULTILINE)
    table = dict(rows[: len(RULES)])

    assert set(RULES) == set(table)
    assert {each.name for each in fields(Settings)} - {"origins"} <= set(table)
    for setting, (variable, _) in VARIABLES.items():
        assert f"`{variable}`" in table[setting]
    for variable in ("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES",
                     "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_SDK_DISABLED"):  # fmt: skip
        assert variable in text


@pytest.mark.parametrize(
    "heading, group", [("## `retention`", Retention), ("## `limits`", Limits)]
)
def test_every_part_of_a_group_is_documented_with_its_default(heading, group):
    """Names and numbers."""
    text = section(page("settings.md"), heading)
    rows = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", text, re.MULTILINE))

    assert {
        each.name: f"{getattr(group(), each.name):g}" for each in fields(group)
    } == {name: f"{float(number):g}" for name, number in rows.items()}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_documented(name):
    """And no option that is gone."""
    text = section(page("command-line.md"), f"## `probekit {name}`")
    command = cli.get_command(click.Context(cli), name)
    context = click.Context(command)
    kinds = command.list_commands(context) if isinstance(command, click.Group) else ()
    commands = [command, *(command.get_command(context, kind) for kind in kinds)]
    options = {
        spelling
        for each in commands
        for parameter in each.params
        if isinstance(parameter, click.Option)
        for spelling in (*parameter.opts, *parameter.secondary_opts)
    }

    assert options == {word for word in first_cells(text) if word.startswith("-")}


def relations():
    connection = sqlite3.connect(":memory:")
    connection.executescript(schema.script())
    names = connection.execute(
        "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')"
    ).fetchall()
    found = {
        name: {row[1] for row in connection.execute(f"PRAGMA table_info({name})")}
        for (name,) in names
    }
    connection.close()
    return found


@pytest.mark.parametrize("name, columns", relations().items())
def test_every_column_of_every_table_and_view_is_documented(name, columns):
    """They are public."""
    text = section(page("buffer-tables.md"), f"### `{name}`")

    assert columns == first_cells(text)


def test_every_metric_of_the_sources_is_documented():
    """By its name, read from the code."""
    told = set(re.findall(r"`([a-z_.]+)`", page("metrics.md")))
    code = "".join(
        path.read_text(encoding="utf-8") for path in SOURCE.glob("sources/*.py")
    )
    # Metrics and their attributes, some of them as the beginning of several names.
    used = set(re.findall(r'"((?:system|process|cpython)\.[a-z_.]+)"', code))
    whole = {
        name for name in used if any(f"{each}.".startswith(f"{name}.") for each in told)
    }

    assert len(used) > 30
    assert used == whole
    assert "probekit.function.duration" in told


def test_every_reason_of_a_loss_is_documented():
    """By its word, read from the code."""
    text = section(
        (ROOT / "docs/explanation/what-is-lost-when.md").read_text(encoding="utf-8"),
        "## The reasons",
    )
    code = "".join(
        path.read_text(encoding="utf-8")
        for room in ("recording", "buffer", "delivery")
        for path in SOURCE.glob(f"{room}/**/*.py")
    )
    calls = r'(?:loss|lose|add)\(\s*(?:"\w+"|signal), "([a-z_]+)"'
    used = set(re.findall(calls, code))

    assert {"invalid", "queue_full", "rate_limited"} <= used
    assert used <= first_cells(text)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_no_link_leads_nowhere(path):
    """Files, and headings in them."""
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        goal = (path.parent / name).resolve() if name else path

        assert goal.exists() or goal in MADE, f"{path.name}: {target}"
        if anchor:
            assert anchor in anchors(goal), f"{path.name}: {target}"


def anchors(path):
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings}


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.name)
def test_a_decision_says_why_and_what_would_change_our_mind(path):
    """Four parts, one page."""
    text = path.read_text(encoding="utf-8")

    assert text.startswith(f"# {path.name[:4]}. ")
    assert [
        "Context", "Decision", "Consequences", "What would change our mind"
    ] == re.findall(r"^## (.*)$", text, re.MULTILINE)  # fmt: skip
    assert len(text.splitlines()) < 80


def test_decisions_are_numbered_without_a_gap():
    """So that one can be named."""
    assert [f"{n:04d}" for n in range(1, len(RECORDS) + 1)] == [
        path.name[:4] for path in RECORDS
    ]


@pytest.mark.parametrize(
    "name, most_lines", [("README.md", 120), ("CONTRIBUTING.md", 150)]
)
def test_the_first_pages_stay_short(name, most_lines):
    """A newcomer reads them whole."""
    assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) < most_lines


def test_the_changelog_knows_the_version():
    """One number, two places."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    assert f"## [{__version__}]" in text
    assert "## [Unreleased]" in text
