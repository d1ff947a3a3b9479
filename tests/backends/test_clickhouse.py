"""ClickHouse's own engine tells what it has stored of us."""

import matrix
import pytest
from clickhouseserver import Engine, clickhouse
from shop import VALUES, Shop

from probekit.exporters import build
from probekit.testing.contract import HOSTILE, hostile_batch, sample_batch

pytestmark = [pytest.mark.backend, pytest.mark.timeout(120)]
SENT = {
    "counter shop.orders{plan=pro}": 3.0,
    "up-down shop.carts": 3.0,
    "gauge shop.temperature": -4.5,
    "histogram count": len(VALUES),
    "histogram sum": round(sum(VALUES), 9),
    "histogram min, max": [min(VALUES), max(VALUES)],
    "event order.refunded": {
        "amount": "9",
        "order.id": "A1",
        "event.name": "order.refunded",
    },
    "exception": "ValueError",
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    with clickhouse(tmp_path_factory.mktemp("clickhouse")) as server:
        yield Engine(server)


def stored(engine, database):
    """What the engine has, in the words of SENT."""

    def one(what, table, where):
        query = f"SELECT {what} FROM {database}.otel_{table} WHERE {where}"
        found = engine.rows(query)
        return next(iter(found[0].values())) if found else None

    took = engine.rows(
        "SELECT toFloat64(sum(Count)) c, sum(Sum) s, min(Min) a, max(Max) b "
        f"FROM {database}.otel_metrics_histogram "
        "WHERE MetricName = 'shop.request.duration'"
    )[0]
    orders = "MetricName = 'shop.orders' AND Attributes['plan'] = 'pro'"
    return {
        "counter shop.orders{plan=pro}": one("sum(Value)", "metrics_sum", orders),
        "up-down shop.carts": one(
            "max(Value)", "metrics_sum", "MetricName = 'shop.carts'"
        ),
        "gauge shop.temperature": one(
            "Value", "metrics_gauge", "MetricName = 'shop.temperature' LIMIT 1"
        ),
        "histogram count": int(took["c"]),
        "histogram sum": round(took["s"], 9),
        "histogram min, max": [took["a"], took["b"]],
        "event order.refunded": one(
            "LogAttributes", "logs", "LogAttributes['event.name'] = 'order.refunded'"
        ),
        "exception": one(
            "LogAttributes['exception.type']",
            "logs",
            "LogAttributes['event.name'] = 'exception'",
        ),
    }


def test_everything_an_application_records_comes_back(engine, tmp_path):
    with Shop(tmp_path, engine.url("everything")) as shop:
        assert shop.delivered()
    found = stored(engine, "everything")

    version = engine.rows("SELECT version() AS v")[0]["v"]
    matrix.record("`clickhouse:`", f"ClickHouse {version} (chdb)", SENT, found)
    assert SENT == found


def test_what_the_server_refuses_is_a_dead_letter_and_the_rest_arrives(
    engine, tmp_path
):
    exporter = build(engine.url("refusing"))
    exporter.send(sample_batch())
    exporter.close()
    engine.rows(
        "ALTER TABLE refusing.otel_metrics_gauge "
        "ADD CONSTRAINT not_that_cold CHECK Value > -4"
    )
    for table in ("metrics_sum", "metrics_gauge", "metrics_histogram", "logs"):
        engine.rows(f"TRUNCATE TABLE refusing.otel_{table}")
    with Shop(tmp_path, engine.url("refusing")) as shop:
        assert shop.delivered()
        reasons = shop.dead_letters()
    found = stored(engine, "refusing")

    assert {**SENT, "gauge shop.temperature": None} == found
    assert reasons
    assert all("not_that_cold" in str(reason) for reason in reasons)


def test_repeating_a_batch_changes_nothing(engine):
    exporter = build(engine.url("again"))
    batch = sample_batch()
    exporter.send(batch)
    exporter.send(batch)
    exporter.close()
    tables = ("metrics_sum", "metrics_gauge", "metrics_histogram", "logs", "traces")

    assert [3, 1, 1, 2, 1] == [
        engine.rows(f"SELECT toFloat64(count()) AS n FROM again.otel_{table}")[0]["n"]
        for table in tables
    ]


def test_words_of_users_come_back_as_they_were(engine):
    exporter = build(engine.url("hostile"))
    for number, text in enumerate(HOSTILE):
        batch = hostile_batch(text)
        exporter.send(type(batch)(f"{number:032d}", batch.resource, batch.windows))
    exporter.close()
    found = engine.rows("SELECT MetricName AS name FROM hostile.otel_metrics_sum")
    wanted = [text.replace("\ud83d", "\\ud83d") for text in HOSTILE]

    assert sorted(wanted) == sorted(row["name"] for row in found)
