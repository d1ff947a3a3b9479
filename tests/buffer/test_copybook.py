"""The second books: two slots in turn, and one of them is always whole."""

import os
import tracemalloc

import pytest

from probekit.buffer.recovery import copybook
from probekit.buffer.recovery.copybook import Books, load, path_of, save

TABLES = {name: [] for name in ("meta", "account", "loss", "cursor", "stream")}
TABLES |= {"refused": [], "segment": []}


def books(stamp, *, buffer_id="b", size=0):
    return Books(buffer_id, stamp, {**TABLES, "loss": [["events", "x" * size, stamp]]})


def test_what_was_saved_last_is_loaded(tmp_path):
    """Whichever slot it is in."""
    buffer = tmp_path / "b"
    assert load(buffer) is None
    for stamp in range(1, 6):
        save(buffer, books(stamp), afresh=stamp == 1)

        assert books(stamp) == load(buffer)


def test_no_file_is_made_for_a_further_save(tmp_path):
    """That costs a file system milliseconds."""
    buffer = tmp_path / "b"
    save(buffer, books(1), afresh=True)
    before = path_of(buffer).stat()
    save(buffer, books(2), afresh=False)

    assert before.st_ino == path_of(buffer).stat().st_ino
    assert before.st_size == path_of(buffer).stat().st_size


@pytest.mark.parametrize("cut", [1, 9, 20, 60])
def test_a_save_that_was_torn_leaves_the_one_before(tmp_path, monkeypatch, cut):
    """The process was killed, or the power failed, in the middle of a slot."""
    buffer = tmp_path / "b"
    save(buffer, books(1), afresh=True)
    save(buffer, books(2), afresh=False)
    monkeypatch.setattr(copybook, "_replace", lambda *_: None)
    monkeypatch.setattr(
        copybook,
        "_write_slot",
        lambda path, slot, data, write=copybook._write_slot: write(
            path, slot, data[:cut]
        ),
    )
    save(buffer, books(3), afresh=False)

    assert books(2) == load(buffer)


def test_books_that_have_outgrown_their_slot_get_a_larger_file(tmp_path):
    """Nothing is cut."""
    buffer = tmp_path / "b"
    save(buffer, books(1), afresh=True)
    save(buffer, books(2, size=100_000), afresh=False)

    assert books(2, size=100_000) == load(buffer)


def test_to_load_books_takes_no_more_memory_than_they_have(tmp_path):
    """And not what the largest ones could have."""
    buffer = tmp_path / "b"
    save(buffer, books(1), afresh=True)
    tracemalloc.start()
    try:
        load(buffer)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak_bytes < 20 * path_of(buffer).stat().st_size


def test_another_buffers_books_are_not_taken_for_newer_ones(tmp_path):
    """A new buffer counts its commits from the beginning."""
    buffer = tmp_path / "b"
    for stamp in (8, 9):
        save(buffer, books(stamp, buffer_id="old"), afresh=stamp == 8)
    save(buffer, books(1), afresh=True)

    assert books(1) == load(buffer)


def test_a_planted_link_or_pipe_is_replaced_and_not_followed(tmp_path):
    """As everywhere beside the buffer."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious" * 10_000)
    for plant in (lambda p: p.symlink_to(victim), os.mkfifo):
        buffer = tmp_path / f"b{plant is os.mkfifo}"
        plant(path_of(buffer))
        save(buffer, books(1), afresh=False)

        assert books(1) == load(buffer)
    assert b"precious" * 10_000 == victim.read_bytes()
