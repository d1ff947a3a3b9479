"""Rows of the OpenTelemetry tables, tokens, and what ClickHouse's answers mean."""

import json
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probekit.errors import ConfigError, Forbidden, Rejected, RetryLater, TooLarge
from probekit.exporters import build
from probekit.exporters.clickhouse.rows import ClickhouseRows
from probekit.exporters.clickhouse.tables import TABLES, statement_of
from probekit.model import Batch, Point, Resource, Series, Snapshot, Window
from probekit.testing import ExporterContract, HttpReceiver, Reply
from probekit.testing.contract import SECRET, hostile_batch, sample_batch


def query_of(request):
    return {k: v[0] for k, v in parse_qs(urlsplit(request.path).query).items()}


def inserts_in(receiver):
    return [r for r in receiver.requests if "INSERT" in query_of(r).get("query", "")]


def rows_of(batch):
    return {
        insert.table: [json.loads(line) for line in insert.body.splitlines()]
        for insert in ClickhouseRows().inserts(batch)
    }


class TestClickhouse(ExporterContract):
    @pytest.fixture(autouse=True)
    def far_side(self):
        with HttpReceiver() as self.receiver:
            yield

    def exporter(self):
        return build(f"clickhouse://127.0.0.1:{self.receiver.port}/otel?timeout_s=2")

    def received(self):
        return sum(r.body.count(b"\n") for r in inserts_in(self.receiver))

    def break_far_side(self):
        self.receiver.stop()
        return True

    def secret_url(self):
        self.receiver.reply = Reply(400, body=f"no: {SECRET}".encode())
        port = self.receiver.port
        return f"clickhouse://{SECRET}:{SECRET}@127.0.0.1:{port}/otel?token={SECRET}"


@pytest.fixture
def server():
    with HttpReceiver() as receiver:
        yield receiver


@pytest.fixture
def exporter(server):
    exporter = build(f"clickhouse://127.0.0.1:{server.port}/otel?create=0")
    yield exporter
    exporter.close()


def test_each_kind_has_its_table_and_its_temporality():
    found = rows_of(sample_batch(0))
    orders, _, carts = found["otel_metrics_sum"]
    (cold,) = found["otel_metrics_gauge"]
    (took,) = found["otel_metrics_histogram"]

    assert (3.0, 1, True) == (
        orders["Value"],
        orders["AggregationTemporality"],
        orders["IsMonotonic"],
    )
    assert {"plan": "pro"} == orders["Attributes"]
    assert (-2.0, 2, False) == (
        carts["Value"],
        carts["AggregationTemporality"],
        carts["IsMonotonic"],
    )
    assert -4.5 == cold["Value"]
    assert (4, 9.374, 0.004, 9.0) == tuple(
        took[key] for key in ("Count", "Sum", "Min", "Max")
    )
    assert 4 == sum(took["BucketCounts"])
    assert len(took["ExplicitBounds"]) + 1 == len(took["BucketCounts"])
    assert "1970-01-01T00:00:10.000000000Z" == took["TimeUnix"]


def test_events_and_spans_are_logs_and_traces():
    found = rows_of(sample_batch(0))
    refunded, broken = found["otel_logs"]
    (span,) = found["otel_traces"]

    assert "order.refunded" == refunded["LogAttributes"]["event.name"]
    assert ("ERROR", 17, "it broke") == (
        broken["SeverityText"],
        broken["SeverityNumber"],
        broken["Body"],
    )
    assert ("Server", "Error", 1_999_999) == (
        span["SpanKind"],
        span["StatusCode"],
        span["Duration"],
    )
    assert [{"n": "1"}] == span["Events.Attributes"]


def test_rows_name_only_columns_that_their_table_has():
    for table, rows in rows_of(sample_batch(0)).items():
        for key in rows[0]:
            assert key.partition(".")[0] in TABLES[table][0]


def test_a_repeated_batch_carries_the_same_tokens(server, exporter):
    exporter.send(sample_batch(0))
    exporter.send(sample_batch(0))
    tokens = [query_of(r)["insert_deduplication_token"] for r in server.requests]

    assert 5 == len(set(tokens))
    assert tokens[:5] == tokens[5:]


def test_what_one_table_has_taken_does_not_go_again_when_another_refuses(
    server, exporter
):
    server.reply = lambda request: Reply(
        503 if "otel_logs" in query_of(request)["query"] else 200
    )
    with pytest.raises(RetryLater):
        exporter.send(sample_batch(0))
    server.reply = Reply(200)
    exporter.send(sample_batch(0))
    tables = [query_of(r)["query"].split()[2] for r in inserts_in(server)]

    assert 1 == tables.count("otel.otel_metrics_sum")
    assert 2 == tables.count("otel.otel_logs")
    assert 1 == tables.count("otel.otel_traces")


@pytest.mark.parametrize(
    "status, code, error",
    [
        (400, 27, Rejected),
        (500, 469, Rejected),
        (400, 999, Rejected),
        (403, 497, Forbidden),
        (401, 516, Forbidden),
        (404, 60, Forbidden),  # create=0: we may not mend it
        (500, 241, TooLarge),
        (500, 252, RetryLater),
        (500, 243, RetryLater),
        (200, 159, RetryLater),
    ],
)
def test_its_own_code_decides(server, exporter, status, code, error):
    headers = {"X-ClickHouse-Exception-Code": str(code)}
    server.reply = Reply(status, headers, b"Code: no")
    with pytest.raises(error):
        exporter.send(sample_batch())


def test_a_table_that_is_gone_is_made_again_before_the_next_try(server):
    exporter = build(f"clickhouse://127.0.0.1:{server.port}/otel")
    exporter.send(sample_batch())
    server.reply = Reply(404, {"X-ClickHouse-Exception-Code": "60"}, b"no table")
    with pytest.raises(RetryLater):
        exporter.send(sample_batch())
    server.requests.clear()
    server.reply = Reply(200)
    exporter.send(sample_batch())
    exporter.close()

    assert b"CREATE DATABASE" in server.requests[0].body


def test_a_server_that_refuses_to_make_tables_loses_no_record(server):
    server.reply = Reply(400, {"X-ClickHouse-Exception-Code": "62"}, b"syntax")
    exporter = build(f"clickhouse://127.0.0.1:{server.port}")
    with pytest.raises(Forbidden, match="syntax"):
        exporter.send(sample_batch())
    exporter.close()


@given(st.text(st.characters(exclude_categories=())))
@settings(max_examples=60)
def test_every_text_makes_one_row_and_comes_back(words):
    joined = words.encode("utf-16-le", "surrogatepass")
    text = joined.decode("utf-16-le", "surrogatepass")
    clean = text.encode("utf-8", "backslashreplace").decode()  # halves stay two words
    batch = replace(hostile_batch(words), spans=())
    found = rows_of(batch)

    assert [clean] == [row["MetricName"] for row in found["otel_metrics_sum"]]
    assert [clean] == [row["LogAttributes"]["event.name"] for row in found["otel_logs"]]


def test_what_is_older_than_its_days_is_for_the_server_to_delete():
    assert "TTL TimestampTime + toIntervalDay(7)" in statement_of("otel_logs", "o", 7)
    assert "TTL" not in statement_of("otel_logs", "o").replace("ttl", "")


@pytest.mark.parametrize(
    "url", ["clickhouse://h/a-b", "clickhouse://h?retention_days=x"]
)
def test_a_wrong_url_says_what_is_wrong(url):
    with pytest.raises(ConfigError, match=r"database|retention_days"):
        build(url)


def test_the_first_of_two_series_that_would_be_one_has_no_mark():
    number, text = (
        Point(Series("a", "counter", "", (("k", value),)), 1.0, series_id=position)
        for position, value in ((1, 1), (2, "1"))
    )
    rows = ClickhouseRows()
    who = Resource({"service.name": "shop"})
    rows.learn(Snapshot(who, (number, text)))
    window = Window(1, 0, 10**10, (text, number))
    (insert,) = rows.inserts(Batch("0" * 32, who, (window,)))
    found = [json.loads(line)["Attributes"] for line in insert.body.splitlines()]

    assert {"k": "1"} == found[1]
    assert {"k", "series_hash"} == set(found[0])
