"""Laws of the smallest rooms: names, clock, notices, batch keys."""

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import probekit
from probekit import notice as notice_room
from probekit.clock import SYSTEM_CLOCK, cell_start_ns
from probekit.errors import BadName, ProbekitError
from probekit.model import Batch, Event, Point, Resource, Series, Window
from probekit.naming import checked_name
from probekit.notice import notice


@pytest.mark.parametrize("name", ["", " a", "a ", "a\nb", "\x00", "x" * 201, 7, None])
def test_a_name_that_breaks_a_rule_is_refused_by_name(name):
    """The error is ours and is a ValueError as well."""
    with pytest.raises(BadName) as caught:
        checked_name(name)

    assert isinstance(caught.value, (ProbekitError, ValueError))


@pytest.mark.parametrize("name", ["shop.orders", "größe", "注文", "a b"])
def test_names_of_any_script_pass(name):
    """Each encoding translates for its backend; we keep what the user wrote."""
    assert name == checked_name(name)


@given(
    moment_ns=st.integers(0, 4 * 10**18),
    width_s=st.sampled_from([0.5, 1.0, 10.0, 60.0]),
)
def test_a_cell_holds_its_moment(moment_ns, width_s):
    """The start is on the grid, at or before the moment, less than a width away."""
    start_ns = cell_start_ns(moment_ns, width_s)

    assert start_ns <= moment_ns < start_ns + width_s * 1e9
    assert start_ns % int(width_s * 1e9) == 0


def test_the_system_clock_moves_forward():
    """Two monotonic readings never fall."""
    first = SYSTEM_CLOCK.monotonic_s()

    assert first <= SYSTEM_CLOCK.monotonic_s()
    assert SYSTEM_CLOCK.wall_ns() > 1_700_000_000 * 10**9


def test_a_cause_is_told_once_a_minute(caplog, monkeypatch):
    """The second line within a minute is swallowed; another cause is not."""
    monkeypatch.setattr(notice_room, "_last_told_s", {})
    with caplog.at_level(logging.WARNING, "probekit"):
        told = [notice("disk", "a"), notice("disk", "b"), notice("net", "c")]

    assert [True, False, True] == told
    assert ["a", "c"] == [record.message for record in caplog.records]


def test_a_broken_log_handler_of_the_host_does_not_reach_the_host(monkeypatch):
    """A notice never raises."""
    monkeypatch.setattr(notice_room, "_last_told_s", {})

    class Broken(logging.Handler):
        def emit(self, record):
            raise RuntimeError("host's handler")

    logger = logging.getLogger("probekit")
    handler = Broken()
    logger.addHandler(handler)
    try:
        assert notice("disk", "text") is False
    finally:
        logger.removeHandler(handler)


def test_an_error_that_cannot_say_what_it_is_is_told_by_its_type(caplog, monkeypatch):
    """Its text is made where a failure is caught."""
    monkeypatch.setattr(notice_room, "_last_told_s", {})

    class Wordless(Exception):
        def __str__(self):
            raise self

        __repr__ = __str__

    assert notice("route", "a route is not known", Wordless())
    assert notice("path", "a path is not known", KeyError("here"))
    assert [
        "a route is not known: Wordless",
        "a path is not known: KeyError: 'here'",
    ] == caplog.messages


def test_the_same_records_make_the_same_batch_key():
    """Sent again, a batch is recognised; other records make another key."""
    point = Point(Series("a", "counter"), 1.0)
    window = Window(7, 0, 10, (point,))
    resource = Resource({"service.name": "shop"})
    one = Batch("b", resource, (window,), (Event(1, "x", number=3),))
    again = Batch("b", resource, (window,), (Event(1, "x", number=3),))
    other = Batch("b", resource, (window,), (Event(1, "x", number=4),))

    assert one.key == again.key
    assert one.key != other.key
    assert len(one) == 2


def test_no_thread_is_started_but_by_the_room_of_threads():
    """It hands on what is meant for the application."""
    source = Path(probekit.__file__).parent
    starting = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if "threading.Thread(" in path.read_text("utf-8")
    }

    assert {"thread.py", "testing/receivers.py"} >= starting
