import sys
import threading
import types

import pytest

from probekit.errors import ConfigError
from probekit.integrations import libraries
from probekit.integrations.libraries import catalogue, contrib
from probekit.integrations.libraries.figures import Durations, Names
from probekit.integrations.libraries.layer import DATABASE, HTTP, enter
from probekit.integrations.libraries.operation import Operation
from probekit.integrations.libraries.patching import Patches
from probekit.recording.quiet import silence_thread
from probekit.recording.registry import REGISTRY


@pytest.mark.parametrize("argument", ["only", "exclude"])
def test_an_unknown_name_is_refused_with_the_nearest_one(argument):
    with pytest.raises(ConfigError, match=r"'requestz'.*'requests'"):
        libraries.instrument_libraries(**{argument: ["requestz"]})


def test_a_library_asked_for_must_be_installed(monkeypatch):
    missing = catalogue.Library("requests", ("no_such_module_here",), "x")
    monkeypatch.setitem(catalogue.LIBRARIES, "requests", missing)

    with pytest.raises(ConfigError, match="'requests' is not installed"):
        libraries.instrument_libraries("requests")
    assert "requests" not in libraries.instrument_libraries()
    libraries.uninstall()


def test_names_must_be_text():
    with pytest.raises(ConfigError, match="holds 3"):
        libraries.instrument_libraries([3])


def test_disabled_means_nothing_is_touched(monkeypatch, recorded):
    monkeypatch.setenv("PROBEKIT_DISABLE", "1")
    start = threading.Thread.start

    assert () == libraries.instrument_libraries()
    assert start is threading.Thread.start


def test_excluded_libraries_are_left_alone(recorded):
    names = libraries.instrument_libraries(exclude=["sqlite3", "logging"])

    assert "urllib" in names
    assert not {"sqlite3", "logging"} & set(names)


def test_asking_twice_patches_once(recorded):
    libraries.instrument_libraries("threading")
    once = vars(threading.Thread)["start"]
    libraries.instrument_libraries("threading")

    assert once is vars(threading.Thread)["start"]
    libraries.uninstall()
    assert isinstance(vars(threading.Thread)["start"], types.FunctionType)


@pytest.fixture
def invented(tmp_path, monkeypatch):
    """A library that nobody has imported yet, and our room for it."""
    (tmp_path / "invented_lib.py").write_text("def ask():\n    return 'plain'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    room = types.ModuleType("invented_room")

    def patch(patches, module):
        patches.wrap(module, "ask", lambda wrapped, *_rest: f"wrapped {wrapped()}")

    room.patch = patch
    monkeypatch.setitem(sys.modules, "invented_room", room)
    found = catalogue.Library("invented", ("invented_lib",), "invented_room")
    monkeypatch.setitem(catalogue.LIBRARIES, "invented", found)
    yield room
    sys.modules.pop("invented_lib", None)
    libraries._hooked.discard(("invented", "invented_lib"))


def test_a_library_imported_later_is_patched_when_it_comes(invented, recorded):
    assert ("invented",) == libraries.instrument_libraries("invented")
    import invented_lib

    assert "wrapped plain" == invented_lib.ask()
    libraries.uninstall()
    assert "plain" == invented_lib.ask()
    libraries.instrument_libraries("invented")
    assert "wrapped plain" == invented_lib.ask()


def test_a_library_imported_after_uninstall_stays_as_it_is(invented, recorded):
    libraries.instrument_libraries("invented")
    libraries.uninstall()
    import invented_lib

    assert "plain" == invented_lib.ask()


def test_a_room_that_fails_leaves_its_library_as_it_was(invented, recorded):
    def patch(patches, module):
        patches.wrap(module, "ask", lambda *_all: "half done")
        raise RuntimeError("the library has changed")

    invented.patch = patch
    libraries.instrument_libraries("invented")
    import invented_lib

    assert "plain" == invented_lib.ask()


def test_what_somebody_wrapped_after_us_stays_and_ours_lets_pass():
    holder = types.SimpleNamespace(ask=lambda: 1)
    patches = Patches()
    patches.wrap(holder, "ask", lambda wrapped, *_rest: wrapped() + 10)
    ours = holder.ask
    holder.ask = lambda: ours() + 100
    assert 111 == holder.ask()
    patches.undo()

    assert 101 == holder.ask()


def test_a_layer_below_stays_out_and_one_of_another_kind_does_not():
    outer = enter(HTTP)
    assert enter(HTTP) is None
    other = enter(DATABASE)
    assert other is not None
    other.close()
    outer.close()

    again = enter(HTTP)
    assert again is not None
    again.close()


def test_what_was_started_inside_a_call_is_not_silent_after_it():
    import contextvars

    outer = enter(HTTP)
    inherited = contextvars.copy_context()
    outer.close()

    found = inherited.run(enter, HTTP)
    assert found is not None


def test_a_silenced_thread_opens_no_layer():
    found = []

    def work():
        silence_thread()
        found.append(enter(HTTP))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert [None] == found


def test_only_subclasses_of_exception_are_errors(recorded):
    durations = Durations("test.libraries.duration", "For this test.")
    for kind in (KeyboardInterrupt, GeneratorExit, ValueError):
        layer = enter(HTTP)
        with pytest.raises(kind), Operation(layer, durations, (), "test"):
            raise kind

    found = {
        attributes.get("error.type"): count
        for attributes, count in recorded().of("test.libraries.duration")
    }
    assert {None: 2, "ValueError": 1} == found


def test_a_fault_of_ours_never_reaches_the_caller(monkeypatch):
    durations = Durations("test.libraries.broken", "For this test.")
    monkeypatch.setattr(Durations, "record", lambda *_all: 1 / 0)
    with Operation(enter(HTTP), durations, (), "test"):
        pass

    assert enter(HTTP).close() is None


def test_the_variety_of_names_is_bounded():
    names = Names(2)

    assert ["a", "b", "_OTHER", "a"] == [names.bounded(name) for name in "abca"]


class FakePoint:
    def __init__(self, name, instrumentor):
        self.name, self._instrumentor = name, instrumentor

    def load(self):
        return self._instrumentor


class Instrumentor:
    calls: list = []  # noqa: RUF012 - one list for the test

    def instrument(self):
        self.calls.append("on")

    def uninstrument(self):
        self.calls.append("off")


class Broken(Instrumentor):
    def instrument(self):
        raise RuntimeError("wrong version")


@pytest.fixture
def contribs(monkeypatch):
    points = [
        FakePoint("pika", Instrumentor),
        FakePoint("grpc", Broken),
        FakePoint("requests", Broken),
    ]
    monkeypatch.setattr(contrib, "entry_points", lambda group: points)
    contrib._found.cache_clear()
    Instrumentor.calls.clear()
    yield
    contrib._found.cache_clear()


def test_contrib_instrumentations_are_switched_on_and_off_again(contribs, recorded):
    names = libraries.instrument_libraries(exclude=["sqlite3"])
    assert "pika" in names
    assert "grpc" not in names  # it failed, was told and skipped
    libraries.uninstall()

    assert ["on", "off"] == Instrumentor.calls


def test_a_contrib_instrumentation_may_be_chosen_or_excluded(contribs, recorded):
    assert ("pika",) == libraries.instrument_libraries("pika")
    libraries.uninstall()
    assert "pika" not in libraries.instrument_libraries(exclude="pika")


def test_switching_libraries_on_records_nothing(recorded):
    libraries.instrument_libraries()
    table = len(REGISTRY.table.series)

    assert {} == recorded().durations
    assert table == len(REGISTRY.table.series)
