"""Which functions a module has written itself, wherever it has put them.

Found are functions at module level, in classes and nested classes, under
classmethods, staticmethods and other decorators, and one step inside the objects that
a module holds (a click command's callback). A function belongs to a module when it
runs in that module's namespace and its code was written there, in the module's or a
class's body: not inside another function, not generated, not a lambda.

No code of the host runs here: attributes are read from dictionaries, and objects are
looked into with the garbage collector's own view.
"""

import gc
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property, partial, partialmethod, singledispatchmethod
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple, cast

from probekit.recording.functions.wrapper import is_wrapper
from probekit.recording.twins import twin_of
from probekit.recording.woven import is_woven

_STEPS = 4  # from a module's name to a function inside an object it holds
_LOOKS = 300  # objects looked at behind one name
_CROWD = 64  # a container with more members is data
_LEAVES = (str, bytes, int, float, complex, type(None), CodeType, BuiltinFunctionType)
# Objects of these packages compile the bytecode or the source of what they hold.
_COMPILERS = frozenset(
    {"numba", "jax", "jaxlib", "torch", "triton", "taichi", "tensorflow", "pythran"}
)


def functions_of(module: ModuleType, *, properties: bool) -> Iterator[FunctionType]:
    """Yield the module's own functions, each once, in the order of its names.

    Args:
        module: A module that has been executed.
        properties: Whether the getters of properties and of other descriptors that
            look like attributes count.

    """
    search = Search(vars(module), module.__name__, properties=properties)
    for value in list(vars(module).values()):
        yield from search.behind(value)


class Written(NamedTuple):
    """A member of a class with functions that the class's body has written.

    Attributes:
        owner: The class, or one inside it.
        name: Under which *owner* holds it.
        member: What it holds: a function, a classmethod, a decorator's object.
        functions: The written ones, *member* itself or behind it.
    """

    owner: type
    name: str
    member: Any
    functions: "tuple[FunctionType, ...]"


def members_of_class(cls: type, *, properties: bool) -> Iterator[Written]:
    """Yield what the body of *cls* has written, nested classes too.

    The rules are those for a module; a class inside a function counts here.
    """
    search = Search(None, cls.__module__, cls.__qualname__, properties=properties)
    yield from search.members(cls)


def is_generated(code: CodeType) -> bool:
    """Whether no file has the source: dataclasses', attrs', namedtuples' methods."""
    return code.co_filename.startswith("<")


class Search:
    """A walk through one module's namespace that yields each function once."""

    def __init__(
        self,
        namespace: "dict[str, Any] | None",
        name: str,
        within: str = "",
        *,
        properties: bool,
    ) -> None:
        """Search what runs in *namespace*, that of the module *name*.

        Args:
            namespace: None for what says that it is of the module *name*.
            name: The module's.
            within: Qualified name of the one class that is searched.
            properties: Whether getters count.

        """
        self._namespace = namespace
        self._name = name
        self._within = f"{within}." if within else ""
        self._properties = properties
        self._seen: set[int] = set()
        self._kept: list[object] = []  # so that an id is not used twice
        self._looks = 0

    def behind(self, value: object) -> Iterator[FunctionType]:
        """Yield own functions that are reached through *value*."""
        self._looks = _LOOKS
        yield from self._look(value, _STEPS)

    def members(self, cls: type) -> Iterator[Written]:
        """Yield the members of a class's body behind which are own functions."""
        members = _members(cls)
        if members.get("_is_protocol") is True:
            return
        for name, value in members.items():
            if self._is_own_class(value):
                if id(value) not in self._seen:
                    self._seen.add(id(value))
                    yield from self.members(value)
            elif found := tuple(self.behind(value)):
                yield Written(cls, name, value, found)

    def _look(self, value: object, steps: int) -> Iterator[FunctionType]:
        kind = type(value)  # not __class__, which a proxy may answer
        if issubclass(kind, _LEAVES) or id(value) in self._seen or self._looks <= 0:
            return
        self._looks -= 1
        self._seen.add(id(value))
        self._kept.append(value)
        if issubclass(kind, FunctionType):
            yield from self._function(cast("FunctionType", value), steps)
        elif issubclass(kind, type):
            if self._is_own_class(value):
                for member in self.members(cast("type", value)):
                    yield from member.functions
        elif steps > 0:
            for inner in self._inside(value, kind):
                yield from self._look(inner, steps - 1)

    def _function(self, function: FunctionType, steps: int) -> Iterator[FunctionType]:
        if is_probed(function):  # it times itself, and what it is a twin of
            self._seen.add(id(getattr(function, "__wrapped__", None)))
            return
        if self._is_own(function):
            yield function
        if steps > 0:
            held = [*_cells(function), *vars(function).values()]
            for inner in held:
                yield from self._look(inner, steps - 1)

    def _is_own(self, function: FunctionType) -> bool:
        code = function.__code__
        where = getattr(code, "co_qualname", None)  # from 3.11 on
        if where is None:
            where = function.__qualname__
            if where.rpartition(".")[2] != code.co_name:  # a decorator's inner one
                return False
        home = self._namespace
        if home is not None and function.__globals__ is not home:
            return False
        if home is None and function.__module__ != self._name:
            return False
        return self._is_written(where) and not is_generated(code)

    def _is_written(self, where: str) -> bool:
        """Whether a body we search has it, and no function: ``<locals>``, a lambda."""
        within = self._within
        return where.startswith(within) and "<" not in where[len(within) :]

    def _is_own_class(self, value: object) -> bool:
        if not issubclass(type(value), type):
            return False
        cls = cast("type", value)
        return _members(cls).get("__module__") == self._name and self._is_written(
            type.__dict__["__qualname__"].__get__(cls)
        )

    def _inside(self, value: Any, kind: type) -> "list[Any]":
        """What *value* refers to, as far as functions may be there."""
        if issubclass(kind, classmethod | staticmethod):
            return [value.__func__]
        if issubclass(kind, partial | partialmethod):
            return [value.func]
        if issubclass(kind, singledispatchmethod):
            return [value.func, value.dispatcher]
        if issubclass(kind, property | cached_property):
            getter = value.fget if issubclass(kind, property) else value.func
            return [getter] if self._properties else []
        return [] if self._is_closed(value, kind) else gc.get_referents(value)

    def _is_closed(self, value: Any, kind: type) -> bool:
        if issubclass(kind, dict | list | tuple | set | frozenset):
            return len(value) > _CROWD or value is self._namespace
        if issubclass(kind, ModuleType) or _compiles(kind):
            return True
        return not self._properties and _is_like_a_property(value, kind)


def _cells(function: FunctionType) -> "list[Any]":
    held = []
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # a name that is not bound yet
            held.append(cell.cell_contents)
    return held


def _members(cls: type) -> "dict[str, Any]":
    """A class's own dictionary, whatever its metaclass says."""
    return dict(type.__dict__["__dict__"].__get__(cls))


def _compiles(kind: type) -> bool:
    home = next(
        (m["__module__"] for k in kind.__mro__ if "__module__" in (m := _members(k))),
        "",
    )
    return isinstance(home, str) and home.partition(".")[0] in _COMPILERS


def _is_like_a_property(value: object, kind: type) -> bool:
    """Whether it is an attribute that computes itself."""
    return not callable(value) and any("__get__" in vars(k) for k in kind.__mro__)


def is_instrumented(function: FunctionType) -> bool:
    """Whether *function* records already."""
    return is_probed(function) or is_woven(function.__code__)


def is_probed(function: FunctionType) -> bool:
    """Whether ``probe`` has made *function*, or a copy of it, awake or asleep."""
    return is_wrapper(function) or twin_of(function) is not None
