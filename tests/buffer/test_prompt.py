"""Who asked for it gets durable events onto the disk, and never waits for ever."""

import os
import threading
import time

import pytest

from probekit.buffer.journal import prompt, syncing
from probekit.buffer.journal.prompt import PromptSync

A, B, C = (f"{n:016x}-1-{'5' * 16}.seg" for n in range(3))
LONG_S = 20.0  # a wait that a test never sees the end of


class Disk:
    """Notes what is synced, and by whom; fails or hangs on request."""

    def __init__(self):
        self.names, self.threads = [], set()
        self.error = None
        self.goes_on, self.asked = threading.Event(), threading.Event()
        self.goes_on.set()

    def sync(self, descriptor):
        self.asked.set()
        self.threads.add(threading.current_thread())
        assert self.goes_on.wait(LONG_S)
        if self.error:
            raise self.error
        self.names.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))  # noqa: PTH115, PTH119


@pytest.fixture
def disk(monkeypatch, tmp_path):
    made = Disk()
    monkeypatch.setattr(prompt, "_IDLE_S", 0.02)
    monkeypatch.setattr(syncing, "_sync", made.sync)
    monkeypatch.setattr(os, "fsync", made.sync)
    folder = tmp_path / "journal"
    folder.mkdir()
    for name in (A, B):
        (folder / name).touch()
    yield made
    made.goes_on.set()
    for thread in made.threads - {threading.current_thread()}:
        thread.join(LONG_S)


@pytest.fixture
def missed():
    return []


@pytest.fixture
def sync(disk, tmp_path, missed):
    def make(**more):
        told = {"wait_s": LONG_S, "missed": lambda: missed.append(1)}
        return PromptSync(tmp_path / "journal", **{**told, **more})

    return make


@pytest.mark.row("D10")
def test_a_segment_is_on_the_disk_when_the_call_returns(sync, disk, tmp_path, missed):
    """A new name costs a sync of the folder too, the first one of its parent."""
    prompt_sync = sync()

    assert prompt_sync.cover(A)
    assert [A, "journal", tmp_path.name] == disk.names
    assert prompt_sync.cover(A)
    assert prompt_sync.cover(B)
    assert [A, A, B, "journal"] == disk.names[3:]
    assert [] == missed
    assert threading.current_thread() not in disk.threads


@pytest.mark.row("D10")
def test_what_the_stream_has_left_is_synced_before_what_follows(sync, disk, tmp_path):
    """Or power loss would leave a hole; another process's segments are not ours."""
    foreign = C.replace("5", "6")
    for name in (C, foreign):
        (tmp_path / "journal" / name).touch()
    prompt_sync = sync()

    assert prompt_sync.cover(C)
    assert [A, B, C] == disk.names[:3]
    assert foreign not in disk.names


def test_a_segment_that_was_folded_meanwhile_is_on_the_disk(sync, missed):
    assert sync().cover("gone.seg")
    assert [] == missed


def test_a_sync_that_fails_is_told_counted_and_tried_again(sync, disk, missed):
    prompt_sync = sync()
    disk.error = OSError("no")

    assert not prompt_sync.cover(A)
    assert [1] == missed
    disk.error = None
    assert prompt_sync.cover(A)
    assert [1] == missed


def test_a_disk_that_hangs_holds_one_caller_for_the_bound_and_no_other(
    sync, disk, missed
):
    """What comes later is synced again as soon as the disk goes on."""
    prompt_sync = sync(wait_s=0.01)
    disk.goes_on.clear()

    assert not prompt_sync.cover(A)
    prompt_sync._wait_s = LONG_S
    assert not prompt_sync.cover(A)  # at once, or the test would never end
    assert [1, 1] == missed
    late = prompt_sync._late
    disk.goes_on.set()
    assert late.done.wait(LONG_S)
    assert prompt_sync.cover(A)
    assert [1, 1] == missed


def test_callers_that_come_together_share_a_sync(sync, disk, missed):
    prompt_sync = sync()
    assert prompt_sync.cover(A)
    disk.names.clear()
    disk.asked.clear()
    disk.goes_on.clear()
    callers = [threading.Thread(target=prompt_sync.cover, args=(A,)) for _ in range(9)]
    callers[0].start()
    assert disk.asked.wait(LONG_S)
    for each in callers[1:]:
        each.start()
    end_s = time.monotonic() + LONG_S
    while prompt_sync._queue.qsize() < 8 and time.monotonic() < end_s:
        time.sleep(0.001)
    disk.goes_on.set()
    for each in callers:
        each.join(LONG_S)

    assert [A, A] == disk.names
    assert [] == missed


def test_without_threads_the_caller_syncs_itself(sync, disk):
    assert sync(may_thread=False).cover(A)
    assert {threading.current_thread()} == disk.threads


def test_the_thread_ends_when_nobody_asks_and_comes_back(sync, disk):
    prompt_sync = sync()
    for _ in range(2):
        assert prompt_sync.cover(A)
        thread = prompt_sync._thread
        if thread is not None:
            thread.join(LONG_S)
            assert not thread.is_alive()
