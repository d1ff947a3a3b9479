"""OTLP over HTTP: what an answer means, and what never goes twice."""

from dataclasses import replace

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceResponse,
)
from tests_otlp_messages import REQUESTS, records_in

from probekit.errors import Forbidden, Rejected, RetryLater, TooLarge
from probekit.exporters import build
from probekit.exporters.otlp.answers import PROTOBUF
from probekit.exporters.otlp.delivered import Delivered
from probekit.exporters.otlp.protobuf import text
from probekit.testing import HttpReceiver, Reply
from probekit.testing.contract import sample_batch

OK = Reply(headers={"Content-Type": PROTOBUF})
METRICS, LOGS, TRACES = REQUESTS


def partial(rejected, message="", status=200):
    answer = ExportMetricsServiceResponse(
        partial_success=ExportMetricsPartialSuccess(
            rejected_data_points=rejected,
            error_message=message,
        ),
    )
    return Reply(status, {"Content-Type": PROTOBUF}, answer.SerializeToString())


@pytest.fixture
def receiver():
    with HttpReceiver(reply=OK) as made:
        yield made


@pytest.fixture
def exporter(receiver):
    made = build(f"otlp://127.0.0.1:{receiver.port}?timeout_s=2")
    yield made
    made.close()


def paths(receiver):
    return [request.path for request in receiver.requests]


def test_each_signal_goes_to_its_own_path_over_one_connection(receiver, exporter):
    exporter.send(sample_batch())

    assert [METRICS, LOGS, TRACES] == paths(receiver)
    assert [5, 2, 1] == [records_in(request) for request in receiver.requests]
    assert 1 == receiver.connections
    assert {(PROTOBUF, "gzip")} == {
        (request.headers["content-type"], request.headers["content-encoding"])
        for request in receiver.requests
    }


def test_the_same_batch_makes_the_same_bytes(receiver, exporter):
    batch = sample_batch(10**18)
    exporter.send(batch)
    exporter.send(batch)
    bodies = [request.raw_body for request in receiver.requests]

    assert bodies[:3] == bodies[3:]


def test_headers_path_compression_and_signals_are_options(receiver):
    exporter = build(
        f"otlp://127.0.0.1:{receiver.port}/base?gzip=0&header.X-Tenant=a&token=t"
        f"&signals=events,metrics",
    )
    exporter.send(sample_batch())
    exporter.close()
    request = receiver.requests[0]

    assert ["/base/v1/metrics", "/base/v1/logs"] == paths(receiver)
    assert ("a", "Bearer t") == (
        request.headers["x-tenant"],
        request.headers["authorization"],
    )
    assert "content-encoding" not in request.headers
    assert {"metrics", "events"} == exporter.contract.signals


@pytest.mark.parametrize(
    "reply",
    [Reply(), Reply(headers={"Content-Type": "text/html"}), Reply(204), OK],
)
def test_an_empty_answer_is_a_full_success(receiver, exporter, reply):
    receiver.reply = reply
    exporter.send(sample_batch())

    assert 3 == len(receiver.requests)


@pytest.mark.row("N7")
@pytest.mark.parametrize("content_type", ["text/html", "text/plain", ""])
def test_a_login_page_is_no_acknowledgement(receiver, exporter, content_type):
    headers = {"Content-Type": content_type} if content_type else {}
    receiver.reply = Reply(200, headers, b"<html>log in</html>")
    with pytest.raises(RetryLater, match="no OTLP receiver"):
        exporter.send(sample_batch())

    assert [METRICS] == paths(receiver)


@pytest.mark.row("N8")
def test_a_partial_success_is_counted_and_not_sent_again(receiver, exporter):
    receiver.answer_with(partial(2, "bad points"), OK, partial(1, "bad span"))
    with pytest.raises(Rejected, match="bad points; bad span") as caught:
        exporter.send(sample_batch())
    exporter.send(sample_batch())

    assert 3 == caught.value.count
    assert 6 == len(receiver.requests)


def test_a_partial_success_in_json_is_read_too(receiver, exporter):
    body = b'{"partialSuccess": {"rejectedDataPoints": "2", "errorMessage": "why"}}'
    receiver.answer_with(Reply(200, {"Content-Type": "application/json"}, body))
    with pytest.raises(Rejected, match="why") as caught:
        exporter.send(sample_batch())

    assert 2 == caught.value.count


@pytest.mark.parametrize(
    "body", [b"\xff\xff", b'{"partialSuccess": 3}', b"[]", b"\x0a\x05ab"]
)
@pytest.mark.parametrize("kind", [PROTOBUF, "application/json"])
def test_an_answer_that_cannot_be_read_is_a_full_success(
    receiver, exporter, body, kind
):
    receiver.reply = Reply(200, {"Content-Type": kind}, body)
    exporter.send(sample_batch())

    assert 3 == len(receiver.requests)


def test_a_warning_is_told_and_nothing_counted(receiver, exporter, caplog, monkeypatch):
    monkeypatch.setattr("probekit.notice._last_told_s", {})
    receiver.reply = partial(0, "deprecated")
    exporter.send(sample_batch())

    assert 1 == len([r for r in caplog.records if "deprecated" in r.message])


def test_what_was_accepted_is_not_sent_again_when_a_later_request_fails(
    receiver, exporter
):
    batch = sample_batch()
    receiver.answer_with(OK, Reply(503), OK, Reply(429))
    with pytest.raises(RetryLater):
        exporter.send(batch)
    with pytest.raises(RetryLater):
        exporter.send(batch)
    exporter.send(batch)

    assert [METRICS, LOGS, LOGS, TRACES, TRACES] == paths(receiver)


def test_halves_of_a_batch_do_not_repeat_what_was_accepted(receiver, exporter):
    batch = sample_batch()
    receiver.answer_with(OK, Reply(413))
    with pytest.raises(TooLarge):
        exporter.send(batch)
    exporter.send(replace(batch, events=batch.events[:1], spans=()))
    exporter.send(replace(batch, windows=(), events=batch.events[1:]))

    assert [METRICS, LOGS, LOGS, LOGS, TRACES] == paths(receiver)
    assert [5, 2, 1, 1, 1] == [records_in(request) for request in receiver.requests]


def test_a_partial_success_before_a_failure_is_not_forgotten(receiver, exporter):
    receiver.answer_with(partial(2, "bad"), Reply(503))
    with pytest.raises(RetryLater):
        exporter.send(sample_batch())
    with pytest.raises(Rejected, match="bad") as caught:
        exporter.send(sample_batch())

    assert 2 == caught.value.count
    assert [METRICS, LOGS, LOGS, TRACES] == paths(receiver)


def test_a_batch_that_was_taken_may_come_again(receiver, exporter):
    """What is remembered is forgotten with success: a replay is no retry."""
    receiver.answer_with(OK, Reply(503))
    with pytest.raises(RetryLater):
        exporter.send(sample_batch())
    exporter.send(sample_batch())
    exporter.send(sample_batch())

    assert [METRICS, LOGS, LOGS, TRACES, METRICS, LOGS, TRACES] == paths(receiver)


def test_a_refused_request_is_refused_as_a_whole(receiver, exporter):
    status = text(2, "the reason")
    receiver.answer_with(Reply(400, {"Content-Type": PROTOBUF}, status))
    with pytest.raises(Rejected, match=r"400.*the reason") as caught:
        exporter.send(sample_batch())

    assert caught.value.count is None


@pytest.mark.row("N7")
def test_a_500_drops_one_request_with_its_number_and_the_others_go(receiver, exporter):
    receiver.answer_with(Reply(500, body=b"oops"))
    with pytest.raises(Rejected, match=r"500.*oops") as caught:
        exporter.send(sample_batch())

    assert 5 == caught.value.count
    assert [METRICS, LOGS, TRACES] == paths(receiver)


@pytest.mark.row("N6")
@pytest.mark.parametrize("status", [401, 403, 404, 302])
def test_wrong_credentials_or_addresses_keep_the_data(receiver, exporter, status):
    receiver.answer_with(Reply(status, {"Location": "http://elsewhere/"}))
    with pytest.raises(Forbidden):
        exporter.send(sample_batch())

    assert [METRICS] == paths(receiver)


@pytest.mark.row("N2")
def test_three_requests_share_one_deadline(receiver):
    exporter = build(f"otlp://127.0.0.1:{receiver.port}?timeout_s=0.2")
    receiver.reply = replace(OK, delay_s=0.12)
    with pytest.raises(RetryLater):
        exporter.send(sample_batch())
    exporter.close()

    assert 0.2 == exporter.contract.deadline_s
    assert len(receiver.requests) < 3  # one or two, as busy as the machine is


def test_memory_of_what_was_accepted_is_bounded():
    memory, batch = Delivered(limit=3), sample_batch()
    memory.add(batch, "metrics")
    rest = memory.remaining(batch)

    assert batch.windows[0].points[:2] == tuple(rest.windows[0].points)
    assert batch.events == tuple(rest.events)
