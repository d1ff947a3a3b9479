"""One exporter's way through the buffer, a step at a time; no thread, no sleep.

A step sends at most one parcel and says when the next step is due. What the far side
has accepted is never sent again by this process, also when the cursor cannot move.
"""

import random
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from probekit.buffer.parcel import Parcel
from probekit.clock import SYSTEM_CLOCK, Clock
from probekit.delivery.retry import CIRCUIT_S, action_for, delay_s
from probekit.errors import BufferBusy, RetryLater
from probekit.notice import notice
from probekit.patience import Patience
from probekit.ports import DeliveryContract, Exporter

IDLE_S = 5.0  # a look without being woken
_COMMIT_RETRY_S = 0.25
_HURRY_S = 0.25  # least time between two tries, however much somebody hurries
_REFUSALS_LIMIT = 64  # refused in a row; then a parcel is buried without bisecting
_RECOVERY_S = 1.0  # longest pause between two parcels of a backlog after an outage


class Cursors(Protocol):
    """What a courier needs of the store."""

    @property
    def buffer_id(self) -> str:
        """Names the buffer."""

    def next_batch(
        self,
        exporter: str,
        contract: DeliveryContract,
        *,
        limit: int,
    ) -> "Parcel | None":
        """What is to be sent next."""

    def advance(self, exporter: str, parcel: Parcel) -> None:
        """It is delivered."""

    def bury(self, exporter: str, parcel: Parcel, reason: str) -> None:
        """It is refused for ever."""

    def refused(self, exporter: str, parcel: Parcel, count: int, reason: str) -> None:
        """It is delivered but for some records."""

    def note_error(self, exporter: str, text: str) -> None:
        """What went wrong last."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What the far side has decided about a parcel, until the cursor has moved."""

    parcel: Parcel
    verdict: Literal["accepted", "refused", "buried"] = "accepted"
    reason: str = ""
    count: int = 0


# (buffer id, exporter) → decided and not yet committed; outlives a courier.
Ledger: TypeAlias = MutableMapping["tuple[str, str]", Settlement]


class Courier:
    """Takes parcels from one cursor to one exporter.

    Attributes:
        name: The cursor's name.
        is_blocked: The last try failed and the next one has to wait.
        is_idle: Nothing waits for this exporter, as of the last step.
    """

    def __init__(
        self,
        name: str,
        exporter: Exporter,
        store: Cursors,
        *,
        ledger: "Ledger | None" = None,
        clock: Clock = SYSTEM_CLOCK,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """Bind an exporter to its cursor; nothing is read yet.

        Args:
            name: The cursor's name.
            exporter: Where to.
            store: Where from.
            ledger: Remembers what was decided, over restarts of the courier.
            clock: Only its monotonic reading is used.
            draw: Source of chance in [0, 1).

        """
        self.name = name
        self.is_blocked = False
        self.is_idle = False
        self._exporter = exporter
        self._store = store
        self._ledger: Ledger = {} if ledger is None else ledger
        self._clock = clock
        self._draw = draw
        self._patience = Patience(f"ship {name}", f"sending to {name}", clock=clock)
        self._stack: list[Parcel] = []
        self._limit: int | None = None
        self._failures = 0
        self._refusals = 0
        self._not_before_s = float("-inf")
        self._tried_s = float("-inf")
        self._may_hurry = True
        self._recovering = False

    def hurry(self) -> None:
        """Try at once, unless the far side itself asked us to wait; any thread."""
        if self._may_hurry:
            soonest_s = self._tried_s + _HURRY_S
            self._not_before_s = min(self._not_before_s, soonest_s)
            self._recovering = False

    def step(self) -> float:
        """Do what is due, at most one send.

        Returns:
            Seconds until the next step; 0 when more may wait. Never raises.

        """
        wait_s = self._not_before_s - self._clock.monotonic_s()
        if wait_s > 0:
            return wait_s
        try:
            if not self._settle():
                return _COMMIT_RETRY_S
            parcel = self._next()
        except BufferBusy:  # a fork interrupted us, or somebody's tool is at work
            return _COMMIT_RETRY_S / 4
        except Exception as error:  # the buffer's trouble; the far side knows nothing
            notice("ship-read", f"cannot read the buffer for {self.name}: {error}")
            return _COMMIT_RETRY_S * 4
        self.is_idle = parcel is None
        return IDLE_S if parcel is None else self._send(parcel)

    def _next(self) -> "Parcel | None":
        if self._stack:
            return self._stack[-1]
        contract = self._exporter.contract
        limit = min(self._limit or contract.max_records, contract.max_records)
        parcel = self._store.next_batch(self.name, contract, limit=limit)
        if parcel is None:
            self._recovering = False
        else:
            self._stack.append(parcel)
        return parcel

    def _send(self, parcel: Parcel) -> float:
        self._tried_s = self._clock.monotonic_s()
        try:
            self._exporter.send(parcel)
        except Exception as error:
            return self._failed(parcel, error)
        self._decide(Settlement(parcel))
        self._grow()
        return self._pause_s()

    def _pause_s(self) -> float:
        """After an outage take half of what the far side can do, not all."""
        if not self._recovering:
            return 0.0
        took_s = self._clock.monotonic_s() - self._tried_s
        return self._wait(min(took_s, _RECOVERY_S))

    def _failed(self, parcel: Parcel, error: Exception) -> float:
        action = action_for(error)
        text = describe(error)
        self._note(text)
        if action == "settle":
            count = int(getattr(error, "count", 0) or 0)
            self._decide(Settlement(parcel, "refused", text, count))
            notice(
                f"refused {self.name}", f"{self.name} refused {count} records: {text}"
            )
            return 0.0
        if action == "halve":
            self._limit = max(1, len(parcel) // 2)
            self._cut(parcel, text)
            return 0.0
        if action == "bisect":
            self._refusals += 1
            self._cut(parcel, text, whole=self._refusals > _REFUSALS_LIMIT)
            return 0.0
        return self._postpone(action, error, text)

    def _cut(self, parcel: Parcel, reason: str, *, whole: bool = False) -> None:
        if whole or len(parcel) == 1:
            self._decide(Settlement(parcel, "buried", reason))
            notice(
                f"buried {self.name}",
                f"{self.name} refuses what it is sent; see its dead letters: {reason}",
            )
            return
        self._stack.pop()
        self._stack.extend(reversed(parcel.halves()))

    def _postpone(self, action: str, error: Exception, text: str) -> float:
        self.is_blocked = True
        self._failures += 1
        self._recovering = True
        asked_s = error.after_s if isinstance(error, RetryLater) else None
        wait_s = delay_s(self._failures, asked_s, draw=self._draw)
        self._may_hurry = asked_s is None
        if action == "open":
            wait_s, self._may_hurry = CIRCUIT_S, False
            notice(
                f"forbidden {self.name}",
                f"{self.name} refuses us: {text}; its data is kept, and one try is "
                f"made every {CIRCUIT_S / 60:.0f} minutes",
            )
        elif action == "doubt":
            self._patience.failed(error)
            if not self._patience.allows():
                wait_s, self._may_hurry = CIRCUIT_S, False
        else:
            notice(f"retry {self.name}", f"{self.name} is tried again later: {text}")
        return self._wait(wait_s)

    def _wait(self, seconds: float) -> float:
        self._not_before_s = self._clock.monotonic_s() + seconds
        return seconds

    def _decide(self, settlement: Settlement) -> None:
        """Note a decision first, then commit it: it must not be lost between."""
        self._ledger[settlement.parcel.buffer_id, self.name] = settlement
        self._stack.pop()
        if settlement.verdict != "buried":
            self._failures = self._refusals = 0
            self._may_hurry, self.is_blocked = True, False
            self._patience.worked()
        self._settle()

    def _settle(self) -> bool:
        key = (self._store.buffer_id, self.name)
        settlement = self._ledger.get(key)
        if settlement is None:
            return True
        parcel, reason = settlement.parcel, settlement.reason
        try:
            if settlement.verdict == "accepted":
                self._store.advance(self.name, parcel)
            elif settlement.verdict == "refused":
                self._store.refused(self.name, parcel, settlement.count, reason)
            else:
                self._store.bury(self.name, parcel, reason)
        except BufferBusy:  # kept in the ledger; noted with the next step
            return False
        except Exception as error:
            notice(
                "ship-commit",
                f"cannot note what {self.name} accepted; it is not sent again, and "
                f"noting it is tried until it works: {error}",
            )
            return False
        del self._ledger[key]
        return True

    def _grow(self) -> None:
        if self._limit is not None:
            self._limit += max(1, self._limit // 10)

    def _note(self, text: str) -> None:
        try:
            self._store.note_error(self.name, text)
        except BufferBusy:  # the figure is for people; the work goes on
            return
        except Exception as error:
            notice("ship-note", f"cannot note an error of {self.name}: {error}")


def describe(error: Exception) -> str:
    """An error in at most 300 characters, without secrets.

    Example:
        >>> describe(OSError("no route"))
        'OSError: no route'

    """
    from probekit.errors import ProbekitError
    from probekit.scrub import Scrubber

    try:
        text = Scrubber().text(str(error))
    except Exception:  # a foreign exporter's error may do anything
        text = "<message not available>"
    if not isinstance(error, ProbekitError):
        text = f"{type(error).__name__}: {text}"
    return text[:300]
