"""UDP: lossy, and honest about it."""

import contextlib
import json
import socket
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probekit.errors import Rejected, RetryLater, TooLarge
from probekit.exporters import build
from probekit.exporters.jsonlines import JsonLines
from probekit.exporters.transport.udp import UdpTransport, pack
from probekit.histogram import Histogram
from probekit.model import Batch, Point, Resource, Series, Window
from probekit.testing import UdpReceiver
from probekit.testing.contract import hostile_batch, only, sample_batch


@pytest.fixture
def receiver():
    with UdpReceiver() as made:
        yield made


def test_datagrams_arrive_as_they_were_cut(receiver):
    transport = UdpTransport([("127.0.0.1", receiver.port)])
    transport.send([b"one", b"two\nthree"])
    transport.close()

    assert [b"one", b"two\nthree"] == receiver.wait_for(2)


def test_a_closed_port_keeps_the_batch_and_repeats_nothing(receiver):
    transport = UdpTransport([("127.0.0.1", receiver.port)])
    datagrams = [b"%d" % number for number in range(10)]
    receiver.stop()
    for _ in range(3):
        with pytest.raises(RetryLater, match="refused"):
            transport.send(datagrams, "key")
    receiver.start()
    transport.send(datagrams, "key")
    transport.close()

    assert datagrams == receiver.wait_for(10)


def test_the_next_host_is_used_after_a_refusal(receiver):
    with UdpReceiver() as gone:
        port = gone.port
    transport = UdpTransport([("127.0.0.1", port), ("127.0.0.1", receiver.port)])
    with pytest.raises(RetryLater):
        transport.send([b"x"], "key")
    transport.send([b"x"], "key")
    transport.close()

    assert [b"x"] == receiver.wait_for(1)


def test_a_backlog_leaves_a_receiver_time_to_read(monkeypatch):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        slow.bind(("127.0.0.1", 0))
        slow.setblocking(False)
        read = []

        def pause(_seconds):
            with contextlib.suppress(BlockingIOError):
                while True:
                    read.append(slow.recv(2000))

        monkeypatch.setattr(time, "sleep", pause)
        transport = UdpTransport([slow.getsockname()])
        datagrams = [b"%03d" % number + b"x" * 1400 for number in range(300)]
        transport.send(datagrams)
        transport.close()
        pause(0)

    assert datagrams == read


def test_a_datagram_that_the_system_refuses_is_too_large(receiver):
    transport = UdpTransport([("127.0.0.1", receiver.port)])
    with pytest.raises(TooLarge):
        transport.send([b"x" * 65508])
    transport.close()


def test_a_record_longer_than_a_datagram_is_refused_before_anything_is_sent(receiver):
    exporter = build(f"udp://127.0.0.1:{receiver.port}")
    long = hostile_batch("x" * 2000)
    with pytest.raises(Rejected, match="1432"):
        exporter.send(only(long, frozenset({"events"})))
    exporter.send(sample_batch())
    exporter.close()

    assert 8 == len(receiver.wait_for(8))
    assert max(map(len, receiver.datagrams)) <= 1432


@settings(max_examples=20)
@given(
    values=st.lists(st.floats(1e-6, 1e6), min_size=300, max_size=600),
    limit_bytes=st.integers(400, 3000),
)
def test_a_wide_histogram_fits_a_datagram_and_its_bounds_still_count_exactly(
    values, limit_bytes
):
    value = Histogram.of(values)
    point = Point(Series("latency", "histogram", "s"), value)
    batch = Batch("b" * 32, Resource(), [Window(1, 0, 10**10, [point])])
    [line] = JsonLines(limit_bytes).lines(batch)
    told = json.loads(line)

    assert len(line) <= limit_bytes
    assert (len(values), value.sum) == (told["count"], told["sum"])
    counted = 0
    for bound, count in told["buckets"]:
        counted += count
        assert value.at_or_below(bound) == counted


@settings(max_examples=60)
@given(st.lists(st.binary(min_size=1, max_size=30).filter(lambda b: b"\n" not in b)))
def test_packing_keeps_every_line_in_order_within_the_limit(lines):
    datagrams = pack(lines, 40)

    assert lines == [line for data in datagrams for line in data.split(b"\n")]
    assert all(len(data) <= 40 for data in datagrams)
    assert len(datagrams) <= max(1, len(lines))


def test_events_and_spans_say_their_number_where_they_may_get_lost(receiver):
    batch = sample_batch(10**18)
    exporter = build(f"udp://127.0.0.1:{receiver.port}")
    exporter.send(batch)
    exporter.close()
    lines = [json.loads(each) for each in receiver.wait_for(len(batch))]

    for kind, records in (("event", batch.events), ("span", batch.spans)):
        said = [
            (line["probekit.stream"], line["probekit.number"])
            for line in lines
            if line["type"] == kind
        ]
        assert [(batch.buffer_id, each.number) for each in records] == said
        assert said
    assert b"probekit.number" not in JsonLines().document(batch)
