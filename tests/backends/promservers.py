"""Prometheus and its Pushgateway, started as in ``servers``."""

import contextlib
import json
import signal
import urllib.parse

from servers import command, eventually, running
from timeseries import fetch

from freeports import free_ports

CONFIG = """\
global: {{scrape_interval: 250ms, scrape_timeout: 250ms}}
{more}
"""
SCRAPE = """\
scrape_configs:
  - job_name: probekit
    honor_labels: {honor}
    static_configs: [{{targets: ['127.0.0.1:{port}']}}]
"""


class PrometheusServer:
    """A running Prometheus.

    Attributes:
        port: Of its HTTP interface.
    """

    def __init__(self, port):
        self.port = port

    def api(self, path, **query):
        """The data of an answer of its interface."""
        text = urllib.parse.urlencode(query, doseq=True)
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{text}"
        return json.loads(fetch(url)).get("data")

    def rows(self, query):
        """(labels, value) of an instant query."""
        found = (self.api("query", query=query) or {}).get("result", [])
        return [(row["metric"], float(row["value"][1])) for row in found]

    def value(self, query):
        """The one value of an instant query; None without exactly one."""
        found = self.rows(query)
        return found[0][1] if len(found) == 1 else None


@contextlib.contextmanager
def prometheus(folder, port=None, *, scrape=None, honor="false", stop=signal.SIGTERM):
    """A Prometheus that takes remote write and may scrape a port of loopback."""
    program = command("prometheus")
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_ports(1)[0]
    more = "" if scrape is None else SCRAPE.format(port=scrape, honor=honor)
    (folder / "prometheus.yml").write_text(CONFIG.format(more=more))
    arguments = [
        program,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-remote-write-receiver",
        "--enable-feature=exemplar-storage",
        "--log.level=warn",
    ]
    with running(arguments, folder, port, stop):
        ready = f"http://127.0.0.1:{port}/-/ready"
        assert eventually(lambda: "Ready" in fetch(ready))
        yield PrometheusServer(port)


@contextlib.contextmanager
def pushgateway(folder, port=None, stop=signal.SIGTERM):
    """A Pushgateway; yields its port."""
    program = command("prometheus-pushgateway")
    port = port or free_ports(1)[0]
    store = f"--persistence.file={folder / 'store'}"
    arguments = [program, f"--web.listen-address=127.0.0.1:{port}", store]
    with running(arguments, folder, port, stop):
        yield port
