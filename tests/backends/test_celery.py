"""A real Celery worker over a real redis: both sides of a task.

The sender is this process; the worker is another, with children of its own, and what
it has recorded is read back from its buffer.
"""

import importlib
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import servers
from recorded import take

from needs import library
from probekit.integrations import libraries
from probekit.recording.registry import REGISTRY

pytestmark = [pytest.mark.backend, pytest.mark.timeout(120)]

TRACE, SPAN = "a" * 32, "b" * 16
READY_S = 30


class Worker:
    """What the worker's buffer says."""

    def __init__(self, buffer):
        self.buffer = buffer

    def query(self, statement, *values):
        with sqlite3.connect(f"file:{self.buffer}?mode=ro", uri=True) as connection:
            rows = connection.execute(statement, values).fetchall()
        connection.close()
        return rows

    def series(self, name, task):
        """(attributes, count, sum) of the task's series of metric *name*."""
        rows = self.query(
            "SELECT attributes, count, sum FROM series WHERE name = ?", name
        )
        told = [
            (json.loads(attributes), count, sum_) for attributes, count, sum_ in rows
        ]
        return [row for row in told if row[0].get("celery.task_name") == task]

    def eventually(self, name, task):
        return servers.eventually(lambda: self.series(name, task), 20)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """The application, and a worker that runs its tasks."""
    for name in ("celery", "redis"):
        library(name)
    folder = tmp_path_factory.mktemp("celery")
    with servers.redis(folder) as port, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CELERY_REDIS_PORT", str(port))
        shop = importlib.import_module("celery_app")
        with worker_running(folder, port):
            assert servers.eventually(
                lambda: shop.app.control.inspect(timeout=1).ping(), READY_S
            ), (folder / "worker.log").read_text()
            yield shop, Worker(folder / "buffer.db")
        libraries.uninstall()
        shop.app.close()


@pytest.fixture
def shop(running):
    return running[0]


@pytest.fixture
def worker(running):
    return running[1]


class worker_running:
    def __init__(self, folder, port):
        arguments = ["worker", "--concurrency=2", "--max-tasks-per-child=2"]
        arguments += ["--without-gossip", "--loglevel=INFO"]
        self.log = (folder / "worker.log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "celery_app", *arguments],
            cwd=Path(__file__).parent,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,
                "CELERY_REDIS_PORT": str(port),
                "CELERY_BUFFER": str(folder / "buffer.db"),
                "C_FORCE_ROOT": "1",
            },
        )

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)
        self.log.close()


@pytest.fixture(autouse=True)
def fresh(shop):
    libraries.instrument_libraries(["celery"])
    take()


def test_sending_is_told_by_the_sender(shop):
    assert 3 == shop.add.delay(1, 2).get(timeout=10)

    taken = take()
    expected = {
        "celery.task_name": "shop.add",
        "messaging.system": "celery",
        "messaging.operation.name": "publish",
        "messaging.destination.name": "celery",
    }
    assert [(expected, 1)] == taken.of("messaging.client.sent.messages")
    assert [(expected, 1)] == taken.of("messaging.client.operation.duration")


def test_waiting_and_working_are_told_by_the_worker(shop, worker):
    assert 3 == shop.waited.delay(1, 2).get(timeout=10)

    assert worker.eventually("messaging.process.duration", "shop.waited")
    for name in (
        "messaging.process.duration",
        "messaging.client.consumed.messages",
        "probekit.celery.queue.duration",
    ):
        ((attributes, _, sum_),) = worker.series(name, "shop.waited")
        assert "process" == attributes["messaging.operation.name"]
        assert "celery" == attributes["messaging.destination.name"]
        assert 0 <= sum_ < 10
        assert "error.type" not in attributes


def test_a_failing_task_is_an_error_and_a_problem(shop, worker):
    with pytest.raises(LookupError):
        shop.fail.delay().get(timeout=10)

    ((attributes, count, _),) = worker.eventually(
        "messaging.process.duration", "shop.fail"
    )
    assert ("LookupError", 1) == (attributes["error.type"], count)
    found = servers.eventually(
        lambda: worker.query("SELECT count FROM problem WHERE type = 'LookupError'")
    )
    assert [(1,)] == found


def test_a_retry_is_counted_and_is_no_error(shop, worker):
    assert 1 == shop.retried.delay().get(timeout=10)

    ((_, count, sum_),) = worker.eventually(
        "probekit.celery.task.retries", "shop.retried"
    )
    assert 1 == sum_
    ((attributes, count, _),) = servers.eventually(
        lambda: [
            row
            for row in worker.series("messaging.process.duration", "shop.retried")
            if row[1] == 2
        ]
    )
    assert 2 == count
    assert "error.type" not in attributes


@pytest.mark.row("P11")
def test_children_that_are_replaced_lose_nothing(shop, worker):
    results = [shop.recycled.delay() for _ in range(8)]
    children = {result.get(timeout=20) for result in results}
    assert len(children) >= 3

    assert servers.eventually(
        lambda: (
            [8]
            == [
                count
                for _, count, _ in worker.series(
                    "messaging.process.duration", "shop.recycled"
                )
            ]
        )
    )


def test_the_senders_trace_context_is_the_workers(shop, monkeypatch):
    monkeypatch.setattr(REGISTRY, "trace_ids", lambda: (TRACE, SPAN))

    assert [TRACE, SPAN] == shop.ids.delay().get(timeout=10)


def test_a_task_whose_sender_is_in_no_trace_has_no_context(shop):
    assert ["", ""] == shop.ids.delay().get(timeout=10)


def test_signals_are_let_go_of(shop):
    libraries.uninstall()
    shop.add.delay(1, 2).get(timeout=10)

    assert [] == take().of("messaging.client.sent.messages")
