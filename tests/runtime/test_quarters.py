"""Where a process's records go when its buffer cannot be used after all."""

import pytest

from probekit.clock import SYSTEM_CLOCK
from probekit.errors import BufferFailed
from probekit.recording.registry import Registry
from probekit.runtime.overhead import Overhead
from probekit.runtime.quarters import Quarters
from probekit.settings import load


@pytest.fixture
def quarters(tmp_path):
    settings, registry = load(buffer=tmp_path / "probekit.db"), Registry()
    journals = []
    overhead = Overhead(settings, registry)
    made = Quarters(settings, registry, overhead, on_move=journals.append)
    made.journals = journals
    yield made
    made.finish(SYSTEM_CLOCK.monotonic_s() + 5)
    made.hold_still().release()


def test_who_finds_on_the_first_step_that_the_buffer_cannot_be_used_leads_in_memory(
    quarters, monkeypatch
):
    quarters.occupy()
    leader = quarters.crew.leader

    def start():
        leader._on_unusable(BufferFailed("the disk is gone"))
        leader.stand_aside()
        return True

    monkeypatch.setattr(leader, "start", start)

    assert quarters.start()
    assert quarters.crew.leader is not leader
    assert quarters.crew.leader.is_alive
    assert quarters.places is None
    assert [quarters.crew.journal] == quarters.journals
    assert "the disk is gone" == quarters.trouble


def test_before_anybody_is_to_serve_a_buffer_that_cannot_be_used_starts_nobody(
    quarters, monkeypatch
):
    def occupy():
        raise BufferFailed("not a database")

    monkeypatch.setattr(quarters.crew, "occupy", occupy)
    monkeypatch.setattr("probekit.runtime.quarters.may_pass", lambda _error: False)
    quarters.occupy()

    assert quarters.places is None
    assert not quarters.crew.leader.is_alive
    assert quarters.start()
    assert quarters.crew.leader.is_alive
