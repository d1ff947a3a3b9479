"""Loki's push body and what is made of its answers."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probekit.errors import Forbidden, Rejected, RetryLater, TooLarge
from probekit.exporters import build
from probekit.exporters.loki.streams import LokiStreams
from probekit.model import Batch, Event, Resource
from probekit.testing import HttpReceiver, Reply
from probekit.testing.contract import only, sample_batch

WHO = Resource({"service.name": "shop", "host.name": "h1"})
GOLDEN = Path(__file__).parent / "golden"
EVENTS = only(sample_batch(), frozenset({"events"}))


def streams(*events, **labels):
    batch = Batch("0" * 32, WHO, (), events)
    return json.loads(LokiStreams(labels).body(batch))["streams"]


def test_streams_have_few_labels_and_their_entries_in_order():
    events = [
        Event(9, "late", number=1),
        Event(3, "early", {"k": "v"}, number=2),
        Event(5, "bad", severity=17, number=3),
    ]
    bad, good = streams(*events, **{"en-v": "x"})

    who = {"service_name": "shop", "host": "h1", "kind": "event", "en_v": "x"}
    assert {**who, "level": "error"} == bad["stream"]
    assert {**who, "level": "info"} == good["stream"]
    assert ["3", "9"] == [time for time, _ in good["values"]]
    assert {"name": "early", "k": "v"}.items() <= json.loads(
        good["values"][0][1]
    ).items()


def test_the_format_is_the_golden_file():
    found = LokiStreams().body(sample_batch(10**18))

    assert (GOLDEN / "loki.json").read_bytes() == found + b"\n"


TEXT = st.text(st.characters(), min_size=1, max_size=60)


@settings(max_examples=60)
@given(TEXT, TEXT, TEXT)
def test_no_text_adds_an_entry_or_a_label(name, key, value):
    (stream,) = streams(Event(1, name, {key: value}, body=value))

    assert {"service_name", "host", "kind", "level"} == set(stream["stream"])
    ((_, line),) = stream["values"]
    assert "\n" not in line
    told = json.loads(line)
    if value.isprintable():
        assert value == told["body"]
        assert value in told.values()  # under its key, or that of a key JSON can hold


def sent(reply, query=""):
    with HttpReceiver(script=[reply], reply=Reply(204)) as receiver:
        exporter = build(f"loki://127.0.0.1:{receiver.port}{query}")
        error = None
        try:
            exporter.send(EVENTS)
        except Exception as raised:
            error = raised
        exporter.close()
        return receiver.requests[0], error


def test_requests_carry_tenant_and_credentials():
    request, error = sent(Reply(204), "/base?token=t&header.X-Scope-OrgID=a")

    assert error is None
    assert "/base/loki/api/v1/push" == request.path
    assert "a" == request.headers["x-scope-orgid"]
    assert "Bearer t" == request.headers["authorization"]
    assert "gzip" == request.headers["content-encoding"]


@pytest.mark.parametrize(
    "status, kind",
    [
        (400, Rejected),
        (401, Forbidden),
        (404, Forbidden),
        (413, TooLarge),
        (429, RetryLater),
        (500, RetryLater),
        (503, RetryLater),
    ],
)
def test_answers_say_what_to_do(status, kind):
    _, error = sent(Reply(status, body=b"entry too far behind"))

    assert isinstance(error, kind)
    assert "too far behind" in str(error)


def test_a_login_page_is_no_acknowledgement():
    page = Reply(200, {"Content-Type": "text/html"}, b"<html>Log in")

    assert isinstance(sent(page)[1], RetryLater)


def test_a_push_that_loki_cannot_take_is_halved():
    events = tuple(Event(n, "a", body="x" * 10_000, number=n) for n in range(400))
    exporter = build("loki://127.0.0.1:9")
    with pytest.raises(TooLarge, match="more than Loki takes"):
        exporter.send(Batch("0" * 32, WHO, (), events))
    exporter.close()
