"""Errors, grouped: the same type at the same place is one problem with a count.

The count is exact; samples (events with a stack) are limited per problem. One
exception that passes several probes is one occurrence: the wrapper nearest to its
origin counts it, and the others see that wrapper's frame in the traceback.
"""

from collections.abc import Mapping
from time import perf_counter

from probekit.hints import TYPE_CHECKING, Any, TypeAlias
from probekit.notice import notice
from probekit.recording.attributes import type_name
from probekit.recording.errors.group import Group, Sample
from probekit.recording.errors.seen import catcher_of, is_marked, mark_recorded
from probekit.recording.errors.stack import (
    WALK_LIMIT,
    culprit_of,
    places_of,
    signature_of,
    trails_of,
)
from probekit.recording.template import (
    ASYNC_GENERATOR,
    COROUTINE,
    FILENAME,
    GENERATOR,
)
from probekit.recording.woven import is_woven, witness_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType, TracebackType

    from probekit.model import Harvest
    from probekit.recording.functions.outcome import Outcome
    from probekit.recording.registry import Registry

GROUPS_LIMIT = 1000
KNOWN_LIMIT = 4 * GROUPS_LIMIT
_RESUMED = GENERATOR | COROUTINE | ASYNC_GENERATOR
_EVER = float("-inf")  # whichever journey it was counted on


# What an error costs that was seen before: a walk through nodes, by exception type,
# then by the id of each frame's code object. A node is a list: what to do with an
# error that ends here, if there was one, and the nodes beyond. What to do is a tuple:
# what takes the duration, what takes the moment, the problem, and the objects whose
# ids led here, kept so that no id is used again.
Known: TypeAlias = (
    "tuple[Callable[[float], None], Callable[[float], None], Group, tuple[object, ...]]"
)
Trie: TypeAlias = "dict[type, list[Any]]"


class Problems:
    """All problems of this process since their last harvest."""

    __slots__ = ("_groups", "_known", "_registry", "_retired")

    def __init__(self, registry: "Registry") -> None:
        """Start empty."""
        self._registry = registry
        self._groups: dict[tuple[Any, ...], Group] = {}
        self._retired: list[Group] = []
        self._known: list[Trie] = []  # one entry for each end, to be emptied

    def meet(
        self,
        error: Exception,
        started_s: float,
        outcome: "Outcome",
        append: "Callable[[float], None]",
    ) -> None:
        """Count an exception that leaves a probed call and was not looked up.

        Args:
            error: What was raised; nothing of it is kept.
            started_s: When the call began, ``perf_counter()`` seconds.
            outcome: The function's, which remembers what it has met.
            append: Takes the durations of its calls that end like this one.

        """
        trace = error.__traceback__
        # The first frame asks: a wrapper, or the function itself when it is woven.
        asks = trace and trace.tb_frame
        if trace is not None and asks is not None and not is_woven(asks.f_code):
            asks, trace = None, trace.tb_next
        own, is_counted = self._own_frames(error, trace, started_s, asks)
        if is_counted:
            return
        try:
            if is_marked(error, started_s):
                return
            group = self._group(type_name(type(error)), trace, own)
            if group is None:
                return
            codes = _codes(trace)
            if len(codes) == own and len(self._known) < KNOWN_LIMIT:
                others = codes[1:] if asks else codes
                if not any(map(is_woven, others)):  # their turn to count may come
                    self._remember(outcome, type(error), others, append, group)
            now_s = perf_counter()
            group.times_s.append(now_s)
            self.sample(group, error, {"code.function.name": outcome.name}, now_s)
        except RecursionError:
            raise  # the wrapper marks this call, so that the next one tries again
        except Exception as failure:
            self._fail(failure)

    def is_passed_on(self, error: BaseException, started_s: float) -> bool:
        """Whether a woven function that was called since *started_s* has counted it.

        What most calls that an exception leaves on its way outward ask; the answer is
        found a few frames below, however long the traceback. The first frame is that
        of the woven function that asks.
        """
        first = above = error.__traceback__
        is_same = True
        for _ in range(WALK_LIMIT):
            below = above and above.tb_next
            if first is None or above is None or below is None:
                break
            is_same = is_same and _has_called(above, below)
            frame = below.tb_frame
            if is_woven(frame.f_code) and frame is not first.tb_frame:
                inner_s = _counted_at(frame.f_code, error)
                return (
                    _knows(error, is_same) if inner_s is None else inner_s >= started_s
                )
            above = below
        return False

    def _own_frames(
        self,
        error: BaseException,
        trace: "TracebackType | None",
        started_s: float,
        asks: "FrameType | None" = None,
    ) -> "tuple[int, bool]":
        """How many frames belong to this journey, and whether a probe has counted it.

        A probe below knows when its call began: since *started_s*, and it has counted
        the exception; before, and an older journey of the same exception object begins
        there (one object raised again and again). *asks* is the frame of the woven
        code that wants to know, which is the first.
        """
        own, first, is_any = 0, trace, started_s == _EVER
        while trace is not None and own < WALK_LIMIT:
            frame = trace.tb_frame
            code = frame.f_code
            inner_s = None
            if code.co_filename == FILENAME:
                inner_s = _start_of(frame, code)
            elif is_woven(code) and frame is not asks:
                inner_s = _counted_at(code, error)
                if inner_s is None and _knows(error, is_any or own < _journey(first)):
                    return own, True
            if inner_s is not None and inner_s >= started_s:
                return own, True
            if inner_s is not None:
                return _journey(first), False
            trace = trace.tb_next
            own += 1
        return own, False

    def _remember(
        self,
        outcome: "Outcome",
        kind: type,
        codes: "list[CodeType]",
        append: "Callable[[float], None]",
        group: Group,
    ) -> None:
        if outcome.leads_in:
            if not codes:  # the function was not entered: rare, and not looked up
                return
            codes = codes[1:]
        known = outcome.known
        node = known.setdefault(kind, [None, {}])
        for code in codes:
            node = node[1].setdefault(id(code), [None, {}])
        end: Known = (append, group.times_s.append, group, tuple(codes))
        node[0] = end
        self._known.append(known)

    def sample(
        self,
        group: Group,
        error: BaseException,
        attributes: "Mapping[str, Any]",
        now_s: float,
        severity: int = 17,
        *,
        counted: bool = True,
    ) -> None:
        """Queue an event for this occurrence, if its problem's bucket allows."""
        registry = self._registry
        sparing = registry.thrift.few_samples
        if not group.may_sample(now_s, counted=counted, sparing=sparing):
            if not counted:
                registry.loss("events", "rate_limited")
            return
        trails = trails_of(error)
        group.message, group.trails = trails[-1].message, trails
        now_ns, ids = registry.clock.wall_ns(), registry.ids()
        registry.events.put(Sample(now_ns, group, trails, attributes, ids, severity))

    def sample_known(
        self,
        group: Group,
        error: BaseException,
        function: str,
        now_s: float,
    ) -> None:
        """The same from the short path, where nothing may be raised."""
        try:
            self.sample(group, error, {"code.function.name": function}, now_s)
        except Exception as failure:
            self._fail(failure)

    def record(
        self,
        error: BaseException,
        attributes: "Mapping[str, Any]",
        severity: int,
    ) -> None:
        """Count an exception that the application has handled.

        One that a probe or a job has counted already is not counted again;
        attributes, if any are given, still make an event.
        """
        trace = error.__traceback__
        own, is_counted = self._own_frames(error, trace, _EVER, catcher_of(error))
        is_counted = is_counted or is_marked(error)
        if is_counted and not attributes:
            return
        steps = WALK_LIMIT if is_counted else own
        group = self._group(type_name(type(error)), trace, steps)
        if group is None:
            return
        now_s = perf_counter()
        if not is_counted:
            group.times_s.append(now_s)
            mark_recorded(error, is_sure=False)
        counted = not is_counted
        self.sample(group, error, attributes, now_s, severity, counted=counted)

    def _group(
        self,
        type_: str,
        trace: "TracebackType | None",
        steps: int,
    ) -> "Group | None":
        places = places_of(trace, steps)
        key = (type_, signature_of(places))
        group = self._groups.get(key)
        if group is None:
            if len(self._groups) >= GROUPS_LIMIT:
                self._registry.loss("events", "problem_limit")
                return None
            made = Group(*key, culprit_of(places))
            group = self._groups.setdefault(key, made)
        return group

    def _fail(self, failure: Exception) -> None:
        self._registry.loss("events", "internal_error")
        notice("problem", f"an error was not grouped: {type_name(type(failure))}")

    @property
    def any(self) -> bool:
        """Whether there was an error in this process lately."""
        return bool(self._groups)

    def fold(self) -> None:
        """Bound the memory of what waits; under the registry's lock."""
        for group in list(self._groups.values()):
            group.fold(self._registry)

    def harvest(self, into: "Harvest") -> None:
        """Write the counts into *into*; under the registry's lock."""
        groups = list(self._groups.values())
        for group in self._retired + groups:
            problem = group.take(self._registry)
            if problem is not None:
                into.problems.append(problem)
        self._retired = []
        if len(groups) >= GROUPS_LIMIT or len(self._known) >= KNOWN_LIMIT:
            known, self._known = self._known, []
            for trie in known:
                trie.clear()
        if len(groups) >= GROUPS_LIMIT:
            # Begin anew; another thread may be counting in one of these just now.
            self._retired, self._groups = groups, {}

    def forget(self) -> None:
        """In a forked child: what occurred belongs to the parent."""
        for group in self._retired + list(self._groups.values()):
            group.forget()


def _journey(trace: "TracebackType | None") -> int:
    """How many frames were called by one another, from the first on."""
    length = 0
    while trace is not None:
        length += 1
        following = trace.tb_next
        if following is None or not _has_called(trace, following):
            break
        trace = following
    return length


def _has_called(above: "TracebackType", below: "TracebackType") -> bool:
    """Whether the frame of *below* was called by that of *above*.

    A generator's or a coroutine's does not tell, for who has resumed it last may be an
    event loop; it belongs to the one above as far as one knows.
    """
    if below.tb_frame is above.tb_frame:  # caught there and raised again
        return True
    if below.tb_frame.f_code.co_flags & _RESUMED:
        return True
    return below.tb_frame.f_back is above.tb_frame


def _knows(error: BaseException, is_same: bool) -> bool:  # noqa: FBT001 - ours alone
    """Whether a woven function has counted *error*, of which it knows no more.

    It has if it belongs to the same journey, unless there was no stack to do so.
    """
    return is_same and not isinstance(error, RecursionError)


def _counted_at(code: "CodeType", error: BaseException) -> "float | None":
    """When the call of woven *code* began that has counted *error* last.

    None if another exception has left the same function since.
    """
    witness = witness_of(code)
    is_it = witness is not None and witness.seen_id == id(error)
    return witness.seen_s if witness is not None and is_it else None


def _start_of(frame: "FrameType", code: "CodeType") -> "float | None":
    """When the call of a wrapper's frame began; None if it could not count errors."""
    position = code.co_argcount + code.co_kwonlyargcount
    position += bool(code.co_flags & 0x04) + bool(code.co_flags & 0x08)
    own = (name for name in code.co_varnames[position:] if name.endswith("_t0"))
    started_s = frame.f_locals.get(next(own, ""))
    return started_s if isinstance(started_s, float) else None


def _codes(trace: "TracebackType | None") -> "list[CodeType]":
    codes: list[CodeType] = []
    while trace is not None and len(codes) < WALK_LIMIT:
        codes.append(trace.tb_frame.f_code)
        trace = trace.tb_next
    return codes
