import os
import stat
import sys
from contextlib import suppress

import pytest

from cuts import Late, cuts
from forks import FORKS, raw_fork
from probekit.buffer.journal import segment_files
from probekit.buffer.journal.frames import END_OF_STREAM, SHIP_NOW, BadFrame
from probekit.buffer.journal.segments import (
    MemoryJournal,
    SegmentWriter,
    is_orphan,
    read_frames,
)


@pytest.fixture
def writer(tmp_path, clock):
    made = SegmentWriter(tmp_path / "journal", clock=clock)
    yield made
    made.close()


def segments(folder):
    return sorted(folder.glob("journal/*.seg"))


def frames(path):
    return [frame for _, frame in read_frames(path)]


def test_nothing_is_opened_before_the_first_append(writer, tmp_path):
    assert [] == list(tmp_path.iterdir())
    assert None is writer.position()


def test_a_frame_is_on_the_file_when_append_returns(writer, tmp_path, harvest):
    writer.append(harvest(orders=3), ship_now=True)
    (path,) = segments(tmp_path)
    ((end, frame),) = read_frames(path)

    assert (path.name, end) == writer.position()
    assert 3.0 == frame.harvest.sum_values[0]
    assert SHIP_NOW == frame.flags
    assert "shop.orders" == frame.definitions[0].name


def test_series_are_defined_once_a_segment(writer, tmp_path, harvest):
    writer.append(harvest(orders=1))
    writer.append(harvest(orders=1, depth=2))
    first, second = frames(segments(tmp_path)[0])

    assert {0} == set(first.definitions)
    assert {2} == set(second.definitions)


def test_a_new_segment_defines_its_series_anew_and_the_sequence_goes_on(
    tmp_path, clock, harvest
):
    writer = SegmentWriter(tmp_path / "journal", clock=clock, limit_bytes=1)
    for _ in range(60):
        writer.append(harvest(orders=1))
    paths = segments(tmp_path)
    writer.close()
    read = [frame for path in paths for frame in frames(path)]

    assert 1 < len(paths)
    assert all(frames(path)[0].definitions for path in paths)
    assert list(range(60)) == [frame.sequence for frame in read][:60]
    assert 1 == len({segment_files.SegmentName.parse(p.name).stream for p in paths})


def test_another_table_of_series_is_defined_anew(writer, tmp_path, harvest):
    writer.append(harvest(orders=1))
    writer.append(harvest(orders=1, table=list(harvest().series)))
    first, second = frames(segments(tmp_path)[0])

    assert first.definitions == second.definitions


def test_files_are_private_under_any_umask(tmp_path, clock, harvest):
    before = os.umask(0)
    try:
        writer = SegmentWriter(tmp_path / "new" / "journal", clock=clock)
        writer.append(harvest(orders=1))
        writer.close()
        assert 0 == os.umask(0)
    finally:
        os.umask(before)
    folder = tmp_path / "new" / "journal"
    (path,) = folder.iterdir()

    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert 0o700 == stat.S_IMODE(folder.stat().st_mode)
    assert 0o700 == stat.S_IMODE(folder.parent.stat().st_mode)


def test_a_planted_symlink_is_not_followed(tmp_path, clock, harvest):
    target = tmp_path / "elsewhere"
    target.mkdir()
    (tmp_path / "journal").symlink_to(target)
    writer = SegmentWriter(tmp_path / "journal", clock=clock)

    with pytest.raises(OSError, match="symbolic link"):
        writer.append(harvest(orders=1))
    assert [] == list(target.iterdir())


def test_a_living_owner_holds_its_segment_and_a_closed_one_does_not(
    writer, tmp_path, harvest
):
    writer.append(harvest(orders=1))
    (path,) = segments(tmp_path)

    assert not is_orphan(path)
    writer.close()
    assert is_orphan(path)
    assert END_OF_STREAM == frames(path)[-1].flags


def test_an_append_after_close_begins_a_new_stream(writer, tmp_path, harvest):
    writer.append(harvest(orders=1))
    writer.close()
    writer.append(harvest(orders=1))
    names = [segment_files.SegmentName.parse(p.name) for p in segments(tmp_path)]

    assert 2 == len({name.stream for name in names})


def test_a_foreign_descriptor_is_never_written(writer, tmp_path, harvest):
    writer.append(harvest(orders=1))
    number = writer._stream.segment.descriptor
    canary = tmp_path / "canary"
    canary.write_bytes(b"precious")
    os.close(number)  # as a daemon does with all descriptors above 2
    foreign = os.open(canary, os.O_WRONLY | os.O_APPEND)
    assert number == foreign
    writer.append(harvest(orders=5))

    assert b"precious" == canary.read_bytes()
    assert 2 == len(segments(tmp_path))
    writer.close()
    os.fstat(foreign)  # and it was not closed either
    os.close(foreign)


def test_a_deleted_segment_is_left_for_a_new_one(writer, tmp_path, harvest):
    writer.append(harvest(orders=1))
    segments(tmp_path)[0].unlink()
    writer.append(harvest(orders=2))
    (path,) = segments(tmp_path)

    assert [2.0] == [frame.harvest.sum_values[0] for frame in frames(path)]


def failing_write(monkeypatch, after_bytes):
    """``os.write`` that takes a few bytes and then says the disk is full."""
    real, left = os.write, [after_bytes]

    def write(descriptor, data):
        if left[0] <= 0:
            raise OSError(28, "No space left on device")
        count = real(descriptor, bytes(data)[: left[0]])
        left[0] -= count
        return count

    monkeypatch.setattr(os, "write", write)


@pytest.mark.parametrize("after_bytes", [0, 1, 40, 57])
def test_a_write_that_fails_in_the_middle_leaves_nothing_behind(
    writer, tmp_path, harvest, monkeypatch, after_bytes
):
    writer.append(harvest(orders=1))
    with monkeypatch.context() as patch:
        failing_write(patch, after_bytes)
        with pytest.raises(OSError, match="No space"):
            writer.append(harvest(orders=2))
    writer.append(harvest(orders=3))
    (path,) = segments(tmp_path)

    assert [1.0, 3.0] == [frame.harvest.sum_values[0] for frame in frames(path)]
    assert [0, 1] == [frame.sequence for frame in frames(path)]


def test_a_torn_end_that_stays_is_left_with_its_segment(
    writer, tmp_path, harvest, monkeypatch
):
    def refuse(*_):
        raise OSError(5, "Input/output error")

    writer.append(harvest(orders=1))
    with monkeypatch.context() as patch:
        failing_write(patch, 40)
        patch.setattr(os, "ftruncate", refuse)
        with pytest.raises(OSError, match="error"):
            writer.append(harvest(orders=2))
    writer.append(harvest(orders=3))
    old, new = segments(tmp_path)

    with pytest.raises(BadFrame):
        frames(old)
    assert [3.0] == [frame.harvest.sum_values[0] for frame in frames(new)]
    assert 1 == frames(new)[0].sequence
    assert is_orphan(old)


def test_short_writes_are_continued(writer, tmp_path, harvest, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, bytes(data)[:7]))
    writer.append(harvest(orders=1, events=["a"]))
    (path,) = segments(tmp_path)

    assert ["a"] == [event.name for event in frames(path)[0].harvest.events]


def test_an_append_that_interrupts_an_append_is_refused(writer, harvest, monkeypatch):
    real, refused = os.write, []

    def write(descriptor, data):
        try:
            writer.append(harvest(orders=9))
        except BlockingIOError as error:
            refused.append(error)
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    writer.append(harvest(orders=1))

    assert 1 == len(refused)


@pytest.mark.parametrize("grown", [False, True])
def test_an_append_that_a_signal_cuts_anywhere_is_written_or_not_and_says_which(
    tmp_path, clock, harvest, grown
):
    """The next one gets the next number: with the same one nobody would read it."""
    for places, cut in enumerate(cuts()):
        folder = tmp_path / str(places)
        writer = SegmentWriter(
            folder / "journal", clock=clock, limit_bytes=1 if grown else 1 << 20
        )
        writer.append(harvest(orders=1))
        before = writer.position()
        cut_one = harvest(orders=2)
        with suppress(Late), cut:
            writer.append(cut_one)
        moved = writer.position() != before
        assert moved == cut_one.is_written, places
        writer.append(harvest(orders=4))
        writer.close()
        found = [each for path in segments(folder) for each in frames(path)]
        values = [sum(each.harvest.sum_values) for each in found]

        assert list(range(len(found))) == [each.sequence for each in found], places
        assert ([1.0, 2.0, 4.0, 0] if moved else [1.0, 4.0, 0]) == values, places
        assert END_OF_STREAM == found[-1].flags
    assert moved
    assert places > 20


def test_names_are_never_taken_for_segments_before_they_are_locked(
    tmp_path, clock, monkeypatch
):
    seen = []
    real = segment_files.lock_descriptor

    def lock(descriptor):
        seen.append(segment_files.names(tmp_path))
        return real(descriptor)

    monkeypatch.setattr(segment_files, "lock_descriptor", lock)
    segment_files.create(tmp_path, 1, "0" * 16).close()

    assert [[]] == seen
    assert 1 == len(segment_files.names(tmp_path))


def test_a_nameless_leftover_is_swept_when_it_is_old(tmp_path):
    old, young = tmp_path / "a.seg.new", tmp_path / "b.seg.new"
    for path in (old, young):
        path.touch()
    os.utime(old, (0, 0))
    segment_files.sweep(tmp_path)

    assert [young] == list(tmp_path.iterdir())


def test_a_newborns_lock_is_left_to_its_maker(tmp_path, monkeypatch):
    """To ask whether it is free is to hold it, and the maker is about to take it."""
    asked = []
    monkeypatch.setattr(segment_files, "lock_descriptor", asked.append)
    (tmp_path / "a.seg.new").touch()
    segment_files.sweep(tmp_path)

    assert [] == asked


def child_status(pid):
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def fork_and(fork, act):
    """Run *act* in a forked child; its exit code is 0 when it returned."""
    pid = fork()
    if pid == 0:
        code = 1
        try:
            act()
            code = 0
        finally:
            os._exit(code)
    return child_status(pid)


@pytest.mark.e2e
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.skipif(sys.platform != "linux", reason="raw forks are Linux here")
@pytest.mark.parametrize("fork", FORKS.values(), ids=FORKS)
def test_a_child_writes_a_stream_of_its_own_and_leaves_its_parents_lock(
    writer, tmp_path, harvest, fork
):
    writer.append(harvest(orders=1))
    (mine,) = segments(tmp_path)
    code = fork_and(fork, lambda: writer.append(harvest(orders=10)))
    (theirs,) = set(segments(tmp_path)) - {mine}
    writer.append(harvest(orders=2))

    assert 0 == code
    assert not is_orphan(mine)
    assert [10.0] == [frame.harvest.sum_values[0] for frame in frames(theirs)]
    assert [1.0, 2.0] == [frame.harvest.sum_values[0] for frame in frames(mine)]
    assert is_orphan(theirs)


@pytest.mark.e2e
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_does_not_wait_for_a_lock_that_its_parent_held(writer, harvest):
    writer.append(harvest(orders=1))
    writer._stream._alone._lock.acquire()
    code = fork_and(raw_fork, lambda: writer.append(harvest(orders=2)))
    writer._stream._alone._lock.release()

    assert 0 == code


def test_a_journal_in_memory_hands_out_what_was_appended_once(harvest):
    journal = MemoryJournal()
    journal.append(harvest(orders=1))
    journal.append(harvest(orders=2), ship_now=True)

    assert ("memory", 2) == journal.position()
    assert [False, True] == [ship_now for _, ship_now, _ in journal.take()]
    assert [] == journal.take()


def test_a_journal_in_memory_is_bounded(harvest):
    journal = MemoryJournal(limit=1)
    journal.append(harvest(orders=1))

    with pytest.raises(OSError, match="1 harvests wait"):
        journal.append(harvest(orders=1))
