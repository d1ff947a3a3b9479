"""Puts the parts together: one code object in, one that records out."""

import sys
from bisect import bisect_left
from collections.abc import Iterable
from functools import lru_cache
from opcode import opmap
from types import CodeType

from probekit.hints import Any, NamedTuple
from probekit.recording.weave.layout import (
    JUMPS,
    Layout,
    Site,
    instruction,
    marks_of,
    where,
)
from probekit.recording.weave.snippets import (
    STACK_MORE,
    Kind,
    Rescued,
    Snippets,
    constants,
    snippets,
)
from probekit.recording.weave.strands import Strands
from probekit.recording.weave.tables import (
    AnyGuard,
    moved_locations,
    read_guards,
    write_guards,
)

_VERSION = sys.version_info[:2]
CAN_WEAVE = sys.implementation.name == "cpython" and (3, 11) <= _VERSION < (3, 14)

_RETURN_VALUE = opmap["RETURN_VALUE"]
_RETURN_CONST = opmap.get("RETURN_CONST", _RETURN_VALUE)
_YIELD_VALUE = opmap["YIELD_VALUE"]
_RESUME = opmap.get("RESUME", _RETURN_VALUE)
_SUSPENDS = 0x20 | 0x80 | 0x200  # generators, coroutines, async generators
_CLOSES_AT_ONCE = 4  # bit of RESUME from 3.13 on, see _stay_closable
_SITES = marks_of({*JUMPS, _RETURN_VALUE, _RETURN_CONST})
_NARROW = 120  # of constants and names each, ours included, one byte has room for
# Short functions are often written alike (``return self._x``): these share their text.
_TEXTS = 512


class Unweavable(Exception):
    """This code has a form that is not known; the function is left as it is."""


def weave(code: CodeType, strands: Strands) -> CodeType:
    """Return *code* with the recording inside.

    Everything that Python code can see of it stays, but for its bytes, its constants,
    one name and the size of its stack.

    Args:
        code: Of a function; must not be woven already.
        strands: What it calls.

    Raises:
        Unweavable: The interpreter or the form of the code is not known.

    """
    if not CAN_WEAVE:
        raise Unweavable("this interpreter's code is not known")
    new: Any = code  # in 3.11, which type checkers for 3.10 do not know
    kind = Kind(
        strands.tick is not None,
        strands.slow is not None,
        max(len(code.co_consts), len(code.co_names)) > _NARROW,
        strands.ticks is not None,
    )
    text = _woven(
        _Form(
            code.co_code,
            code.co_linetable,
            new.co_exceptiontable,
            kind,
            len(code.co_consts),
            len(code.co_names),
            bool(code.co_flags & _SUSPENDS),
        )
    )
    woven_code: CodeType = new.replace(
        co_code=text.code,
        co_consts=code.co_consts + constants(strands),
        co_names=(*code.co_names, kind.name),
        co_stacksize=code.co_stacksize + STACK_MORE,
        co_linetable=text.lines,
        co_exceptiontable=text.guards,
    )
    return woven_code


class _Form(NamedTuple):
    """All that the text of woven code depends on; functions may share it.

    Attributes:
        code: The function's own bytes.
        lines: Its location table.
        guards: Its exception table.
        kind: Which parts it gets.
        constants: How many it has.
        names: How many it has.
        suspends: Whether it is a generator or a coroutine.
    """

    code: bytes
    lines: bytes
    guards: bytes
    kind: Kind
    constants: int
    names: int
    suspends: bool


class _Text(NamedTuple):
    """What of woven code depends on the form alone.

    Attributes:
        code: Its bytes.
        lines: Its location table.
        guards: Its exception table.
    """

    code: bytes
    lines: bytes
    guards: bytes


@lru_cache(maxsize=_TEXTS)
def _woven(form: _Form) -> _Text:
    raw = _stay_closable(form.code) if form.suspends else form.code
    parts = snippets(form.kind, form.constants, form.names)
    begin = _begin(raw)
    sites, returns = _sites(raw, begin, parts.epilogue)
    layout = Layout(raw, sites, begin, len(parts.prologue) // 2)
    woven = layout.join(parts.prologue)
    rescues = len(woven) // 2
    moved, failed = layout.moved, rescues + parts.failed
    guards: list[AnyGuard] = [
        (
            moved(start),
            moved(end),
            moved(target) if target >= 0 else failed,
            depth + 1,
            lasti,
        )
        for start, end, target, depth, lasti in _guards(
            read_guards(form.guards), layout, begin, returns
        )
    ]
    guards += _our_guards(
        parts, [_epilogue_at(layout, r, parts) for r in returns], rescues
    )
    return _Text(
        woven + parts.rescues,
        moved_locations(form.lines, layout.growths(), len(parts.rescues) // 2),
        write_guards(guards),
    )


def _begin(raw: bytes) -> int:
    """Where the function's own work begins: after its first RESUME."""
    at = raw[::2].find(_RESUME)
    if at < 0 or raw[2 * at + 1] & 3:
        raise Unweavable("it does not begin with RESUME")
    return at + 1


def _sites(raw: bytes, begin: int, epilogue: bytes) -> "tuple[list[Site], list[Site]]":
    """All jumps and returns, and the returns alone, which become epilogues."""
    sites = [Site(raw, at) for at in where(raw[::2], _SITES, begin)]
    returns = [site for site in sites if site.target < 0]
    for site in returns:
        if site.code == _RETURN_VALUE:
            site.replace(epilogue)
        else:
            site.replace(instruction(opmap["LOAD_CONST"], site.arg) + epilogue)
    return sites, returns


def _stay_closable(raw: bytes) -> bytes:
    """Have the interpreter run our handler when a generator is closed.

    Since 3.12 it drops the frame of a generator that is suspended outside any ``try``
    without running it; where that is so is marked by the compiler.
    """
    if _VERSION < (3, 12):
        return raw
    changed = bytearray(raw)
    for at in range(0, len(raw), 2):
        if _VERSION >= (3, 13):
            if raw[at] == _RESUME:
                changed[at + 1] &= ~_CLOSES_AT_ONCE
        elif raw[at] == _YIELD_VALUE:
            changed[at + 1] = max(raw[at + 1], 2)
    return bytes(changed)


def _guards(
    theirs: Iterable[AnyGuard],
    layout: Layout,
    begin: int,
    returns: "list[Site]",
) -> "list[AnyGuard]":
    """The function's own handlers, and ours (target -1) wherever it has none.

    In old units. What stands before the prologue has no start on its stack yet, and
    what is woven in is nobody's: neither is guarded.
    """
    whole: list[AnyGuard] = []
    at, end = begin, len(layout.raw) // 2
    for guard in theirs:
        first, last, target, depth, lasti = guard
        if last <= begin:
            continue
        start = max(first, begin)
        whole.append((at, start, -1, 0, False))
        whole.append((start, last, target, depth, lasti))
        at = last
    whole.append((at, end, -1, 0, False))
    pieces: list[AnyGuard] = []
    starts = [site.start for site in returns]
    for at, end, target, depth, lasti in whole:
        for site in returns[bisect_left(starts, at) :]:
            if site.start >= end:
                break
            if at < site.start:
                pieces.append((at, site.start, target, depth, lasti))
            at = site.end  # noqa: PLW2901 - what is left of it
        if at < end:
            pieces.append((at, end, target, depth, lasti))
    return pieces


def _epilogue_at(layout: Layout, site: Site, parts: Snippets) -> int:
    loads = len(site.new or b"") - len(parts.epilogue)  # the constant, if it is one
    return layout.moved(site.start) + loads // 2


def _our_guards(
    parts: Snippets, epilogues: "list[int]", rescues: int
) -> "list[AnyGuard]":
    """The handlers of the calls into Python that are woven in."""
    places: list[tuple[int, Rescued]] = [
        (at, each) for at in epilogues for each in parts.guarded
    ]
    places += ((rescues, each) for each in parts.guarded_rescues)
    return [
        (at + start, at + end, rescues + rescue, depth, False)
        for at, (start, end, rescue, depth) in places
    ]
