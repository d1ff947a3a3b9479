"""ClickHouse's engine behind its HTTP interface; started as in ``servers``."""

import json
import sys
import urllib.request
from pathlib import Path

from killable import Killable
from servers import SERVERS

from freeports import free_ports
from needs import installed


class Engine:
    """A running engine.

    Args:
        server: A Killable.
    """

    def __init__(self, server):
        self.server = server

    def url(self, database):
        """The exporter's URL."""
        return f"clickhouse://127.0.0.1:{self.server.port}/{database}"

    def rows(self, query):
        """What a query finds, a dict a row."""
        url = f"http://127.0.0.1:{self.server.port}/"
        with urllib.request.urlopen(url, query.encode(), timeout=20) as answer:
            return [json.loads(line) for line in answer.read().splitlines() if line]


def clickhouse(folder):
    """An engine that keeps its data in *folder*; a Killable."""
    home = installed(SERVERS / "chdb" / "chdb").parent
    (port,) = free_ports(1)
    program = Path(__file__).with_name("clickhouse_http.py")
    command = [sys.executable, program, port, folder / "data"]
    return Killable(command, folder, port, PYTHONPATH=str(home))
