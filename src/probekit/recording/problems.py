"""Errors, grouped: the same type at the same place is one problem with a count.

The count is exact; samples (events with a stack) are limited per problem. One
exception that passes several probes is one occurrence: the wrapper nearest to its
origin counts it, and the others see that wrapper's frame in the traceback.
"""

from collections.abc import Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from probekit.model import Harvest, Problem
from probekit.naming import VALUE_LIMIT
from probekit.notice import notice
from probekit.recording.attributes import type_name
from probekit.recording.quiet import suppressed
from probekit.recording.stack import (
    WALK_LIMIT,
    Trail,
    culprit_of,
    places_of,
    signature_of,
    text_of,
    trails_of,
)
from probekit.recording.template import FILENAME

if TYPE_CHECKING:
    from types import CodeType, FrameType, TracebackType

    from probekit.recording.registry import Registry

BURST = 50  # samples of one problem at once
PER_SECOND = 1.0  # and afterwards
GROUPS_LIMIT = 1000
MESSAGE_LIMIT = 256


class Sample(NamedTuple):
    """One occurrence with its text, on the way to becoming an event."""

    time_unix_ns: int
    group: "Group"
    trails: "tuple[Trail, ...]"
    attributes: "Mapping[str, Any]"
    ids: "tuple[str, str]"
    severity: int


class Group:
    """One problem of this process.

    Attributes:
        type: Class name of the exception.
        signature: The application's frames; with the type, the identity.
        culprit: Innermost of them.
        times_ns: When it occurred, since the last fold.
        message: The newest sampled message.
        trails: The newest sampled stack.
    """

    __slots__ = (
        "_fingerprint",
        "_first_ns",
        "_folded",
        "_kept",
        "_last_ns",
        "_refilled_s",
        "_tokens",
        "culprit",
        "message",
        "signature",
        "times_ns",
        "trails",
        "type",
    )

    def __init__(self, type_: str, signature: "tuple[Any, ...]", culprit: str) -> None:
        """Start without occurrences, with a full bucket."""
        self.type = type_
        self.signature = signature
        self.culprit = culprit
        self.times_ns: list[int] = []
        self.message = ""
        self.trails: tuple[Trail, ...] = ()
        self._fingerprint = ""
        self._folded = 0
        self._first_ns = self._last_ns = 0
        self._tokens = float(BURST)
        self._refilled_s = 0.0

    @property
    def fingerprint(self) -> str:
        """16 hex digits over type and frames."""
        if not self._fingerprint:
            import hashlib

            text = "\n".join([self.type, *(".".join(n) for n in self.signature)])
            digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8)
            self._fingerprint = digest.hexdigest()
        return self._fingerprint

    def may_sample(self, now_s: float) -> bool:
        """Take a token if there is one; a race may let one too many pass."""
        tokens = self._tokens + (now_s - self._refilled_s) * PER_SECOND
        self._refilled_s = now_s
        if tokens > BURST:
            tokens = float(BURST)
        allowed = tokens >= 1.0
        self._tokens = tokens - allowed
        return allowed

    def fold(self) -> None:
        """Turn times into a count and two moments; under the registry's lock."""
        length = len(self.times_ns)
        times = self.times_ns[:length]
        del self.times_ns[:length]
        if times:
            if not self._folded:
                self._first_ns = min(times)
            self._last_ns = max(times)
            self._folded += length

    def take(self, registry: "Registry") -> "Problem | None":
        """What occurred since the last call; under the registry's lock."""
        self.fold()
        if not self._folded:
            return None
        count, self._folded = self._folded, 0
        scrub = registry.scrub
        return Problem(
            fingerprint=self.fingerprint,
            type=self.type,
            message=scrub.text(self.message)[:MESSAGE_LIMIT],
            culprit=self.culprit,
            stack=scrub.text(text_of(self.trails)),
            first_seen_unix_ns=self._first_ns,
            last_seen_unix_ns=self._last_ns,
            count=count,
        )

    def forget(self) -> None:
        """Drop occurrences; the bucket stays as it is."""
        del self.times_ns[:]
        self._folded = 0


class Problems:
    """All problems of this process since their last harvest."""

    __slots__ = ("_by_codes", "_groups", "_pins", "_registry")

    def __init__(self, registry: "Registry") -> None:
        """Start empty."""
        self._registry = registry
        self._groups: dict[tuple[Any, ...], Group] = {}
        # By ids of type and code objects: what an error costs that was seen before.
        self._by_codes: dict[tuple[int, ...], Group] = {}
        self._pins: list[object] = []  # keeps those ids from being used again

    def caught(self, error: Exception, started_s: float, function: str) -> None:
        """Count an exception that leaves a probed call.

        Args:
            error: What was raised; nothing of it is kept.
            started_s: When the call began, ``perf_counter()`` seconds.
            function: Name of the probed function.

        """
        if suppressed():
            return
        trace = error.__traceback__
        if trace is not None:
            trace = trace.tb_next  # the first frame is the wrapper that asks
        key, known = _walk(type(error), trace, started_s)
        if known:
            return
        try:
            group = self._by_codes.get(key)
            if group is None:
                group = self._group(error, trace, key)
            if group is not None:
                self._occur(group, error, {"code.function.name": function}, 17)
        except RecursionError:
            raise  # the wrapper marks this call, so that the next one tries again
        except Exception as failure:
            self._registry.loss("events", "internal_error")
            notice("problem", f"an error was not grouped: {type_name(type(failure))}")

    def record(
        self,
        error: BaseException,
        attributes: "Mapping[str, Any]",
        severity: int,
    ) -> None:
        """Count an exception that the application has handled.

        One that a probe has counted already is not counted again; attributes, if
        any are given, still make an event.
        """
        trace = error.__traceback__
        key, known = _walk(type(error), trace, float("-inf"))
        group = self._by_codes.get(key) or self._group(error, trace, key)
        if group is None or (known and not attributes):
            return
        self._occur(group, error, attributes, severity, count=not known)

    def _occur(
        self,
        group: Group,
        error: BaseException,
        attributes: "Mapping[str, Any]",
        severity: int,
        *,
        count: bool = True,
    ) -> None:
        registry = self._registry
        now_ns = registry.clock.wall_ns()
        if count:
            group.times_ns.append(now_ns)
        if not group.may_sample(perf_counter()):
            registry.loss("events", "rate_limited")
            return
        trails = trails_of(error)
        group.message, group.trails = trails[-1].message[:VALUE_LIMIT], trails
        sample = Sample(now_ns, group, trails, attributes, registry.ids(), severity)
        registry.events.put(sample)

    def _group(
        self,
        error: BaseException,
        trace: "TracebackType | None",
        key: "tuple[int, ...]",
    ) -> "Group | None":
        places = places_of(trace)
        name = type_name(type(error))
        signature = signature_of(places)
        group = self._groups.get((name, signature))
        if group is None:
            if len(self._groups) >= GROUPS_LIMIT:
                self._registry.loss("events", "problem_limit")
                return None
            made = Group(name, signature, culprit_of(places))
            group = self._groups.setdefault((name, signature), made)
        if len(self._by_codes) < 4 * GROUPS_LIMIT:
            self._pins.append((type(error), _codes(trace)))
            self._by_codes[key] = group
        return group

    def fold(self) -> None:
        """Bound the memory of what waits; under the registry's lock."""
        for group in list(self._groups.values()):
            group.fold()

    def harvest(self, into: Harvest) -> None:
        """Write the counts into *into*; under the registry's lock."""
        groups = list(self._groups.values())
        for group in groups:
            problem = group.take(self._registry)
            if problem is not None:
                into.problems.append(problem)
        if len(groups) >= GROUPS_LIMIT or len(self._by_codes) >= 4 * GROUPS_LIMIT:
            self._by_codes, self._groups, self._pins = {}, {}, []

    def forget(self) -> None:
        """In a forked child: what occurred belongs to the parent."""
        for group in list(self._groups.values()):
            group.forget()


def _walk(
    kind: type,
    trace: "TracebackType | None",
    started_s: float,
) -> "tuple[tuple[int, ...], bool]":
    """Ids of the type and the code objects below, and whether a probe has counted."""
    ids = [id(kind)]
    steps = WALK_LIMIT
    while trace is not None and steps:
        frame = trace.tb_frame
        code = frame.f_code
        if code.co_filename == FILENAME:
            inner_s = _start_of(frame, code)
            if inner_s is not None:
                if inner_s >= started_s:
                    return (), True
                break  # an older journey of the same exception object begins here
        else:
            ids.append(id(code))
        trace = trace.tb_next
        steps -= 1
    return tuple(ids), False


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
