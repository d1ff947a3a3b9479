"""The original StatsD server; started as in ``servers``."""

import contextlib
import json
import re
import signal
import socket

from servers import SERVERS, command, running

from needs import installed


class Statsd:
    """A server and its admin port."""

    def __init__(self, ports):
        self.udp, self.tcp, self.admin = ports

    def ask(self, word):
        """What the admin port says: a JavaScript object, turned into a dict."""
        with socket.create_connection(("127.0.0.1", self.admin), 5) as line:
            line.sendall(word.encode() + b"\n")
            text = b""
            while not text.rstrip().endswith(b"END"):
                text += line.recv(65536)
        body = text.decode().replace("END", "").strip()
        body = re.sub(r"([{,]\s*)([A-Za-z_]\w*):", r'\1"\2":', body)
        body = re.sub(r"'((?:[^'\\]|\\.)*)'", r'"\1"', body)
        return json.loads(body)

    def bad_lines(self):
        """How many lines it could not read."""
        return self.ask("counters")["statsd.bad_lines_seen"]


@contextlib.contextmanager
def server(folder, ports, stop=signal.SIGTERM):
    """A statsd that keeps all in memory and forwards nothing; yields a ``Statsd``."""
    program = installed(SERVERS / "statsd" / "node_modules" / "statsd" / "stats.js")
    folder.mkdir(exist_ok=True)
    config = {
        "servers": [
            {"server": "./servers/udp", "address": "127.0.0.1", "port": ports[0]},
            {"server": "./servers/tcp", "address": "127.0.0.1", "port": ports[1]},
        ],
        "mgmt_address": "127.0.0.1",
        "mgmt_port": ports[2],
        "flushInterval": 3_600_000,
        "automaticConfigReload": False,
        "backends": [],
    }
    (folder / "config.js").write_text(json.dumps(config))
    arguments = [command("node"), program, folder / "config.js"]
    with running(arguments, folder, ports[2], stop):
        yield Statsd(ports)
