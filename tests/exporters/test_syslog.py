"""Syslog messages after RFC 5424, read by its grammar."""

import re
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probekit.errors import Forbidden, Rejected
from probekit.exporters import build
from probekit.exporters.syslog.messages import SyslogMessages, framed
from probekit.model import Batch, Event, Resource
from probekit.testing import TcpReceiver, UdpReceiver
from probekit.testing.contract import only, sample_batch

HERE = Path(__file__).parent
WHO = Resource({"service.name": "shop", "host.name": "h1", "process.pid": 7})
VALUE = r'"((?:[^"\\\]]|\\.)*)"'
MESSAGE = re.compile(
    r"<(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,6}Z) ([!-~]{1,255}) "
    r"([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) "
    rf"(-|\[[!-~]{{1,32}}(?: [!#-<>-\\^-~]{{1,32}}={VALUE})*\]) (.*)",
    re.DOTALL,
)


def parsed(message):
    found = MESSAGE.fullmatch(message.decode())
    assert found, message[:200]
    pairs = re.findall(rf" ([!-~]{{1,32}}?)={VALUE}", found[7])
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names))
    plain = {n: re.sub(r'\\(["\\\]])', r"\1", v) for n, v in pairs}
    return found[1], found[6], plain, found[9]


def messages(*events, **options):
    return SyslogMessages(**options).messages(Batch("0" * 32, WHO, (), events))


def test_the_format_is_the_golden_file():
    found = SyslogMessages(metrics=True).messages(sample_batch(10**18))

    assert (HERE / "golden" / "syslog.txt").read_bytes() == b"\n".join([*found, b""])


@pytest.mark.parametrize(
    "severity, facility, priority",
    [
        (1, "user", 15),
        (5, "user", 15),
        (9, "user", 14),
        (13, "daemon", 28),
        (17, "local0", 131),
        (21, "kern", 2),
        (0, "user", 14),
        (99, "user", 14),
    ],
)
def test_severity_and_facility_are_the_priority(severity, facility, priority):
    (message,) = messages(Event(1, "a", severity=severity), facility=facility)

    assert str(priority) == parsed(message)[0]


TEXT = st.text(st.characters(), min_size=1, max_size=60)


@settings(max_examples=100)
@given(TEXT, TEXT, TEXT, st.text(st.characters(), max_size=60))
def test_no_text_adds_a_message_or_a_parameter(name, key, value, body):
    (message,) = messages(Event(1, name, {key: value}, body=body))
    _, message_id, data, text = parsed(message)

    assert message.decode().isprintable()
    assert 1 == len(data)
    if value.isprintable():
        assert [value] == list(data.values())
    if body and body.isprintable():
        assert body == text
    if re.fullmatch("[!-~]{1,32}", name):
        assert name == message_id


def test_keys_that_become_one_stay_apart():
    attributes = {"a b": 1, "a=b": 2, "a_b": 3, "k" * 40: 4, "k" * 41: 5}
    (message,) = messages(Event(1, "a", attributes))
    data = parsed(message)[2]

    assert ["1", "2", "3", "4", "5"] == list(data.values())


def test_a_stream_is_octets_counted():
    batch = only(sample_batch(), frozenset({"events"}))
    with TcpReceiver() as receiver:
        exporter = build(f"syslog+tcp://127.0.0.1:{receiver.port}?timeout_s=2")
        exporter.send(batch)
        exporter.close()
        receiver.wait_until(lambda: b"it broke" in receiver.received)
        data = receiver.received

    assert framed(SyslogMessages().messages(batch)) == data
    size, _, rest = data.partition(b" ")
    assert rest[: int(size)].endswith(b"order.refunded")


def test_a_stream_may_be_lines():
    batch = only(sample_batch(), frozenset({"events"}))
    with TcpReceiver() as receiver:
        place = f"syslog+tcp://127.0.0.1:{receiver.port}?framing=lines&timeout_s=2"
        exporter = build(place)
        exporter.send(batch)
        exporter.close()

        assert SyslogMessages().messages(batch) == receiver.wait_for_lines(2)


def test_tls_is_verified():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    folder = HERE / "certificates"
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    batch = only(sample_batch(), frozenset({"events"}))
    with TcpReceiver(tls=context) as receiver:
        place = f"syslog+tls://127.0.0.1:{receiver.port}?timeout_s=2"
        stranger = build(place)
        with pytest.raises(Forbidden, match="certificate"):
            stranger.send(batch)
        stranger.close()
        exporter = build(f"{place}&ca={folder / 'ca.pem'}")
        exporter.send(batch)
        exporter.close()

        assert receiver.wait_until(lambda: b"it broke" in receiver.received)


def test_each_datagram_is_one_message_and_none_is_cut():
    batch = only(sample_batch(), frozenset({"events"}))
    long = replace(batch.events[0], body="x" * 9000)
    with UdpReceiver() as receiver:
        exporter = build(f"syslog://127.0.0.1:{receiver.port}")
        exporter.send(batch)
        with pytest.raises(Rejected, match="longer than a datagram of 8192"):
            exporter.send(replace(batch, events=(long,)))
        exporter.close()
        receiver.wait_for(2)

        assert SyslogMessages().messages(batch) == receiver.datagrams
