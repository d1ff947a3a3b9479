"""The second best, for interpreters whose code is not known to ``weaver``.

The function object stays too, but its new code calls a twin that has the old one: one
more frame a call. That frame is skipped where Python counts frames for warnings and
logging; code that counts frames itself sees it.
"""

import functools
import re
from types import CodeType, FunctionType

from probekit.recording.template import (
    FILENAME,
    Shape,
    arguments_of,
    flavour_of_code,
    parameters_of,
    shape_of_code,
)
from probekit.recording.weave.strands import Strands

_MARK = "\0probekit "
_TEXT = """\
def make():
    {free}
    {define} wrapper({parameters}):
        {keep}
        {p}_t0 = @clock()
        try:
            {p}_r = {call}
        except @BaseException as {p}_e:
            try:
                @fail({p}_e, {p}_t0)
            except @Exception:
                @missed({p}_t0)
            raise
        {p}_t1 = @clock()
        if {p}_t1 > @gate.deadline[()] and @due():
            return {p}_r
        {slow}
        @append({p}_t1 - {p}_t0)
        return {p}_r
"""
_SLOW = "if {p}_t1 - {p}_t0 >= @slow_s: @slow({p}_t1 - {p}_t0)"
_CALLS = {
    "plain": ("def", "@twin({})"),
    "coroutine": ("async def", "await @twin({})"),
    "generator": ("def", "(yield from @twin({}))"),
}
_STRANDS = ("clock", "gate", "due", "append", "fail", "missed", "slow", "slow_s")


def shroud(function: FunctionType, code: CodeType, strands: Strands) -> CodeType:
    """Return code for *function* that times a twin with *code*.

    Args:
        function: Lends globals and closure.
        code: Its own.
        strands: What the new code calls; never of the hot kind.

    Raises:
        ValueError: It is an async generator, or hot.

    """
    flavour = flavour_of_code(code)
    if flavour not in _CALLS or strands.tick is not None:
        raise ValueError(f"{flavour}s cannot be timed on this interpreter")
    namespace, cells = function.__globals__, function.__closure__
    twin = FunctionType(code, namespace, function.__name__, (), cells)
    shape = shape_of_code(code, flavour, judged=False, spanned=False)
    made = _shrouded(shape, code.co_freevars, strands.slow is not None)
    if made.co_freevars != code.co_freevars:
        raise ValueError("its free variables are in an order of their own")
    known = {name: getattr(strands, name) for name in _STRANDS}
    known |= {"twin": twin, "BaseException": BaseException, "Exception": Exception}
    consts = tuple(
        known[each[len(_MARK) :]]
        if isinstance(each, str) and each.startswith(_MARK)
        else each
        for each in made.co_consts
    )
    names = {"co_name": code.co_name}
    if hasattr(code, "co_qualname"):
        names["co_qualname"] = code.co_qualname
    flags = made.co_flags | code.co_flags & 0x100  # of types.coroutine
    return made.replace(co_consts=consts, co_flags=flags, **names)  # type: ignore[arg-type]


def show_twin(function: FunctionType, code: CodeType) -> None:
    """Let ``inspect`` find the source of a *function* that has got *code*."""
    if code.co_filename == FILENAME:
        twin = next(c for c in code.co_consts if isinstance(c, FunctionType))
        functools.update_wrapper(twin, function)
        del vars(twin)["__wrapped__"]  # it wraps nothing
        twin.__defaults__ = function.__defaults__
        twin.__kwdefaults__ = function.__kwdefaults__
        vars(function).setdefault("__wrapped__", twin)


def hide_twin(function: FunctionType, code: CodeType) -> None:
    """Undo :func:`show_twin`."""
    twin = vars(function).get("__wrapped__")
    if code.co_filename == FILENAME and any(twin is c for c in code.co_consts):
        del vars(function)["__wrapped__"]


@functools.lru_cache(maxsize=1024)
def _shrouded(shape: Shape, free: "tuple[str, ...]", slow: bool) -> CodeType:  # noqa: FBT001 - part of the key
    prefix = "_pk"
    while any(name.startswith(prefix) for name in (*shape.names, *free)):
        prefix += "_"
    define, call = _CALLS[shape.flavour]
    text = _TEXT.format(
        free=" = ".join((*free, "None")),
        # Never runs; it makes them free variables of the code, as the closure wants.
        keep=f"if 0: {', '.join(free)}" if free else "pass",
        define=define,
        parameters=parameters_of(shape),
        call=call.format(arguments_of(shape)),
        slow=_SLOW.format(p=prefix) if slow else "pass",
        p=prefix,
    )
    # This loads the constant and nothing else; calling a literal would warn.
    text = re.sub(r"@(\w+)", lambda found: f"(None or {_MARK + found[1]!r})", text)
    code = compile(text, FILENAME, "exec")
    for _ in range(2):  # the module's, make's, the wrapper's
        code = next(each for each in code.co_consts if isinstance(each, CodeType))
    return code
