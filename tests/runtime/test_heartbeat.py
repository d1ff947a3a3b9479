"""What the heartbeat writes, and when it does not."""

import copy
import logging
import os
from contextlib import ExitStack
from dataclasses import replace
from time import perf_counter

import pytest

import probekit
from probekit.buffer.journal import segment_files
from probekit.recording.registry import REGISTRY
from probekit.recording.underway.running import MOST
from probekit.runtime.heartbeat import Heartbeat, long_operations


class FakeClock:
    def __init__(self):
        self.monotonic = 1000.0

    def wall_ns(self):
        return 1_800_000_000 * 10**9 + int(self.monotonic * 1e9)

    def monotonic_s(self):
        return self.monotonic

    def advance(self, seconds):
        self.monotonic += seconds


class Witness:
    """A heartbeat whose seconds pass when told, and what it left on disk."""

    def __init__(self, folder):
        self.folder = folder
        self.clock = FakeClock()
        self.heartbeat = Heartbeat(REGISTRY, folder, clock=self.clock)

    def second(self, seconds=1.0):
        self.clock.advance(seconds)
        self.heartbeat.beat()

    @property
    def path(self):
        (found,) = self.folder.glob("*.beat")
        return found

    def files(self):
        return list(self.folder.iterdir()) if self.folder.exists() else []

    def events(self):
        ((_, frame),) = segment_files.read_frames(self.path)
        return frame.harvest.events

    def names(self):
        return [e.attributes["probekit.operation.name"] for e in self.events()]


@pytest.fixture
def witness(tmp_path):
    made = Witness(tmp_path / "buffer.db.journal")
    yield made
    made.heartbeat.end()


def old_job(name, age_s=5.0, **attributes):
    """A job that has been running for a while."""
    made = probekit.job(name, attributes=attributes)
    made.__enter__()
    made._began_s[0] -= age_s
    return made


@pytest.fixture
def begin():
    """Begins jobs, and ends them with the test."""
    with ExitStack() as stack:

        def begin(*given, **more):
            made = old_job(*given, **more)
            stack.push(made)
            return made

        yield begin
    REGISTRY.drain()


def test_nothing_is_written_while_nothing_runs_for_long(witness, begin):
    begin("young", age_s=0.0)
    for _ in range(3):
        witness.second()

    assert [] == witness.files()


def test_the_event_says_what_ran_for_how_long_and_how_the_process_was(witness, begin):
    begin("nightly", region="eu")
    witness.second()
    (event,) = witness.events()
    given = event.attributes

    assert "interrupted" == event.name
    assert ("job", "nightly", "eu") == (
        given["probekit.operation.kind"],
        given["probekit.operation.name"],
        given["region"],
    )
    assert 5.0 <= given["probekit.operation.duration"] < 60
    assert os.getpid() == given["process.pid"]
    assert given["process.memory.usage"] > 1 << 20
    assert given["system.memory.linux.available"] > 1 << 20
    assert given["system.load_average.1m"] >= 0
    assert event.time_unix_ns == witness.clock.wall_ns()


def test_it_looks_once_a_second(witness, begin):
    begin("nightly")
    witness.second(0.5)
    assert [] == witness.files()
    witness.second(0.5)

    assert ["nightly"] == witness.names()


def test_it_writes_again_only_when_that_is_news_or_the_last_beat_is_old(witness, begin):
    """What has run for a minute need not be written each second."""
    begin("nightly", age_s=55.0)
    witness.second()
    first = witness.path.stat().st_ino
    for _ in range(5):
        witness.second()
    assert first == witness.path.stat().st_ino
    witness.second()
    assert first != witness.path.stat().st_ino

    begin("hourly")
    witness.second()
    assert ["nightly", "hourly"] == witness.names()


def test_what_has_ended_is_taken_away_with_the_next_beat(witness):
    one, two = old_job("one"), old_job("two")
    witness.second()
    one.__exit__(None, None, None)
    witness.second()
    assert ["two"] == witness.names()
    two.__exit__(None, None, None)
    witness.second()

    assert [] == witness.files()


def test_secrets_are_taken_out_before_anything_is_written(witness, begin):
    begin("nightly", password="hunter2-hunter2")
    witness.second()

    assert b"hunter2" not in witness.path.read_bytes()


def test_the_oldest_are_told_when_there_are_too_many(witness, begin):
    for n in range(MOST + 10):
        begin(f"job-{n}", age_s=100.0 - n)
    witness.second()

    assert [f"job-{n}" for n in range(MOST)] == witness.names()


def test_a_disk_that_refuses_is_told_once_and_tried_again(
    witness, begin, monkeypatch, caplog
):
    begin("nightly")
    monkeypatch.setattr("probekit.notice._last_told_s", {})
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr("probekit.buffer.journal.lastwords.os.write", lambda *_: 0)
        witness.second()
        witness.second()
    assert 1 == len(caplog.records)
    assert [] == witness.files()
    witness.second()

    assert ["nightly"] == witness.names()


def test_a_child_of_a_fork_says_nothing_of_what_its_parent_runs(witness, begin):
    begin("nightly")
    witness.second()
    before = witness.path.read_bytes()
    child = copy.deepcopy(witness.heartbeat, {id(REGISTRY): REGISTRY})
    descriptor = os.dup(witness.heartbeat._words._held.descriptor)
    child._words._held = replace(child._words._held, descriptor=descriptor)
    child.abandon()
    witness.clock.advance(1)
    child.beat()

    assert before == witness.path.read_bytes()
    assert [] == long_operations(perf_counter() + 10)
