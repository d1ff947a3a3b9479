"""The views that people and dashboards read."""

from array import array

import pytest

from probekit.buffer.read_only import open_reader
from probekit.model import Harvest, Problem, Series

NAME = "probekit.function.duration"


@pytest.fixture
def columns(buffer):
    """Rows of a query through a reader's connection, as dicts."""

    def read(statement):
        with open_reader(buffer.path) as connection:
            cursor = connection.execute(statement)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]

    return read


def of(kind, name, attributes, *values, unit="s"):
    series = Series(name, kind, unit, tuple(sorted(attributes.items())))
    harvest = Harvest(series=[series])
    if kind == "histogram":
        harvest.raw = [(0, list(values))]
    elif kind == "gauge":
        harvest.gauge_ids, harvest.gauge_values = array("I", [0]), array("d", values)
        harvest.gauge_counts = array("Q", [1])
    else:
        harvest.sum_ids, harvest.sum_values = array("I", [0]), array("d", values)
        harvest.sum_counts = array("Q", [1])
    return harvest


def test_functions_have_calls_errors_and_percentiles_of_the_good_calls(buffer, columns):
    charge = {"code.function.name": "shop.charge"}
    buffer.write(of("histogram", NAME, charge, *[0.1] * 98, 0.9, 0.9))
    buffer.write(of("histogram", NAME, charge | {"error.type": "E"}, *[5.0] * 10))
    buffer.write(
        of(
            "histogram",
            NAME,
            {"code.function.name": "shop.bad", "error.type": "E"},
            2.0,
        )
    )
    charge, bad = columns("SELECT * FROM v_functions")

    assert ("shop.charge", 110, 10) == (
        charge["function"],
        charge["calls"],
        charge["errors"],
    )
    assert 10 / 110 == pytest.approx(charge["error_ratio"])
    assert 0.1 == pytest.approx(charge["p50"], rel=0.05)
    assert 0.9 == pytest.approx(charge["p99"], rel=0.05)
    assert 5.0 == charge["max"]
    assert ("shop.bad", 1, 1, 2.0) == (
        bad["function"],
        bad["calls"],
        bad["errors"],
        bad["p50"],
    )


def test_requests_are_counted_by_method_route_and_status(buffer, columns):
    for status, number in ((200, 3), (500, 1)):
        attributes = {
            "http.request.method": "GET",
            "http.route": "/orders/<id>",
            "http.response.status_code": status,
        }
        buffer.write(
            of("histogram", "http.server.request.duration", attributes, *[0.2] * number)
        )
    rows = columns("SELECT method, route, status, requests FROM v_requests")

    assert [("GET", "/orders/<id>", 200, 3), ("GET", "/orders/<id>", 500, 1)] == [
        tuple(row.values()) for row in rows
    ]


def test_errors_have_one_row_a_group(buffer, columns):
    harvest = Harvest()
    harvest.problems = [
        Problem("f" * 16, "E", "m", "a.b", "stack", 10**18, 2 * 10**18, 3)
    ]
    buffer.write(harvest)
    buffer.write(harvest)
    (row,) = columns("SELECT * FROM v_errors")

    assert ("E", 6, "2001-09-09 01:46:40.000") == (
        row["type"],
        row["count"],
        row["first_seen"],
    )


def test_counters_are_those_of_the_application_and_figures_those_of_the_host(
    buffer, columns
):
    buffer.write(of("counter", "shop.orders", {"plan": "pro"}, 4.0, unit="{order}"))
    buffer.write(of("counter", "system.disk.io", {}, 100.0, unit="By"))
    buffer.write(of("gauge", "system.cpu.utilization", {}, 0.5, unit="1"))
    (counter,) = columns("SELECT * FROM v_counters")
    host = columns("SELECT name, value FROM v_host")

    assert ("shop.orders", '{"plan": "pro"}', 4.0) == (
        counter["name"],
        counter["attributes"],
        counter["total"],
    )
    assert {"system.disk.io": 100.0, "system.cpu.utilization": 0.5} == {
        row["name"]: row["value"] for row in host
    }


def test_events_have_their_names_and_deliveries_their_exporters(
    buffer, columns, harvest
):
    buffer.store.register(["otlp://h:4318"])
    buffer.write(harvest(events=["order.paid"]))
    (event,) = columns("SELECT * FROM v_events")
    (delivery,) = columns("SELECT * FROM v_delivery")

    assert ("order.paid", '{"n": "order.paid"}') == (event["name"], event["attributes"])
    assert (1, "") == (delivery["events_waiting"], delivery["last_error"])
    assert delivery["delivered"] is None


def test_attributes_keep_their_types_in_json(buffer, columns):
    buffer.write(
        of(
            "counter",
            "c",
            {"i": 1, "b": True, "f": 0.5, "t": "Zürich", "l": ("x", 2)},
            1.0,
        )
    )
    (row,) = columns("SELECT attributes FROM series")

    assert (
        '{"b": true, "f": 0.5, "i": 1, "l": ["x", 2], "t": "Zürich"}'
        == row["attributes"]
    )


def test_a_series_of_one_identity_has_one_row_over_restarts(buffer, columns):
    attributes = {"i": 1, "b": True, "f": 0.5, "t": "Zürich", "l": ("x", 2)}
    for _ in range(3):
        buffer.write(of("counter", "c", attributes, 1.0))
        buffer.lead()

    assert [{"sum": 3.0}] == columns("SELECT sum FROM series")
