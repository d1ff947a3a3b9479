"""rsyslog reads our messages and writes them down as JSON."""

import json

import matrix
import pytest
from servers import eventually
from shop import Shop
from syslogserver import rsyslog, version

from probekit.exporters import build
from probekit.testing.contract import HOSTILE, hostile_batch, only

pytestmark = [pytest.mark.backend, pytest.mark.timeout(60)]


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
