"""Remote write: totals, in order, never ahead of the clock, refused apart."""

import struct
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probekit.clock import SYSTEM_CLOCK
from probekit.errors import Forbidden, Rejected, RetryLater
from probekit.exporters import RemoteWrite, build
from probekit.exporters.otlp.protobuf import fields
from probekit.exporters.prometheus.snappy import packed
from probekit.exporters.prometheus.write_request import WriteRequests
from probekit.histogram import Histogram
from probekit.model import Batch, Point, Resource, Series, Window
from probekit.testing import HttpReceiver, Reply
from probekit.testing.contract import SECRET, ExporterContract, only, sample_batch

ORDERS = Series("shop.orders", "counter")


def unpacked(block):
    """A snappy block of literals, by the format's description."""
    size = shift = at = 0
    while True:
        byte = block[at]
        at += 1
        size |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            break
    found = b""
    while at < len(block):
        tag = block[at] >> 2
        extra = max(0, tag - 59)
        length = (
            tag
            if not extra
            else int.from_bytes(block[at + 1 : at + 1 + extra], "little")
        )
        at += 1 + extra
        found += block[at : at + length + 1]
        at += length + 1
    assert size == len(found)
    return found


def series_in(message):
    """Labels → [(time, value)] of a WriteRequest."""
    found = {}
    for number, content in fields(message):
        if number != 1:
            continue
        labels, told = {}, []
        for inner, part in fields(content):
            pair = dict(fields(part))
            if inner == 1:
                labels[pair[1].decode()] = pair[2].decode()
            else:
                bits = pair[1].to_bytes(8, "little")
                told.append((pair[2], struct.unpack("<d", bits)[0]))
        found[frozenset(labels.items())] = told
    return found


def batch(*windows):
    return Batch("0" * 32, Resource({"service.name": "shop"}), windows)


def window(end_s, *points, id_=1):
    return Window(id_, (end_s - 10) * 10**9, end_s * 10**9, points)


def named(found, name, **labels):
    wanted = {"__name__": name, "job": "shop", **labels}
    return found.get(frozenset(wanted.items()))


@settings(max_examples=40)
@given(st.binary(max_size=400), st.sampled_from([0, 60, 255, 256, 65535, 65536, 65537]))
def test_what_is_packed_unpacks(content, padding):
    content += b"x" * padding

    assert content == unpacked(packed(content))


def test_a_counter_begins_with_zero_and_goes_on_with_its_total():
    requests = WriteRequests()
    first = batch(window(100, Point(ORDERS, 3.0, total=3.0)))
    second = batch(window(110, Point(ORDERS, 2.0, total=5.0)))
    found = series_in(requests.encode(first, first.windows))
    requests.sent(first.windows)
    later = series_in(requests.encode(second, second.windows))

    assert [(90_000, 0.0), (100_000, 3.0)] == named(found, "shop_orders_total")
    assert [(110_000, 5.0)] == named(later, "shop_orders_total")


def test_a_repeated_request_is_the_same_request():
    requests = WriteRequests()
    given_ = sample_batch(10**18)

    assert requests.encode(given_, given_.windows) == requests.encode(
        given_, given_.windows
    )


def test_labels_are_sorted_and_carry_job_and_instance():
    requests = WriteRequests()
    resource = {"service.name": "a", "service.namespace": "n", "host.name": "h"}
    given_ = replace(sample_batch(10**18), resource=Resource(resource))
    message = requests.encode(given_, given_.windows)
    for number, content in fields(message):
        if number == 1:
            keys = [dict(fields(part))[1] for n, part in fields(content) if n == 1]
            assert sorted(set(keys)) == keys
            assert {b"__name__", b"job", b"instance"} <= set(keys)
    told = next(iter(series_in(message)))

    assert {("job", "n/a"), ("instance", "h")} <= told


def test_a_histogram_is_its_buckets_sum_and_count():
    took = Series("took", "histogram", "s")
    told = Histogram.of([0.01, 0.02, 99.0])
    given_ = batch(window(100, Point(took, Histogram.of([99.0]), total=told)))
    found = series_in(WriteRequests(bounds=(0.01, 1.0)).encode(given_, given_.windows))

    assert [1.0, 2.0, 3.0] == [
        named(found, "took_seconds_bucket", le=le)[-1][1]
        for le in ("0.01", "1.0", "+Inf")
    ]
    assert 3.0 == named(found, "took_seconds_count")[-1][1]
    assert told.sum == named(found, "took_seconds_sum")[-1][1]


def test_what_does_not_change_is_said_again_every_minute():
    requests, other = WriteRequests(), Series("other", "gauge")
    first = batch(window(100, Point(ORDERS, 3.0, total=3.0)))
    requests.sent(first.windows)
    seen = []
    for end_s in (110, 165, 175):
        later = batch(window(end_s, Point(other, 1.0)))
        seen.append(
            named(series_in(requests.encode(later, later.windows)), "shop_orders_total")
        )
        requests.said_again(later.windows)
        requests.sent(later.windows)

    assert [None, [(165_000, 3.0)], None] == seen


class TestRemoteWrite(ExporterContract):
    @pytest.fixture(autouse=True)
    def far_side(self):
        with HttpReceiver(reply=Reply(204)) as self.receiver:
            yield

    def exporter(self):
        return build(f"prometheus-remote-write://127.0.0.1:{self.receiver.port}")

    def break_far_side(self):
        self.receiver.stop()
        return True

    def secret_url(self):
        place = f"127.0.0.1:{self.receiver.port}"
        return f"prometheus-remote-write://u:{SECRET}@{place}/x?header.x-key={SECRET}"


@pytest.mark.parametrize(
    "reply, error",
    [
        (Reply(400, body=b"out of order sample"), Rejected),
        (Reply(500, body=b'label name "a" is not unique: invalid sample'), Rejected),
        (Reply(500, body=b"disk full"), RetryLater),
        (Reply(503, {"Retry-After": "3"}), RetryLater),
        (Reply(404), Forbidden),
    ],
)
def test_answers_mean_what_the_table_says(reply, error):
    with HttpReceiver(reply=reply) as receiver:
        exporter = build(f"prometheus-remote-write://127.0.0.1:{receiver.port}")
        with pytest.raises(error):
            exporter.send(only(sample_batch(), exporter.contract.signals))
        exporter.close()
        (request,) = receiver.requests

    assert "/api/v1/write" == request.path
    assert "snappy" == request.headers["content-encoding"]


def test_no_sample_is_ahead_of_the_clock():
    now_s = SYSTEM_CLOCK.wall_ns() // 10**9
    point = Point(ORDERS, 1.0, total=1.0)
    with HttpReceiver(reply=Reply(204)) as receiver:
        url = f"prometheus-remote-write://127.0.0.1:{receiver.port}"
        exporter = RemoteWrite(url)
        with pytest.raises(RetryLater) as waits:
            exporter.send(batch(window(now_s + 5, point)))
        with pytest.raises(Rejected, match="ahead") as refuses:
            exporter.send(batch(window(now_s - 20, point), window(now_s + 900, point)))
        exporter.close()
        (request,) = receiver.requests
    told = named(series_in(unpacked(request.raw_body)), "shop_orders_total")

    assert 3 < waits.value.after_s <= 6.001
    assert 1 == refuses.value.count
    assert (now_s - 20) * 1000 == told[-1][0]
