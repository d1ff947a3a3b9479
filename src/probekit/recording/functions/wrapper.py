"""From a function to its timed twin: same signature, same facts, same behaviour.

The twin closes over the function, a clock, the watch and its list of values; see
``template`` for the text. Each twin gets a code object of its own, so that the
interpreter specialises it for the one function it calls.
"""

import functools
import sys
from collections.abc import Callable, Iterator
from time import perf_counter
from types import CodeType, FunctionType, coroutine

from probekit.hints import Any, TypeAlias
from probekit.notice import notice
from probekit.recording.attributes import type_name
from probekit.recording.functions.outcome import Outcome, raised
from probekit.recording.template import (
    COROUTINE,
    FILENAME,
    FREE,
    ITERABLE_COROUTINE,
    MARK,
    Flavour,
    any_arguments,
    factory_of,
    flavour_of_code,
    shape_of_code,
)

Function = Callable[..., Any]
Closer: TypeAlias = "Callable[[BaseException | None], None]"
Opener: TypeAlias = "Callable[[bool], Closer | None]"


def is_wrapper(function: object) -> bool:
    """Whether *function* is a twin made here."""
    return (
        isinstance(function, FunctionType) and function.__code__.co_filename == FILENAME
    )


def timed(
    function: Function,
    outcome: Outcome,
    *,
    error_if: "Callable[[Any], object] | None" = None,
    span: "Opener | None" = None,
    ticks: "Iterator[int] | None" = None,
) -> FunctionType:
    """Return the timed twin of *function*, or its counted one.

    Defaults are the same objects as at decoration; later changes of the twin's
    ``__defaults__`` count, later changes of the original's do not.

    Args:
        function: Any callable; other callables than functions get a twin that takes
            any arguments.
        outcome: Where durations and errors go.
        error_if: Judges a result; true makes the call an error.
        span: Opens a span, told whether it may become the current one; its result
            closes it.
        ticks: When given, calls are only counted: each that ends well takes one step
            of it, which has no end.

    """
    flavour = flavour_of(function)
    switches = {
        "judged": error_if is not None,
        "spanned": span is not None,
        "counted": ticks is not None,
    }
    code = getattr(function, "__code__", None)
    if isinstance(function, FunctionType) and isinstance(code, CodeType):
        shape = shape_of_code(code, flavour, **switches)
    else:
        shape = any_arguments(flavour, **switches)
    registry = outcome.registry
    # What is raised below comes out of this very function: no need to look which.
    if isinstance(function, FunctionType) and flavour != "async generator":
        outcome.lead_in()
    parts = {
        "f": function,
        "clock": perf_counter,
        "deadline": registry.watch.deadline,
        "clear": registry.watch.clear,
        "ticks": ticks,
        "due": registry.due,
        "values": outcome.values,
        "fail": outcome.fail,
        "registry": registry,
        "judge": error_if and outcome.judge_by(error_if),
        "open": span and functools.partial(span, "generator" not in flavour),
        "first": _first_step,
        "raised": raised,
        "BaseException": BaseException,
        "Crowded": (RecursionError, MemoryError),
        "StopAsyncIteration": StopAsyncIteration,
    }
    namespace: dict[str, Any] = {}
    exec(factory_of(shape), namespace)  # noqa: S102 - our own text, see template.py
    twin: FunctionType = namespace["make"](*(parts[name] for name in FREE))
    twin.__code__ = _fixed(twin.__code__, parts)
    twin = dressed(twin, function)
    registry.twins.add(twin, counted=ticks is not None)
    return twin


def _fixed(code: CodeType, parts: "dict[str, Any]") -> CodeType:
    """Put *parts* where *code* of the template has the texts that stand for them."""
    return code.replace(
        co_consts=tuple(
            parts[each[len(MARK) :]]
            if isinstance(each, str) and each.startswith(MARK)
            else each
            for each in code.co_consts
        )
    )


def flavour_of(function: Function) -> Flavour:
    """How *function* runs, looking through partials and callable objects."""
    if type(function) is FunctionType:
        return flavour_of_code(function.__code__)
    from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction

    candidates = [function]
    if not isinstance(function, type):
        call = getattr(type(function), "__call__", function)  # noqa: B004 - its code
        candidates.append(call)
    for candidate in candidates:
        if isasyncgenfunction(candidate):
            return "async generator"
        if iscoroutinefunction(candidate) and _has_code(candidate, COROUTINE):
            return "coroutine"
        if isgeneratorfunction(candidate):
            return "generator"
    return "plain"


def _has_code(function: Any, flag: int) -> bool:
    """Whether it truly is one, not only marked as one (a plain function may be)."""
    while isinstance(function, functools.partial):
        function = function.func
    function = getattr(function, "__func__", function)
    code = getattr(function, "__code__", None)
    return isinstance(code, CodeType) and bool(code.co_flags & flag)


def dressed(twin: FunctionType, function: Function) -> FunctionType:
    """Give *twin* the looks of *function*."""
    name = getattr(function, "__name__", None) or type(function).__name__
    if isinstance(name, str):
        code = twin.__code__
        if sys.version_info >= (3, 11):
            qualname = getattr(function, "__qualname__", name)
            if not isinstance(qualname, str):
                qualname = name
            twin.__code__ = code.replace(co_name=name, co_qualname=qualname)
        else:
            twin.__code__ = code.replace(co_name=name)
        twin.__name__ = twin.__qualname__ = name
    functools.update_wrapper(twin, function)
    if isinstance(function, FunctionType):
        twin.__defaults__ = function.__defaults__
        twin.__kwdefaults__ = function.__kwdefaults__ and dict(function.__kwdefaults__)
        if function.__code__.co_flags & ITERABLE_COROUTINE:
            twin = coroutine(twin)  # type: ignore[assignment]
    else:
        _lend_methods(twin, function)
    return twin


def _lend_methods(twin: FunctionType, function: Function) -> None:
    """Let a callable object's public methods be called on its twin.

    ``cache_clear`` of an ``lru_cache`` is one. Properties are not read.
    """
    kind = type(function)
    for name in dir(kind):
        if name.startswith("_") or hasattr(twin, name):
            continue
        try:
            member = next(vars(k)[name] for k in kind.__mro__ if name in vars(k))
            if callable(member) and not isinstance(member, type):
                setattr(twin, name, getattr(function, name))
        except Exception as error:  # an object that resists; its twin still times it
            notice("lend", f"{name} was not lent: {type_name(type(error))}")


def _first_step(generator: Any) -> Any:
    """Begin an inner async generator without showing it to the event loop.

    The loop would close it beside the wrapper at shutdown, both at once.
    """
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        return generator.asend(None)
    finally:
        sys.set_asyncgen_hooks(*hooks)
