"""OTLP/JSON: what the generated classes read out of it is what the bytes say."""

import base64
import json

import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)

from probekit.errors import Rejected, RetryLater
from probekit.exporters import build
from probekit.exporters.otlp.json_form import as_json
from probekit.exporters.otlp.logs import encode_logs
from probekit.exporters.otlp.metrics import MetricsEncoder
from probekit.exporters.otlp.traces import encode_traces
from probekit.histogram import Histogram
from probekit.model import Batch, Event, Point, Resource, Series, Window
from probekit.testing import HttpReceiver, Reply
from probekit.testing.contract import (
    HOSTILE,
    ExporterContract,
    hostile_batch,
    sample_batch,
)

FORMS = {
    "metrics": (MetricsEncoder().encode, ExportMetricsServiceRequest),
    "logs": (encode_logs, ExportLogsServiceRequest),
    "traces": (encode_traces, ExportTraceServiceRequest),
}
OK = Reply(headers={"Content-Type": "application/json"}, body=b"{}")


def read(kind, body):
    """The generated message of a JSON body; its identifiers are hexadecimal there."""

    def in_base64(found):
        if isinstance(found, list):
            return [in_base64(item) for item in found]
        if not isinstance(found, dict):
            return found
        return {
            key: base64.b64encode(bytes.fromhex(value)).decode()
            if key in {"traceId", "spanId", "parentSpanId"}
            else in_base64(value)
            for key, value in found.items()
        }

    return json_format.ParseDict(in_base64(json.loads(body)), FORMS[kind][1]())


def assert_same(batch):
    for kind, (encode, message) in FORMS.items():
        body = encode(batch)
        expected = message.FromString(body)

        assert expected == read(kind, as_json(kind, body) or b"{}")


@pytest.mark.parametrize("text", ["", *HOSTILE])
def test_both_forms_say_the_same(text):
    assert_same(hostile_batch(text) if text else sample_batch(10**18))


SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(max_size=5),
)


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=5), st.one_of(SCALARS, st.lists(SCALARS))))
def test_types_of_attributes_are_kept(attributes):
    event = Event(1, "x", attributes, number=1)
    assert_same(Batch("0" * 32, Resource(), events=(event,)))


def test_totals_are_sent_on_request():
    took, told = Series("took", "histogram", "s"), Histogram.of([1.0, 2.0])
    points = (
        Point(Series("a", "counter"), 1.0, total=7.0),
        Point(took, Histogram.of([2.0]), total=told),
    )
    windows = (Window(1, 10**9, 2 * 10**9, points),)
    batch = Batch("0" * 32, Resource(), windows, began_unix_ns=10**8)
    body = MetricsEncoder(cumulative=True).encode(batch)
    (scope,) = (
        ExportMetricsServiceRequest.FromString(body).resource_metrics[0].scope_metrics
    )
    counter, histogram = scope.metrics

    assert (2, 2) == (
        counter.sum.aggregation_temporality,
        histogram.histogram.aggregation_temporality,
    )
    assert 7.0 == counter.sum.data_points[0].as_double
    assert counter.sum.is_monotonic
    assert {10**8} == {
        counter.sum.data_points[0].start_time_unix_nano,
        histogram.histogram.data_points[0].start_time_unix_nano,
    }
    assert (2, 3.0) == (
        histogram.histogram.data_points[0].count,
        histogram.histogram.data_points[0].sum,
    )


class TestOtlpJson(ExporterContract):
    @pytest.fixture(autouse=True)
    def far_side(self):
        with HttpReceiver(reply=OK) as self.receiver:
            yield

    def exporter(self):
        return build(
            f"otlp+json://127.0.0.1:{self.receiver.port}?temporality=cumulative"
        )

    def break_far_side(self):
        self.receiver.stop()
        return True


def test_a_refused_part_is_read_from_the_json_answer():
    told = b'{"partialSuccess":{"rejectedDataPoints":"2","errorMessage":"too old"}}'
    reply = Reply(headers={"Content-Type": "application/json"}, body=told)
    with HttpReceiver(script=[reply], reply=OK) as receiver:
        exporter = build(f"otlp+json://127.0.0.1:{receiver.port}")
        with pytest.raises(Rejected, match="too old") as caught:
            exporter.send(sample_batch())
        exporter.close()
        kinds = {r.headers["content-type"] for r in receiver.requests}

    assert 2 == caught.value.count
    assert {"application/json"} == kinds


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_is_busy_says_how_long_to_wait(status):
    headers = {"Content-Type": "application/json", "Retry-After": "7"}
    told = b'{"code": 8, "message": "slow down"}'
    with HttpReceiver(script=[Reply(status, headers, told)], reply=OK) as receiver:
        exporter = build(f"otlp+json://127.0.0.1:{receiver.port}")
        with pytest.raises(RetryLater, match="slow down") as caught:
            exporter.send(sample_batch())
        exporter.send(sample_batch())
        exporter.close()
        paths = [request.path for request in receiver.requests]

    assert 7.0 == caught.value.after_s
    assert ["/v1/metrics", "/v1/metrics", "/v1/logs", "/v1/traces"] == paths


def test_a_refused_request_brings_the_words_of_its_json_status():
    told = b'{"code": 3, "message": "no such tenant"}'
    headers = {"Content-Type": "application/json"}
    with HttpReceiver(script=[Reply(400, headers, told)], reply=OK) as receiver:
        exporter = build(f"otlp+json://127.0.0.1:{receiver.port}")
        with pytest.raises(Rejected, match="no such tenant"):
            exporter.send(sample_batch())
        exporter.close()
