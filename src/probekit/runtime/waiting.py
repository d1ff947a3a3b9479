"""The wait of ``flush``: until a frame is committed and all cursors have passed it."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from probekit.clock import SYSTEM_CLOCK, Clock

if TYPE_CHECKING:
    from probekit.buffer.progress import Progress

_STEP_S = (0.002, 0.05)  # first and longest pause between two looks
_NUDGE_S = 0.25


def wait_delivered(
    look: "Callable[[], Progress | None]",
    is_covered: "Callable[[Progress], bool]",
    names: "frozenset[str]",
    *,
    nudge: Callable[[], None],
    timeout_s: float,
    is_over: "Callable[[], bool]" = lambda: False,
    clock: Clock = SYSTEM_CLOCK,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Look again and again until everything is delivered or the time is over.

    Args:
        look: Reads how far the buffer is; None when it cannot be read now.
        is_covered: Whether the frame in question is committed.
        names: Cursors that must exist.
        nudge: Called at first and four times a second: somebody has to lead.
        timeout_s: Longest wait, seconds; 0 looks once.
        is_over: Whether nobody here delivers any more: then this look is the last.
        clock: Only its monotonic reading is used.
        sleep: How to wait.

    Returns:
        True when every exporter has passed all that was committed with the frame.

    """
    end_s = clock.monotonic_s() + timeout_s
    step_s, nudge_s = _STEP_S[0], clock.monotonic_s()
    target = None
    while True:
        is_last = is_over()  # before the look, which then has seen the end
        now_s = clock.monotonic_s()
        if now_s >= nudge_s:
            nudge()
            nudge_s = now_s + _NUDGE_S
        progress = look()
        if progress is not None and target is None and is_covered(progress):
            # The commit may have come between the look and the question: look again,
            # or the numbers that it gave would be missing from the target.
            progress = look()
            target = None if progress is None else progress.last
        if progress is not None:
            exist = names <= progress.exporters
            if exist and target is not None and progress.has_passed(target):
                return True
        left_s = end_s - clock.monotonic_s()
        if is_last or left_s <= 0:
            return False
        sleep(min(step_s, left_s))
        step_s = min(step_s * 1.5, _STEP_S[1])
