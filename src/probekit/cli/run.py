"""``probekit run``: starts a program with probekit inside, without a change to it.

The program takes this process's place, so its exit status and the signals it gets are
its own. How it comes to have probekit inside is told in ``autostart``.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from probekit.autostart import environment_for
from probekit.errors import ConfigError


class NotFound(click.ClickException):
    """There is no such program; the exit status is a shell's."""

    exit_code = 127


class CannotRun(click.ClickException):
    """The program is there and cannot be run; the exit status is a shell's."""

    exit_code = 126


@click.command(
    name="run",
    short_help="Run a program with probekit inside; no change to its code.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.option(
    "-m", "module", is_flag=True, help="PROGRAM is a module, as in python -m."
)
@click.option("--service", metavar="NAME", help="Name of the application.")
@click.option("--buffer", metavar="FILE", help="Where the data is kept.")
@click.option(
    "--exporter",
    "exporters",
    metavar="URL",
    multiple=True,
    help="Where to deliver to; may be repeated.",
)
@click.option(
    "--instrument",
    metavar="PATTERN",
    multiple=True,
    help="Time the functions of these modules, as 'shop.*'; may be repeated.",
)
@click.option(
    "--libraries/--no-libraries",
    default=None,
    help="Watch HTTP clients, databases and the like; on by default.",
)
@click.argument("program")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(
    module: bool,
    program: str,
    arguments: "tuple[str, ...]",
    **options: Any,
) -> None:
    r"""Run a script, a module (-m) or a program of this environment, watched.

    Settings come from the options, then the environment (PROBEKIT_*), then
    pyproject.toml or probekit.toml; children of the program inherit them.

    \b
      probekit run app.py --port 8000
      probekit run -m shop.worker
      probekit run --service shop --instrument 'shop.*' gunicorn shop:app
    """
    if program.startswith("-"):
        raise click.NoSuchOption(program)
    check(options)
    environ = environment_for(os.environ, **options)
    become(command_line(program, arguments, is_module=module), environ)


def check(options: Mapping[str, Any]) -> None:
    """Complain about options before the program starts.

    What the environment or a file says wrongly does not stop the program: it runs
    without being watched, and a line on stderr says so.

    Raises:
        ConfigError: An option cannot be used.

    """
    from probekit.exporters import build
    from probekit.recording.hook.pattern import checked_rule
    from probekit.settings import load

    checked_rule(options["instrument"], (), None, properties=False, dunders=False)
    try:
        load()
    except ConfigError as error:
        click.echo(f"probekit: not watching: {error}", err=True)
        return
    load(service=options["service"], buffer=options["buffer"])
    for url in options["exporters"]:
        build(url).close()


def command_line(
    program: str, arguments: Sequence[str], *, is_module: bool
) -> "list[str]":
    """The command that runs *program*.

    A Python file, a folder or an archive runs under this Python; anything else is a
    program, looked for beside this Python first and then on ``PATH``.

    Raises:
        NotFound: There is no such program; exit status 127.

    """
    if is_module:
        return [sys.executable, "-m", program, *arguments]
    path = Path(program)
    is_file = path.is_file()
    is_named_by_path = os.sep in program
    if path.is_dir() or (is_file and _is_python(path)):
        return [sys.executable, program, *arguments]
    if is_named_by_path and is_file:
        return [program, *arguments]
    beside = str(Path(sys.executable).parent)
    found = shutil.which(program, path=beside) or shutil.which(program)
    if found is None or is_named_by_path:
        raise NotFound(f"there is no file or program {program!r}")
    return [found, *arguments]


def _is_python(path: Path) -> bool:
    return path.suffix in {".py", ".pyw", ".pyc", ".pyz"} or not os.access(
        path, os.X_OK
    )


def become(words: Sequence[str], environ: Mapping[str, str]) -> None:
    """Put the program in this process's place; on Windows, wait for it.

    Raises:
        CannotRun: It cannot be run; exit status 126.

    """
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        if os.name == "nt":
            sys.exit(subprocess.run(words, env=environ, check=False).returncode)  # noqa: S603
        os.execve(words[0], list(words), environ)  # noqa: S606
    except OSError as failure:
        raise CannotRun(f"{words[0]} cannot be run: {failure.strerror}") from None
