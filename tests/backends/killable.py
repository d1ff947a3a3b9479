"""A real server that a test kills and starts again, on the same port and folder."""

import contextlib
import os
import signal
import subprocess

from servers import wait_for_port


class Killable:
    """Starts at once; ``kill`` and ``start`` as often as a test wants.

    Args:
        arguments: The program and what it is told.
        folder: Its working folder; the log goes there.
        port: Where it listens when it is ready.
        sign: What kills it.
    """

    def __init__(self, arguments, folder, port, sign=signal.SIGKILL, **environment):
        self.port = port
        self._arguments = [str(argument) for argument in arguments]
        self._environment = {**os.environ, **environment}
        self._folder, self._sign = folder, sign
        folder.mkdir(parents=True, exist_ok=True)
        self._server = None
        self.start()

    def start(self):
        """Start it and wait until it listens."""
        log = self._folder / "log"
        with log.open("ab") as output:
            self._server = subprocess.Popen(
                self._arguments,
                cwd=self._folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment,
            )
        try:
            wait_for_port(self._server, self.port, log)
        except BaseException:
            self.kill()
            raise

    def kill(self):
        """Kill it without a farewell."""
        with contextlib.suppress(ProcessLookupError):
            self._server.send_signal(self._sign)
        try:
            self._server.wait(5)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait(5)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
