"""``shipper="process"``: a process that leads and ships for a family of processes.

The family holds the write ends of a pipe; its end of file says that the last one is
gone. Settings travel through that pipe and never through arguments or environment,
where ``ps`` would show their secrets. The child is nobody's child: whoever starts it
waits only for a stepping stone, so that masters' ``waitpid(-1)`` never meet it.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from probekit.alone import Alone
from probekit.clock import SYSTEM_CLOCK, Clock
from probekit.delivery.wake import is_heard
from probekit.descriptor import Held, write_now
from probekit.notice import notice

if TYPE_CHECKING:
    from probekit.settings import Settings

_AGAIN_S = (2.0, 60.0)  # shortest and longest pause between two starts
_PIPE_BYTES = 60_000  # what a pipe takes without a reader
_STEPPING_STONE_S = 5.0

# Runs isolated and without site: a stepping stone of 15 ms.
_STONE = (
    "import os,sys\n"
    "if os.fork():os._exit(0)\n"
    "os.execv(sys.executable,[sys.executable,'-c',sys.argv[1]])"
)
_MAIN = (
    "import os,sys,json\n"
    "text=b''\n"
    "while text[-1:]!=b'\\n':\n"
    "    chunk=os.read(0,65536)\n"
    "    if not chunk:os._exit(0)\n"
    "    text+=chunk\n"
    "sys.path[:],settings=json.loads(text)\n"
    "from probekit.runtime.family import main\n"
    "main(settings)"
)


class Sidecar:
    """A process's hold on the sidecar of its family.

    Threads:
        One at a time.
    """

    def __init__(
        self,
        settings: "Settings",
        wake: Path,
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Write the settings down; nothing is started yet.

        Raises:
            ConfigError: An exporter was given as an object, which cannot travel.

        """
        import json

        # An empty entry means the working folder, which the sidecar leaves.
        path = [entry or os.getcwd() for entry in sys.path]  # noqa: PTH109 - text
        self._text = json.dumps([path, settings.to_json()]) + "\n"
        self._wake = wake
        self._clock = clock
        self._not_before_s = float("-inf")
        self._again_s = _AGAIN_S[0]
        self._pipe: Held | None = None
        self._alone = Alone()

    def ensure(self) -> None:
        """Start a sidecar unless somebody leads already; never raises.

        Threads:
            Any; returns at once while another one starts it.

        """
        if is_heard(self._wake):
            self._again_s = _AGAIN_S[0]
            return
        try:
            self._alone.run(self._start_if_due)
        except Exception as error:
            notice("sidecar", f"the shipping process could not be started: {error}")

    def _start_if_due(self) -> None:
        now_s = self._clock.monotonic_s()
        if now_s >= self._not_before_s:
            self._not_before_s = now_s + self._again_s
            self._again_s = min(2 * self._again_s, _AGAIN_S[1])
            self._start()

    def release(self) -> None:
        """Say that this process leaves the family."""
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            try:
                pipe.close()
            except OSError:  # the host closes all descriptors just now
                return

    def inherit(self) -> None:
        """In a forked child: a lock of its own; the pipe makes it one of the family."""
        self._alone = Alone()

    def _start(self) -> None:
        import subprocess  # 10 ms, and only here

        data = self._text.encode()
        if len(data) > _PIPE_BYTES:
            raise ValueError(f"settings of {len(data)} bytes do not fit into a pipe")
        if not sys.executable:
            raise ValueError("this Python does not know its own executable")
        reader, writer = os.pipe()
        try:
            write_now(writer, data)
            stone = subprocess.Popen(  # noqa: S603 - our own interpreter, fixed words
                [sys.executable, "-I", "-S", "-c", _STONE, _MAIN],
                stdin=reader,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
            )
        except BaseException:
            os.close(writer)
            raise
        finally:
            os.close(reader)
        self.release()
        self._pipe = Held.of(writer)
        stone.wait(_STEPPING_STONE_S)
