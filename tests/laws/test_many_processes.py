"""gunicorn --preload, four workers, ten thousand requests, every shipper mode."""

import http.client
import signal
import socket
import subprocess
import sys
import textwrap
import threading

import pytest

from freeports import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

APP = """
import sys, os, probekit
from flask import Flask
from probekit.integrations.flask import Probekit
probekit.configure("shop", buffer=os.environ["BUFFER"], interval_s=1,
                   exporters=[os.environ["RECEIVER"]], shipper=os.environ["SHIPPER"])
app = Flask(__name__)
Probekit(app)

@app.get("/orders/<int:number>")
def order(number):
    probekit.count("shop.orders")
    return "ok"
"""


def drive(port, requests, threads=8):
    """Send *requests* GETs; return how many were answered with 200."""
    answered = [0] * threads

    def client(index):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        for n in range(requests // threads):
            connection.request("GET", f"/orders/{n}")
            response = connection.getresponse()
            response.read()
            answered[index] += response.status == 200
        connection.close()

    workers = [threading.Thread(target=client, args=(i,)) for i in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(answered)


@pytest.mark.row("P9")
@pytest.mark.parametrize("shipper", ["thread", "process", "external"])
def test_totals_over_preloaded_workers_are_exact(
    program, receiver, eventually, shipper
):
    """10,000 requests are 10,000 in one series, in the buffer and at the receiver."""
    receiver.start()
    port = free_port()
    (program.folder / "app.py").write_text(textwrap.dedent(APP), encoding="utf-8")
    environment = program.environment | {
        "BUFFER": str(program.buffer),
        "RECEIVER": receiver.url,
        "SHIPPER": shipper,
        # From 3.12 on Python warns of any fork beside a thread; ours are ready for it.
        "PYTHONWARNINGS": "default,ignore::DeprecationWarning:gunicorn.arbiter",
    }
    server = subprocess.Popen(
        [
            sys.executable, "-m", "gunicorn", "--preload", "--workers", "4",
            "--worker-class", "gthread", "--threads", "4",
            "--bind", f"127.0.0.1:{port}", "--log-level", "warning", "app:app",
        ],
        cwd=program.folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip

    def is_up():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        assert eventually(is_up)
        answered = drive(port, 10_000)
    finally:
        server.send_signal(signal.SIGTERM)
        log, _ = server.communicate(timeout=30)
    settings = {"RECEIVER": receiver.url}
    subprocess.run(
        [
            sys.executable, "-m", "probekit", "ship", "--once",
            "--buffer", str(program.buffer),
        ],
        env=environment | settings | {"PROBEKIT_EXPORTERS": receiver.url},
        check=True,
        timeout=40,
    )  # fmt: skip

    assert answered == 10_000, log
    assert log.strip() == ""
    assert program.sql(
        "SELECT count FROM series WHERE name = 'http.server.request.duration'",
    ) == [(10_000,)]
    assert program.sql("SELECT sum FROM series WHERE name = 'shop.orders'") == [
        (10_000,),
    ]
    assert receiver.total("http.server.request.duration") == 10_000
    assert receiver.total("shop.orders") == 10_000
    assert len(receiver.series("http.server.request.duration")) == 1
    assert not receiver.repeated()
    assert program.buffer.exists()
