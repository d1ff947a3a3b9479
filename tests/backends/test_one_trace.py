"""One trace over two processes that talk HTTP, and a Celery worker behind redis."""

import contextlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import servers

from needs import library

pytestmark = [pytest.mark.backend, pytest.mark.timeout(120)]

HERE = Path(__file__).parent


class Programs:
    """The three programs, each with a buffer of its own."""

    def __init__(self, folder, port):
        self.folder = folder
        self.port = port

    def start(self, name, *arguments):
        buffer = self.folder / name / "buffer.db"
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=HERE,
            env={
                **os.environ,
                "C_FORCE_ROOT": "1",
                "TRACED_REDIS_PORT": str(self.port),
                "TRACED_BUFFER": str(buffer),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def spans(self, name):
        """Name → (trace id, span id, parent's id)."""
        path = self.folder / name / "buffer.db"
        if not path.exists():
            return {}
        with contextlib.closing(
            sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        ) as connection:
            rows = connection.execute(
                "SELECT name, trace_id, span_id, parent_span_id FROM span"
            ).fetchall()
        return {row[0]: row[1:] for row in rows}


@pytest.fixture
def programs(tmp_path):
    for name in ("celery", "redis"):
        library(name)
    with servers.redis(tmp_path / "redis") as port:
        yield Programs(tmp_path, port)


def ended(process, word="\n"):
    """What *process* printed until its end; it is asked to end with *word*."""
    try:
        return process.communicate(word, timeout=60)[0]
    finally:
        if process.poll() is None:
            process.kill()


def test_a_trace_crosses_http_and_a_task_with_the_right_parents(programs):
    worker = programs.start(
        "worker", "-m", "celery", "-A", "traced_app", "worker",
        "--pool", "prefork", "-c", "1", "--without-gossip",
    )  # fmt: skip
    shop = programs.start("shop", "traced_app.py", "serve")
    try:
        port = shop.stdout.readline().strip()
        front = programs.start("front", "traced_app.py", "ask", port)
        answer = ended(front)
        told = ended(shop)
        in_worker = servers.eventually(
            lambda: {"pack", "process traced.ship"} <= set(programs.spans("worker")), 30
        )
    finally:
        for each in (shop, worker):
            each.terminate()
        worker.communicate(timeout=30)
    spans = {
        name: span
        for each in ("front", "shop", "worker")
        for name, span in programs.spans(each).items()
    }
    way = [
        *("checkout", "GET", "GET /orders/<int:number>"),
        *("publish traced.ship", "process traced.ship", "pack"),
    ]
    parents = ["", *(spans[name][1] for name in way[:-1])]

    assert "packed" in answer
    assert answer.endswith("True\n")
    assert "True\n" == told
    assert in_worker
    assert 1 == len({spans[name][0] for name in way})
    assert parents == [spans[name][2] for name in way]
