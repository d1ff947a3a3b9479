"""What to do about a failed send, as data; and how long to wait.

Pure: neither sleeps nor reads a clock.
"""

import random
from collections.abc import Callable
from typing import Literal, TypeAlias

from probekit.errors import Forbidden, Rejected, RetryLater, TooLarge

Action: TypeAlias = Literal["wait", "halve", "bisect", "settle", "open", "doubt"]

FIRST_CEILING_S = 1.0
LAST_CEILING_S = 60.0
GROWTH = 1.5  # the ceiling stays at about two thirds of the outage so far
LONGEST_ASKED_S = 3600.0
CIRCUIT_S = 300.0  # between two probes of a backend that forbids
DOUBTS_LIMIT = 5  # unexpected errors in a row that switch an exporter off for so long

# First match counts. Errors that are none of ours come last: an OSError is the
# network's, everything else is a bug in an exporter and tried again with doubt.
ACTIONS: "tuple[tuple[type[Exception], Action], ...]" = (
    (RetryLater, "wait"),
    (TooLarge, "halve"),
    (Forbidden, "open"),
    (Rejected, "bisect"),
    (OSError, "wait"),
    (Exception, "doubt"),
)


def action_for(error: Exception) -> Action:
    """What to do about *error*.

    Returns:
        ``wait`` and send the same again; ``halve`` it; ``bisect`` it to find the bad
        record; ``settle``: the others were taken, count the refused ones; ``open``
        the circuit; ``doubt``: wait, but not for ever.

    Example:
        >>> action_for(ConnectionResetError()), action_for(Rejected("no", count=2))
        ('wait', 'settle')

    """
    if isinstance(error, Rejected) and error.count is not None:
        return "settle"
    return next(action for kind, action in ACTIONS if isinstance(error, kind))


def delay_s(
    failures: int,
    asked_s: "float | None" = None,
    *,
    draw: Callable[[], float] = random.random,
) -> float:
    """Say how long to wait before the same parcel is sent again.

    Without a wish of the far side the wait is drawn evenly between zero and a ceiling
    that grows with each failure, so a fleet that lost its collector at one moment does
    not come back at one moment. A wish is honoured up to an hour, and a little more
    than fulfilled, for the same reason.

    Args:
        failures: How many sends in a row have failed; 1 or more.
        asked_s: Seconds that the far side asked for, None for no wish.
        draw: Source of chance in [0, 1).

    Returns:
        Seconds, 0 to 60 without a wish, else the wish and at most a tenth more.

    Raises:
        ValueError: *failures* is below 1.

    Example:
        >>> [delay_s(n, draw=lambda: 0.5) for n in (1, 2, 3, 20)]
        [0.5, 0.75, 1.125, 30.0]
        >>> delay_s(1, 7200.0, draw=lambda: 0.0)
        3600.0

    """
    if failures < 1:
        raise ValueError(f"failures must be at least 1, got {failures}")
    if asked_s is not None and asked_s >= 0:  # also false for NaN
        wish_s = min(asked_s, LONGEST_ASKED_S)
        return wish_s + min(0.1 * wish_s, 10.0) * draw()
    growths = min(failures - 1, 64)  # past any ceiling; more would overflow
    ceiling_s: float = min(LAST_CEILING_S, FIRST_CEILING_S * GROWTH**growths)
    return ceiling_s * draw()
