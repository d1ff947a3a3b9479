"""The overhead governor: above its budget probekit records less, step by step.

What it measures are our own threads, what waits in memory and what is written; what it
gives up, and in which order, is in ``savings``. It neither sleeps nor reads anything
itself: the pump asks it to look, and whoever makes it says where readings come from.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from probekit.clock import SYSTEM_CLOCK, Clock

LOOK_S = 5.0  # one measurement
DEAR_LOOKS = 2  # above the budget in a row, before a step down: a burst is no habit
CHEAP_LOOKS = 6  # well below it in a row, before a step up
SWAY_LOOKS = 24  # a step down so soon after one up was the same trouble again
PATIENT_LOOKS = 16 * CHEAP_LOOKS  # longest wait before a step up
RELAXED = 0.5  # share of the budget that counts as well below it


@dataclass(frozen=True, slots=True)
class Reading:
    """What has been used, as of now.

    Attributes:
        cpu_s: CPU seconds of our threads since the process began.
        memory_bytes: What waits in memory now, about.
        written_bytes: What has been written since the process began.
    """

    cpu_s: float = 0.0
    memory_bytes: int = 0
    written_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be used.

    Attributes:
        cpu_ratio: Share of a core.
        memory_bytes: Bytes that wait in memory.
        disk_bytes_per_s: Bytes written a second.
    """

    cpu_ratio: float = 0.01
    memory_bytes: int = 16 << 20
    disk_bytes_per_s: int = 8 << 20


@dataclass(frozen=True, slots=True)
class Saving:
    """Something that can be given up and taken back.

    Attributes:
        name: For people and for the event.
        begin: Gives it up.
        end: Takes it back.
        helps: Whether there is anything to give up now; else the step is passed over.
        relaxed: Share of the budget below which it is taken back.
    """

    name: str
    begin: Callable[[], None]
    end: Callable[[], None]
    helps: Callable[[], bool] = lambda: True
    relaxed: float = RELAXED


@dataclass(frozen=True, slots=True)
class Move:
    """A step that was made.

    Attributes:
        saving: What was given up, or taken back.
        direction: ``down`` or ``up``.
        level: How many steps of the order are in force now.
        cause: Which part of the budget is used most: ``cpu``, ``memory`` or ``disk``.
        used_ratio: Which share of it, 1.0 for all.
    """

    saving: str
    direction: str
    level: int
    cause: str
    used_ratio: float


class Governor:
    """Keeps our own use within a budget.

    Attributes:
        level: Place of the last step in the stated order, from 1; 0 for none.
        cpu_ratio: Share of a core that our threads took lately.
        last: What was read last.

    Threads:
        ``turn`` and ``release`` one at a time; attributes may be read by any.
    """

    def __init__(
        self,
        budget: Budget,
        savings: Sequence[Saving],
        read: Callable[[], Reading],
        tell: Callable[[Move], None],
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Begin with nothing given up.

        Args:
            budget: What may be used.
            savings: What is given up, in this order.
            read: Says what has been used.
            tell: Told of every step.
            clock: Only its monotonic reading is used.

        """
        self.level = 0
        self.cpu_ratio = 0.0
        self.last = Reading()
        self._budget = budget
        self._savings = savings
        self._read = read
        self._tell = tell
        self._clock = clock
        self._in_force: list[int] = []
        self._since: tuple[float, Reading] | None = None
        self._dear = self._cheap = 0
        self._wait_looks = CHEAP_LOOKS
        self._since_up = SWAY_LOOKS + 1

    def turn(self) -> None:
        """Look, if it is time, and make at most one step."""
        now_s = self._clock.monotonic_s()
        if self._since is not None and now_s - self._since[0] < LOOK_S:
            return
        reading = self.last = self._read()
        since, self._since = self._since, (now_s, reading)
        if since is not None:
            self._judge(*self._used(reading, since[1], now_s - since[0]))

    def release(self) -> None:
        """Take everything back: the one who is governed ends."""
        while self._in_force:
            self._savings[self._in_force.pop()].end()
        self.level = 0

    @property
    def step(self) -> str:
        """What was given up last; empty for nothing."""
        return self._savings[self._in_force[-1]].name if self._in_force else ""

    def _used(
        self, now: Reading, before: Reading, took_s: float
    ) -> "tuple[float, str]":
        """The largest share of the budget that is used, and of which part."""
        budget = self._budget
        self.cpu_ratio = max(0.0, now.cpu_s - before.cpu_s) / took_s
        written_bytes = max(0, now.written_bytes - before.written_bytes)
        return max(
            (self.cpu_ratio / budget.cpu_ratio, "cpu"),
            (now.memory_bytes / budget.memory_bytes, "memory"),
            (written_bytes / took_s / budget.disk_bytes_per_s, "disk"),
        )

    def _judge(self, used_ratio: float, cause: str) -> None:
        self._since_up += 1
        relaxed = self._savings[self._in_force[-1]].relaxed if self._in_force else 0.0
        self._dear = self._dear + 1 if used_ratio > 1.0 else 0
        self._cheap = self._cheap + 1 if used_ratio < relaxed else 0
        if self._dear >= DEAR_LOOKS:
            self._down(used_ratio, cause)
        elif self._cheap >= self._wait_looks:
            self._up(used_ratio, cause)

    def _down(self, used_ratio: float, cause: str) -> None:
        self._dear = self._cheap = 0
        for place in range(self.level, len(self._savings)):
            saving = self._savings[place]
            if saving.helps():
                break
        else:
            return  # all that can be given up is
        sways = self._since_up <= SWAY_LOOKS  # cheap only for what was given up
        longer = min(2 * self._wait_looks, PATIENT_LOOKS)
        self._wait_looks = longer if sways else CHEAP_LOOKS
        saving.begin()
        self._in_force.append(place)
        self.level = place + 1
        self._tell(Move(saving.name, "down", self.level, cause, used_ratio))

    def _up(self, used_ratio: float, cause: str) -> None:
        self._dear = self._cheap = 0
        self._since_up = 0
        saving = self._savings[self._in_force.pop()]
        saving.end()
        self.level = self._in_force[-1] + 1 if self._in_force else 0
        self._tell(Move(saving.name, "up", self.level, cause, used_ratio))
