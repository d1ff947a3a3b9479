import math
import re
import struct
import xml.dom.minidom
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probekit.exporters.nagios.command_file import command_line
from probekit.exporters.nagios.nrdp import document
from probekit.exporters.nagios.nsca import packet, xored
from probekit.exporters.nagios.plugin import Perf, Range, judge, line, plain
from probekit.exporters.nagios.results import NagiosResults, Result, Thresholds
from probekit.model import Batch, Event, Point, Resource, Series, Window
from probekit.testing.contract import HOSTILE, hostile_batch, sample_batch

GOLDEN = Path(__file__).parent / "golden" / "nagios.txt"
START = 1_700_000_000_000_000_000
COMMAND = re.compile(
    rb"\[\d+\] PROCESS_SERVICE_CHECK_RESULT;h1;[^;|\n]{1,120};[0-3];[^\n]*"
)
texts = st.text(max_size=40) | st.sampled_from(HOSTILE)


def test_the_commands_of_a_batch_are_the_golden_ones():
    made = NagiosResults(
        thresholds={
            "shop.orders": Thresholds(Range.parse("2"), Range.parse("10")),
            "shop.request.duration:max": Thresholds(crit=Range.parse("5")),
        }
    )
    lines = [command_line("h1", result) for result in made.of(sample_batch(START))]

    assert GOLDEN.read_bytes() == b"".join(each + b"\n" for each in lines)


@pytest.mark.parametrize(
    "text, fine, alarming",
    [
        ("10", [0, 10, 5.5], [-0.1, 10.1]),
        ("10:", [10, 1e9], [9.9, -1]),
        ("~:10", [-1e9, 10], [10.1]),
        ("10:20", [10, 15, 20], [9, 21]),
        ("@10:20", [9.9, 20.1], [10, 15, 20]),
        ("@10", [-1, 11], [0, 10]),
        ("-5:-1", [-5, -1], [0, -6]),
        ("1e-3", [0.0005], [0.002]),
    ],
)
def test_a_range_alerts_where_nagios_says(text, fine, alarming):
    found = Range.parse(text)

    assert [] == [value for value in fine if found.alerts(value)]
    assert [] == [value for value in alarming if not found.alerts(value)]


@pytest.mark.parametrize("text", ["", " ", ":", "x", "1:2:3", "@", "2:1", "nan", "5:~"])
def test_what_is_no_range_is_refused(text):
    with pytest.raises(ValueError, match=r"no range"):
        Range.parse(text)


def test_critical_goes_before_warning():
    assert 2 == judge(9.0, Range.parse("1"), Range.parse("5"))
    assert 1 == judge(3.0, Range.parse("1"), Range.parse("5"))
    assert 0 == judge(3.0, None, None)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_plain_number_has_no_exponent_and_keeps_its_value(value):
    text = plain(value)

    assert re.fullmatch(r"-?\d+(\.\d+)?", text)
    assert math.isclose(float(text), value, rel_tol=1e-6, abs_tol=1e-9)


@settings(max_examples=80)
@given(texts, st.lists(st.tuples(texts, st.floats(-1e6, 1e6)), max_size=3))
def test_a_line_of_output_stays_one(text, figures):
    perf = [Perf(f"f{n}", value) for n, (_, value) in enumerate(figures)]
    said, bar, data = line(text, perf).partition(" | ")

    assert not re.search(r"[|\\\x00-\x1f]", said)
    assert bool(bar) == bool(perf)
    assert len(perf) == len(data.split())


@settings(max_examples=80)
@given(texts, st.dictionaries(texts, texts, max_size=3))
def test_a_record_is_one_command_whatever_it_says(name, attributes):
    frozen = tuple(sorted(attributes.items()))
    batch = Batch(
        "0" * 32,
        Resource(),
        (
            Window(
                1, START, START + 1, (Point(Series(name, "gauge", "", frozen), 1.0),)
            ),
        ),
        events=(Event(START, name, attributes, body=name),),
    )
    lines = [command_line("h1", result) for result in NagiosResults().of(batch)]

    assert 2 == len(lines)
    assert all(COMMAND.fullmatch(each) and len(each) < 4096 for each in lines)


def test_two_series_never_share_a_service():
    names = [f"a{text}b" for text in ("|", ";", "=", "\n", "é", "_")]
    points = tuple(Point(Series(name, "gauge"), 1.0) for name in names)
    batch = Batch("0" * 32, Resource(), (Window(1, 0, 10**9, points),))
    made = NagiosResults()
    services = [result.service for result in made.of(batch)]

    assert len(names) == len(set(services))
    assert services == [result.service for result in made.of(batch)]


def test_only_the_services_asked_for_are_sent():
    made = NagiosResults(["shop.c*", "shop.temperature"])
    found = {result.service for result in made.of(sample_batch(START))}

    assert {"shop.carts", "shop.temperature", "events", "exceptions"} == found


def test_severity_makes_the_state():
    events = tuple(Event(START, f"e{n}", severity=n) for n in (9, 13, 17))
    batch = Batch("0" * 32, Resource(), events=events)

    assert [0, 1, 2] == [result.code for result in NagiosResults().of(batch)]


@pytest.mark.parametrize("size, room", [(4304, 4096), (720, 512)])
def test_a_packet_is_what_the_daemon_checks(size, room):
    result = Result("orders", 2, "x" * 5000, 0)
    made = packet("h" * 80, result, 1_700_000_000, size)
    form = f">hxxIIh64s128s{room}sxx"
    version, checksum, time_s, code, host, service, output = struct.unpack(form, made)
    zeroed = made[:4] + b"\0\0\0\0" + made[8:]

    assert size == len(made)
    assert (3, 1_700_000_000, 2) == (version, time_s, code)
    assert checksum == zlib.crc32(zeroed)
    assert b"h" * 63 == host.rstrip(b"\0")
    assert b"orders" == service.rstrip(b"\0")
    assert b"x" * (room - 1) == output.rstrip(b"\0")


@given(
    st.binary(max_size=300), st.binary(min_size=1, max_size=9), st.binary(max_size=5)
)
def test_xor_is_byte_by_byte_and_its_own_inverse(data, vector, password):
    expected = bytes(
        byte
        ^ vector[i % len(vector)]
        ^ (password[i % len(password)] if password else 0)
        for i, byte in enumerate(data)
    )

    assert expected == xored(data, vector, password)
    assert data == xored(expected, vector, password)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_document_has_as_many_results_as_were_made(text):
    results = NagiosResults().of(hostile_batch(text))
    parsed = xml.dom.minidom.parseString(document("h1", results).encode("utf-8"))

    assert 2 == len(parsed.getElementsByTagName("checkresult"))
    outputs = parsed.getElementsByTagName("output")
    assert all("\n" not in output.firstChild.data for output in outputs)
