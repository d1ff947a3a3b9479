"""Management commands as jobs: how long, whether they succeeded, when they last did."""

from functools import wraps
from typing import Any

from django.core.management.base import BaseCommand

from probekit.recording.underway.job import job

# They run for as long as somebody wants them to.
SERVING = frozenset(
    {
        *("runserver", "testserver", "shell", "dbshell", "test"),
        *("runserver_plus", "shell_plus"),
    },
)
_MARK = "_probekit_watched"


def watch_commands() -> None:
    """Make every execution of a command a run of the job ``django.<command>``; once."""
    execute = BaseCommand.execute
    if hasattr(execute, _MARK):
        return

    @wraps(execute)
    def watched(self: Any, *args: Any, **options: Any) -> Any:
        name = type(self).__module__.rpartition(".")[2]
        if name in SERVING:
            return execute(self, *args, **options)
        with job(f"django.{name}"):
            return execute(self, *args, **options)

    setattr(watched, _MARK, True)
    BaseCommand.execute = watched
