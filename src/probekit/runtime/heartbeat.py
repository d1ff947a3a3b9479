"""The heartbeat: once a second, what has been running for longer than a second.

It looks from the pump's thread, so that calls, requests and jobs pay nothing for it,
and writes only when there is something to say. ``buffer.journal.lastwords`` keeps it; a
process that ends by itself takes it away, so that only the killed leave one.
"""

import contextlib
import os
from dataclasses import replace
from pathlib import Path
from time import perf_counter, thread_time
from typing import TYPE_CHECKING, TypeAlias

from probekit.buffer.journal.lastwords import LastWords
from probekit.clock import SYSTEM_CLOCK, Clock
from probekit.model import SEVERITY_ERROR, AttributeValue, Event
from probekit.notice import notice
from probekit.recording.finish import finished
from probekit.recording.underway.calls import long_calls
from probekit.recording.underway.coroutines import waiting_calls
from probekit.recording.underway.running import (
    EVENT,
    MOST,
    UNDERWAY,
    Operation,
    described,
    long_underway,
)
from probekit.recording.underway.sightings import Sightings

if TYPE_CHECKING:
    from probekit.recording.registry import Registry

PERIOD_S = 1.0
_SLOWEST_S = 10.0  # between two beats of what has long been running
_SHARE = 0.005  # of a core that looking may cost: with very many tasks it is rarer
_PATIENCE = 0.1  # a beat may be older than it has to be by this share of the age

_Known: TypeAlias = "frozenset[tuple[str, str, float]]"


class Heartbeat:
    """Looks, and leaves behind what it saw.

    Threads:
        ``beat`` and ``end`` one at a time; never raises.
    """

    def __init__(
        self,
        registry: "Registry",
        journal: Path,
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Say whose secrets are taken out, and where beats lie; nothing is made."""
        self._registry = registry
        self._clock = clock
        self._words = LastWords(journal, clock=clock)
        self._sightings = Sightings(registry)
        self._known: _Known = frozenset()
        self._due_s = clock.monotonic_s() + PERIOD_S
        self._fresh_until_s = 0.0

    def beat(self) -> None:
        """Look if it is time; write if that is news, or the last beat is old."""
        now_s = self._clock.monotonic_s()
        if now_s < self._due_s:
            return
        seen_s, cost_s = perf_counter(), -thread_time()
        found = long_operations(seen_s, self._sightings)
        cost_s += thread_time()
        self._due_s = now_s + max(PERIOD_S, cost_s / _SHARE)
        known = frozenset((each.kind, each.name, each.began_s) for each in found)
        if known == self._known and (not found or now_s < self._fresh_until_s):
            return
        try:
            self._words.say(self._events(found, seen_s))
        except Exception as error:
            notice("heartbeat", "what is running was not noted", error)
            return
        self._known = known
        ages_s = [seen_s - each.began_s for each in found]
        wait_s = _PATIENCE * min(ages_s, default=0.0)
        self._fresh_until_s = now_s + min(_SLOWEST_S, wait_s)

    def end(self) -> None:
        """The process ends by itself, or records no more: nothing is left behind."""
        self._words.silence()
        self._sightings.forget()
        self._known = frozenset()

    def abandon(self) -> None:
        """In a forked child: what runs, runs in the parent."""
        self._words.abandon()
        self._sightings.forget()
        UNDERWAY.clear()

    def _events(self, found: "list[Operation]", seen_s: float) -> "list[Event]":
        if not found:
            return []
        now_ns, state = self._clock.wall_ns(), state_of_process()
        return [
            finished(_event(each, now_ns, seen_s - each.began_s, state), self._registry)
            for each in found
        ]


def long_operations(
    now_s: float, sightings: "Sightings | None" = None
) -> "list[Operation]":
    """Requests, jobs and calls that began a second before *now_s*, the oldest 32."""
    if sightings is not None:
        sightings.begin(now_s)
    calls, places = long_calls(now_s, sightings)
    calls += waiting_calls(now_s, places, sightings)
    entered = long_underway(now_s)
    for each in entered:
        stack = places.get(each.entry)
        calls.append(replace(each, stack=stack) if stack else each)
    return sorted(calls, key=lambda each: each.began_s)[:MOST]


def _event(
    operation: Operation,
    now_ns: int,
    lasted_s: float,
    state: "dict[str, AttributeValue]",
) -> Event:
    return Event(
        now_ns,
        EVENT,
        {**described(operation, lasted_s), **state},
        SEVERITY_ERROR,
        f"{operation.name} had been running for {lasted_s:.1f} s at the last beat "
        f"of process {os.getpid()}, which ended without a word",
    )


def state_of_process() -> "dict[str, AttributeValue]":
    """What may tell why a process is killed; what cannot be read is left out."""
    found: dict[str, AttributeValue] = {"process.pid": os.getpid()}
    with contextlib.suppress(OSError, ValueError, LookupError):  # no Linux
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        found["process.memory.usage"] = pages * os.sysconf("SC_PAGE_SIZE")
        memory = Path("/proc/meminfo").read_text(encoding="ascii")
        available_kib = memory.split("MemAvailable:")[1].split()[0]
        found["system.memory.linux.available"] = int(available_kib) * 1024
    with contextlib.suppress(OSError, AttributeError):  # not told here
        found["system.load_average.1m"] = round(os.getloadavg()[0], 2)
    return found
