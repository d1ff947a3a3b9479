"""Events: queued or written at once, scrubbed before anybody stores them."""

import pytest

from probekit.recording.events import record_error, record_event


def test_an_event_keeps_name_types_time_and_severity(registry, drained):
    """What is given is what is stored."""
    record_event(
        registry,
        "order.refunded",
        {"order.id": "A1", "amount": 12.5, "items": [1, 2], "gift": True},
        severity=13,
        body="for Ann",
    )
    (event,) = drained().events

    assert ("order.refunded", 13, "for Ann") == (event.name, event.severity, event.body)
    assert {
        "order.id": "A1",
        "amount": 12.5,
        "items": (1, 2),
        "gift": True,
    } == event.attributes
    assert event.time_unix_ns > 1.6e18


@pytest.mark.parametrize(
    "arguments, options",
    [
        (("",), {}),
        ((None,), {}),
        (("a", "text"), {}),
        (("a",), {"severity": 0}),
        (("a",), {"severity": "high"}),
        (("a",), {"body": 7}),
    ],
)
def test_a_bad_event_is_a_loss(registry, drained, arguments, options):
    """It never raises."""
    record_event(registry, *arguments, **options)
    recorded = drained()

    assert [] == recorded.events
    assert {("events", "invalid"): 1} == recorded.losses


def test_a_durable_event_is_handed_over_before_the_call_returns(registry, drained):
    """Scrubbed, alone, and not a second time with the next drain."""
    written = []
    registry.on_durable = written.append
    record_event(registry, "waiting")
    record_event(registry, "paid", {"password": "geheim"}, durable=True)

    assert [["paid"]] == [[event.name for event in h.events] for h in written]
    assert "geheim" not in repr(written)
    assert ["waiting"] == [event.name for event in drained().events]


def test_a_durable_event_that_cannot_be_written_is_queued(registry, drained):
    """With no buffer, and with a broken one."""
    record_event(registry, "early", durable=True)
    registry.on_durable = lambda harvest: 1 / 0
    record_event(registry, "late", durable=True)

    assert ["early", "late"] == [event.name for event in drained().events]


def test_the_queue_is_bounded(registry, drained):
    """The rest is a loss."""
    for _ in range(10_003):
        registry.events.put(None)
    registry.events.forget()
    record_event(registry, "a")
    recorded = drained()

    assert 1 == len(recorded.events)
    assert {("events", "queue_full"): 3} == recorded.losses


def test_the_running_trace_is_named(registry, drained):
    """And a hook that fails is no reason to lose the event."""
    registry.trace_ids = lambda: ("a" * 32, "b" * 16)
    record_event(registry, "one")
    record_error(registry, ValueError("two"))
    registry.trace_ids = lambda: 1 / 0
    record_event(registry, "three")

    assert [("a" * 32, "b" * 16)] * 2 + [("", "")] == [
        (event.trace_id, event.span_id) for event in drained().events
    ]


def test_nothing_is_said_while_suppressed(registry, drained):
    """Events and handled errors."""
    with registry.suppress():
        record_event(registry, "a")
        record_error(registry, ValueError("x"))
    recorded = drained()

    assert ([], []) == (recorded.events, recorded.problems)


def test_text_that_cannot_be_encoded_is_escaped(registry, drained):
    """A lone surrogate would stop every encoder behind us."""
    record_event(registry, "a", {"k\ud800": "v\udfff"}, body="\ud800")
    record_error(registry, ValueError("\ud800"))

    for event in drained().events:
        repr(event.attributes).encode()
        "".join([event.body, *map(str, event.attributes.values())]).encode()
