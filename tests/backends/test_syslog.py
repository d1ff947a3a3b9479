"""rsyslog reads our messages and writes them down as JSON."""

import contextlib
import json
import subprocess

import matrix
import pytest
from servers import command, eventually, free_ports
from shop import Shop
from timeseries import package_version

from probekit.exporters import build
from probekit.testing.contract import HOSTILE, hostile_batch, only

pytestmark = [pytest.mark.backend, pytest.mark.timeout(60)]
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
        lines = self._file.read_text("utf-8", "replace").split("\n")
        return [json.loads(line) for line in lines if line]


@contextlib.contextmanager
def rsyslog(folder):
    program = command("rsyslogd")
    folder.mkdir(parents=True)
    (port,) = free_ports(1)
    config = folder / "rsyslog.conf"
    config.write_text(CONFIG.format(folder=folder, port=port))
    arguments = [program, "-n", "-f", config, "-i", folder / "pid"]
    from servers import running

    with running(arguments, folder, port):
        yield Rsyslog(port, folder)


def version():
    done = subprocess.run(
        [command("rsyslogd"), "-v"], capture_output=True, text=True, check=False
    )
    return done.stdout.split()[1] if done.stdout else package_version("rsyslog")


@pytest.mark.parametrize("scheme", ["syslog", "syslog+tcp"])
def test_everything_that_happens_in_an_application_is_read(tmp_path, scheme):
    with rsyslog(tmp_path / "rsyslog") as server:
        url = (
            f"{scheme}://127.0.0.1:{server.port}?facility=local3&signals=events,metrics"
        )
        with Shop(tmp_path, url) as shop:
            assert shop.delivered()
        found = eventually(lambda: len(server.read()) >= 6 and server.read())
    by_id = {message["id"]: message for message in found}
    numbers = [json.loads(m["text"]) for m in found if m["id"] == "metric"]
    refunded, exception = by_id["order.refunded"], by_id["exception"]
    sent = {
        "host, app": ["h1", "shop"],
        "event": '[probekit@32473 amount="9" order.id="A1"]',
        "severities": ["info", "err"],
        "facility": "local3",
        "exception": True,
        "counter": 3,
    }
    read = {
        "host, app": [refunded["host"], refunded["app"]],
        "event": refunded["data"],
        "severities": [refunded["severity"], exception["severity"]],
        "facility": refunded["facility"],
        "exception": 'exception.type="ValueError"' in exception["data"],
        "counter": next(n["total"] for n in numbers if n["name"] == "shop.orders"),
    }

    matrix.record(f"`{scheme}:`", f"rsyslog {version()}", sent, read)
    assert sent == read


@pytest.mark.parametrize("scheme", ["syslog", "syslog+tcp", "lines"])
def test_words_of_users_add_no_message(tmp_path, scheme):
    with rsyslog(tmp_path / "rsyslog") as server:
        more = {"syslog": "&datagram_bytes=60000", "lines": "&framing=lines"}
        long = more.get(scheme, "")
        scheme = "syslog+tcp" if scheme == "lines" else scheme
        exporter = build(f"{scheme}://127.0.0.1:{server.port}?signals=events{long}")
        for text in HOSTILE:
            exporter.send(only(hostile_batch(text), frozenset({"events"})))
        exporter.close()
        found = eventually(lambda: len(server.read()) >= len(HOSTILE) and server.read())

    assert len(HOSTILE) == len(found)
    assert all(message["app"] == "shop" for message in found)
    assert all("probekit@32473" in message["data"] for message in found)
