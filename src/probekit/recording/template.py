"""The text of a wrapper: a function with the very parameters of another one.

The body is the shortest that times a call exactly, counts its errors and asks for
attention when the watch has run out: two clock reads, one comparison, one append.
Every name of ours begins with a prefix that no parameter has.
"""

from functools import lru_cache
from keyword import iskeyword
from types import CodeType

from probekit.hints import Literal, NamedTuple, TypeAlias

# Frames of files that are named like importlib's own are not counted by
# ``warnings.warn(stacklevel=…)``, nor from 3.11 on by logging: a warning points at the
# caller that it means, with wrappers in between or not.
FILENAME = "<probekit wrapper, skipped like importlib._bootstrap>"
PREFIX = "_pk"

Flavour: TypeAlias = Literal["plain", "coroutine", "generator", "async generator"]

VARARGS, VARKEYWORDS = 0x04, 0x08
GENERATOR, COROUTINE, ITERABLE_COROUTINE, ASYNC_GENERATOR = 0x20, 0x80, 0x100, 0x200

# What a wrapper closes over; the factory takes them in this order.
FREE = ("f", "deadline", "clear", "ticks", "values", "fail", "judge", "open")
# What it has as constants: every cell that it closes over costs half a nanosecond a
# call. Hashable, as constants of code must be.
FIXED = (
    "clock",
    "due",
    "registry",
    "first",
    "raised",
    # Parameters may be called like these.
    "BaseException",
    "Crowded",
    "StopAsyncIteration",
)
MARK = "\0probekit "  # begins the text that stands for such a constant at first

_FREE = ", ".join(f"{PREFIX}_{name}" for name in FREE)


class Shape(NamedTuple):
    """All that the text of a wrapper depends on.

    Attributes:
        flavour: How the function is run.
        positional_only: Names of parameters before ``/``.
        positional: Names of the other positional parameters.
        keyword_only: Names of parameters after ``*``.
        varargs: Name after ``*``, or empty.
        varkeywords: Name after ``**``, or empty.
        judged: Whether a result is handed to ``error_if``.
        spanned: Whether a span may be opened around the call.
        counted: Whether calls are only counted: no clock is read but at a failure.
    """

    flavour: Flavour
    positional_only: "tuple[str, ...]" = ()
    positional: "tuple[str, ...]" = ()
    keyword_only: "tuple[str, ...]" = ()
    varargs: str = ""
    varkeywords: str = ""
    judged: bool = False
    spanned: bool = False
    counted: bool = False

    @property
    def names(self) -> "tuple[str, ...]":
        """Names of all parameters."""
        own = self.positional_only + self.positional + self.keyword_only
        return own + tuple(name for name in (self.varargs, self.varkeywords) if name)


def flavour_of_code(code: CodeType) -> Flavour:
    """What ``inspect`` would say, which takes longer to load than all of ours."""
    if code.co_flags & ASYNC_GENERATOR:
        return "async generator"
    if code.co_flags & COROUTINE:
        return "coroutine"
    return "generator" if code.co_flags & GENERATOR else "plain"


def shape_of_code(
    code: CodeType,
    flavour: Flavour,
    *,
    judged: bool,
    spanned: bool,
    counted: bool = False,
) -> Shape:
    """The shape of a function with *code*; any arguments if its names are no names."""
    names = code.co_varnames
    first, second = code.co_posonlyargcount, code.co_argcount
    third = second + code.co_kwonlyargcount
    has_varargs = bool(code.co_flags & VARARGS)
    shape = Shape(
        flavour,
        names[:first],
        names[first:second],
        names[second:third],
        names[third] if has_varargs else "",
        names[third + has_varargs] if code.co_flags & VARKEYWORDS else "",
        judged,
        spanned,
        counted,
    )
    if all(name.isidentifier() and not iskeyword(name) for name in shape.names):
        return shape
    return any_arguments(flavour, judged=judged, spanned=spanned, counted=counted)


def any_arguments(
    flavour: Flavour, *, judged: bool, spanned: bool, counted: bool = False
) -> Shape:
    """The shape of a callable whose parameters are not known."""
    return Shape(flavour, (), (), (), "args", "kwargs", judged, spanned, counted)


@lru_cache(maxsize=1024)
def factory_of(shape: Shape) -> CodeType:
    """Compile the factory of wrappers of *shape*: a module that defines ``make``."""
    text = _text_of(shape)
    for name in FIXED:
        # This loads the constant and nothing else; calling a literal would warn.
        text = text.replace(f"@_{name}", f"(None or {MARK + name!r})")
    return compile(text.replace("@_", f"{_prefix_of(shape)}_"), FILENAME, "exec")


def source_of(shape: Shape) -> str:
    """The text of the factory, with names for what becomes a constant.

    Example:
        >>> print(source_of(Shape("plain", (), ("a", "b"))).replace(_FREE, "..."))
        def make(...):
            def wrapper(a, b):
                _pk_t0 = _pk_clock()
                try:
                    _pk_r = _pk_f(a, b)
                except:
                    try:
                        _pk_fail(_pk_t0)
                    except _pk_Crowded:
                        _pk_t0 = None
                        _pk_registry.dropped[0] += 1
                    raise
                _pk_t1 = _pk_clock()
                if _pk_t1 > _pk_deadline[()] and _pk_due():
                    return _pk_r
                _pk_values.append(_pk_t1 - _pk_t0)
                return _pk_r
            return wrapper
        <BLANKLINE>

    """
    return _text_of(shape).replace("@_", f"{_prefix_of(shape)}_")


def _prefix_of(shape: Shape) -> str:
    """What names of ours begin with, and none of the parameters."""
    prefix = PREFIX
    while any(name.startswith(prefix) for name in shape.names):
        prefix += "_"
    return prefix


def _text_of(shape: Shape) -> str:
    text = _HEAD + _BODY[shape.flavour]
    for mark, lines in (
        ("START", "" if shape.counted else _START),
        ("FAIL", _FAIL_COUNTED if shape.counted else _FAIL),
        ("DONE", _DONE_COUNTED if shape.counted else _DONE),
        ("OPEN", _OPEN if shape.spanned else ""),
        ("CLOSE_FAILED", _CLOSE_FAILED if shape.spanned else ""),
        ("CLOSE", _CLOSE if shape.spanned else ""),
        ("RECORD", _RECORD_JUDGED if shape.judged else _RECORD),
    ):
        text = text.replace(f"        @{mark}\n", lines)
    result = "" if shape.flavour == "async generator" else " @_r"
    return (
        text.replace("@FREE", ", ".join(f"@_{name}" for name in FREE))
        .replace("@PARAMETERS", parameters_of(shape))
        .replace("@ARGUMENTS", arguments_of(shape))
        .replace("@RESULT", result)
    )


def parameters_of(shape: Shape) -> str:
    """The parameters as text, without defaults."""
    parts = list(shape.positional_only)
    if parts:
        parts.append("/")
    parts += shape.positional
    if shape.varargs:
        parts.append(f"*{shape.varargs}")
    elif shape.keyword_only:
        parts.append("*")
    parts += shape.keyword_only
    if shape.varkeywords:
        parts.append(f"**{shape.varkeywords}")
    return ", ".join(parts)


def arguments_of(shape: Shape) -> str:
    """What passes all parameters on, as text."""
    parts = [*shape.positional_only, *shape.positional]
    if shape.varargs:
        parts.append(f"*{shape.varargs}")
    parts += (f"{name}={name}" for name in shape.keyword_only)
    if shape.varkeywords:
        parts.append(f"**{shape.varkeywords}")
    return ", ".join(parts)


_HEAD = """\
def make(@FREE):
"""

# `raise` passes the very exception on; when our own part fails (no stack left after a
# RecursionError) the start is forgotten, which tells the next wrapper to count it. The
# exception gets no name here: to unbind one costs a second unwinding.
_FAILED = """\
        except:
            try:
                @FAIL
            except @_Crowded:
                @_t0 = None
                @_registry.dropped[0] += 1
        @CLOSE_FAILED
            raise
"""

_START = """\
        @_t0 = @_clock()
"""

_FAIL = """\
        @_fail(@_t0)
"""

# A counted call does not know when it began. From its failure on the wrapper says, as
# any other does, that it has taken this exception; see ``problems``.
_FAIL_COUNTED = """\
        @_t0 = @_clock()
                @_fail(0.0)
"""

_DONE = """\
        @_t1 = @_clock()
        @CLOSE
        if @_t1 > @_deadline[()] and @_due():
            return@RESULT
        @RECORD
        return@RESULT
"""

# A step of the loop is a count in C, without a call: no stack is needed for it.
_DONE_COUNTED = """\
        if not @_clear[()] and @_due():
            return@RESULT
        for @_n in @_ticks:
            return@RESULT
"""

_END = """\
        @DONE
    return wrapper
"""

_OPEN = """\
        @_s = @_open()
"""

_CLOSE_FAILED = """\
            if @_s is not None:
                @_s(@_raised())
"""

_CLOSE = """\
        if @_s is not None:
            @_s(None)
"""

_RECORD = """\
        @_values.append(@_t1 - @_t0)
"""

_RECORD_JUDGED = """\
        @_judge(@_r, @_t1 - @_t0)
"""


def _straight(definition: str, call: str) -> str:
    return (
        f"    {definition} wrapper(@PARAMETERS):\n"
        "        @OPEN\n"
        "        @START\n"
        "        try:\n"
        f"            @_r = {call}\n" + _FAILED + _END
    )


# An async generator has no `yield from`. What is thrown in is thrown on as it came:
# after our except block has ended (its context must not show inside), and without the
# frame that our `yield` has just put on top of its traceback. GeneratorExit goes the
# same way: `aclose` of the wrapper then sees exactly what the inner one does with it.
_ASYNC_GENERATOR = (
    """\
    async def wrapper(@PARAMETERS):
        @OPEN
        @START
        @_x = None
        try:
            @_g = @_f(@ARGUMENTS)
            @_a = @_first(@_g)
            while True:
                try:
                    @_v = await @_a
                except @_StopAsyncIteration:
                    break
                try:
                    @_a = yield @_v
                except @_BaseException as @_e:
                    @_x = @_e
                if @_x is None:
                    @_a = @_g.asend(@_a)
                else:
                    @_x.__traceback__ = @_x.__traceback__.tb_next
                    @_a = @_g.athrow(@_x)
                    @_x = None
"""
    + _FAILED
    + _END
)

_BODY: "dict[Flavour, str]" = {
    "plain": _straight("def", "@_f(@ARGUMENTS)"),
    "coroutine": _straight("async def", "await @_f(@ARGUMENTS)"),
    "generator": _straight("def", "yield from @_f(@ARGUMENTS)"),
    "async generator": _ASYNC_GENERATOR,
}
