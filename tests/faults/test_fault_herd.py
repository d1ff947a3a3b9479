"""Row N13: two hundred clients whose collector comes back at one moment. Simulated.

The couriers are the real ones; time is the simulation's, a client a clock.
"""

import heapq

import pytest

from probekit.buffer.parcel import Cursor, Parcel
from probekit.delivery.courier import Courier
from probekit.errors import RetryLater
from probekit.model import Event, Resource
from probekit.ports import DeliveryContract

pytestmark = pytest.mark.faults

CLIENTS, INTERVAL_S, OUTAGE_S = 200, 10.0, 600.0
RECORDS = 100  # of a client in a window
SEND_S = 0.05


class Clock:
    def __init__(self):
        self.now_s = 0.0

    def monotonic_s(self):
        return self.now_s

    def wall_ns(self):
        return int(self.now_s * 1e9)


class Client:
    """A courier, its buffer, and the moments at which its requests arrive.

    Attributes:
        clock: This client's own.
        arrivals: (moment, how old the newest record was) of each accepted request.
        refused: Moments of requests that found nobody.
    """

    buffer_id = "b"

    def __init__(self, phase_s, rng):
        self.clock = Clock()
        self.arrivals, self.refused = [], []
        self.contract = DeliveryContract()
        self._phase_s = phase_s
        self._cursor = 0
        self.courier = Courier("x", self, self, clock=self.clock, draw=rng.random)

    def _recorded(self):
        windows = int((self.clock.now_s - self._phase_s) // INTERVAL_S)
        return max(0, windows) * RECORDS

    def next_batch(self, exporter, contract, *, limit):
        end = min(self._recorded(), self._cursor + limit)
        if end <= self._cursor:
            return None
        return Parcel(
            "b",
            Resource(),
            events=(Event(0, "e", number=end),) * (end - self._cursor),
            since=Cursor(event=self._cursor),
            through=Cursor(event=end),
        )

    def send(self, parcel):
        if self.clock.now_s < OUTAGE_S:
            self.refused.append(self.clock.now_s)
            raise RetryLater("down")
        waiting = self._recorded() - parcel.through.event
        self.arrivals.append((self.clock.now_s, waiting))
        self.clock.now_s += SEND_S

    def advance(self, exporter, parcel):
        self._cursor = parcel.through.event

    def note_error(self, exporter, text):
        """Nobody reads it."""

    def close(self):
        """Nothing is open."""

    def next_window_s(self):
        """When this client has something new."""
        windows = (self.clock.now_s - self._phase_s) // INTERVAL_S + 1
        return windows * INTERVAL_S + self._phase_s


def simulate(rng, until_s):
    """All clients, event by event, from the beginning of the outage."""
    clients = [Client(rng.uniform(0, INTERVAL_S), rng) for _ in range(CLIENTS)]
    agenda = [(0.0, n) for n in range(CLIENTS)]
    heapq.heapify(agenda)
    while agenda[0][0] < until_s:
        now_s, n = heapq.heappop(agenda)
        client = clients[n]
        client.clock.now_s = now_s
        wait_s = client.courier.step()
        due_s = client.clock.now_s + wait_s
        if client.courier.is_idle:  # the leader wakes it when a window closes
            due_s = client.next_window_s()
        heapq.heappush(agenda, (due_s + 1e-6, n))
    return clients


@pytest.mark.row("N13")
def test_a_fleet_does_not_come_back_at_one_moment(rng, measured):
    """N13: at most twice the steady number of requests in the first five seconds."""
    clients = simulate(rng, OUTAGE_S + 120.0)
    moments = sorted(at_s - OUTAGE_S for each in clients for at_s, _ in each.arrivals)
    steady = CLIENTS / INTERVAL_S * 5.0
    first = sum(at_s < 5.0 for at_s in moments)
    most = max(
        sum(begin <= at_s < begin + 5.0 for at_s in moments) for begin in range(60)
    )
    late_s = max(
        next(at_s for at_s, waiting in each.arrivals if not waiting) - OUTAGE_S
        for each in clients
    )
    measured(
        f"200 clients after 10 min: {first} requests in the first 5 s, at most {most} "
        f"in any 5 s of the first minute; steady {steady:.0f}; all caught up after "
        f"{late_s:.0f} s"
    )

    assert first <= 2 * steady
    assert most <= 2 * steady
    assert all(not each.arrivals[-1][1] for each in clients), "somebody is behind"


@pytest.mark.row("N13")
def test_what_is_new_waits_for_the_backlog_no_longer_than_the_first_try_did(rng):
    """N13: oldest first is affordable: the wait for the far side takes the time."""
    waits_s, drains_s = [], []
    for client in simulate(rng, OUTAGE_S + 120.0):
        first_s = client.arrivals[0][0]
        current_s = next(at_s for at_s, waiting in client.arrivals if not waiting)
        waits_s.append(first_s - OUTAGE_S)
        drains_s.append(current_s - first_s)

    assert max(drains_s) <= 2.0
    assert sum(drains_s) <= sum(waits_s) / 10


@pytest.mark.row("N13")
def test_a_backlog_takes_at_most_half_of_the_time_of_the_far_side(rng):
    """N13: a client that catches up sends, and then pauses for as long as it took."""
    for client in simulate(rng, OUTAGE_S + 60.0):
        behind = [at_s for at_s, waiting in client.arrivals if waiting]
        moments = [at_s for at_s, _ in client.arrivals]
        for at_s in behind:
            after_s = min(other for other in moments if other > at_s)
            assert after_s - at_s >= 2 * SEND_S
