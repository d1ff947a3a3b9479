"""rsyslog, which writes down as JSON what it understood; started as in ``servers``."""

import contextlib
import json
import signal
import subprocess

from servers import command, running
from timeseries import package_version

from freeports import free_ports

CONFIG = """
global(workDirectory="{folder}" maxMessageSize="64k")
module(load="imudp")
module(load="imtcp")
input(type="imudp" address="127.0.0.1" port="{port}")
input(type="imtcp" address="127.0.0.1" port="{port}")
template(name="read" type="list" option.jsonf="on") {{
  property(outname="severity" name="syslogseverity-text" format="jsonf")
  property(outname="facility" name="syslogfacility-text" format="jsonf")
  property(outname="time" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="host" name="hostname" format="jsonf")
  property(outname="app" name="app-name" format="jsonf")
  property(outname="id" name="msgid" format="jsonf")
  property(outname="data" name="structured-data" format="jsonf")
  property(outname="text" name="msg" format="jsonf")
}}
action(type="omfile" file="{folder}/read.jsonl" template="read" asyncWriting="off")
"""


class Rsyslog:
    """A running rsyslog."""

    def __init__(self, port, folder):
        self.port, self._file = port, folder / "read.jsonl"

    def read(self):
        """Every message, as rsyslog understood it."""
        if not self._file.exists():
            return []
        # Behind the last line end is one that is still being written, or nothing.
        lines = self._file.read_text("utf-8", "replace").split("\n")[:-1]
        return [json.loads(line) for line in lines]


@contextlib.contextmanager
def rsyslog(folder, port=None, stop=signal.SIGTERM):
    """An rsyslog that listens over TCP and UDP; yields an ``Rsyslog``."""
    program = command("rsyslogd")
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_ports(1)[0]
    config = folder / "rsyslog.conf"
    config.write_text(CONFIG.format(folder=folder, port=port))
    arguments = [program, "-n", "-f", config, "-i", folder / "pid"]
    with running(arguments, folder, port, stop):
        yield Rsyslog(port, folder)


def version():
    """What the program calls itself."""
    done = subprocess.run(
        [command("rsyslogd"), "-v"], capture_output=True, text=True, check=False
    )
    return done.stdout.split()[1] if done.stdout else package_version("rsyslog")
