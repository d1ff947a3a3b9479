import json
import sqlite3
from contextlib import closing

import pytest

from probekit.cli.news import errors_feed, events_feed, windows_feed
from probekit.cli.reader import connect


def look(buffer, feed, count=None):
    with closing(connect(buffer.path)) as connection:
        rows = (
            feed.news(connection) if count is None else feed.newest(connection, count)
        )
    return [row.text for row in rows]


def test_the_newest_come_first_oldest_on_top(probekit, buffer):
    """As tail(1) does."""
    status, out, _ = probekit("tail", "--no-follow", "--buffer", buffer.path)

    assert 0 == status
    assert ["error", "event", "event", "window"] == sorted(
        line.split()[1] for line in out.splitlines()
    )
    assert "order.paid amount=7 order=A1" in out
    assert "shop.PaymentError: card refused ×1 in shop.pay" in out
    assert "\x1b" not in out


@pytest.mark.parametrize(
    "option, kinds",
    [
        ("--events", {"event"}),
        ("--errors", {"error"}),
        ("--metrics", {"window", "point"}),
    ],
)
def test_one_kind_can_be_asked_for(probekit, buffer, option, kinds):
    """And comes as JSON for programs."""
    _, out, _ = probekit(
        "tail", option, "--no-follow", "--json", "--buffer", buffer.path
    )

    assert kinds == {json.loads(line)["kind"] for line in out.splitlines()}


def test_an_event_is_shown_exactly_once(make_buffer):
    """However often one looks."""
    buffer = make_buffer()
    feed = events_feed(with_exceptions=True)
    buffer.add(events=[buffer.event("a"), buffer.event("b"), buffer.event("c")])

    assert ["b", "c"] == look(buffer, feed, 2)
    assert [] == look(buffer, feed)
    buffer.add(events=[buffer.event("d")])
    assert ["d"] == look(buffer, feed)
    assert [] == look(buffer, feed)


def test_exceptions_are_left_to_the_errors_when_both_are_shown(make_buffer):
    """One happening, one line."""
    buffer = make_buffer()
    buffer.add(events=[buffer.event("exception"), buffer.event("a")])

    assert ["a"] == look(buffer, events_feed(with_exceptions=False), 10)
    assert ["exception", "a"] == look(buffer, events_feed(with_exceptions=True), 10)


def test_an_error_is_shown_again_when_it_grows(make_buffer):
    """With what is new about it."""
    buffer = make_buffer()
    feed = errors_feed()
    buffer.add(problems=[buffer.problem(2)])

    assert ["shop.PaymentError: card refused ×2 in shop.pay"] == look(buffer, feed, 5)
    assert [] == look(buffer, feed)
    buffer.add(problems=[buffer.problem(3)])
    assert ["shop.PaymentError: card refused ×5 (+3) in shop.pay"] == look(buffer, feed)


def test_windows_come_with_their_points_when_asked_for(make_buffer):
    """One line each."""
    buffer = make_buffer()
    feed = windows_feed(with_points=True)

    assert [] == look(buffer, feed, 5)
    buffer.add(orders=3)
    window, calls, orders = look(buffer, feed)

    assert "5 values in 2 series" in window
    assert calls.startswith("probekit.function.duration")
    assert "2 values, mean 0.15, max 0.2 s" in calls
    assert "shop.orders plan=pro = 3 {order}" == orders


def test_another_buffer_in_the_same_place_is_read_from_its_start(make_buffer, tmp_path):
    """Its numbers begin at one again."""
    buffer = make_buffer()
    buffer.add(events=[buffer.event("a"), buffer.event("b")])
    feed = events_feed(with_exceptions=True)
    look(buffer, feed, 10)
    fresh = make_buffer(tmp_path / "fresh" / "buffer.db")
    fresh.add(events=[fresh.event("c")])
    feed.restart()

    assert ["c"] == look(fresh, feed)


def test_a_busy_moment_ends_nothing():
    """What passes is waited for; what does not is told."""
    from probekit.cli.tail import _passes

    assert _passes(sqlite3.OperationalError("database is locked"))
    assert not _passes(sqlite3.DatabaseError("file is not a database"))
