"""rotel, an OTLP receiver that prints what it understood; started as in ``servers``."""

import contextlib
import importlib.util
import re
import signal
from pathlib import Path

from servers import eventually, running

from freeports import free_ports
from needs import installed


def program():
    """The receiver's binary inside its wheel."""
    found = importlib.util.find_spec("rotel")
    home = Path(found.origin).parent if found else Path("rotel")
    return installed(home / "rotel-agent")


class Rotel:
    """A running receiver."""

    def __init__(self, port, log, grpc):
        self.port, self.log, self.grpc = port, log, grpc

    def text(self):
        """What it has printed so far."""
        return self.log.read_text("utf-8", "replace")

    def has(self, *patterns):
        """Whether the log shows all of *patterns*, within a few seconds."""
        return eventually(
            lambda: all(re.search(pattern, self.text()) for pattern in patterns)
        )


@contextlib.contextmanager
def rotel(folder, ports=None, stop=signal.SIGTERM, *more):
    """A receiver that forwards nothing; yields a ``Rotel``."""
    http, grpc = ports or free_ports(2)
    arguments = [
        program(),
        "start",
        "--otlp-http-endpoint",
        f"127.0.0.1:{http}",
        "--otlp-grpc-endpoint",
        f"127.0.0.1:{grpc}",
        "--pid-file",
        folder / "pid",
        "--exporter",
        "blackhole",
        "--debug-log-verbosity",
        "detailed",
        *more,
    ]
    for signal_name in ("traces", "metrics", "logs"):
        arguments += ["--debug-log", signal_name]
    with running(arguments, folder, http, stop) as log:
        yield Rotel(http, log, grpc)
