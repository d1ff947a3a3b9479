"""The decorator ``probe``: what may be probed, and what is made of it."""

import functools
import sys
from collections.abc import Callable, Mapping
from types import FunctionType

from probekit.errors import ConfigError
from probekit.hints import TYPE_CHECKING, Any, TypeVar, overload
from probekit.naming import checked_name
from probekit.notice import notice
from probekit.recording.attributes import clean, type_name
from probekit.recording.functions.outcome import (
    FUNCTION_DURATION,
    FUNCTION_SETS_LIMIT,
    Outcome,
)
from probekit.recording.functions.woven_twin import can_be_woven, timed_twin
from probekit.recording.functions.wrapper import Closer, Opener, timed
from probekit.recording.instruments import Histogram, instrument
from probekit.recording.quiet import is_disabled
from probekit.recording.registry import REGISTRY, Registry
from probekit.recording.twins import twin_of

if TYPE_CHECKING:
    from probekit.recording.seams import OpenSpan

T = TypeVar("T")


class Wish:
    """What one use of ``probe`` asks for, checked.

    Attributes:
        name: Given name, or None for the function's own.
        attributes: Cleaned.
        error_if: Judges results, or None.
        span: Whether calls make spans where traces are on.
        counted: Whether calls are only counted.
        registry: Where it goes.
    """

    __slots__ = ("attributes", "counted", "error_if", "name", "registry", "span")

    def __init__(
        self,
        name: "str | None" = None,
        attributes: Any = None,
        error_if: Any = None,
        *,
        span: bool = False,
        counted: bool = False,
        registry: Registry = REGISTRY,
    ) -> None:
        """Check everything.

        Raises:
            BadName: The name breaks the rules.
            ConfigError: Another argument is of the wrong kind.

        """
        self.name = None if name is None else checked_name(name, "name of a probe")
        if attributes is not None and not isinstance(attributes, Mapping):
            got = type_name(type(attributes))
            raise ConfigError(f"attributes of a probe must be a mapping, got {got}")
        for key in attributes or ():
            checked_name(key, "attribute name")
        if error_if is not None and not callable(error_if):
            got = type_name(type(error_if))
            raise ConfigError(f"error_if must be callable, got {got}")
        self.attributes = clean(attributes)
        self.error_if: Callable[[Any], object] | None = error_if
        self.span = bool(span)
        self.counted = counted
        self.registry = registry

    def grant(self, target: Any) -> Any:
        """Return the probed form of *target*, which may be anything probeable.

        Raises:
            ConfigError: It is nothing that can be called.

        """
        # What instrument() times already is timed by the probe alone from here on.
        modules = sys.modules.get("probekit.recording.hook.modules")
        if modules is not None and isinstance(target, FunctionType):
            modules.INSTRUMENTATION.release(target)
        if self._is_granted(target):
            return target
        if isinstance(target, type):
            return self._class(target)
        if isinstance(target, classmethod | staticmethod):
            inner = self.grant(target.__func__)
            return target if inner is target.__func__ else type(target)(inner)
        if isinstance(target, property):
            return self._property(target)
        if not callable(target):
            got = type_name(type(target))
            hint = "; put it below" if hasattr(target, "__get__") else ""
            raise ConfigError(f"probe() wants something callable, got {got}{hint}")
        return self._function(target)

    def _is_granted(self, target: Any) -> bool:
        """Whether calls of *target* are timed, or counted, already."""
        while (twin := twin_of(target)) is not None:
            if twin.counted == self.counted:
                return True
            target = getattr(target, "__wrapped__", None)
        return False

    def _function(self, function: Callable[..., Any]) -> FunctionType:
        name = self.name or name_of(function)
        if self.counted:
            from probekit.recording.functions.counted import counted

            return counted(function, name, self.attributes, self.registry)
        own = self.name is None and not self.attributes
        is_plain = self.error_if is None and not self.span
        if is_plain and can_be_woven(function):
            try:
                return timed_twin(
                    function, name, self.attributes, self.registry, from_source=own
                )
            except Exception as error:  # a form that is not known; a wrapper will do
                notice("probe", f"{name} is timed by a wrapper: {error}")
        attributes = {**self.attributes, "code.function.name": name}
        durations = instrument(
            Histogram,
            FUNCTION_DURATION,
            "s",
            "Duration of calls of probed functions.",
            registry=self.registry,
            limit_sets=FUNCTION_SETS_LIMIT,
        )
        outcome = Outcome(durations, attributes, name, self.registry, from_source=own)
        opener = span_opener(self.registry, name, attributes) if self.span else None
        return timed(function, outcome, error_if=self.error_if, span=opener)

    def _class(self, cls: type) -> type:
        """Probe the methods that *cls* itself has written, in place.

        They are found as ``instrument`` finds a module's. A method that stands in the
        class is exchanged for its twin; what a decorator hides is woven where it is.
        """
        from probekit.recording.hook.discovery import members_of_class

        for each in members_of_class(cls, properties=False):
            for function in each.functions:
                if _is_dunder(function):
                    continue
                wish = self._named_for(function, cls)
                try:
                    if function is _unwrapped(each.member):
                        _exchange(each.owner, each.member, wish.grant(each.member))
                    else:
                        wish.sew(function)
                except Exception as error:  # a metaclass that refuses, unknown code
                    notice("probe-class", f"{cls.__qualname__}.{each.name}: {error}")
        return cls

    def sew(self, function: FunctionType) -> None:
        """Put the timing into *function*, which a decorator has hidden in an object."""
        from probekit.recording.hook.modules import INSTRUMENTATION, Instrumentation

        name = self.name or name_of(function)
        if self.counted:
            notice("probe-class", f"{name} is hidden by its decorator: not counted")
            return
        if self.error_if is not None or self.span:
            notice("probe-class", f"{name}: error_if and span end at its decorator")
        INSTRUMENTATION.release(function)
        ours = INSTRUMENTATION.registry is self.registry
        sewing = INSTRUMENTATION if ours else Instrumentation(self.registry)
        sewing.sew(function, name, self.attributes)

    def _named_for(self, function: FunctionType, cls: type) -> "Wish":
        if self.name is None:
            return self
        own = function.__qualname__.removeprefix(f"{cls.__qualname__}.")
        return Wish(
            f"{self.name}.{own}",
            self.attributes,
            self.error_if,
            span=self.span,
            counted=self.counted,
            registry=self.registry,
        )

    def _property(self, target: property) -> property:
        parts = (target.fget, target.fset, target.fdel)
        getter, setter, deleter = (part and self.grant(part) for part in parts)
        return type(target)(getter, setter, deleter, target.__doc__)


def _is_dunder(function: FunctionType) -> bool:
    name = function.__code__.co_name
    return name.startswith("__") and name.endswith("__")


def _unwrapped(member: Any) -> object:
    plain = not isinstance(member, classmethod | staticmethod)
    return member if plain else member.__func__


def _exchange(owner: type, member: object, twin: object) -> None:
    """Put *twin* under every name of *member*."""
    for name, value in list(vars(owner).items()):
        if value is member:
            setattr(owner, name, twin)


def name_of(function: Callable[..., Any]) -> str:
    """``code.function.name``: module and qualified name, of what a partial holds.

    Example:
        >>> name_of(functools.partial(name_of, print))
        'probekit.recording.probe.name_of'

    """
    while isinstance(function, functools.partial):
        function = function.func
    qualname = getattr(function, "__qualname__", None)
    module = getattr(function, "__module__", None)
    if not isinstance(qualname, str):
        return type_name(type(function))
    return f"{module}.{qualname}" if isinstance(module, str) else qualname


def span_opener(
    registry: Registry,
    name: str,
    attributes: Mapping[str, Any],
) -> Opener:
    """What a wrapper calls to open a span, if the registry has a maker by then."""

    def open_span(attach: bool) -> "Closer | None":  # noqa: FBT001 - ours alone call
        maker = registry.span_maker
        if maker is None:
            return None
        try:
            span = maker(name, attributes, attach)
        except Exception as error:
            notice("span", "a span was not opened", error)
            return None
        return None if span is None else functools.partial(_end, span)

    return open_span


def _end(span: "OpenSpan", error: "BaseException | None") -> None:
    try:
        span.end(error)
    except Exception as failure:
        notice("span", "a span was not ended", failure)


class Probe:
    """Times every call of a function, and counts and groups its errors: ``@probe``.

    Goes on functions, methods, coroutines, generators, async generators, classmethods
    and staticmethods (above or below their decorators), properties, other callables,
    and classes: then on the methods that the class itself and classes inside it have
    written, by the rules of ``instrument``: none of ``__dunder__`` name, none
    generated; of a decorated one the function inside. The decorated object behaves as
    before: signature, pickling, introspection, exceptions. Coroutines are timed from
    the first await to the end, generators from the first step to exhaustion or close.

    Example:
        >>> @probe
        ... def add(a, b=1):
        ...     return a + b
        >>> add(1)
        2

    """

    __slots__ = ()

    @overload
    def __call__(self, target: T, /) -> T: ...

    @overload
    def __call__(
        self,
        /,
        *,
        name: "str | None" = ...,
        attributes: "Mapping[str, Any] | None" = ...,
        error_if: "Callable[[Any], object] | None" = ...,
        span: bool = ...,
    ) -> Callable[[T], T]: ...

    def __call__(
        self,
        target: Any = None,
        /,
        *,
        name: "str | None" = None,
        attributes: "Mapping[str, Any] | None" = None,
        error_if: "Callable[[Any], object] | None" = None,
        span: bool = False,
    ) -> Any:
        """Time every call of *target*.

        Args:
            target: What to probe, when used without arguments.
            name: Stands in place of module and qualified name; on a class, before the
                method's name.
            attributes: What tells this function's series from others.
            error_if: Called with each result; true counts the call as an error of type
                ``_OTHER``. One that raises counts as false.
            span: Also make a span inside a trace that is being recorded.

        Returns:
            The probed object; the very object with ``PROBEKIT_DISABLE=1`` in the
            environment, and when it is probed already.

        Raises:
            BadName: The name, or an attribute's, breaks the rules.
            ConfigError: The target cannot be called, or an argument is of a wrong kind.

        Threads:
            Calls record from any thread, without a lock, about 0.2 µs each.

        """
        return _granted(target, Wish(name, attributes, error_if, span=span))

    @overload
    def count(self, target: T, /) -> T: ...

    @overload
    def count(
        self,
        /,
        *,
        name: "str | None" = ...,
        attributes: "Mapping[str, Any] | None" = ...,
    ) -> Callable[[T], T]: ...

    def count(
        self,
        target: Any = None,
        /,
        *,
        name: "str | None" = None,
        attributes: "Mapping[str, Any] | None" = None,
    ) -> Any:
        """Count every call of *target*, and count and group its errors; time none.

        For functions that are called so often that even two looks at the clock are too
        many. Goes on whatever ``probe`` goes on, and counts a call when it has ended,
        in ``probekit.function.calls``: failed ones with ``error.type``.

        Args:
            target: What to count, when used without arguments.
            name: Stands in place of module and qualified name; on a class, before the
                method's name.
            attributes: What tells this function's series from others.

        Returns:
            The counted object; the very object with ``PROBEKIT_DISABLE=1`` in the
            environment, and when it is counted already.

        Raises:
            BadName: The name, or an attribute's, breaks the rules.
            ConfigError: The target cannot be called, or an argument is of a wrong kind.

        Threads:
            Calls count from any thread, without a lock, about 0.05 µs each; none is
            lost.

        Example:
            >>> @probe.count
            ... def lookup(key):
            ...     return key
            >>> lookup(1)
            1

        """
        return _granted(target, Wish(name, attributes, counted=True))


probe = Probe()


def _granted(target: Any, wish: Wish) -> Any:
    if target is None:
        return _identity if is_disabled() else wish.grant
    return target if is_disabled() else wish.grant(target)


def _identity(target: T) -> T:
    return target
