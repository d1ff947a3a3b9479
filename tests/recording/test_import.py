"""Importing probekit costs next to nothing, and so does decorating with it."""

import subprocess
import sys
import textwrap

import pytest

import probekit

pytestmark = pytest.mark.e2e

HEAVY = {
    "wrapt",
    "psutil",
    "opentelemetry",
    "sqlite_utils",
    "asyncio",
    "logging",
    "json",
    "sqlite3",
    "http.client",
    "urllib.request",
    "socket",
    "ssl",
    "hashlib",
    "subprocess",
    "click",
}

# Each of these is several milliseconds, alone or with what it loads.
SLOW = HEAVY | {
    "typing",
    "inspect",
    "dataclasses",
    "ast",
    "tokenize",
    "dis",
    "re",
    "enum",
    "contextlib",
    "importlib",
    "weakref",
    "probekit.model",
    "probekit.histogram",
    "probekit.scrub",
    "probekit.recording.hook.discovery",
}
DECORATED_MODULES = 48  # ours; the standard library's differ from Python to Python


def run(program):
    """What *program* prints, in an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=True,
        timeout=50,
    )
    assert "" == done.stderr
    return done.stdout


def test_import_loads_the_standard_library_alone_and_starts_nothing():
    """At most 25 modules, no thread, no file, no socket."""
    out = run(
        """
        import os, sys, threading
        before = set(sys.modules)
        files = set(os.listdir("/proc/self/fd"))
        import probekit
        new = set(sys.modules) - before
        print(len(new), threading.active_count(),
              set(os.listdir("/proc/self/fd")) - files, *sorted(new))
        """,
    )
    count, threads, files, *modules = out.split()

    assert int(count) <= 25
    assert ("1", "set()") == (threads, files)
    assert not HEAVY & set(modules)


def test_the_first_decoration_loads_neither_typing_nor_what_reads_source():
    """Nor the rules of scrubbing: a function's own name holds no secret."""
    out = run(
        """
        import sys
        before = set(sys.modules)
        from probekit import count, counter, event, probe
        @probe
        def add(a, b=1, *, c=2): return a + b + c
        print(add(1), *sorted(set(sys.modules) - before))
        """,
    )
    answer, *modules = out.split()

    assert "4" == answer
    assert not SLOW & set(modules)
    ours = [name for name in modules if name.split(".")[0] == "probekit"]
    assert len(ours) <= DECORATED_MODULES


def test_a_first_error_loads_nothing():
    """A fork meanwhile would leave the module locked in the child for ever."""
    out = run(
        """
        import sys
        from probekit import count, event, probe, record_exception
        @probe
        def fail(): return 1 / 0
        count("shop.orders"); event("paid")
        before = set(sys.modules)
        try: fail()
        except ZeroDivisionError as error: record_exception(error)
        try: {}["x"]
        except KeyError as error: record_exception(error)
        print(*sorted(set(sys.modules) - before))
        """,
    )

    assert "" == out.strip()


def test_what_stands_in_for_typing_serves_every_way_of_recording():
    """Objects made before typing is loaded are used after it."""
    out = run(
        """
        import sys
        import probekit
        @probekit.probe
        def f(): raise ValueError("x")
        try: f()
        except ValueError: pass
        probekit.event("c", {"n": 1}); probekit.counter("b").add(1, {"k": "v"})
        from probekit.recording.registry import REGISTRY
        took = REGISTRY.drain()
        print(len(took.events), len(took.problems), len(took.series))
        """,
    )

    assert "2 1 3" == out.strip()


def test_recording_loads_nothing_heavy_and_starts_nothing():
    """What an application decorates and counts with."""
    out = run(
        """
        import os, sys, threading
        import probekit
        @probekit.probe
        def f(): return 1
        f(); probekit.count("a"); probekit.counter("b").bind().add(1)
        probekit.event("c"); probekit.gauge("d").set(1)
        with probekit.timer("e"): pass
        try: raise ValueError("x")
        except ValueError as error: probekit.record_exception(error)
        print(threading.active_count(), *sorted(sys.modules))
        """,
    )
    threads, *modules = out.split()

    assert "1" == threads
    assert not HEAVY & set(modules)


def test_disabled_nothing_is_recorded():
    """Instruments and events too."""
    out = run(
        """
        import os
        os.environ["PROBEKIT_DISABLE"] = "1"
        import probekit
        from probekit.recording.registry import REGISTRY
        @probekit.probe
        def f(): return 1
        f(); probekit.count("a"); probekit.counter("b").bind().add(1)
        probekit.event("c"); probekit.gauge("d").set(1)
        with probekit.timer("e"): pass
        print(bool(REGISTRY.drain()), f.__code__.co_filename)
        """,
    )

    assert "False <string>" == out.strip()


def test_every_public_name_is_there_and_listed():
    """__all__, dir() and attribute access agree."""
    recording = [
        name for name, home in probekit._HOMES.items() if home.startswith("recording")
    ]
    assert set(probekit.__all__) <= set(dir(probekit))
    for name in recording:
        assert callable(getattr(probekit, name))
    assert callable(probekit.histogram)
    assert not isinstance(probekit.histogram, type(sys))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        probekit.nonsense  # noqa: B018


def test_probed_functions_that_outlive_the_modules_end_quietly():
    """At the interpreter's end names of modules are gone before what embedders keep."""
    run(
        """
        import sys
        from probekit import probe
        twin = probe(lambda: 1)
        twins = sys.modules["probekit.recording.twins"]
        vars(twins).update(dict.fromkeys(vars(twins)))
        del twin
        """,
    )


def test_a_handler_may_end_the_application_while_configure_is_being_loaded():
    """A deployment may be taken back at any moment."""
    out = run(
        """
        import sys, types, probekit
        sys.modules["probekit.runtime"] = types.ModuleType("probekit.runtime")
        print(probekit.flush(), probekit.shutdown(timeout_s=1))
        del sys.modules["probekit.runtime"]
        probekit.configure("shop", buffer=":memory:", host_metrics=False)
        print(probekit.flush(10), probekit.shutdown())
        """
    )

    assert out.split() == ["False", "True", "True", "True"]
