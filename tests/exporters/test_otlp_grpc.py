"""OTLP over gRPC: against a server of the library's own, and statuses as data."""

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from tests_otlp_messages import REQUESTS, records_in

from probekit.errors import (
    ConfigError,
    Forbidden,
    MissingExtra,
    Rejected,
    RetryLater,
    TooLarge,
)
from probekit.exporters import build
from probekit.exporters.otlp import requests
from probekit.exporters.otlp.grpc_status import as_export_error, retry_delay_s
from probekit.exporters.otlp.protobuf import length_delimited, unsigned
from probekit.testing.contract import SECRET, ExporterContract, sample_batch
from probekit.testing.http_receiver import Request
from program import Program


class Server:
    """Answers every export by *answer*; keeps what came."""

    def __init__(self):
        self.requests, self.metadata = [], []
        self.answer = lambda context: b""
        self._server = grpc.server(ThreadPoolExecutor(2))
        self._server.add_generic_rpc_handlers((self,))
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def service(self, details):
        def handle(request, context):
            self.requests.append((details.method, request))
            self.metadata.append(dict(context.invocation_metadata()))
            return self.answer(context)

        return grpc.unary_unary_rpc_method_handler(handle)

    def stop(self):
        self._server.stop(None).wait(5)


@pytest.fixture
def server():
    made = Server()
    yield made
    made.stop()


class TestOtlpGrpc(ExporterContract):
    @pytest.fixture(autouse=True)
    def far_side(self, server):
        self.server = server

    def exporter(self):
        return build(f"otlp+grpc://127.0.0.1:{self.server.port}?timeout_s=2")

    def break_far_side(self):
        self.server.stop()
        return True

    def secret_url(self):
        self.server.answer = lambda context: context.abort(
            grpc.StatusCode.UNAUTHENTICATED, f"not {SECRET}"
        )
        return f"otlp+grpc://127.0.0.1:{self.server.port}?header.x-key={SECRET}"


def test_each_signal_goes_to_its_service(server):
    exporter = build(f"otlp+grpc://127.0.0.1:{server.port}?token=abc")
    exporter.send(sample_batch())
    exporter.close()
    services = [method.split(".")[-1] for method, _ in server.requests]

    assert [
        "MetricsService/Export",
        "LogsService/Export",
        "TraceService/Export",
    ] == services
    assert {"Bearer abc"} == {told["authorization"] for told in server.metadata}
    for path, (_, body) in zip(REQUESTS, server.requests, strict=True):
        assert records_in(Request("POST", path, {}, body))


def test_a_refused_part_is_counted_and_the_rest_goes_on(server):
    partial = ExportMetricsPartialSuccess(rejected_data_points=2, error_message="old")
    answers = [
        ExportMetricsServiceResponse(partial_success=partial).SerializeToString()
    ]
    server.answer = lambda context: answers.pop() if answers else b""
    exporter = build(f"otlp+grpc://127.0.0.1:{server.port}")
    with pytest.raises(Rejected, match="old") as caught:
        exporter.send(sample_batch())
    exporter.close()

    assert 2 == caught.value.count
    assert 3 == len(server.requests)


REFUSED = """
import sys, probekit
probekit.configure("shop", buffer=sys.argv[1], exporters=[sys.argv[2]],
                   host_metrics=False, own_metrics=False)
for name in ("a", "b", "c"):
    probekit.counter(name).add(1)
probekit.event("order.refunded")
print(probekit.flush(timeout_s=20))
probekit.counter("a").add(1)
print(probekit.flush(timeout_s=20))
status = probekit.status()
print(status.delivered["metrics"], status.dropped["metrics"]["rejected"],
      status.stored["metrics"])
probekit.shutdown()
"""


@pytest.mark.e2e
def test_what_a_server_refuses_of_a_batch_is_in_the_books_and_the_rest_is_there(
    server, tmp_path
):
    """From the program to the server and back into its status; nothing goes twice."""
    partial = ExportMetricsPartialSuccess(rejected_data_points=2, error_message="old")
    answers = [
        ExportMetricsServiceResponse(partial_success=partial).SerializeToString()
    ]

    def answer(context):
        is_metrics = "Metrics" in server.requests[-1][0]
        return answers.pop() if answers and is_metrics else b""

    server.answer = answer
    url = f"otlp+grpc://127.0.0.1:{server.port}"
    told = Program(tmp_path).run(REFUSED, url).splitlines()
    metrics = [body for method, body in server.requests if "Metrics" in method]
    points = [
        len(metric.sum.data_points)
        for body in metrics
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    ]

    assert ["True", "True"] == told[:2]
    assert [1, 1, 1, 1] == points
    assert "2 2 0" == told[2]  # delivered, refused, waiting


def test_what_was_taken_does_not_go_again(server):
    turns = iter([b"", None])

    def answer(context):
        if next(turns, b"") is None:
            context.abort(grpc.StatusCode.UNAVAILABLE, "busy")
        return b""

    server.answer = answer
    exporter = build(f"otlp+grpc://127.0.0.1:{server.port}")
    with pytest.raises(RetryLater, match="busy"):
        exporter.send(sample_batch())
    exporter.send(sample_batch())
    exporter.close()
    services = [
        method.split(".")[-1].partition("/")[0] for method, _ in server.requests
    ]

    assert ["MetricsService", "LogsService", "LogsService", "TraceService"] == services


@pytest.mark.parametrize("name", ["RESOURCE_EXHAUSTED", "UNAVAILABLE"])
def test_a_server_that_is_busy_says_how_long_to_wait(server, name):
    def answer(context):
        details = ("grpc-status-details-bin", retry_info(7))
        context.set_trailing_metadata((details,))
        context.abort(grpc.StatusCode[name], "slow down")

    server.answer = answer
    exporter = build(f"otlp+grpc://127.0.0.1:{server.port}")
    with pytest.raises(RetryLater, match="slow down") as caught:
        exporter.send(sample_batch())
    exporter.close()

    assert 7.0 == caught.value.after_s


def test_a_warning_is_told_without_secrets_and_nothing_is_counted(server, monkeypatch):
    told = []
    monkeypatch.setattr(requests, "notice", lambda *words: told.append(words))
    partial = ExportMetricsPartialSuccess(error_message=f"{SECRET} is deprecated")
    answers = [
        ExportMetricsServiceResponse(partial_success=partial).SerializeToString()
    ]
    server.answer = lambda context: answers.pop() if answers else b""
    exporter = build(f"otlp+grpc://127.0.0.1:{server.port}?header.x-key={SECRET}")
    exporter.send(sample_batch())
    exporter.close()
    where = f"otlp+grpc://127.0.0.1:{server.port}"

    assert [("otlp-warning", f"{where} warns: '*** is deprecated'")] == told


def test_no_more_is_refused_than_was_sent(server):
    partial = ExportMetricsPartialSuccess(rejected_data_points=2_000, error_message="x")
    answers = [
        ExportMetricsServiceResponse(partial_success=partial).SerializeToString()
    ]
    server.answer = lambda context: answers.pop() if answers else b""
    exporter = build(f"otlp+grpc://127.0.0.1:{server.port}")
    with pytest.raises(Rejected) as caught:
        exporter.send(sample_batch())
    exporter.close()

    assert 5 == caught.value.count


def retry_info(seconds):
    """A ``google.rpc.Status`` that asks for a wait."""
    kind = b"type.googleapis.com/google.rpc.RetryInfo"
    info = length_delimited(1, unsigned(1, seconds))
    any_ = length_delimited(1, kind) + length_delimited(2, info)
    return unsigned(1, 8) + length_delimited(3, any_)


@pytest.mark.parametrize(
    "name, words, details, error",
    [
        ("UNAVAILABLE", "", b"", RetryLater),
        ("RESOURCE_EXHAUSTED", "", retry_info(7), RetryLater),
        ("RESOURCE_EXHAUSTED", "", b"", TooLarge),
        ("OUT_OF_RANGE", "message length too large: 5 MB", b"", TooLarge),
        ("PERMISSION_DENIED", "", b"", Forbidden),
        ("UNIMPLEMENTED", "", b"", Forbidden),
        ("INVALID_ARGUMENT", "", b"", Rejected),
        ("INTERNAL", "", b"\xff", Rejected),
    ],
)
def test_statuses_mean_what_the_table_says(name, words, details, error):
    assert error is type(as_export_error(name, words, details, "x"))


def test_the_wait_that_a_server_asks_for_is_read():
    assert 7.0 == retry_delay_s(retry_info(7))
    assert retry_delay_s(b"") is None
    assert retry_delay_s(b"\xff\xff") is None


@pytest.mark.parametrize(
    "rest",
    ["a:1,b:1", "u:p@h:1", "h:1?ca=/nowhere&tls=1", "h:1?cert=x", "h:1?header.ä=1"],
)
def test_a_target_that_cannot_be_used_is_refused(rest):
    with pytest.raises(ConfigError):
        build(f"otlp+grpc://{rest}")


def test_a_missing_library_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "grpc", None)
    with pytest.raises(MissingExtra, match=r"probekit\[grpc\]"):
        build("otlp+grpc://h:1")
