"""Laws of the retry table and of waiting."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probekit.delivery.retry import action_for, delay_s
from probekit.errors import Forbidden, Rejected, RetryLater, TooLarge


@pytest.mark.row("N7")
@pytest.mark.parametrize(
    "error, action",
    [
        (RetryLater("busy"), "wait"),
        (TooLarge("big"), "halve"),
        (Forbidden("401"), "open"),
        (Rejected("400"), "bisect"),
        (Rejected("partial", count=3), "settle"),
        (Rejected("partial", count=0), "settle"),
        (ConnectionRefusedError(), "wait"),
        (TimeoutError(), "wait"),
        (KeyError("bug"), "doubt"),
        (RecursionError(), "doubt"),
    ],
)
def test_every_error_has_its_action(error, action):
    """The table is complete: whatever a send raises is decided by it."""
    assert action == action_for(error)


@given(st.integers(1, 10**6), st.floats(0, 1, exclude_max=True))
def test_the_wait_is_at_least_zero_and_below_a_minute(failures, draw):
    """Full jitter, up to 60 seconds, for any number of failures."""
    assert 0 <= delay_s(failures, draw=lambda: draw) < 60


@given(st.integers(1, 100))
def test_the_ceiling_never_falls(failures):
    """More failures never mean less patience."""

    def ceiling_s(n):
        return delay_s(n, draw=lambda: 1.0)

    assert ceiling_s(failures) <= ceiling_s(failures + 1)


@pytest.mark.row("N3")
@given(st.floats(0, 1e12), st.floats(0, 1, exclude_max=True))
def test_a_wish_is_honoured_up_to_an_hour(asked_s, draw):
    """Never sooner than asked, unless that is more than an hour."""
    wait_s = delay_s(1, asked_s, draw=lambda: draw)

    assert min(asked_s, 3600.0) <= wait_s <= 3610.0


@pytest.mark.parametrize("nonsense", [math.nan, -1.0, -math.inf])
def test_a_senseless_wish_is_no_wish(nonsense):
    """The backoff decides then."""
    assert delay_s(1, nonsense, draw=lambda: 0.5) == 0.5


@pytest.mark.row("N13")
def test_waits_of_a_fleet_are_spread():
    """A thousand processes that lost their collector at once do not return at once."""
    waits = sorted(delay_s(12) for _ in range(1000))

    assert waits[100] < 12
    assert waits[900] > 48


def test_no_failure_has_no_wait():
    """Asking for it is a mistake of the caller's."""
    with pytest.raises(ValueError, match="at least 1, got 0"):
        delay_s(0)
