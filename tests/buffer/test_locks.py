import os
import stat
from contextlib import suppress

import pytest

from cuts import Late, cuts
from probekit.buffer.locks import FileLock, make_private_directory


@pytest.fixture
def lock(tmp_path):
    made = FileLock(tmp_path / "a.leader")
    yield made
    made.close()


@pytest.fixture
def other(tmp_path):
    made = FileLock(tmp_path / "a.leader")
    yield made
    made.close()


def test_one_holder_at_a_time_even_in_one_process(lock, other):
    assert lock.try_acquire()
    assert lock.try_acquire()
    assert not other.try_acquire()
    lock.release()
    assert other.try_acquire()


def test_a_signal_that_cuts_it_anywhere_leaves_nothing_locked_unknown(tmp_path):
    """Whoever has it knows, and can let it go."""
    for places, cut in enumerate(cuts()):
        lock, other = FileLock(tmp_path / "a.leader"), FileLock(tmp_path / "a.leader")
        with suppress(Late), cut:
            lock.try_acquire()
        if cut.came:
            assert not lock.held, places
        lock.release()

        assert other.try_acquire(), places
        lock.close()
        other.close()
    assert places > 10


def test_closing_a_second_descriptor_does_not_free_the_first(lock, other):
    lock.try_acquire()
    other.try_acquire()
    other.close()

    assert not FileLock(lock.path).try_acquire()
    assert lock.still_ours()


def test_waiting_ends_at_the_timeout(lock, other):
    lock.try_acquire()
    waits = []

    assert not other.acquire(0.02, sleep=waits.append)
    assert waits


def test_a_replaced_lock_file_is_noticed_and_not_trusted(lock):
    lock.try_acquire()
    lock.path.unlink()

    assert not lock.still_ours()
    lock.release()
    assert lock.try_acquire()
    assert lock.still_ours()


def test_the_file_is_private_and_stays(lock):
    before = os.umask(0)
    lock.try_acquire()
    os.umask(before)
    lock.close()

    assert 0o600 == stat.S_IMODE(lock.path.stat().st_mode)


def test_a_symlink_is_refused(lock, tmp_path):
    lock.path.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(OSError, match="levels of symbolic links"):
        lock.try_acquire()
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.e2e
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_that_abandons_leaves_its_parents_lock(lock, other):
    lock.try_acquire()
    pid = os.fork()
    if pid == 0:
        lock.abandon()
        os._exit(0)
    os.waitpid(pid, 0)

    assert not other.try_acquire()
    assert lock.still_ours()


@pytest.mark.e2e
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("abandons", [True, False])
def test_the_lock_of_a_dead_parent_is_free_once_its_child_abandoned_it(
    tmp_path, other, abandons
):
    ready, go = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:  # the parent of the scene
        held = FileLock(other.path)
        held.try_acquire()
        if os.fork() == 0:
            if abandons:
                held.abandon()
            os.write(ready[1], b"x")
            os.read(go[0], 1)
            os._exit(0)
        os.read(ready[0], 1)
        os._exit(0)
    os.waitpid(pid, 0)
    free = other.try_acquire()
    os.write(go[1], b"x")
    for descriptor in (*ready, *go):
        os.close(descriptor)

    assert abandons == free


def test_directories_are_made_private_and_existing_ones_left_alone(tmp_path):
    tmp_path.chmod(0o755)
    make_private_directory(tmp_path / "a" / "b")

    assert 0o755 == stat.S_IMODE(tmp_path.stat().st_mode)
    assert 0o700 == stat.S_IMODE((tmp_path / "a").stat().st_mode)
    assert 0o700 == stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode)
