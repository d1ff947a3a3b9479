import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

import probekit.cli
from probekit.cli.dashboards import KINDS
from probekit.cli.group import COMMANDS, cli

FOLDER = Path(probekit.cli.__file__).parent


@pytest.fixture
def start():
    """Run a command in a process of its own; none outlives its test."""
    processes = []

    def run(*arguments):
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "probekit", *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return processes[-1]

    yield run
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def test_help_names_every_command_without_importing_one(probekit):
    """The table is enough."""
    status, out, _ = probekit("--help")

    assert 0 == status
    assert all(name in out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_agrees_with_the_command(name):
    """Name, and the line that help shows."""
    module, line = COMMANDS[name]
    command = importlib.import_module(f"probekit.cli.{module}").command

    assert name == command.name
    assert line == command.short_help
    assert command is cli.get_command(click.Context(cli), name)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_explains_itself(probekit, name):
    """In its own help."""
    status, out, _ = probekit(name, "--help")

    assert 0 == status
    assert COMMANDS[name][1].split()[0] in out
    command = cli.get_command(click.Context(cli), name)
    for parameter in command.params:
        assert isinstance(parameter, click.Argument) or parameter.help


def test_every_module_with_a_command_is_in_the_table():
    """No command is forgotten, and no kind of dashboard."""
    modules = {
        path.stem
        for path in FOLDER.glob("*.py")
        if "@click.command(" in path.read_text(encoding="utf-8")
    }
    kinds = {module for module, _ in KINDS.values()}

    assert (
        modules | {"dashboards"} == {module for module, _ in COMMANDS.values()} | kinds
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_table_of_dashboards_agrees_with_the_command(kind):
    """Name, and the line that help shows."""
    module, line = KINDS[kind]
    command = importlib.import_module(f"probekit.cli.{module}").command

    assert (kind, line) == (command.name, command.short_help)


def test_a_command_loads_only_what_it_needs():
    """Starting must be quick: status reads a file and no more."""
    program = (
        "import sys\n"
        "from probekit.cli.group import cli\n"
        "import click\n"
        "cli.get_command(click.Context(cli), 'status')\n"
        "heavy = 'sqlite_utils psutil wrapt opentelemetry asyncio http.client '\n"
        "heavy += 'probekit.recording probekit.exporters probekit.cli.doctor'\n"
        "print(set(heavy.split()) & set(sys.modules))\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout

    assert "set()" == out.strip()


def test_the_version_is_ours(probekit):
    """From one place."""
    from probekit._version import __version__

    assert __version__ in probekit("--version")[1]


@pytest.mark.e2e
def test_a_reader_that_goes_away_ends_it_quietly(start, buffer):
    """As ``| head`` does."""
    sql = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
        "SELECT i FROM n LIMIT 99999"
    )
    process = start("query", sql, "--csv", "--buffer", buffer.path)
    process.stdout.readline()
    process.stdout.close()
    err = process.stderr.read()

    assert 0 == process.wait()
    assert "" == err


@pytest.mark.e2e
@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
def test_tail_follows_until_ctrl_c(start, buffer):
    """New events come while it runs; an interrupt is a normal end."""
    process = start("tail", "--events", "--buffer", buffer.path)
    seen = [process.stdout.readline() for _ in range(2)]
    buffer.add(events=[buffer.event("order.late")])
    seen.append(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)

    assert "order.late" in seen[-1]
    assert 0 == process.returncode
    assert "" == err


@pytest.mark.e2e
@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
def test_ctrl_c_stops_a_long_query(start, buffer):
    """SQLite is left within a moment, with the shell's status for it."""
    sql = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
        "SELECT i FROM n WHERE i < 3"
    )
    process = start("query", sql, "--csv", "--buffer", buffer.path)
    seen = [process.stdout.readline() for _ in range(2)]
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)

    assert ["i\n", "1\n"] == seen
    assert 130 == process.returncode
    assert "Traceback" not in err
