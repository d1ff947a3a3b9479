"""Clocks, stores and exporters that do only what a test says."""

from types import SimpleNamespace

import pytest

from probekit.buffer.parcel import Cursor, Parcel
from probekit.model import Event, Resource
from probekit.ports import DeliveryContract


class FakeClock:
    """Moves only when told."""

    def __init__(self, wall_ns=1_000_000_000_000):
        self.now_s = 0.0
        self.base_ns = wall_ns

    def wall_ns(self):
        return self.base_ns + int(self.now_s * 1e9)

    def monotonic_s(self):
        return self.now_s


def parcel_of(*numbers, buffer_id="b"):
    """A parcel of events with these numbers."""
    return Parcel(
        buffer_id,
        Resource(),
        events=tuple(Event(0, "e", number=number) for number in numbers),
        since=Cursor(event=numbers[0] - 1),
        through=Cursor(event=numbers[-1]),
    )


class FakeStore:
    """Events 1 to n behind one cursor; remembers what became of each."""

    buffer_id = "b"

    def __init__(self, records=0):
        self.last = records
        self.cursor = 0
        self.limits = []
        self.buried = {}
        self.refusals = []
        self.errors = []
        self.failing = False

    def next_batch(self, exporter, contract, *, limit):
        self.limits.append(limit)
        if self.cursor >= self.last:
            return None
        end = min(self.last, self.cursor + limit)
        return parcel_of(*range(self.cursor + 1, end + 1))

    def _move(self, parcel):
        if self.failing:
            raise OSError("disk full")
        assert parcel.since.event == self.cursor
        self.cursor = parcel.through.event

    def advance(self, exporter, parcel):
        self._move(parcel)

    def bury(self, exporter, parcel, reason):
        self._move(parcel)
        self.buried.update({event.number: reason for event in parcel.events})

    def refused(self, exporter, parcel, count, reason):
        self._move(parcel)
        self.refusals.append((count, reason))

    def note_error(self, exporter, text):
        self.errors.append(text)


class FakeExporter:
    """Delivers, unless its script says otherwise; the script is asked for each send."""

    def __init__(self, script=None, **contract):
        self.contract = DeliveryContract(**{"max_records": 100, **contract})
        self.script = script or (lambda numbers: None)
        self.sends = []
        self.delivered = []
        self.closed = 0

    def send(self, batch):
        numbers = [event.number for event in batch.events]
        self.sends.append(numbers)
        error = self.script(numbers)
        if error is not None:
            raise error
        self.delivered += numbers

    def close(self):
        self.closed += 1


@pytest.fixture(scope="session")
def fakes():
    """The classes above; test folders are no packages to import from."""
    return SimpleNamespace(Clock=FakeClock, Store=FakeStore, Exporter=FakeExporter)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture(autouse=True)
def _no_old_notices():
    """Notices are told once a minute; each test begins with a clean memory."""
    from probekit import notice

    notice._last_told_s.clear()
