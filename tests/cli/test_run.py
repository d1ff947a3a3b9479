"""``probekit run``: programs that know nothing of probekit, watched."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

import needs
from freeports import free_port
from probekit.autostart import HOOK, environment_for
from probekit.autostart.start import role_of
from probekit.cli.run import CannotRun, NotFound, become, check, command_line
from probekit.errors import ConfigError

BESIDE = Path(sys.executable).parent


class Stage:
    """A folder with a program, and the buffer that a run of it leaves."""

    def __init__(self, folder):
        self.folder = folder
        self.buffer = folder / "data" / "buffer.db"
        self.environ = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("PROBEKIT_", "PYTHON", "OTEL_"))
        }
        self.environ["XDG_STATE_HOME"] = str(folder / "state")

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def command(self, *words):
        own = ["--buffer", str(self.buffer), "--no-libraries"]
        return [sys.executable, "-m", "probekit", "run", *own, *words]

    def start(self, *words, **more):
        return subprocess.Popen(
            self.command(*words),
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **more,
        )

    def run(self, *words, bare=False):
        command = [sys.executable, *words] if bare else self.command(*words)
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=50,
        )

    def calls(self, function):
        """Calls of *function* in the buffer, once a leader has folded all segments."""
        code = "import probekit; probekit.configure(); probekit.flush(5.0)"
        environ = {**self.environ, "PROBEKIT_BUFFER": str(self.buffer)}
        subprocess.run([sys.executable, "-c", code], env=environ, check=True)
        with contextlib.closing(sqlite3.connect(self.buffer)) as connection:
            rows = connection.execute(
                "SELECT calls FROM v_functions WHERE function = ?", (function,)
            )
            return sum(calls for (calls,) in rows)

    def until(self, function, expected):
        """Wait until that many calls are in the buffer, 10 s at most."""
        deadline_s = time.monotonic() + 10
        while (calls := self.calls(function)) < expected:
            assert time.monotonic() < deadline_s, f"{calls} of {expected}"
            time.sleep(0.2)
        return calls


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


SHOP = """
    def work(x):
        return x * 2
"""

SHOW = """
    import json, os, sys
    import shop
    for i in range(5):
        shop.work(i)
    if __name__ == "__main__":
        print(json.dumps({
            "argv": sys.argv, "path0": sys.path[0], "main": __name__,
            "hook": [p for p in sys.path if "autostart" in p],
            "file": __file__, "spec": getattr(__spec__, "name", None),
            "flags": list(sys.warnoptions),
        }))
        sys.exit(int(sys.argv[1]))
"""


@pytest.mark.e2e
@pytest.mark.parametrize("form", [["app.py"], ["-m", "pack"], ["pack"]])
def test_a_program_sees_what_it_would_see_without_us(stage, form):
    """Arguments, path, main module and exit status are those of ``python``."""
    stage.write("shop.py", SHOP)
    stage.write("app.py", SHOW)
    stage.write("pack/__init__.py", "")
    stage.write("pack/__main__.py", SHOW)
    stage.write("pack/shop.py", SHOP)
    bare = stage.run(*form, "7", "--service", "x", bare=True)
    watched = stage.run("--instrument", "shop", *form, "7", "--service", "x")

    assert bare.stderr == watched.stderr
    assert json.loads(bare.stdout) == json.loads(watched.stdout)
    assert 7 == bare.returncode == watched.returncode
    assert 5 == stage.calls("shop.work")


@pytest.mark.e2e
def test_a_signal_ends_the_program_and_nobody_else(stage):
    """The program has our process number: whoever started us can stop it."""
    stage.write(
        "app.py",
        """
        import os, signal, time
        print(os.getpid(), flush=True)
        signal.pause()
        """,
    )
    process = stage.start("app.py")
    assert process.pid == int(process.stdout.readline())
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)

    assert -signal.SIGTERM == process.returncode


@pytest.mark.e2e
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_are_watched(stage, method):
    """Each way of starting them, with nobody's calls counted twice."""
    stage.write("shop.py", SHOP)
    stage.write(
        "app.py",
        f"""
        import multiprocessing
        import shop

        def child(n):
            for i in range(n):
                shop.work(i)

        if __name__ == "__main__":
            context = multiprocessing.get_context({method!r})
            children = [context.Process(target=child, args=(n,)) for n in (3, 4)]
            for each in children:
                each.start()
            for each in children:
                each.join()
            assert [0, 0] == [each.exitcode for each in children]
            child(2)
        """,
    )
    done = stage.run("--instrument", "shop", "app.py")

    assert (0, "") == (done.returncode, done.stderr)
    assert 9 == stage.calls("shop.work")


@pytest.mark.e2e
def test_children_started_by_the_program_are_watched(stage):
    """The environment carries it on."""
    stage.write("shop.py", SHOP)
    stage.write("child.py", "import shop\nshop.work(1)")
    stage.write(
        "app.py",
        """
        import subprocess, sys
        subprocess.run([sys.executable, "child.py"], check=True)
        """,
    )
    done = stage.run("--instrument", "shop", "app.py")

    assert (0, "") == (done.returncode, done.stderr)
    assert 1 == stage.calls("shop.work")


@pytest.mark.e2e
def test_functions_of_the_script_itself_are_timed_by_its_name(stage):
    """From a fifth of a second after they are defined."""
    stage.write(
        "app.py",
        """
        import time
        from probekit.recording.woven import is_woven

        def work():
            return 1

        if __name__ == "__main__":
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                if is_woven(work.__code__) or hasattr(work, "__wrapped__"):
                    break
                time.sleep(0.02)
            for _ in range(3):
                work()
        """,
    )
    done = stage.run("--instrument", "app", "app.py")

    assert (0, "") == (done.returncode, done.stderr)
    assert 3 == stage.calls("__main__.work")


@pytest.mark.e2e
def test_the_hidden_sitecustomize_runs_as_before(stage):
    """First of all, under its own name, and with its errors shown as Python does."""
    stage.write("shop.py", SHOP)
    stage.write("site/sitecustomize.py", "import sys\nMARK = __name__\nsys.marked = 1")
    stage.write(
        "app.py",
        """
        import sys, sitecustomize, shop
        print(sitecustomize.MARK, sitecustomize.__file__, sys.marked)
        shop.work(1)
        """,
    )
    stage.environ["PYTHONPATH"] = str(stage.folder / "site")
    done = stage.run("--instrument", "shop", "app.py")

    file = stage.folder / "site" / "sitecustomize.py"
    assert f"sitecustomize {file} 1\n" == done.stdout
    assert 1 == stage.calls("shop.work")
    stage.write("site/sitecustomize.py", "raise LookupError('mine')")
    done = stage.run("--instrument", "shop", "-m", "shop")
    assert 0 == done.returncode
    assert "LookupError: mine" in done.stderr


@pytest.mark.e2e
def test_a_setting_that_is_wrong_does_not_stop_the_program(stage):
    """It runs unwatched; a line says so before it starts."""
    stage.write("app.py", "print('runs')")
    stage.environ["PROBEKIT_INTERVAL_S"] = "never"
    done = stage.run("app.py")

    assert (0, "runs\n") == (done.returncode, done.stdout)
    assert "not watching" in done.stderr
    assert "never" in done.stderr


@pytest.mark.e2e
def test_a_buffer_that_cannot_be_written_does_not_stop_the_program(stage):
    """Nor does it say anything on its streams."""
    stage.write("app.py", "print('runs')")
    stage.buffer = stage.write("file", "") / "below" / "buffer.db"
    done = stage.run("app.py")

    assert (0, "runs\n") == (done.returncode, done.stdout)


@pytest.mark.e2e
def test_a_program_without_probekit_runs_too(stage):
    """A Python that inherits the hook and has no probekit: as if nothing were there."""
    stage.write("app.py", "import sys; print(sys.argv)")
    environ = {**stage.environ, "PYTHONPATH": str(HOOK), "PROBEKIT_AUTOSTART": "1"}
    done = subprocess.run(
        # Without site-packages nothing is installed; site itself still runs.
        [sys.executable, "-c", BLIND],
        cwd=stage.folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert (0, "", "fine\n") == (done.returncode, done.stderr, done.stdout)


BLIND = """
import runpy, sys
sys.path[:] = [p for p in sys.path if "site-packages" not in p and "/src" not in p]
sys.modules.pop("sitecustomize", None)
for name in [n for n in sys.modules if n.partition(".")[0] == "probekit"]:
    del sys.modules[name]
sys.meta_path[:] = [f for f in sys.meta_path if not type(f).__module__.startswith("_")
                    and "editable" not in repr(f).lower()
                    or getattr(f, "__module__", "").startswith("_frozen")]
import os
sys.path.insert(0, os.environ["PYTHONPATH"])
import sitecustomize
print("fine")
"""


def fetch(url, tries=100):
    for _ in range(tries):
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(url, timeout=5) as answer,
        ):
            return answer.read()
        time.sleep(0.1)
    raise AssertionError(f"{url} does not answer")


WEB = """
    import flask
    import shop
    app = flask.Flask(__name__)

    @app.get("/")
    def index():
        shop.work(1)
        return "ok"
"""


def stop(process):
    """End the whole group: a reloader has children of its own."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        return "".join(process.communicate(timeout=15))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=5)
        raise


@pytest.mark.e2e
def test_gunicorn_is_found_and_its_workers_are_watched(stage):
    """A program of this environment, with two workers forked from a master."""
    stage.write("shop.py", SHOP)
    stage.write("web.py", WEB)
    port = free_port()
    process = stage.start(
        *("--instrument", "shop", "gunicorn", "-w", "2", "-b", f"127.0.0.1:{port}"),
        *("--graceful-timeout", "5", "web:app"),
        start_new_session=True,
    )
    try:
        for _ in range(20):
            assert b"ok" == fetch(f"http://127.0.0.1:{port}/")
    finally:
        stop(process)

    assert 20 == stage.until("shop.work", 20)


FLASK = """
    import sys
    import flask
    import shop
    app = flask.Flask(__name__)

    @app.get("/")
    def index():
        return str(shop.work(1))

    if __name__ == "__main__":
        app.run(port=int(sys.argv[1]), use_reloader=True)
"""
DJANGO = """
    import django.http, django.urls
    import shop

    def index(request):
        return django.http.HttpResponse(str(shop.work(1)))

    urlpatterns = [django.urls.path("", index)]
"""
MANAGE = """
    import sys
    from django.conf import settings
    from django.core.management import execute_from_command_line

    settings.configure(
        DEBUG=True, ROOT_URLCONF="web", SECRET_KEY="x", ALLOWED_HOSTS=["*"]
    )
    if __name__ == "__main__":
        execute_from_command_line(sys.argv)
"""
ASGI = """
    import shop

    async def app(scope, receive, send):
        assert scope["type"] == "http"
        body = str(shop.work(1)).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})
"""
RELOADERS = {
    "flask --debug": (FLASK, "-m", "flask", "--app", "web", "run", "--debug", "-p", ""),
    "flask's app.run": (FLASK, "web.py", ""),
    "django's runserver": (DJANGO, "manage.py", "runserver", ""),
    "uvicorn --reload": (
        ASGI,
        *("-m", "uvicorn", "--reload", "--lifespan", "off", "web:app", "--port", ""),
    ),
}


def workers(process):
    """Children that run the program; multiprocessing has helpers of its own."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "resource_tracker" not in " ".join(child.cmdline()):
                found.append(child)
    return found


@pytest.mark.e2e
@pytest.mark.parametrize(
    "name",
    [
        "flask --debug",
        "flask's app.run",
        "django's runserver",
        pytest.param("uvicorn --reload", marks=pytest.mark.backend),
    ],
)
def test_a_reloaders_generations_are_all_watched(stage, name):
    """Each start anew is one child with probekit in it once; all calls arrive."""
    if name.startswith("uvicorn"):
        needs.libraries("uvicorn")
    text, *words = RELOADERS[name]
    stage.write("shop.py", "def work(x): return 1\ndef later(x): return 22\n")
    stage.write("manage.py", MANAGE)
    web = stage.write("web.py", text)
    port = free_port()
    words[-1] = str(port)
    process = stage.start("--instrument", "shop", *words, start_new_session=True)
    url = f"http://127.0.0.1:{port}/"
    try:
        assert [b"1"] * 3 == [fetch(url) for _ in range(3)]
        old = [time.monotonic()] * 3
        assert 1 == len(first := workers(process))
        web.write_text(textwrap.dedent(text).replace("shop.work", "shop.later"))
        deadline_s = time.monotonic() + 30
        touch_s = time.monotonic() + 3
        while (answer := fetch(url)) == b"1":
            old.append(time.monotonic())
            assert old[-1] < deadline_s
            time.sleep(0.1)
            # A change before a reloader's first look is none to it (Django's).
            if time.monotonic() > touch_s:
                web.touch()
                touch_s += 3
        assert b"22" == answer
        assert 1 == len(second := workers(process))
        assert first != second
        # uvicorn ends its worker by the signal itself, past all that runs at an exit:
        # there the last flush interval may go, and a busy machine makes it longer.
        may_go = name.startswith("uvicorn") * sum(old[-1] - each < 0.5 for each in old)
        counted = stage.until("shop.work", len(old) - may_go)
        # A request that the restart cut off may have been counted, but has no answer.
        assert len(old) - may_go <= counted <= len(old) + 1
        assert 1 == stage.until("shop.later", 1)
    finally:
        said = stop(process)

    assert "Traceback" not in said
    assert not any(each.is_running() for each in second)


def test_what_is_no_program_is_said_in_one_line():
    """With a shell's exit status."""
    with pytest.raises(NotFound, match="no file or program 'nonesuch-probe'") as caught:
        command_line("nonesuch-probe", [], is_module=False)

    assert 127 == caught.value.exit_code


def test_what_cannot_be_run_is_said_in_one_line(tmp_path):
    """A file that is neither Python nor executable by the kernel."""
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x00\x01")
    broken.chmod(0o755)
    with pytest.raises(CannotRun, match="cannot be run"):
        become(command_line(str(broken), [], is_module=False), {})


@pytest.mark.parametrize(
    "options, words",
    [
        ({"exporters": ("nosuch://x",)}, "nosuch"),
        ({"instrument": ("*",)}, "other people's modules"),
        ({"service": " "}, "service"),
    ],
)
def test_a_wrong_option_is_refused_before_the_program_starts(options, words):
    """The person who typed it is there to read it."""
    given = {"service": None, "buffer": None, "exporters": (), "instrument": ()}

    with pytest.raises(ConfigError, match=words):
        check({**given, **options})


def test_python_files_run_under_this_python(tmp_path):
    """A program of this environment is preferred to one on PATH."""
    script = tmp_path / "app.py"
    script.touch()

    assert [sys.executable, str(script), "a"] == command_line(
        str(script), ["a"], is_module=False
    )
    assert [sys.executable, "-m", "x"] == command_line("x", [], is_module=True)
    assert str(BESIDE / "gunicorn") == command_line("gunicorn", [], is_module=False)[0]


def test_the_environment_is_the_users_with_ours_before_it():
    """Nothing of the user's is removed."""
    given = {"PYTHONPATH": "/a:/b", "HOME": "/h", "PROBEKIT_SERVICE": "old"}
    made = environment_for(
        given,
        service="new",
        buffer="x.db",
        exporters=["file:///a", "udp://h:1"],
        instrument=["a.*", "b"],
        libraries=False,
    )

    assert f"{HOOK}:/a:/b" == made["PYTHONPATH"]
    assert ("new", "a.*,b", "0") == (
        made["PROBEKIT_SERVICE"],
        made["PROBEKIT_INSTRUMENT"],
        made["PROBEKIT_LIBRARIES"],
    )
    assert "file:///a,udp://h:1" == made["PROBEKIT_EXPORTERS"]
    assert Path(made["PROBEKIT_BUFFER"]).is_absolute()
    assert made["PYTHONPATH"] == environment_for(made)["PYTHONPATH"]
    assert "old" == environment_for(given)["PROBEKIT_SERVICE"]


@pytest.mark.parametrize(
    "words, role",
    [
        ("python app.py", "program"),
        ("python -m shop -m probekit", "program"),
        ("python -m probekit.cli", "helper"),
        ("python -mprobekit ship", "helper"),
        ("python /venv/bin/probekit ship", "helper"),
        ("python -X dev -W error -I -m probekit", "helper"),
        ("python -c pass", "program"),
        ("python -Ic pass", "program"),
        ("python", "program"),
        ("python -", "program"),
    ],
)
def test_our_own_commands_are_not_watched(words, role):
    """Or each would start what it reports on."""
    assert role == role_of(words.split())


def test_helpers_of_multiprocessing_are_told_apart():
    """As its own code spells them."""
    tracker = "from multiprocessing.resource_tracker import main;main(5)"
    server = "from multiprocessing.forkserver import main; main(3, 4)"
    spawn = "from multiprocessing.spawn import spawn_main; spawn_main(pipe_handle=9)"

    assert ["helper", "fork server", "program"] == [
        role_of(["python", "-c", text]) for text in (tracker, server, spawn)
    ]
