"""The buffer against a list: nothing is lost or double, the books balance."""

import random
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from probekit.ports import DeliveryContract

EXPORTERS = ("a", "b")


def machine_class(buffer_class, clock_class, make):
    """The machine, built over the fixtures' classes."""

    class BufferMachine(RuleBasedStateMachine):
        def __init__(self):
            super().__init__()
            self.folder = Path(tempfile.mkdtemp())
            self.clock = clock_class()
            self.buffer = buffer_class(self.folder, self.clock)
            self.buffer.store.register(EXPORTERS)
            self.writers = {}
            self.written = []  # identities of events, in the order of writing
            self.orders = 0  # the true sum of the counter
            self.values = 0  # how many values the histogram has seen
            self.levels = {}  # writer -> what it left in the up-down counter
            self.got = {name: [] for name in EXPORTERS}
            self.got_orders = dict.fromkeys(EXPORTERS, 0)
            self.keys = {name: {} for name in EXPORTERS}

        def teardown(self):
            for writer in self.writers.values():
                writer.close()
            self.finish()
            self.buffer.close()
            shutil.rmtree(self.folder)

        def finish(self):
            """At the end everything is delivered to everybody, once."""
            self.buffer.settle()
            self.buffer.settle()
            for name in EXPORTERS:
                while self.send(name, 1000):
                    pass
                assert sorted(self.written) == sorted(self.got[name])
                assert self.orders == self.got_orders[name]
            books = self.buffer.store.status().accounts
            assert len(self.written) == books["events"].delivered
            if self.orders:
                assert self.orders == self.buffer.total("shop.orders")
            if self.values:
                (count,) = self.buffer.sql(
                    "SELECT count FROM series WHERE name = 'shop.latency'"
                )[0]
                assert self.values == count
            if self.levels:
                assert 0.0 == self.buffer.total("http.server.active_requests")
            assert [] == list(self.buffer.directory.glob("*.seg"))

        @rule(who=st.integers(0, 2), amount=st.integers(0, 5), events=st.integers(0, 3))
        def append(self, who, amount, events):
            if who not in self.writers:
                self.writers[who] = self.buffer.writer(limit_bytes=2000)
            names = [f"e{len(self.written) + i}" for i in range(events)]
            self.writers[who].append(
                make(
                    orders=amount,
                    latency=[0.1] * amount,
                    active=amount - 2,
                    events=names,
                )
            )
            self.written += names
            self.orders += amount
            self.values += amount
            self.levels[who] = True

        @rule()
        def read(self):
            self.buffer.fold.read()

        @rule()
        def close(self):
            self.buffer.fold.close()

        @rule(seconds=st.sampled_from([0.2, 9.9, 30, 4000]))
        def wait(self, seconds):
            self.clock.advance(seconds)

        @rule(seconds=st.sampled_from([-7200, -30, -0.5, 0.5, 7200]))
        def step(self, seconds):
            self.clock.step(seconds)

        @rule()
        def kill_the_leader(self):
            self.buffer.lead()

        @precondition(lambda self: self.writers)
        @rule(data=st.data(), cleanly=st.booleans())
        def end_a_process(self, data, cleanly):
            who = data.draw(st.sampled_from(sorted(self.writers)))
            writer = self.writers.pop(who)
            if cleanly:
                writer.close()
            elif writer._stream.segment is not None:
                writer._stream.segment.close()
                writer._stream.segment = None

        @rule(name=st.sampled_from(EXPORTERS), limit=st.sampled_from([1, 3, 1000]))
        def deliver(self, name, limit):
            self.send(name, limit)

        def send(self, name, limit):
            parcel = self.buffer.store.next_batch(name, DeliveryContract(), limit=limit)
            if parcel is None:
                return False
            self.take(name, parcel)
            self.buffer.store.advance(name, parcel)
            return True

        def take(self, name, parcel):
            content = (parcel.windows, parcel.events)
            assert self.keys[name].setdefault(parcel.key, content) == content
            self.got[name] += [event.name for event in parcel.events]
            self.got_orders[name] += sum(
                point.value
                for window in parcel.windows
                for point in window.points
                if point.series.name == "shop.orders"
            )

        @rule(name=st.sampled_from(EXPORTERS))
        def look_without_delivering(self, name):
            store = self.buffer.store
            one = store.next_batch(name, DeliveryContract(), limit=2)
            self.buffer.lead()
            two = self.buffer.store.next_batch(name, DeliveryContract(), limit=5)
            assert (one and one.key) == (two and two.key)

        @rule()
        def keep_house(self):
            self.buffer.store.housekeep(deadline_s=0.05)

        @rule()
        def merge_what_waits(self):
            self.buffer.store._used_bytes = lambda _: 0.9 * (64 << 20)
            self.buffer.store.housekeep(deadline_s=0.05)
            del self.buffer.store._used_bytes

        @invariant()
        def the_books_balance(self):
            assert self.buffer.books_balance()
            books = self.buffer.store.status().accounts
            assert {} == books["metrics"].dropped == books["events"].dropped

        @invariant()
        def no_two_windows_of_an_epoch_are_empty_or_backward(self):
            bad = "SELECT count(*) FROM window WHERE end_unix_ns <= start_unix_ns"
            assert [(0,)] == self.buffer.sql(bad)

    return BufferMachine


def test_nothing_is_lost_or_double_whatever_happens(buffer_class, clock_class, make):
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        machine_class(buffer_class, clock_class, make),
        settings=settings(max_examples=25, stateful_step_count=25),
    )


@pytest.mark.parametrize("seed", range(3))
def test_mutated_segments_never_yield_a_wrong_value(
    tmp_path, new_buffer, harvest, seed
):
    """Some frames are lost and counted; what is read is what was written."""
    draw = random.Random(seed)
    for attempt in range(6):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        buffer = new_buffer(folder)
        writer = buffer.writer()
        for _ in range(10):
            writer.append(harvest(orders=1, events=["e"], latency=[0.1]))
        writer._stream.segment.close()
        (path,) = buffer.directory.glob("*.seg")
        data = bytearray(path.read_bytes())
        match draw.randrange(3):
            case 0:
                data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
            case 1:
                del data[draw.randrange(len(data)) :]
            case _:
                start = draw.randrange(len(data))
                data[start : start + 64] = bytes(64)
        path.write_bytes(bytes(data))
        buffer.settle()
        total = sum(
            row[0] for row in buffer.sql("SELECT sum FROM series WHERE kind='counter'")
        )
        events = buffer.sql("SELECT name FROM event")

        assert total == len(events) <= 10
        assert {("e",)} >= set(events)
        assert buffer.books_balance()
        assert [] == list(buffer.directory.glob("*.seg"))
