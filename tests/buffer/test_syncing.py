"""What power loss may cost is bounded: grown segments are synced, each once."""

import os
import sqlite3

import pytest

from probekit.buffer.fold import Fold
from probekit.buffer.journal import syncing
from probekit.buffer.journal.segments import SegmentWriter
from probekit.buffer.journal.syncing import Syncer
from probekit.buffer.store import Store
from probekit.model import Event, Harvest


@pytest.fixture
def synced(monkeypatch):
    """Names of what was synced since the last look."""
    seen = []

    def note(descriptor):
        seen.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))  # noqa: PTH115, PTH119

    monkeypatch.setattr(syncing, "_sync", note)
    monkeypatch.setattr(os, "fsync", note)
    return seen


@pytest.mark.row("D10")
def test_a_segment_that_has_grown_is_synced_and_no_other(tmp_path, synced):
    """A new name costs a sync of the folder too, so that it is found again."""
    journal = tmp_path / "journal"
    first, second = SegmentWriter(journal), SegmentWriter(journal)
    syncer = Syncer(journal)
    for writer in (first, second):
        writer.append(Harvest(events=[Event(1, "e")]))
    syncer.turn()
    names = {writer.position()[0] for writer in (first, second)}

    assert {*names, "journal", tmp_path.name} == set(synced)
    synced.clear()
    syncer.turn()
    assert [] == synced
    second.append(Harvest(events=[Event(1, "e")]))
    syncer.turn()
    assert [second.position()[0]] == synced
    first.close()
    second.close()


@pytest.mark.row("D10")
def test_a_sync_that_fails_is_tried_again(tmp_path, synced, monkeypatch):
    """The segment counts as grown until the disk has it."""
    journal = tmp_path / "journal"
    writer = SegmentWriter(journal)
    writer.append(Harvest(events=[Event(1, "e")]))
    syncer = Syncer(journal)
    note = syncing._sync

    def refuse(_):
        raise OSError("no")

    monkeypatch.setattr(syncing, "_sync", refuse)
    with pytest.raises(OSError, match="no"):
        syncer.turn()
    monkeypatch.setattr(syncing, "_sync", note)
    syncer.turn()

    assert writer.position()[0] in synced
    writer.close()


def test_no_folder_yet_is_nothing_to_sync(tmp_path, synced):
    """The first process makes it when it has something to write."""
    Syncer(tmp_path / "state" / "journal").turn()

    assert [] == synced


@pytest.mark.row("D10")
def test_a_segment_stays_until_what_replaces_it_is_on_the_disk(tmp_path):
    """A reader holds the checkpoint up: power loss would take the commit back."""
    store = Store(tmp_path / "buffer.db")
    fold = Fold(store, tmp_path / "journal")
    writer = SegmentWriter(tmp_path / "journal")
    reader = sqlite3.connect(tmp_path / "buffer.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM event").fetchone()
    writer.append(Harvest(events=[Event(1, "e")]))
    segment = tmp_path / "journal" / writer.position()[0]
    writer.close()
    fold.read()
    fold.close()
    assert segment.exists()
    reader.close()
    fold.close()

    assert not segment.exists()
    assert 1 == store.status().accounts["events"].stored
    store.close()
