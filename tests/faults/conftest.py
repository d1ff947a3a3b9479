"""One seed a run, and a scene for each test whose books are audited at its end."""

import os
import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from faultreceiver import Ledger
from faultscene import Scene
from faultshim import build_shim

SEED_VARIABLE = "PROBEKIT_FAULT_SEED"


def seed_of(config):
    """The run's seed: as given, else the one that orders the tests; all workers'."""
    given = os.environ.get(SEED_VARIABLE)
    if given:
        return int(given)
    ordering = config.getoption("randomly_seed", default=None)
    return ordering if isinstance(ordering, int) else random.getrandbits(32)


@pytest.fixture
def rng(request):
    """Chance of this test's own; printed, so that a failure can be played again."""
    seed = seed_of(request.config)
    print(f"{SEED_VARIABLE}={seed}")
    request.node.user_properties.append(("seed", seed))
    return random.Random(f"{seed}:{request.node.name}")


@pytest.fixture
def measured(request):
    """Takes the figures that stand for this test on the page, a line a call."""

    def note(text):
        request.node.user_properties.append(("measured", text))

    return note


def pytest_collection_modifyitems(items):
    """Give the long forms time; each of them has bounds of its own."""
    if os.environ.get("PROBEKIT_FAULTS") == "long":
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.timeout(2400), append=False)


@pytest.fixture
def ledger():
    """A receiver that knows each record; its port is known before it listens."""
    made = Ledger()
    yield made
    made.stop()


@pytest.fixture
def scene(tmp_path, rng, ledger):
    """Programs around one buffer; whatever a test did, the invariants hold after it."""
    made = Scene(tmp_path, ledger)
    try:
        yield made
        made.audit()
    finally:
        made.end()


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    """A library to preload that lets calls of the C library fail."""
    return build_shim(tmp_path_factory.mktemp("shim"))


@pytest.fixture(scope="session")
def clock_shim(tmp_path_factory):
    """A library to preload that moves the wall clock."""
    return build_shim(tmp_path_factory.mktemp("clock"), "faultclock")


@pytest.fixture
def long_run():
    """Whether everything is tried, and not a sample of it."""
    return os.environ.get("PROBEKIT_FAULTS") == "long"
