"""The example shop is code that people copy, and its demo keeps honest books."""

import importlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

SHOP = Path(__file__).parents[2] / "examples" / "shop"


@pytest.fixture
def figures(monkeypatch):
    monkeypatch.syspath_prepend(str(SHOP))
    return importlib.import_module("figures")


def books_of(figures, *, sent, unanswered, counted, delivered, repeated=0):
    """Books of a run in which only requests were sent."""

    class Buffer:
        def execute(self, statement):
            about_requests = figures.REQUESTS in statement
            return SimpleNamespace(fetchone=lambda: (counted * about_requests,))

    driver = SimpleNamespace(
        sent=sent, unanswered=unanswered, orders={}, answered=lambda *_: 0
    )
    receiver = SimpleNamespace(
        delivered=lambda name: delivered * (name == figures.REQUESTS),
        events={"order.refunded": 0},
        repeated=repeated,
    )
    return figures.Books(driver, receiver, Buffer(), killed=1)


def test_books_balance_when_only_the_unfinished_is_missing(figures):
    books = books_of(figures, sent=10, unanswered=1, counted=9, delivered=9)

    assert books.balance


@pytest.mark.parametrize(
    "wrong",
    [
        {"delivered": 8},
        {"delivered": 10},
        {"counted": 8},
        {"unanswered": 0},
        {"repeated": 1},
    ],
)
def test_books_do_not_balance_when_anything_else_is_missing_or_too_much(figures, wrong):
    right = {"sent": 10, "unanswered": 1, "counted": 9, "delivered": 9}
    books = books_of(figures, **(right | wrong))

    assert not books.balance


def command(folder, requests):
    return [
        sys.executable, str(SHOP / "demo.py"),
        "--folder", str(folder), "--requests", str(requests), "--rate", "100",
    ]  # fmt: skip


def clean_environment():
    return {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PROBEKIT_", "OTEL_", "SHOP_"))
    }


@pytest.mark.e2e
@pytest.mark.timeout(120)
def test_the_demo_loses_nothing_and_says_so(tmp_path):
    """Outage and kill -9 included."""
    answer = subprocess.run(
        command(tmp_path / "demo", 500),
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
        env=clean_environment(),
    )

    assert 0 == answer.returncode, answer.stdout + answer.stderr
    assert "Nothing was lost." in answer.stdout
    assert "kill -9" in answer.stdout
    assert "PaymentError" in answer.stdout
    assert str(tmp_path / "demo" / "buffer.db") in answer.stdout
    assert "" == answer.stderr


@pytest.mark.e2e
@pytest.mark.timeout(60)
def test_the_demo_leaves_no_process_behind_when_it_is_stopped(tmp_path):
    """Ctrl-C in the middle of the customers' requests."""
    demo = subprocess.Popen(
        command(tmp_path / "demo", 5000),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=clean_environment(),
        start_new_session=True,
    )
    started = threading.Event()
    told = []

    def listen():
        for line in demo.stdout:
            told.append(line)
            if "customers arrive" in line:
                started.set()

    listener = threading.Thread(target=listen)
    listener.start()
    assert started.wait(30), told
    children = psutil.Process(demo.pid).children(recursive=True)
    demo.send_signal(signal.SIGINT)
    demo.wait(timeout=20)
    listener.join()
    demo.stdout.close()

    assert 130 == demo.returncode
    assert children
    assert [] == psutil.wait_procs(children, timeout=5)[1]
    assert "Traceback" not in "".join(told)
