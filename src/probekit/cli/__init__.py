"""The command line: one command a file, loaded when it is asked for.

People and scripts come here. Commands only read the buffer, except those whose name
says otherwise; every mistake is one line and an exit status above 0.
"""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    import click


def main(arguments: "Sequence[str] | None" = None) -> NoReturn:
    """Run one command and exit.

    Args:
        arguments: Without the program's name; the process's own when None.

    Exit status: 0 for success and for a reader that went away, 1 for what failed,
    2 for a wrong option, 130 after Ctrl-C; some commands define further ones.
    """
    sys.exit(_status(arguments))


def _status(arguments: "Sequence[str] | None") -> int:
    import click

    from probekit.cli.group import ReaderGone, cli
    from probekit.errors import ProbekitError

    try:
        result = cli.main(
            arguments, prog_name="probekit", standalone_mode=False
        )  # fmt: skip
        sys.stdout.flush()
    except click.UsageError as error:
        return _misused(error)
    except click.ClickException as error:
        return _complain(error.format_message(), error.exit_code)
    except ProbekitError as error:
        return _complain(str(error), 1)
    except (click.Abort, KeyboardInterrupt):
        return 130
    except (ReaderGone, BrokenPipeError):
        # The reader went away (``| head``). Nothing may be written any more, not even
        # by the interpreter's own flush at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return result if isinstance(result, int) else 0


def _misused(error: "click.UsageError") -> int:
    import click

    # Click 8.1 writes the help by itself when there is no word at all.
    if type(error).__name__ == "NoArgsIsHelpError":
        click.echo(error.format_message(), err=True)
        return 2
    return _complain(_with_command(error), 2)


def _complain(text: str, status: int) -> int:
    import click

    click.echo(f"probekit: {' '.join(text.split())}", err=True)
    return status


def _with_command(error: "click.UsageError") -> str:
    command = error.ctx.command_path if error.ctx else "probekit"
    text = error.format_message()
    end = "" if text.endswith((".", "?", "!")) else "."
    return f"{text}{end} See '{command} --help'."
