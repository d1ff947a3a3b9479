"""What holds for all tests."""

import signal
import sys
from pathlib import Path

import pytest

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


def pytest_collection_modifyitems(items: "list[pytest.Item]") -> None:
    """Leave out what is known not to end on an interpreter, and say so."""
    if sys.version_info < (3, 13):
        return
    reason = (
        "Quart's test client did not end within 60 s on Python 3.13: not traced yet"
    )
    for item in items:
        if "quart" in item.name:
            item.add_marker(pytest.mark.skip(reason=reason))
