"""Laws of ringing the leader."""

import os
import stat
import threading

import pytest

from probekit.delivery.wake import EventBell, FifoBell, is_heard, ring

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")


@pytest.fixture
def bell(tmp_path):
    made = FifoBell(tmp_path / "b.wake")
    made.open()
    yield made
    made.close()


def test_a_ring_ends_the_sleep_at_once(bell):
    """A sleep of a minute ends with a ring from another thread."""
    threading.Timer(0.01, ring, [bell.path]).start()

    assert bell.wait(60.0) is True


def test_many_rings_are_heard_as_one(bell):
    """A full pipe is no error and one answer serves all."""
    for _ in range(70_000):
        assert ring(bell.path) is True

    assert bell.wait(0.0) is True
    assert bell.wait(0.0) is False


def test_nobody_hears_where_nobody_leads(tmp_path):
    """No FIFO, a FIFO without a reader, a bell that was closed: False each time."""
    closed = FifoBell(tmp_path / "c.wake")
    closed.open()
    closed.close()

    assert ring(tmp_path / "none") is False
    assert ring(closed.path) is False
    assert is_heard(closed.path) is False


def test_asking_who_listens_does_not_wake(bell):
    """The pump asks once a second whether somebody leads."""
    assert is_heard(bell.path) is True
    assert bell.wait(0.0) is False


def test_the_bell_is_for_its_owner_alone(bell):
    """0600, whatever the umask."""
    assert stat.S_IMODE(bell.path.stat().st_mode) == 0o600


def test_a_file_in_the_place_of_the_bell_is_not_written(tmp_path):
    """Somebody's file stays as it is, a symlink is not followed."""
    precious = tmp_path / "b.wake"
    precious.write_bytes(b"precious")
    link = tmp_path / "l.wake"
    link.symlink_to(precious)

    assert ring(precious) is False
    assert ring(link) is False
    with pytest.raises(OSError, match="FIFO"):
        FifoBell(precious).open()
    assert precious.read_bytes() == b"precious"


def test_a_bell_inside_one_process_is_heard_too():
    """For buffers in memory."""
    bell = EventBell()
    bell.ring()

    assert bell.wait(60.0) is True
    assert bell.wait(0.0) is False
