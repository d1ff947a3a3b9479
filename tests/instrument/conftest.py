"""Modules written for one test, instrumented into a registry of its own."""

import importlib
import sys
import textwrap

import pytest

from probekit.recording.hook.modules import Instrumentation
from probekit.recording.hook.pattern import checked_rule
from probekit.recording.registry import Registry
from probekit.recording.weave import weaver

ENGINES = ("woven", "shrouded") if weaver.CAN_WEAVE else ("shrouded",)


class Workshop:
    """Writes modules, imports them, instruments them, and reads what was recorded."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        self.registry = Registry()
        self.instrumentation = Instrumentation(self.registry)
        self.names = []
        self._calls = {}
        self._attributes = {}
        self.problems = []
        self.spans = []
        self.losses = {}
        monkeypatch.syspath_prepend(str(folder))

    def write(self, name, text):
        path = self.folder.joinpath(*name.split("."))
        path.parent.mkdir(parents=True, exist_ok=True)
        package = path / "__init__.py"
        file = package if path.is_dir() else path.with_suffix(".py")
        file.write_text(textwrap.dedent(text))
        self.names.append(name)
        importlib.invalidate_caches()

    def load(self, name, text=None):
        if text is not None:
            self.write(name, text)
        return importlib.import_module(name.removesuffix(".__init__"))

    def instrument(self, *patterns, exclude=(), min_duration_s=None, **switches):
        switches = {"properties": False, "dunders": False, **switches}
        rule = checked_rule(patterns, exclude, min_duration_s, **switches)
        self.instrumentation.add(rule)

    def names_timed(self):
        return sorted(stitch.name for stitch in self.instrumentation)

    def drain(self):
        harvest = self.registry.drain()
        found = [(i, len(values)) for i, values in harvest.raw]
        found += [(i, binned.count) for i, binned in harvest.binned]
        for series_id, count in found:
            given = dict(harvest.series[series_id].attributes)
            name = given.get("code.function.name", harvest.series[series_id].name)
            key = name, given.get("error.type", "")
            self._calls[key] = self._calls.get(key, 0) + count
            self._attributes[key] = given
        self.problems += harvest.problems
        self.spans += harvest.spans
        for cause, count in harvest.losses.items():
            self.losses[cause] = self.losses.get(cause, 0) + count
        return harvest

    def calls(self, name, error=""):
        """How often a function was called, and ended with *error*."""
        self.drain()
        return self._calls.get((name, error), 0)


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A workshop with the best engine of this interpreter."""
    # Other tests have modules of that name; they get theirs back at the end.
    monkeypatch.delitem(sys.modules, "shop", raising=False)
    before = set(sys.modules)
    made = Workshop(tmp_path, monkeypatch)
    yield made
    made.instrumentation.undo()
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in {n.partition(".")[0] for n in made.names}:
            del sys.modules[name]


@pytest.fixture(params=ENGINES)
def any_shop(request, shop, monkeypatch):
    """A workshop with each engine in turn."""
    if request.param == "shrouded":
        monkeypatch.setattr(weaver, "CAN_WEAVE", False)
    shop.engine = request.param
    return shop
