"""Every way that people run Python applications: start, count, stop cleanly."""

import signal
import sys
from pathlib import Path

import pytest
import serving

import needs

sys.path.insert(0, str(Path(__file__).parents[1] / "backends"))
import servers

pytestmark = [pytest.mark.e2e, pytest.mark.backend, pytest.mark.timeout(150)]

REQUESTS = 400
WSGI = """
import os, probekit
from probekit.integrations.wsgi import ProbekitMiddleware

probekit.configure()

@probekit.probe
def work():
    return os.getpid()

def shop(environ, start_response):
    work()
    probekit.count("shop.orders")
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]

app = ProbekitMiddleware(shop, route=lambda environ: "/orders/<n>")
"""
ASGI = """
import os, pathlib, probekit
from probekit.integrations.asgi import ProbekitMiddleware

probekit.configure()
generation = GENERATION

async def shop(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    probekit.count("shop.orders")
    body = str(generation).encode()
    head = {"type": "http.response.start", "status": 200}
    await send(head | {"headers": [(b"content-length", b"1")]})
    await send({"type": "http.response.body", "body": body})

app = ProbekitMiddleware(shop, route=lambda scope: "/orders/<n>")
"""
PATHS = [f"/orders/{n}" for n in range(REQUESTS)]
TROUBLE = ("Traceback", "Error", "probekit", "Fatal", "never")


@pytest.fixture
def site(tmp_path):
    return serving.Site(tmp_path)


def serve(site, *command, **options):
    """Run, ask, stop at once, and bring what was left into the buffer."""
    with site.running(*command, **options):
        answered = serving.drive(site.port, PATHS, threads=4)
    site.fold()
    return sum(count for (_, status), count in answered.items() if status == 200)


def assert_all_is_counted(site):
    """By the request, by the function inside of it, by the business."""
    assert {("/orders/<n>", 200): REQUESTS} == {
        key: count for key, (count, _, _) in site.requests().items()
    }
    assert REQUESTS == site.total("shop.orders")
    assert REQUESTS == site.counted("probekit.function.duration")
    assert [] == site.sql("SELECT * FROM loss WHERE records > 0")


def assert_quiet(site):
    """Nothing of ours in the server's log, and no trouble at its end."""
    told = site.told()

    assert not [word for word in TROUBLE if word in told], told


def uwsgi(*options):
    folder = Path(sys.executable).parent
    return [
        *(folder / "uwsgi", "--http-socket", "127.0.0.1:{port}", "--master"),
        *("--processes", "2", "--single-interpreter", "--die-on-term", "--need-app"),
        *("--home", sys.prefix, "--wsgi-file", "app.py", "--callable", "app"),
        # Between the import and the fork, with the interpreter's lock held: whoever
        # waits for it then leaves workers that wait for ever.
        *("--hook-post-app", "exec:sleep 0.5", "--disable-logging", *options),
    ]


@pytest.mark.row("P10")
@pytest.mark.parametrize(
    "options",
    [
        pytest.param(
            ["--enable-threads", "--threads", "2", "--py-call-uwsgi-fork-hooks"],
            id="threads",
        ),
        pytest.param(["--lazy-apps", "--enable-threads"], id="lazy-apps"),
    ],
)
def test_uwsgi_with_threads(site, options):
    """What workers have recorded is in the buffer while they run."""
    uwsgi_is_needed()
    site.write("app.py", WSGI)
    with site.running(*uwsgi(*options)):
        serving.drive(site.port, PATHS, threads=4)
        assert serving.eventually(lambda: site.counted() == REQUESTS), site.requests()
    site.fold()

    assert_all_is_counted(site)
    assert "Traceback" not in site.told(), site.told()


@pytest.mark.row("P10")
def test_uwsgi_without_threads(site):
    """Workers write inline, and the rest when they end; somebody else ships."""
    uwsgi_is_needed()
    site.write("app.py", WSGI)
    site.environment["PROBEKIT_SHIPPER"] = "external"

    assert REQUESTS == serve(site, *uwsgi())
    assert_all_is_counted(site)
    assert "Traceback" not in site.told(), site.told()


def uwsgi_is_needed():
    if not (Path(sys.executable).parent / "uwsgi").exists():
        needs.libraries("uwsgi")


@pytest.mark.row("P11")
def test_gevent_under_gunicorn(site):
    needs.libraries("gevent")
    site.write("app.py", WSGI)
    command = [
        *(sys.executable, "-m", "gunicorn", "--workers", "2", "-k", "gevent"),
        *("--bind", "127.0.0.1:{port}", "--log-level", "warning", "app:app"),
    ]

    assert REQUESTS == serve(site, *command, ready=site.gunicorns_workers(2))
    assert_all_is_counted(site)
    assert_quiet(site)


@pytest.mark.row("P11")
def test_gevents_own_server(site):
    needs.libraries("gevent")
    program = """
        from gevent import monkey
        monkey.patch_all()
        import signal, sys, gevent
        from gevent.pywsgi import WSGIServer
        from app import app
        server = WSGIServer(("127.0.0.1", int(sys.argv[1])), app, log=None)
        gevent.signal_handler(signal.SIGTERM, server.stop)
        server.serve_forever()
    """
    site.write("app.py", WSGI)
    site.write("serve.py", "\n".join(line.strip() for line in program.splitlines()))

    assert REQUESTS == serve(site, sys.executable, "serve.py", "{port}")
    assert_all_is_counted(site)
    assert_quiet(site)


@pytest.mark.row("P11")
def test_eventlets_server(site):
    """Its end is asked for in the hub.

    What a handler raises where a green thread of eventlet's own is just ending leaves
    the server waiting for that thread for ever, with probekit or without.
    """
    needs.libraries("eventlet")
    program = """
        import warnings
        warnings.simplefilter("ignore")
        import eventlet
        eventlet.monkey_patch()
        import greenlet, signal, sys
        from eventlet import hubs, wsgi
        from app import app
        stop = greenlet.getcurrent().throw
        in_hub = hubs.get_hub().schedule_call_global
        signal.signal(signal.SIGTERM, lambda *_: in_hub(0, stop, SystemExit(0)))
        listening = eventlet.listen(("127.0.0.1", int(sys.argv[1])))
        wsgi.server(listening, app, log_output=False)
    """
    site.write("app.py", WSGI)
    site.write("serve.py", "\n".join(line.strip() for line in program.splitlines()))

    assert REQUESTS == serve(site, sys.executable, "serve.py", "{port}")
    assert_all_is_counted(site)
    told = site.told()
    assert "Traceback" not in told, told


@pytest.mark.row("P11")
def test_uvicorn_with_reload(site):
    needs.libraries("uvicorn")
    site.write("app.py", ASGI.replace("GENERATION", "1"))
    command = [
        *(sys.executable, "-m", "uvicorn", "--reload", "--port", "{port}"),
        *("--log-level", "warning", "--no-use-colors", "app:app"),
    ]
    generation = []

    def is_new():
        import http.client

        try:
            connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=5)
            connection.request("GET", "/orders/0")
            generation.append(connection.getresponse().read())
            connection.close()
        except OSError:
            return False
        return generation[-1] == b"2"

    with site.running(*command):
        serving.drive(site.port, PATHS, threads=4)
        site.write("app.py", ASGI.replace("GENERATION", "2"))
        assert serving.eventually(is_new, 60), site.told()
        serving.drive(site.port, PATHS, threads=4)
    site.fold()

    expected = 2 * REQUESTS + len(generation)
    assert {("/orders/<n>", 200): expected} == {
        key: count for key, (count, _, _) in site.requests().items()
    }
    assert expected == site.total("shop.orders")
    assert "Traceback" not in site.told(), site.told()


@pytest.mark.row("P11")
def test_a_notebook(site):
    needs.libraries("nbclient", "ipykernel")
    site.write(
        "run.py",
        """
import nbformat, nbclient
cells = [
    'import probekit; client = probekit.configure()',
    '@probekit.probe\\ndef work(n):\\n    return n\\n',
    'for n in range(400): work(n)',
    'with probekit.job("cell"):\\n    work(400)',
    '@probekit.probe\\nasync def later():\\n    return 7\\nawait later()',
]
book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
nbclient.NotebookClient(book, timeout=60, kernel_name="python3").execute()
outputs = [output for cell in book.cells for output in cell.outputs]
assert ["7"] == [output["data"]["text/plain"] for output in outputs], outputs
print("executed", flush=True)
""",
    )

    def executed():
        return "executed" in site.told()

    with site.running(sys.executable, "run.py", ready=executed):
        site.server.wait(30)
    site.fold()

    assert 402 == site.counted("probekit.function.duration")
    assert 1 == site.counted("probekit.job.duration")


CELERY = """
import os, probekit
from celery import Celery
from probekit.integrations.celery import Probekit

probekit.configure()
url = f"redis://127.0.0.1:{os.environ['CELERY_REDIS_PORT']}/0"
app = Celery("shop", broker=url, backend=url)
app.conf.broker_connection_retry_on_startup = True
app.conf.beat_schedule = {"often": {"task": "shop.tick", "schedule": 0.2}}
Probekit(app)

@app.task(name="shop.add")
def add(a, b):
    probekit.count("shop.orders")
    return a + b

@app.task(name="shop.tick", ignore_result=True)
def tick():
    pass
"""


@pytest.mark.row("P11")
def test_celerys_pool_whose_children_are_replaced(site, monkeypatch):
    needs.libraries("celery", "redis")
    site.write("tasks.py", CELERY)
    worker = [
        *(sys.executable, "-m", "celery", "-A", "tasks", "worker"),
        *("--concurrency", "2", "--max-tasks-per-child", "3", "--loglevel", "INFO"),
        *("--without-gossip", "--without-mingle"),
    ]
    with servers.redis(site.folder / "redis") as port:
        site.environment |= {"CELERY_REDIS_PORT": str(port), "C_FORCE_ROOT": "1"}
        with site.running(*worker, ready=lambda: "ready." in site.told()):
            assert list(range(40)) == added(port, 40)
        site.fold()

    assert 40 == site.total("shop.orders")
    assert 40 == site.counted("messaging.process.duration")


def added(port, times):
    """Ask for so many sums, from a process without probekit."""
    from celery import Celery

    url = f"redis://127.0.0.1:{port}/0"
    app = Celery("client", broker=url, backend=url, set_as_current=False)
    results = [app.send_task("shop.add", (n, 0)) for n in range(times)]
    try:
        return [result.get(timeout=30) for result in results]
    finally:
        app.close()


def test_celerys_beat_in_a_process_of_its_own(site):
    needs.libraries("celery", "redis")
    site.write("tasks.py", CELERY)
    beat = [
        *(sys.executable, "-m", "celery", "-A", "tasks", "beat"),
        *("--scheduler", "celery.beat:Scheduler", "--loglevel", "INFO"),
    ]

    def sent():
        return site.told().count("Sending due task")

    with servers.redis(site.folder / "redis") as port:
        site.environment |= {"CELERY_REDIS_PORT": str(port), "C_FORCE_ROOT": "1"}
        with site.running(*beat, ready=lambda: sent() >= 5):
            pass
        site.fold()

    told = site.counted("probekit.celery.beat.lag")
    assert told in {
        sent(),
        sent() - 1,
    }  # the signal may have met the last one half sent
    assert told == site.total("messaging.client.sent.messages")
    assert [(1,)] == site.sql(
        "SELECT count(*) FROM series WHERE name = 'probekit.celery.beat.last_tick'"
    )


def test_cron_runs_a_script_that_fails_and_one_that_does_not(site):
    """What a run leaves is in the buffer when the script has ended."""
    site.write(
        "nightly.py",
        """
import sys, probekit
probekit.configure()
with probekit.job("nightly"):
    if sys.argv[1] == "fail":
        raise LookupError("no orders")
""",
    )
    for how, code in (("succeed", 0), ("fail", 1), ("succeed", 0)):
        with site.running(
            sys.executable,
            "nightly.py",
            how,
            ready=lambda: site.server.poll() is not None,
            code=code,
            kill=signal.SIGCONT,
        ):
            pass
    site.fold()
    gauges = dict(
        site.sql("SELECT name, last FROM series WHERE kind = 'gauge' AND last NOT NULL")
    )

    assert 3 == site.counted("probekit.job.duration")
    assert 1 == gauges["probekit.job.success"]
    assert gauges["probekit.job.last_success"] > site.log.stat().st_mtime - 600
    assert [("LookupError", 1)] == site.sql("SELECT type, count FROM problem")
