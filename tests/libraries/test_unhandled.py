import logging
import subprocess
import sys
import threading
import types

import pytest

import probekit
from probekit.integrations import libraries


@pytest.fixture
def told(monkeypatch, recorded):
    """What the hooks that stood there before were called with."""
    calls = []
    monkeypatch.setattr(sys, "excepthook", lambda *args: calls.append(args[1]))
    monkeypatch.setattr(sys, "unraisablehook", lambda u: calls.append(u.exc_value))
    monkeypatch.setattr(threading, "excepthook", lambda a: calls.append(a.exc_value))
    before = (sys.excepthook, sys.unraisablehook, threading.excepthook)
    libraries.instrument_libraries("unhandled")
    yield calls
    libraries.uninstall()
    assert before == (sys.excepthook, sys.unraisablehook, threading.excepthook)


def raised(kind):
    try:
        raise kind("x")
    except BaseException as error:
        return error


def problems(recorded):
    return [(problem.type, problem.count) for problem in recorded().problems]


def test_sys_excepthook_is_recorded_and_chained(told, recorded):
    error = raised(LookupError)
    sys.excepthook(LookupError, error, error.__traceback__)

    assert [error] == told
    taken = recorded()
    assert [("LookupError", 21)] == [
        (event.attributes["exception.type"], event.severity) for event in taken.events
    ]
    assert 1 == len(taken.problems)


def test_what_a_job_has_recorded_is_not_counted_again(told, recorded):
    def run():
        with probekit.job("nightly"):
            raise LookupError("x")

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()

    assert [LookupError] == [type(error) for error in told]
    assert [1] == [problem.count for problem in recorded().problems]


def test_what_the_applications_own_hook_logs_is_not_counted_again(
    recorded, monkeypatch
):
    def logs(kind, error, trace):
        logging.getLogger("shop.hook").critical("dying", exc_info=(kind, error, trace))

    monkeypatch.setattr(sys, "excepthook", logs)
    libraries.instrument_libraries(["unhandled", "logging"])
    for _ in range(5):
        error = raised(LookupError)
        sys.excepthook(LookupError, error, error.__traceback__)
        del error

    assert [5] == [problem.count for problem in recorded().problems]


def test_leaving_and_interrupting_are_no_errors(told, recorded):
    for kind in (SystemExit, KeyboardInterrupt):
        sys.excepthook(kind, raised(kind), None)

    assert [SystemExit, KeyboardInterrupt] == [type(error) for error in told]
    assert [] == problems(recorded)


def test_a_threads_exception_is_recorded_and_chained(told, recorded):
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()

    assert ["ZeroDivisionError"] == [type(error).__name__ for error in told]
    assert [("ZeroDivisionError", 1)] == problems(recorded)


def test_what_could_not_be_raised_is_recorded_and_chained(told, recorded):
    error = raised(LookupError)
    sys.unraisablehook(types.SimpleNamespace(exc_value=error))

    assert [error] == told
    assert [("LookupError", 1)] == problems(recorded)


def test_a_hook_that_somebody_set_after_us_stays_and_ours_lets_pass(
    recorded, monkeypatch
):
    told = []
    monkeypatch.setattr(sys, "excepthook", lambda *args: told.append(args[1]))
    libraries.instrument_libraries("unhandled")
    ours = sys.excepthook
    theirs = lambda *args: ours(*args)  # noqa: E731, PLW0108 - an own object
    sys.excepthook = theirs
    libraries.uninstall()
    assert theirs is sys.excepthook
    error = raised(LookupError)
    sys.excepthook(LookupError, error, None)

    assert [error] == told
    assert [] == problems(recorded)


@pytest.mark.e2e
def test_the_traceback_and_the_exit_code_of_a_crash_stay_the_same():
    def crash(prologue):
        program = f"{prologue}\ndef shop():\n    raise LookupError('x')\nshop()\n"
        return subprocess.run(
            [sys.executable, "-c", program], capture_output=True, check=False
        )

    plain = crash("")
    watched = crash("import probekit; probekit.instrument_libraries()")

    assert (1, b"") == (watched.returncode, watched.stdout)
    assert plain.stderr.splitlines()[-1:] == watched.stderr.splitlines()[-1:]
    assert len(plain.stderr.splitlines()) == len(watched.stderr.splitlines())
