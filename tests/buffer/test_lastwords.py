"""A beat is its process's as long as that lives, and a segment afterwards."""

import os
import stat

import pytest

from probekit.buffer.journal import segment_files
from probekit.buffer.journal.lastwords import LastWords, adopt
from probekit.model import Event


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "buffer.db.journal"


@pytest.fixture
def words(folder, clock):
    made = LastWords(folder, clock=clock)
    yield made
    made.silence()


def event(name):
    return Event(
        1_800_000_000 * 10**9, "interrupted", {"probekit.operation.name": name}
    )


def names(folder, suffix):
    return sorted(path.name for path in folder.glob(f"*{suffix}"))


def die(words):
    """The kernel closes what a killed process had open; nothing else happens."""
    words._held.close()
    words._held = None


def test_nothing_is_made_before_there_is_something_to_say(words, folder):
    """A process without long operations leaves no file, and opens none."""
    words.say([])

    assert not folder.exists()


def test_the_beat_of_a_living_process_is_left_alone(words, folder):
    """However often it is replaced."""
    for name in "abc":
        words.say([event(name)])
        assert 0 == adopt(folder)

    assert 1 == len(names(folder, ".beat"))
    assert [] == names(folder, ".seg")


def test_a_beat_that_is_taken_away_leaves_nothing(words, folder):
    """A process that ends by itself has no last words."""
    words.say([event("a")])
    words.say([])

    assert [] == list(folder.iterdir())
    assert 0 == adopt(folder)


def test_the_last_beat_of_a_dead_process_becomes_a_segment(words, folder):
    """The newest one only, named as segments are, for nobody else to read."""
    words.say([event("old")])
    words.say([event("a"), event("b")])
    die(words)

    assert 1 == adopt(folder)
    assert 0 == adopt(folder)
    (name,) = names(folder, ".seg")
    ((_, frame),) = segment_files.read_frames(folder / name)
    assert [event("a"), event("b")] == frame.harvest.events
    assert os.getpid() == segment_files.SegmentName.parse(name).pid
    assert 0o600 == stat.S_IMODE((folder / name).stat().st_mode)


def test_a_leader_writes_the_last_words_of_the_dead_once(buffer, clock):
    """Two leaders one after the other; the books balance, no file is left."""
    words = LastWords(buffer.directory, clock=clock)
    words.say([event("a"), event("b")])
    die(words)
    buffer.settle()
    buffer.settle()
    buffer.lead()
    buffer.settle()

    said = [a for (a,) in buffer.sql("SELECT attributes FROM event ORDER BY number")]
    assert 2 == len(said)
    assert '"a"' in said[0]
    assert [] == list(buffer.directory.iterdir())
    assert buffer.books_balance()
    assert {} == buffer.store.status().accounts["metrics"].dropped


def test_a_leader_that_dies_over_the_last_words_leaves_them_to_the_next(buffer, clock):
    """The file has its new name, nothing is committed; the next one commits it."""
    words = LastWords(buffer.directory, clock=clock)
    words.say([event("a")])
    die(words)
    buffer.fold.read()
    buffer.lead()
    buffer.settle()

    assert [(1,)] == buffer.sql("SELECT count(*) FROM event")


def test_a_beat_that_is_replaced_while_the_leader_looks_is_not_taken(
    words, folder, monkeypatch
):
    """The leader has the old file open when its owner lets go of it."""
    from probekit.buffer.journal import lastwords

    words.say([event("a")])
    lock = lastwords.lock_descriptor

    def slow(descriptor):
        monkeypatch.setattr(lastwords, "lock_descriptor", lock)
        words.say([event("b")])
        return lock(descriptor)

    monkeypatch.setattr(lastwords, "lock_descriptor", slow)

    assert 0 == adopt(folder)
    assert 1 == len(names(folder, ".beat"))
    assert [] == names(folder, ".seg")


def test_a_child_lets_go_of_its_parents_beat_without_unlocking_it(words, folder):
    """A fork shares the lock: closing is all that a child may do."""
    words.say([event("a")])
    inherited = os.dup(words._held.descriptor)  # as the parent's after a fork
    words.abandon()
    try:
        assert 0 == adopt(folder)
    finally:
        os.close(inherited)
    assert 1 == adopt(folder)


def test_a_descriptor_that_the_host_closed_and_reused_is_not_touched(words, tmp_path):
    """The next beat and the end go to files of ours only."""
    words.say([event("a")])
    taken = words._held.descriptor
    canary = tmp_path / "canary"
    with canary.open("wb") as file:
        os.dup2(file.fileno(), taken)
        words.say([event("b")])
        words.say([])
        assert b"" == canary.read_bytes()
        os.fstat(taken)
        os.close(taken)


def test_a_write_that_fails_leaves_the_last_beat_and_no_other_file(
    words, folder, monkeypatch
):
    """The disk is full: what was said before stays said."""
    words.say([event("a")])
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr("probekit.buffer.journal.lastwords.os.write", lambda *_: 3)
    with pytest.raises(OSError, match="only a part"):
        words.say([event("b")])
    monkeypatch.undo()

    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}
    assert 0 == adopt(folder)


def test_what_a_process_was_killed_over_is_swept_when_it_is_old(folder):
    """A file without its name yet may be somebody's who is just making it."""
    folder.mkdir()
    young, old = folder / "a.beat.new", folder / "b.beat.new"
    for path in (young, old):
        path.touch()
    os.utime(old, (1, 1))

    assert 0 == adopt(folder)
    assert [young] == list(folder.iterdir())


def test_a_link_in_place_of_a_beat_is_not_followed(folder, tmp_path):
    """Somebody planted it."""
    folder.mkdir()
    target = tmp_path / "target"
    target.touch()
    planted = folder / f"{1:016x}-7-{2:016x}.beat"
    planted.symlink_to(target)

    assert 0 == adopt(folder)
    assert planted.is_symlink()
