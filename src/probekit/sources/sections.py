"""Runs the parts of a source so that one unreadable file costs one part only."""

from collections.abc import Iterable

from probekit.observer import Observe, Observer


class Sections:
    """A source made of smaller ones, each fenced off from the others.

    Attributes:
        skipped: Part → name of the error that its last reading ended with. For
            ``doctor``; a part that can be read again leaves it.
    """

    __slots__ = ("_parts", "skipped")

    def __init__(self, parts: "Iterable[tuple[str, Observe]]") -> None:
        """Keep the parts; each has a name for people."""
        self._parts = tuple(parts)
        self.skipped: dict[str, str] = {}

    def __call__(self, observer: Observer) -> None:
        """Read every part; one that fails is noted and left out.

        A container hides files, another system never had them: that is no fault, so
        nobody is told.
        """
        for name, read in self._parts:
            try:
                read(observer)
            except Exception as error:  # noqa: PERF203 - a call for each costs as much
                self.skipped[name] = type(error).__name__
            else:
                if self.skipped:
                    self.skipped.pop(name, None)
