import io
import logging

import pytest

from probekit.integrations import libraries
from probekit.integrations.logging import Handler
from probekit.recording.registry import REGISTRY

TRACE, SPAN = "a" * 32, "b" * 16


@pytest.fixture
def logger():
    """A logger of the test's own, with nothing above it."""
    found = logging.Logger("shop.orders")  # noqa: LOG001 - nobody else's
    found.addHandler(logging.NullHandler())
    return found


@pytest.fixture
def handled(logger, recorded):
    logger.addHandler(Handler())
    return logger


@pytest.fixture
def patched(logger, recorded):
    libraries.instrument_libraries("logging")
    return logger


@pytest.fixture(params=["handled", "patched"])
def watched(request):
    """A logger that is watched in one way or the other."""
    return request.getfixturevalue(request.param)


def test_records_from_warning_on_become_events(watched, recorded):
    watched.info("not this one")
    watched.warning("stock of %s is low", "tea")
    watched.critical("on fire")

    events = recorded().events
    assert [("log", 13, "stock of tea is low"), ("log", 21, "on fire")] == [
        (event.name, event.severity, event.body) for event in events
    ]
    attributes = events[0].attributes
    assert "shop.orders" == attributes["log.logger"]
    assert (
        "test_records_from_warning_on_become_events"
        == (attributes["code.function.name"])
    )


def test_events_carry_the_trace(watched, recorded, monkeypatch):
    monkeypatch.setattr(REGISTRY, "trace_ids", lambda: (TRACE, SPAN))
    watched.warning("x")

    (event,) = recorded().events
    assert (TRACE, SPAN) == (event.trace_id, event.span_id)


def test_an_error_with_an_exception_is_a_problem_and_a_warning_is_not(
    watched, recorded
):
    try:
        raise LookupError("no such order")
    except LookupError:
        watched.warning("odd", exc_info=True)
        watched.exception("failed")

    taken = recorded()
    assert [("LookupError", 1)] == [(p.type, p.count) for p in taken.problems]
    assert ["log", "log", "exception"] == [event.name for event in taken.events]


def test_our_own_logger_is_never_recorded(recorded):
    libraries.instrument_libraries("logging")
    logging.getLogger("probekit").warning("about ourselves")
    logging.getLogger("probekit.delivery").warning("about ourselves")

    assert [] == recorded().events


def test_logging_while_a_record_is_taken_does_not_loop(patched, recorded):
    class Chatty:
        def __str__(self):
            patched.warning("from __str__")
            return "chatty"

    patched.warning("%s", Chatty())

    assert ["chatty"] == [event.body for event in recorded().events]


def test_a_message_that_cannot_be_formatted_is_kept_as_it_was_written(
    watched, recorded
):
    watched.warning("%d items", "three")

    assert ["%d items"] == [event.body for event in recorded().events]


def test_handlers_of_the_applications_own_see_what_they_saw_before(recorded):
    def written():
        stream = io.StringIO()
        logger = logging.Logger("shop")  # noqa: LOG001 - nobody else's
        handler = logging.StreamHandler(stream)
        handler.setFormatter(logging.Formatter("%(name)s %(funcName)s %(message)s"))
        logger.addHandler(handler)
        logger.warning("low")
        return stream.getvalue()

    without = written()
    libraries.instrument_libraries("logging")

    assert without == written()
    assert not any(isinstance(h, Handler) for h in logging.getLogger().handlers)


def test_a_logger_that_was_filtered_or_disabled_records_nothing(patched, recorded):
    patched.addFilter(lambda record: False)
    patched.warning("filtered")
    patched.filters.clear()
    patched.disabled = True
    patched.warning("disabled")

    assert [] == recorded().events
