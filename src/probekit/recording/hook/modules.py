"""Instruments whole modules: those imported already, and those imported later.

``instrument`` is a wish about names; what it finds is woven function by function (see
``weave``), and ``uninstrument`` takes all of it back.
"""

import gc
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from threading import RLock
from types import FunctionType, ModuleType
from typing import Any

from probekit.notice import notice
from probekit.recording.functions.hot import Thermostat
from probekit.recording.functions.stitch import Stitch
from probekit.recording.hook.discovery import functions_of, is_instrumented
from probekit.recording.hook.importhook import PatternFinder
from probekit.recording.hook.kept import kept_codes
from probekit.recording.hook.pattern import Rule, checked_rule
from probekit.recording.quiet import is_disabled
from probekit.recording.registry import REGISTRY, Registry
from probekit.recording.woven import witness_of


class Instrumentation:
    """All that is instrumented into one registry.

    Attributes:
        registry: Where it is recorded.
        left: Functions that were meant and are as they were, with the reason.
    """

    def __init__(self, registry: Registry = REGISTRY) -> None:
        """Start with nothing."""
        self.registry = registry
        self.left: dict[str, str] = {}
        self._rules: list[Rule] = []
        self._stitches: list[Stitch] = []
        self._main_size = 0
        self._finder = PatternFinder(self._matters, self.weave_module)
        self._thermostat = Thermostat(lambda: self._stitches[:], registry.watch)
        registry.watch.tells.append(self._thermostat.cool)
        # An import on another thread may weave while this one does.
        self._lock = RLock()

    def add(self, rule: Rule) -> None:
        """Weave what *rule* means, now and at later imports."""
        with self._lock:
            if rule not in self._rules:
                self._rules.append(rule)
        self.registry.observe(self._look)
        self._finder.install()
        for name, module in list(sys.modules.items()):
            if isinstance(module, ModuleType) and (
                name == "__main__" or self._matters(name)
            ):
                self.weave_module(module)

    def weave_module(self, module: ModuleType) -> None:
        """Weave what the rules mean of *module*; never raises."""
        try:
            names = names_of(module)
            with self._lock:
                for rule in self._rules:
                    if any(map(rule.takes_module, names)):
                        self._weave_all(module, rule)
        except Exception as error:
            notice("instrument", f"{module!r} was not instrumented", error)

    def __iter__(self) -> Iterator[Stitch]:
        """The stitches of functions that live."""
        return (stitch for stitch in self._stitches if stitch.function is not None)

    def release(self, function: FunctionType) -> None:
        """Put the code of *function* back: it is to be recorded in another way."""
        with self._lock:
            for stitch in self._stitches[:]:
                if stitch.owns(function.__code__):
                    stitch.untie()
                    function.__code__ = stitch.original  # a copy's, too
                    self._stitches.remove(stitch)
                    stitch.let_go()
                    return

    def sew(
        self, function: FunctionType, name: str, attributes: "Mapping[str, Any]"
    ) -> None:
        """Time one function for good: it is never hot, and ``undo`` leaves it.

        Raises:
            Unweavable: Its code has a form that is not known.

        """
        if not is_instrumented(function):
            stitch = Stitch(function, name, self.registry.gate, attributes=attributes)
            stitch.tie()
            stitch.let_go()

    def undo(self) -> None:
        """Put every original back, and forget the rules."""
        with self._lock:
            self._finder.remove()
            self._rules.clear()
            self.left.clear()
            stitches, self._stitches = self._stitches, []
            for stitch in stitches:
                stitch.untie()
            if stitches:
                self._untie_copies(stitches)
            for stitch in stitches:
                stitch.let_go()

    def _weave_all(self, module: ModuleType, rule: Rule) -> None:
        # All of them first: what is woven may show the search something new.
        prefix = f"{module.__name__}."
        meant = [
            function
            for function in functions_of(module, properties=rule.properties)
            if not is_instrumented(function)
            and rule.takes_function(
                prefix + function.__qualname__, function.__code__.co_name
            )
        ]
        kept = kept_codes(meant)
        for function in meant:
            name = prefix + function.__qualname__
            if id(function.__code__) in kept:
                self.left[name] = "somebody keeps its code object to compare it"
            else:
                self._weave(function, name, rule)

    def _weave(self, function: FunctionType, name: str, rule: Rule) -> None:
        try:
            stitch = Stitch(
                function, name, self.registry.gate, min_duration_s=rule.min_duration_s
            )
            self._stitches.append(stitch)
            stitch.tie()
        except Exception as error:
            self.left[name] = str(error) or type(error).__name__

    def _untie_copies(self, stitches: "list[Stitch]") -> None:
        """Functions that were made from a woven one's code have their own reference."""
        owners = {id(stitch): stitch for stitch in stitches}
        for each in gc.get_objects():
            if type(each) is FunctionType:
                stitch = owners.get(id(witness_of(each.__code__)))
                if stitch is not None:
                    each.__code__ = stitch.original

    def _bury(self) -> None:
        """Drop the stitches of functions that are gone."""
        with self._lock:
            gone = [each for each in self._stitches if each.function is None]
            for stitch in gone:
                self._stitches.remove(stitch)
                stitch.let_go()

    def _has_news(self, module: ModuleType) -> bool:
        if module.__name__ != "__main__":
            return True
        size, self._main_size = self._main_size, len(vars(module))
        return size != self._main_size and bool(self._rules)

    def _matters(self, name: str) -> bool:
        return any(rule.takes_module(name) for rule in self._rules)

    def _look(self, observer: object) -> None:
        """At each drain: who is hot, and what is new.

        New are functions of the main program, which is never imported, and of modules
        that were reloaded.
        """
        del observer
        self._bury()
        self._thermostat.look()
        names = {"__main__", *self._finder.reloaded}
        self._finder.reloaded -= names
        for name in names:
            module = sys.modules.get(name)
            if isinstance(module, ModuleType) and self._has_news(module):
                self.weave_module(module)


def names_of(module: ModuleType) -> "set[str]":
    """The names by which rules may mean *module*.

    The main program is ``__main__``, and what it would be called if it were imported:
    ``app`` for ``app.py``, ``shop.worker`` for ``python -m shop.worker``.
    """
    name = module.__name__
    if name != "__main__":
        return {name}
    spec, file = getattr(module, "__spec__", None), getattr(module, "__file__", None)
    if spec is not None:
        return {name, spec.name}
    return {name, PurePath(file).stem} if isinstance(file, str) else {name}


INSTRUMENTATION = Instrumentation()


def instrument(
    *patterns: str,
    exclude: "str | Iterable[str]" = (),
    min_duration_s: "float | None" = None,
    properties: bool = False,
    dunders: bool = False,
) -> None:
    """Time every function of whole modules, those imported already and later.

    Covers functions, methods, classmethods, staticmethods, coroutines, generators,
    async generators, methods of nested classes, and functions under decorators, of
    modules whose names match. Nothing else about them changes: each function stays
    the same object, so whoever holds it, under any name, calls the timed code. Left
    alone are generated code (dataclasses, attrs, namedtuples), protocols, lambdas,
    functions inside functions, C functions, functions of other modules, and functions
    that ``probe`` decorates.

    A function called more than 20,000 times a second is counted exactly and timed
    every 16th time until it cools down; those calls have the attribute
    ``probekit.timed_every``.

    Args:
        patterns: Names of modules, with ``*`` and ``?``; ``"shop.*"`` is the package
            ``shop`` and everything in it, ``"shop"`` that one module.
        exclude: The same for modules and for functions by their full names that are
            to be left alone.
        min_duration_s: While traces are on, leave a span for each call that takes
            at least so long, seconds, below the span that is current at its end;
            counts and durations stay exact. None for no spans.
        properties: Also time the getters of properties.
        dunders: Also time ``__dunder__`` functions, ``__init__`` among them.

    Raises:
        ConfigError: A pattern would match everything, or an argument is of a wrong
            kind.

    Threads:
        Any; functions running meanwhile finish as they began. Asking again changes
        nothing for what is timed already. Does nothing with ``PROBEKIT_DISABLE=1``.

    Example:
        >>> instrument("shop.*", exclude=["shop.vendor.*"])
        >>> uninstrument()

    """
    rule = checked_rule(
        patterns, exclude, min_duration_s, properties=properties, dunders=dunders
    )
    if not is_disabled():
        INSTRUMENTATION.add(rule)


def uninstrument() -> None:
    """Put back everything that ``instrument`` and ``instrument_libraries`` changed.

    Functions that run meanwhile finish as they began, and record that call.
    """
    INSTRUMENTATION.undo()
    # Rooms further out may only be called where somebody has loaded them.
    libraries = sys.modules.get("probekit.integrations.libraries")
    if libraries is not None:
        libraries.uninstall()
