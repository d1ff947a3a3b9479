"""A fork waits for imports of our threads: their locks would hang the child."""

import sys
import threading

import pytest

from probekit.delivery import fork


class Slow:
    """Finds no module, and takes as long as it is told."""

    def __init__(self, name):
        self.name = name
        self.begun, self.go = threading.Event(), threading.Event()

    def find_spec(self, name, path=None, target=None):
        if name == self.name:
            self.begun.set()
            self.go.wait(10)


def attempt(name):
    with pytest.raises(ModuleNotFoundError):
        __import__(name)


@pytest.fixture
def slow(monkeypatch):
    made = Slow("probekit_no_such_module")
    monkeypatch.setattr(sys, "meta_path", [made, *sys.meta_path])
    yield made
    made.go.set()


@pytest.mark.parametrize("name, waits", [("probekit-pump", True), ("host", False)])
def test_only_imports_of_our_threads_are_waited_for(slow, monkeypatch, name, waits):
    """And not for ever: the host's own import may be in their way."""
    monkeypatch.setattr(fork, "_IMPORT_WAIT_S", 0.01)
    thread = threading.Thread(target=attempt, args=(slow.name,), name=name)
    thread.start()
    assert slow.begun.wait(10)
    ended = fork.let_imports_end()
    slow.go.set()
    thread.join()

    assert ended is not waits
    assert fork.let_imports_end()


def test_the_import_that_is_waited_for_ends(slow):
    """The one who waits lets the others work."""
    thread = threading.Thread(target=attempt, args=(slow.name,), name="probekit-pump")
    thread.start()
    assert slow.begun.wait(10)
    threading.Timer(0.01, slow.go.set).start()

    assert fork.let_imports_end()
    thread.join()
