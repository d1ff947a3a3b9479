"""What holds for all tests."""

import gc
import signal
import sys
from pathlib import Path

# What several rooms' tests are made of stands beside this file; last on the path, so
# that a folder here never hides a module.
sys.path.append(str(Path(__file__).parent))

import pytest
from hypothesis import HealthCheck, Phase, settings

import rowrecord

# A busy machine is no failure; and explaining one traces every line on Pythons before
# 3.12, which made laws of codecs minutes long there.
settings.register_profile(
    "laws",
    deadline=None,
    phases=tuple(p for p in Phase if p is not Phase.explain),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("laws")

pytest.register_assert_rewrite("faultscene")  # then it says which records are missing

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A runner in the background hands down "ignore"; programs under test must hear
    # Ctrl-C as they would in a terminal. A handler becomes the default at exec.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_ignore_collect(collection_path: Path) -> "bool | None":
    """Collect tests only.

    Looking for doctests, pytest would import every module here: programs that tests
    start, helpers, and files that only type checkers read.
    """
    if collection_path.suffix == ".py" and not collection_path.name.startswith("test_"):
        return True
    return None


@pytest.fixture
def no_collection():
    """Let nobody's finaliser run in the midst, say at the end of the stack.

    What it raises there, Python tells aloud, and the test that left it is another one.
    """
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def pytest_configure(config):
    """Let tests of the fault matrix leave what they measured, where it is asked for."""
    rowrecord.register(config)
