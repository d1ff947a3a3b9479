"""A real buffer, filled through the writer's own doors, and a way to run commands."""

import time
from array import array
from pathlib import Path

import pytest

from probekit.buffer.fold import Fold
from probekit.buffer.store import Store
from probekit.cli import main
from probekit.histogram import Histogram
from probekit.model import Event, Harvest, Problem, Series

ESCAPE = "\x1b[2J"
ORDERS = Series("shop.orders", "counter", "{order}", (("plan", "pro"),))
CALLS = Series(
    "probekit.function.duration",
    "histogram",
    "s",
    (("code.function.name", "shop.cart.add"),),
)


class Buffer:
    """A buffer with one leader, which is this test."""

    def __init__(self, path):
        self.path = path
        self.store = Store(path)
        self.store.open()
        self.fold = Fold(self.store, Path(f"{path}.journal"), interval_s=10.0)

    def add(self, orders=3.0, events=(), problems=(), losses=None):
        """Record, and close the window."""
        self.fold.add(
            Harvest(
                series=(ORDERS, CALLS),
                sum_ids=array("I", [0]),
                sum_values=array("d", [orders]),
                sum_counts=array("Q", [int(orders)]),
                binned=[(1, Histogram.of([0.1, 0.2]))],
                events=list(events),
                problems=list(problems),
                losses=losses or {},
            )
        )
        return self.fold.close()

    @staticmethod
    def event(name="order.paid", **attributes):
        return Event(time.time_ns(), name, attributes)

    @staticmethod
    def problem(count=1):
        now = time.time_ns()
        seen = (now, now, count)
        return Problem(
            "0" * 16, "shop.PaymentError", "card refused", "shop.pay", "", *seen
        )

    def close(self):
        self.store.close()


@pytest.fixture
def make_buffer(tmp_path):
    """Make buffers; they are closed at the end."""
    made = []

    def make(path=tmp_path / "state" / "buffer.db"):
        made.append(Buffer(path))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def buffer(make_buffer):
    """A buffer with one window, two events and an error."""
    made = make_buffer()
    made.add(
        events=[made.event(order="A1", amount=7), made.event("odd", text=ESCAPE)],
        problems=[made.problem()],
        losses={("events", "queue_full"): 4},
    )
    return made


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch, tmp_path):
    """No settings of the machine, no buffers of the user."""
    import os

    for name in list(os.environ):
        if name.startswith(("PROBEKIT_", "OTEL_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def probekit(capfd):
    """Run a command in this process: (status, output, errors)."""

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([str(each) for each in arguments])
        out, err = capfd.readouterr()
        return ended.value.code, out, err

    return run
