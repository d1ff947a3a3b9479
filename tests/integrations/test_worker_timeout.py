"""A worker that hangs and is ended by its server: the event names the route."""

import contextlib
import http.client
import json
import sys
import threading

import pytest
import serving

import needs

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(90)]

# One waits where Python hears signals, one where it does not: the first is ended by
# SystemExit (gunicorn sends SIGABRT first), the second by SIGKILL.
APP = """
import signal, time, probekit
from flask import Flask
from probekit.integrations.flask import Probekit

probekit.configure()
app = Flask("shop")
Probekit(app)

@app.get("/slow/<int:number>")
def slow(number):
    time.sleep(60)

@app.get("/deaf/<int:number>")
def deaf(number):
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGABRT])
    time.sleep(60)

@app.get("/ok")
def ok():
    return "ok"
"""


@pytest.fixture
def site(tmp_path):
    made = serving.Site(tmp_path)
    made.write("shop.py", APP)
    return made


def ask(port, path):
    with contextlib.suppress(OSError, http.client.HTTPException):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", path)
        connection.getresponse().read()


def told(site):
    rows = site.sql("SELECT attributes FROM v_events WHERE name = 'interrupted'")
    return sorted(
        (json.loads(a) for (a,) in rows), key=lambda a: a["probekit.operation.name"]
    )


@pytest.mark.row("P9")
def test_a_worker_timeout_leaves_the_route_that_hung(site):
    """Both workers hang; what they did before is counted."""
    needs.libraries("gunicorn", "flask")
    command = (
        *(sys.executable, "-m", "gunicorn", "shop:app", "--bind", "127.0.0.1:{port}"),
        *("--workers", "2", "--timeout", "2", "--log-level", "warning"),
    )
    with site.running(*command):
        paths = ["/ok", "/slow/7", "/deaf/7"]
        asking = [
            threading.Thread(target=ask, args=(site.port, path)) for path in paths
        ]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()
        assert serving.eventually(lambda: len(told(site)) == 2, 20), told(site)
    deaf, slow = told(site)

    for word, found in (("deaf", deaf), ("slow", slow)):
        assert f"GET /{word}/<int:number>" == found["probekit.operation.name"]
        assert "request" == found["probekit.operation.kind"]
        assert f"/{word}/<int:number>" == found["http.route"]
        assert 1.0 <= found["probekit.operation.duration"] < 30
    assert "SystemExit" == slow["error.type"]
    assert "error.type" not in deaf
    assert "in deaf" in deaf["code.stacktrace"]
    assert deaf["process.memory.usage"] > 1 << 20
