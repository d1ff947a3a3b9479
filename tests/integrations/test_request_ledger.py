"""Requests are counted by whoever drains: late, many at once, each exactly once."""

import weakref

import pytest
from recorded_requests import ACTIVE, Told

from probekit.integrations import ledger
from probekit.integrations.ledger import LEDGER
from probekit.integrations.wsgi_exchange import KEY, Exchange
from probekit.recording.registry import REGISTRY
from probekit.recording.underway.running import UNDERWAY


class Environ(dict):
    """One that can be referred to weakly."""


ROUTE = "/orders/<id>"


def begun(method="GET", route: object = ROUTE, status="200 OK"):
    exchange = Exchange()
    exchange.begin(
        Environ(
            {
                "REQUEST_METHOD": method,
                "wsgi.url_scheme": "http",
                "SERVER_PROTOCOL": "HTTP/1.1",
            }
        )
    )
    exchange.route, exchange.status = route, status
    return exchange


def test_a_request_between_two_drains_is_one_duration_and_no_level():
    begun().end()
    told = Told()

    assert [(ROUTE, 200)] == told.routes()
    assert [0.0] == list(told.sums(ACTIVE).values())


def test_a_request_that_lasts_over_drains_is_counted_once_when_it_ends():
    exchange = begun()
    during = [Told(), Told()]
    watched = set(UNDERWAY)
    exchange.end()
    after = [Told(), Told()]

    assert {exchange} == watched
    assert set() == UNDERWAY
    assert [1.0, 0.0] == [told.level() for told in during]
    assert [0, 0] == [len(told.of()) for told in during]
    assert [-1.0, 0.0] == [told.level() for told in after]
    assert [1, 0] == [len(told.of()) for told in after]


def test_a_list_that_is_shortened_while_nobody_drains_loses_nothing():
    open_ = [begun("POST") for _ in range(10)]
    for _ in range(1000):
        begun().end()
    while REGISTRY.compact():
        pass
    left = len(LEDGER.values)
    for exchange in open_:
        exchange.end()
    harvest = REGISTRY.drain()

    assert 256 > left
    assert 1000 + 10 == sum(
        [histogram.count for _, histogram in harvest.binned]
        + [len(values) for _, values in harvest.raw]
    )


def test_a_forked_child_counts_none_of_its_parents_requests():
    begun().end()
    waiting, seen = begun(), begun()
    LEDGER.forget()
    waiting.end()
    seen.end()
    told = Told()

    assert ([], 0) == (told.of(), told.level())


def test_an_interrupt_while_counting_loses_nothing_and_counts_nothing_twice(
    monkeypatch,
):
    for route in ("/a", "/b", "/c"):
        begun(route=route).end()
    find, calls = ledger.ServerMetrics.duration, []

    def interrupted(metrics, answer):
        calls.append(answer)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return find(metrics, answer)

    monkeypatch.setattr(
        "probekit.integrations.http.ServerMetrics.duration", interrupted
    )
    with pytest.raises(KeyboardInterrupt):
        REGISTRY.drain()

    assert [("/a", 200), ("/b", 200), ("/c", 200)] == Told().routes()


def test_a_request_whose_route_cannot_be_read_is_a_loss_and_costs_no_other():
    begun(route=object()).end()
    begun().end()
    told = Told()

    assert [(ROUTE, 200)] == told.routes()
    assert {("metrics", "internal_error"): 1} == told.harvest.losses


def test_requests_that_never_end_are_forgotten_and_counted_beyond_a_limit(monkeypatch):
    monkeypatch.setattr(ledger, "OPEN_LIMIT", 2)
    kept = [begun() for _ in range(5)]
    told = Told()
    for exchange in kept:
        exchange.end()
    after = Told()

    assert {("metrics", "unfinished"): 3} == told.harvest.losses
    assert (2.0, -2.0) == (told.level(), after.level())
    assert 2 == len(after.of())


def test_a_request_that_is_over_keeps_nothing_of_the_server_alive():
    exchange = begun()
    environ = weakref.ref(exchange.environ)
    exchange.end()

    assert environ() is None
    assert 1 == len(LEDGER.values)


def test_an_environ_is_left_as_it_was_found():
    exchange = begun()
    environ = exchange.environ
    inside = KEY in environ
    exchange.end()

    assert (True, False) == (inside, KEY in environ)
