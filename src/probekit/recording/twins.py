"""The twins that ``probe`` has made of functions, and their sleep.

While recording is switched off a twin is the same function object with other code: of
a woven one the function's own, of a wrapper what ``idle`` makes of it.
"""

from _weakref import ref  # weakref itself brings a set that nobody needs here
from types import CodeType, FunctionType

from probekit.hints import NamedTuple


class Twin(NamedTuple):
    """What is known of one twin.

    Attributes:
        function: The twin itself.
        codes: Of a woven one: what it does awake, and asleep; None of a wrapper.
        counted: Whether its calls are only counted.
    """

    function: "ref[FunctionType]"
    codes: "tuple[CodeType, CodeType] | None"
    counted: bool

    def turn(self, *, asleep: bool) -> None:
        """Put it to sleep, or wake it; somebody else's code stays."""
        function = self.function()
        if function is None:
            return
        if self.codes is None:
            from probekit.recording.idle import put_to_sleep, wake

            (put_to_sleep if asleep else wake)(function)
        elif function.__code__ is self.codes[not asleep]:
            function.__code__ = self.codes[asleep]


_KNOWN: "dict[int, Twin]" = {}  # of all registries


class Twins:
    """The twins of one registry, awake or asleep all together.

    Keeps none of them alive. Threads: any; two that switch at once may leave a twin
    as the other one wanted it, which records nothing wrong: it asks the watch.
    """

    __slots__ = ("_asleep", "_twins")

    def __init__(self) -> None:
        """Start awake, without twins."""
        self._asleep = False
        self._twins: dict[int, Twin] = {}

    def add(
        self,
        function: FunctionType,
        *,
        original: "CodeType | None" = None,
        counted: bool = False,
    ) -> None:
        """Take a new one.

        Args:
            function: The twin.
            original: The code that it was woven from; None of a wrapper.
            counted: Whether its calls are only counted.

        """
        # Held here: at the interpreter's end functions outlive the names of modules.
        key, mine, known = id(function), self._twins, _KNOWN

        def gone(_: object) -> None:
            mine.pop(key, None)
            known.pop(key, None)

        codes = None if original is None else (function.__code__, original)
        twin = mine[key] = _KNOWN[key] = Twin(ref(function, gone), codes, counted)
        if self._asleep:
            twin.turn(asleep=True)

    def renew(self, function: FunctionType, code: CodeType) -> None:
        """Know *function*, if it is a twin, by another copy of its woven code."""
        twin = self._twins.get(id(function))
        if twin is not None and twin.codes is not None:
            renewed = twin._replace(codes=(code, twin.codes[1]))
            self._twins[id(function)] = _KNOWN[id(function)] = renewed

    def switch(self, *, asleep: bool) -> None:
        """Put all to sleep, or wake them."""
        self._asleep = asleep
        for twin in list(self._twins.values()):
            twin.turn(asleep=asleep)


def twin_of(function: object) -> "Twin | None":
    """What is known of *function*, if ``probe`` has made it; awake or asleep."""
    twin = _KNOWN.get(id(function))
    return twin if twin is not None and twin.function() is function else None
