"""Programs as a user writes them, and a receiver that shares no code with probekit."""

import pytest

from program import Program, wait_until
from receiver import Receiver


@pytest.fixture
def receiver():
    """An OTLP receiver that is not yet listening; its port is already known."""
    made = Receiver()
    yield made
    made.stop()


@pytest.fixture
def program(tmp_path):
    """A runner of programs whose buffer lies in a temporary folder."""
    return Program(tmp_path)


@pytest.fixture
def eventually():
    """Poll until a condition holds; say whether it did."""
    return wait_until
