"""The few instructions that are woven in, spelled for each interpreter.

They are the same for all functions but for the places of our constants, so they are
written once and stamped for each function. Stacks are written from their bottom,
``[start, result]``; ``start`` is the time that woven code keeps below everything of
the function's own.
"""

import sys
from collections.abc import Sequence
from functools import lru_cache
from opcode import opmap
from operator import attrgetter

from probekit.hints import NamedTuple
from probekit.recording.weave.layout import instruction
from probekit.recording.weave.strands import TIMED_EVERY, Strands

STACK_MORE = 8  # values that woven code adds to the function's own at most
CONSTANTS = (
    "only",
    "mask",
    "untimed",
    "crowded",
    "clock",
    "due",
    "append",
    "fail",
    "missed",
    "tick",
    "ticks",
    "slow",
    "slow_s",
    "gate",  # the last one: woven code is known by it
)

_of_strands = attrgetter(*CONSTANTS[4:])
_HAS_PRECALL = "PRECALL" in opmap  # 3.11 only
_NULL_FIRST = sys.version_info < (3, 13)
_ATTRIBUTE_SHIFT = int(sys.version_info >= (3, 12))
_IF = "POP_JUMP_FORWARD_IF_" if _HAS_PRECALL else "POP_JUMP_IF_"


def constants(strands: Strands) -> "tuple[object, ...]":
    """What woven code loads, in the order of :data:`CONSTANTS`."""
    return ((), TIMED_EVERY - 1, 0.0, RecursionError, *_of_strands(strands))


class Kind(NamedTuple):
    """Which parts a function gets.

    Attributes:
        hot: Times one call of many.
        slow: Tells slow calls.
        wide: More than 256 constants or names: all our places take two bytes.
        counted: Counts and times nothing.
    """

    hot: bool
    slow: bool
    wide: bool
    counted: bool = False

    @property
    def name(self) -> str:
        """The one that is looked up at the gate."""
        return "clear" if self.counted else "deadline"


class Rescued(NamedTuple):
    """Units of a piece whose exceptions a rescue takes.

    Attributes:
        start: First unit, in the piece.
        end: Unit after the last.
        rescue: Unit in the rescues.
        depth: Values that stay on the stack.
    """

    start: int
    end: int
    rescue: int
    depth: int


class Snippets(NamedTuple):
    """The parts, stamped for one number of constants and names.

    Attributes:
        prologue: ``[]`` to ``[start]``.
        epilogue: ``[start, result]`` to the return.
        rescues: Blocks that stand out of the way, each ending in a return or a raise.
        failed: Unit of the rescues that takes ``[start, exception]``.
        guarded: Calls into Python in the epilogue, whose ``RecursionError`` must not
            reach the host.
        guarded_rescues: The same in the rescues.
    """

    prologue: bytes
    epilogue: bytes
    rescues: bytes
    failed: int
    guarded: "tuple[Rescued, ...]"
    guarded_rescues: "tuple[Rescued, ...]"


@lru_cache(maxsize=4096)
def snippets(kind: Kind, first_constant: int, first_name: int) -> Snippets:
    """Stamp the parts for a function with so many constants and names of its own."""
    rescues, doors = _rescues(kind)
    prologue, epilogue = _prologue(kind), _epilogue(kind)
    return Snippets(
        prologue.stamped(first_constant, first_name),
        epilogue.stamped(first_constant, first_name),
        rescues.stamped(first_constant, first_name),
        doors["failed"],
        epilogue.rescued(doors),
        rescues.rescued(doors),
    )


class _Piece:
    """A run of instructions being written."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._raw = bytearray()
        self._constants: list[tuple[int, int]] = []  # byte of the argument, which one
        self._names: list[int] = []
        self._guarded: list[tuple[int, int, str, int]] = []

    def stamped(self, first_constant: int, first_name: int) -> bytes:
        raw = bytearray(self._raw)
        places = [(at, first_constant + which) for at, which in self._constants]
        places += ((at, first_name << _ATTRIBUTE_SHIFT) for at in self._names)
        for at, place in places:
            raw[at] = place & 0xFF
            if self._kind.wide:
                raw[at - 2] = place >> 8
        return bytes(raw)

    def rescued(self, doors: "dict[str, int]") -> "tuple[Rescued, ...]":
        return tuple(
            Rescued(start, end, doors[door], depth)
            for start, end, door, depth in self._guarded
        )

    def here(self) -> int:
        return len(self._raw) // 2

    def emit(self, name: str, arg: int = 0, *, wide: int = 0) -> None:
        self._raw += instruction(opmap[name], arg, wide=wide)

    def load(self, name: str) -> None:
        wide = int(self._kind.wide)
        self._constants.append((len(self._raw) + 2 * wide + 1, CONSTANTS.index(name)))
        self.emit("LOAD_CONST", wide=wide)

    def attribute(self) -> None:
        wide = int(self._kind.wide)
        self._names.append(len(self._raw) + 2 * wide + 1)
        self.emit("LOAD_ATTR", wide=wide)

    def jump(self, name: str) -> "tuple[int, int]":
        """Begin a short jump forward; :meth:`land` ends it."""
        at = len(self._raw) + 1
        self.emit(name)
        return at, self.here()

    def land(self, jump: "tuple[int, int]") -> None:
        at, end = jump
        self._raw[at] = self.here() - end

    def jump_if(self, *, truth: bool) -> "tuple[int, int]":
        """Jump on the truth of any value, which is taken off the stack."""
        if "TO_BOOL" in opmap:
            self.emit("TO_BOOL")
        return self.jump(f"{_IF}{str(truth).upper()}")

    def compare(self, sign: str) -> "tuple[int, int]":
        """Go on if ``a`` *sign* ``b``, else jump."""
        self.emit("COMPARE_OP", _COMPARED[sign])
        return self.jump(f"{_IF}FALSE")

    def call(self, name: str, copies: Sequence[int] = ()) -> None:
        """Call; each argument is a copy of the value so deep in the stack."""
        if _NULL_FIRST:
            self.emit("PUSH_NULL")
        self.load(name)
        if not _NULL_FIRST:
            self.emit("PUSH_NULL")
        for depth in copies:
            self.emit("COPY", depth)
        self.finish_call(len(copies))

    def finish_call(self, count: int) -> None:
        if _HAS_PRECALL:
            self.emit("PRECALL", count)
        self.emit("CALL", count)

    def guarded_call(
        self, name: str, copies: Sequence[int], door: str, depth: int
    ) -> None:
        start = self.here()
        self.call(name, copies)
        self._guarded.append((start, self.here(), door, depth))

    def forgive(self) -> None:
        """``[..., exception]``: drop a RecursionError, raise anything else."""
        self.load("crowded")
        self.emit("CHECK_EXC_MATCH")
        forgiven = self.jump(f"{_IF}TRUE")
        self.emit("RERAISE")
        self.land(forgiven)
        self.emit("POP_TOP")


@lru_cache
def _prologue(kind: Kind) -> _Piece:
    piece = _Piece(kind)
    if kind.counted:
        piece.load("untimed")
    elif kind.hot:
        piece.call("tick")
        piece.load("mask")
        piece.emit("BINARY_OP", _AND)
        untimed = piece.jump_if(truth=True)
        piece.call("clock")
        begun = piece.jump("JUMP_FORWARD")
        piece.land(untimed)
        piece.load("untimed")
        piece.land(begun)
    else:
        piece.call("clock")
    return piece


@lru_cache
def _epilogue(kind: Kind) -> _Piece:
    piece = _Piece(kind)
    if kind.counted:
        piece.load("gate")
        piece.attribute()
        piece.load("only")
        piece.emit("BINARY_SUBSCR")
        resting = piece.jump_if(truth=True)
        piece.guarded_call("due", (), "unheard", depth=2)
        heard = piece.jump_if(truth=False)
        _return_unrecorded(piece)
        piece.land(heard)
        piece.land(resting)
        _count(piece)
        return piece
    if kind.hot:
        piece.emit("COPY", 2)
        timed = piece.jump_if(truth=True)
        _return_unrecorded(piece)
        piece.land(timed)
    piece.call("clock")  # [start, result, end]
    piece.emit("COPY", 1)
    piece.load("gate")
    piece.attribute()
    piece.load("only")
    piece.emit("BINARY_SUBSCR")
    in_time = piece.compare(">")
    piece.guarded_call("due", (), "late", depth=3)
    heard = piece.jump_if(truth=False)
    piece.emit("POP_TOP")
    _return_unrecorded(piece)
    piece.land(heard)
    piece.land(in_time)
    piece.emit("SWAP", 2)
    _record(piece, kind)
    return piece


@lru_cache
def _rescues(kind: Kind) -> "tuple[_Piece, dict[str, int]]":
    piece = _Piece(kind)
    doors: dict[str, int] = {}
    if kind.counted:
        doors["unheard"] = piece.here()  # [start, result, exception]
        piece.forgive()
        _count(piece)
    else:
        doors["late"] = piece.here()  # [start, result, end, exception]
        piece.forgive()
        piece.emit("SWAP", 2)
        _record(piece, kind)
        doors["unslow"] = piece.here()  # [result, duration, exception]
        piece.forgive()
        _append(piece)
    doors["failed"] = piece.here()  # [start, exception]
    piece.guarded_call("fail", (3, 5), "crowded", depth=2)
    piece.emit("POP_TOP")
    piece.emit("RERAISE")
    doors["crowded"] = piece.here()  # [start, exception, exception]
    piece.forgive()
    piece.call("missed", (4,))
    piece.emit("POP_TOP")
    piece.emit("RERAISE")
    return piece, doors


def _return_unrecorded(piece: _Piece) -> None:
    """``[start, result]`` to the return."""
    piece.emit("SWAP", 2)
    piece.emit("POP_TOP")
    piece.emit("RETURN_VALUE")


def _count(piece: _Piece) -> None:
    """``[start, result]`` to the return.

    The iterator has no end, so that the loop it begins is never left. Unlike a call
    it needs no stack, and nothing can come in between its two halves.
    """
    piece.load("ticks")
    piece.emit("FOR_ITER")
    piece.emit("POP_TOP")
    piece.emit("POP_TOP")
    _return_unrecorded(piece)


def _record(piece: _Piece, kind: Kind) -> None:
    """``[start, end, result]`` to the return."""
    piece.emit("SWAP", 3)
    piece.emit("BINARY_OP", _SUBTRACT)  # [result, duration]
    if kind.slow:
        piece.emit("COPY", 1)
        piece.load("slow_s")
        quick = piece.compare(">=")
        piece.guarded_call("slow", (3,), "unslow", depth=2)
        piece.emit("POP_TOP")
        piece.land(quick)
    _append(piece)


def _append(piece: _Piece) -> None:
    """``[result, duration]`` to the return."""
    if _NULL_FIRST:
        piece.emit("PUSH_NULL")
        piece.emit("SWAP", 2)
    piece.load("append")
    piece.emit("SWAP", 2)
    if not _NULL_FIRST:
        piece.emit("PUSH_NULL")
        piece.emit("SWAP", 2)
    piece.finish_call(1)
    piece.emit("POP_TOP")
    piece.emit("RETURN_VALUE")


def _spelled(expression: str, operation: str) -> int:
    """The argument that this interpreter's compiler gives to *operation*."""
    raw = compile(expression, "<probekit>", "eval").co_code
    wanted = opmap.get(operation)
    return next((raw[i + 1] for i in range(0, len(raw), 2) if raw[i] == wanted), 0)


_AND = _spelled("a & b", "BINARY_OP")
_SUBTRACT = _spelled("a - b", "BINARY_OP")
_COMPARED = {
    sign: _spelled(f"1 if a {sign} b else 2", "COMPARE_OP") for sign in (">", ">=")
}
