"""collectd's packets, read by a parser after its documentation."""

import hashlib
import hmac
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probekit.errors import Rejected
from probekit.exporters.collectd.packets import CollectdPackets
from probekit.model import Batch, Event, Point, Resource, Series, Window
from probekit.testing.contract import sample_batch

WHO = Resource({"service.name": "shop", "host.name": "h1"})
TEXTS = {0: "host", 2: "plugin", 3: "instance", 4: "type", 5: "name", 0x100: "message"}


def parse(packet):
    """Values and notifications of one packet, each with what was said before it."""
    said, found = {}, []
    while packet:
        kind, length = struct.unpack(">HH", packet[:4])
        assert 4 <= length <= len(packet)
        body, packet = packet[4:length], packet[length:]
        if kind in TEXTS:
            assert body.endswith(b"\0")
            assert body.count(b"\0") == 1
            said[TEXTS[kind]] = body[:-1].decode()
        elif kind in (8, 9, 0x101):
            name = {8: "time", 9: "interval", 0x101: "severity"}[kind]
            (said[name],) = struct.unpack(">Q", body)
        elif kind == 6:
            count, type_ = struct.unpack(">HB", body[:3])
            assert (1, 11) == (count, len(body))
            form = "<d" if type_ == 1 else ">q"
            found.append({**said, "value": struct.unpack(form, body[3:])[0]})
        else:
            raise AssertionError(kind)
        if kind == 0x100:
            found.append(dict(said))
    return found


def told(*points, events=(), **options):
    batch = Batch("0" * 32, WHO, (Window(1, 0, 10**10, points),), events)
    packets = CollectdPackets(**options).packets(batch)
    assert all(len(packet) <= 1452 for packet in packets)
    return [record for packet in packets for record in parse(packet)]


def test_the_format_is_the_golden_file():
    packets = CollectdPackets().packets(sample_batch(10**18))
    golden = Path(__file__).parent / "golden" / "collectd.hex"

    assert golden.read_text().split() == [packet.hex() for packet in packets]


def test_numbers_have_a_place_a_time_and_a_type():
    packets = CollectdPackets().packets(sample_batch(0))
    found = [record for packet in packets for record in parse(packet)]
    head = {"host": "h1", "plugin": "probekit", "instance": "shop"}
    times = {"time": 10 << 30, "interval": 10 << 30}

    assert {**head, **times, "type": "derive", "name": "shop.orders.plan.pro"} | {
        "value": 3
    } == found[0]
    assert ("gauge", "shop.carts", -2.0) == tuple(
        found[2][key] for key in ("type", "name", "value")
    )
    values = {(r["type"], r["name"]): r.get("value") for r in found}
    assert 9374 == values["total_time_in_ms", "shop.request.duration.plan.pro.sum"]
    assert 4 == values["derive", "shop.request.duration.plan.pro.count"]
    assert 9.0 == values["gauge", "shop.request.duration.plan.pro.max"]


def test_events_are_notifications():
    refunded, broke = (r for r in parse_all(sample_batch(0)) if "severity" in r)

    assert (4, "event", "order.refunded") == tuple(
        refunded[key] for key in ("severity", "type", "name")
    )
    assert (
        'order.refunded {"order.id":"A1","amount":9,"ok":true}' == refunded["message"]
    )
    assert (1, (2 << 30) // 10**9) == (broke["severity"], broke["time"])


def parse_all(batch):
    return [r for packet in CollectdPackets().packets(batch) for r in parse(packet)]


def test_a_signature_covers_user_and_packet():
    batch = sample_batch(0)
    packets = CollectdPackets(user="pk", password="secret").packets(batch)
    records = []
    for packet in packets:
        assert len(packet) <= 1452
        kind, length = struct.unpack(">HH", packet[:4])
        assert (0x200, 38) == (kind, length)
        signature, signed = packet[4:36], packet[36:]
        assert hmac.new(b"secret", signed, hashlib.sha256).digest() == signature
        assert signed.startswith(b"pk")
        records += parse(packet[length:])

    assert parse_all(batch) == records


TEXT = st.text(st.characters(), min_size=1, max_size=200)


@settings(max_examples=80)
@given(TEXT, TEXT, TEXT)
def test_no_text_adds_a_record_or_outgrows_a_name(name, key, value):
    point = Point(Series(name, "gauge", attributes=((key, value),)), 1.5)
    event = Event(1, name, {key: value}, body=value)
    measured, happened = told(point, events=[event])

    assert 1.5 == measured["value"]
    assert len(measured["name"]) <= 127
    assert not set("/\0\n") & set(measured["name"] + happened["name"])
    assert len(happened["message"].encode()) <= 255
    assert happened["message"].isprintable()


def test_two_series_never_share_a_name():
    series = [
        Series("a b", "gauge"),
        Series("a_b", "gauge"),
        Series("a_b", "counter"),
        Series("a", "gauge", attributes=(("b", "c.d"),)),
        Series("a", "gauge", attributes=(("b", "c_d"),)),
        Series("x" * 150, "gauge"),
        Series("x" * 151, "gauge"),
    ]
    found = told(*(Point(one, 1.0) for one in series))

    assert len(series) == len({record["name"] for record in found})


@pytest.mark.parametrize("value", [float("nan"), 1e30])
def test_a_total_that_is_no_integer_of_64_bits_is_refused(value):
    with pytest.raises(Rejected, match="no"):
        told(Point(Series("a", "counter"), 1.0, total=value))


def test_many_numbers_go_in_several_packets():
    points = [Point(Series(f"g{n}", "gauge"), float(n)) for n in range(500)]

    assert [float(n) for n in range(500)] == [r["value"] for r in told(*points)]
