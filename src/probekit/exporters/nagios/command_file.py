"""Results into Nagios' command file: a pipe that somebody must be reading.

A write of up to 4096 bytes is never mixed with another writer's, so every write holds
whole lines and no more than that. The pipe is never made: where there is none, or
nobody reads, the results wait.
"""

import errno
import os
import select
import stat
from collections.abc import Sequence
from pathlib import Path

from probekit.descriptor import write_now
from probekit.errors import RetryLater
from probekit.exporters.nagios.results import Result, cut
from probekit.exporters.transport.deadline import Deadline
from probekit.exporters.transport.udp import pack

WRITE_BYTES = 4096  # PIPE_BUF of Linux


def command_line(host: str, result: Result) -> bytes:
    """A result as an external command, without its line end; pure.

    Example:
        >>> command_line("web1", Result("orders", 0, "OK | 'n'=3", 1700000000))
        b"[1700000000] PROCESS_SERVICE_CHECK_RESULT;web1;orders;0;OK | 'n'=3"

    """
    head = (
        f"[{result.time_unix_s}] PROCESS_SERVICE_CHECK_RESULT;"
        f"{host};{result.service};{result.code};"
    ).encode("utf-8", "replace")
    return head + cut(result.output, WRITE_BYTES - 1 - len(head))


class CommandFile:
    """Writes to the pipe.

    Args:
        path: The file that ``command_file`` of ``nagios.cfg`` names.
        timeout_s: For one batch, seconds.
    """

    __slots__ = ("_path", "timeout_s")

    def __init__(self, path: Path, timeout_s: float) -> None:
        """Open nothing yet."""
        self._path = path
        self.timeout_s = timeout_s

    def send(self, host: str, results: "Sequence[Result]") -> None:
        """Hand *results* to whoever reads the pipe.

        Raises:
            RetryLater: There is no pipe, nobody reads it, or it stays full.

        """
        deadline = Deadline(self.timeout_s, str(self._path))
        lines = [command_line(host, result) for result in results]
        try:
            descriptor = os.open(
                self._path, os.O_WRONLY | os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)
            )
        except OSError as error:
            why = error.strerror or "cannot be opened"
            if error.errno == errno.ENXIO:
                why = "nobody reads it; is Nagios running?"
            raise RetryLater(f"{self._path}: {why}") from None
        try:
            if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
                raise RetryLater(f"{self._path} is no pipe; is Nagios running?")
            for chunk in pack(lines, WRITE_BYTES - 1):
                self._write(descriptor, chunk + b"\n", deadline)
        finally:
            os.close(descriptor)

    def _write(self, descriptor: int, chunk: bytes, deadline: Deadline) -> None:
        while not self._fits(descriptor, chunk):
            select.select([], [descriptor], [], min(deadline.left_s(), 0.2))

    def _fits(self, descriptor: int, chunk: bytes) -> bool:
        """Write *chunk* whole, or say that the pipe is full; it is short enough."""
        try:
            write_now(descriptor, chunk)
        except BlockingIOError:
            return False
        except OSError as error:
            why = error.strerror or "cannot be written"
            raise RetryLater(f"{self._path}: {why}") from None
        return True

    def close(self) -> None:
        """Nothing is kept open between batches."""
