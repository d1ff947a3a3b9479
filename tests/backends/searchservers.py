"""Two servers that speak Elasticsearch's and OpenSearch's language; from wheels."""

import contextlib
import importlib.util
import json
import signal
import urllib.error
import urllib.request
from pathlib import Path

from killable import Killable

from freeports import free_ports
from needs import installed

PROTOCOLS = (
    "elasticsearch",
    "kafka",
    "clickhouse",
    "postgres",
    "mysql",
    "redis",
    "mongodb",
)


class Search:
    """A running server.

    Args:
        server: A Killable.
        query: What the exporter's URL needs.
    """

    def __init__(self, server, query):
        self.server = server
        self.url = f"elasticsearch://127.0.0.1:{server.port}?{query}"

    def ask(self, path, body=None, method=None):
        """An answer's document; an error is one too."""
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.server.port}{path}",
            data,
            {"Content-Type": "application/json"},
            method=method,
        )
        with contextlib.ExitStack() as stack:
            try:
                answer = stack.enter_context(
                    urllib.request.urlopen(request, timeout=20)
                )
            except urllib.error.HTTPError as error:
                answer = stack.enter_context(error)
            return json.loads(answer.read())

    def documents(self, stream, **terms):
        """All documents of a stream, as they were sent."""
        self.ask(f"/{stream}/_refresh", {})
        must = [{"term": {key: value}} for key, value in terms.items()]
        query = {"query": {"bool": {"filter": must}}, "size": 5000}
        found = self.ask(f"/{stream}/_search", query)
        return [hit["_source"] for hit in found.get("hits", {}).get("hits", [])]

    def version(self):
        """Name and version, as it says it itself."""
        return self.ask("/")["version"]["number"]


def _folder_of(package):
    found = importlib.util.find_spec(package)
    return Path(found.origin).parent if found else Path(package)


@contextlib.contextmanager
def noida(folder):
    """Says it is Elasticsearch; keeps its data in *folder*."""
    program = installed(_folder_of("noida_db") / "noida-db")
    ports = free_ports(len(PROTOCOLS))
    options = [
        part
        for name, port in zip(PROTOCOLS, ports, strict=True)
        for part in (f"--{name}-port", port)
    ]
    command = [program, "start", "--data-dir", folder / "data", *options]
    # Killed hard it forgets what it has acknowledged: no model of the real one.
    with Killable(command, folder, ports[0], signal.SIGTERM) as server:
        server.ports = dict(zip(PROTOCOLS, ports, strict=True))
        yield Search(server, "timeout_s=5")


@contextlib.contextmanager
def osmem(folder):
    """Says it is OpenSearch; in memory only, no data streams."""
    program = installed(_folder_of("osmem_server") / "bin" / "osmem-server")
    (port,) = free_ports(1)
    address = ["-addr", f"127.0.0.1:{port}", "-no-stdin-watch"]
    with Killable([program, *address], folder, port) as server:
        yield Search(server, "data_streams=0")
