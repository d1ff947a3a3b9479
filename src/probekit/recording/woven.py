"""How woven code is told from other code, and what it looks at; light on purpose."""

from itertools import count
from types import CodeType, MethodType

from probekit.hints import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from probekit.recording.registry import Registry

_LAST_CONSTANTS = 24  # ours are the last ones of woven code


class Tally:
    """Counts exactly from any thread, in C, and can be read meanwhile.

    Attributes:
        tick: Adds one and returns the count before.
    """

    __slots__ = ("_counter", "tick")

    def __init__(self) -> None:
        """Start at zero."""
        self._counter = count()
        self.tick: Callable[[], int] = self._counter.__next__

    def read(self) -> int:
        """How many times ``tick`` was called."""
        # The only way to see the number without taking it that no Python deprecates.
        return int(repr(self._counter)[6:-1])


class Witness:
    """Takes the exceptions that leave one woven function, and knows the last one.

    Written without a lock, from any thread; nothing can come in between the two.

    Attributes:
        seen_id: Its number; nothing keeps the exception alive.
        seen_s: When the call began that it ended, ``perf_counter()`` seconds; of a
            call that is only counted, when it ended.
    """

    __slots__ = ("seen_id", "seen_s")

    def __init__(self) -> None:
        """Start without one."""
        self.seen_id, self.seen_s = 0, 0.0


class Gate:
    """A registry as woven code sees it; hashable, as constants of code must be.

    Attributes:
        registry: Where calls are recorded.
        deadline: The watch's.
        clear: The watch's.
        missed: Takes something where the stack had no room to record an error.
    """

    __slots__ = ("_missed", "clear", "deadline", "missed", "registry")

    def __init__(self, registry: "Registry") -> None:
        """Look at *registry*'s watch."""
        self.registry = registry
        self.deadline = registry.watch.deadline
        self.clear = registry.watch.clear
        self._missed: list[float] = []
        self.missed = self._missed.append

    def due(self) -> bool:
        """Whether the call at hand is not to be recorded."""
        return self.registry.due()

    def take_missed(self) -> int:
        """How many calls were lost since this was asked last."""
        missed = len(self._missed)
        del self._missed[:missed]
        return missed

    def forget(self) -> None:
        """In a forked child: what was lost is the parent's loss."""
        self._missed.clear()

    def __reduce__(self) -> Any:
        """Pickled code (cloudpickle's) records into the registry of where it runs."""
        return _gate_here, ()


def _gate_here() -> Gate:
    from probekit.recording.registry import REGISTRY

    return REGISTRY.gate


def is_woven(code: CodeType) -> bool:
    """Whether *code* has the recording inside; the gate is its last constant."""
    return type(code.co_consts[-1:][0] if code.co_consts else None) is Gate


def witness_of(code: CodeType) -> "Witness | None":
    """Who takes the exceptions that leave woven *code*; None if nobody does."""
    for constant in reversed(code.co_consts[-_LAST_CONSTANTS:]):
        if type(constant) is MethodType and isinstance(constant.__self__, Witness):
            return constant.__self__
    return None
