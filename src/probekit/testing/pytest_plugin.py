"""A pytest plugin: instruments modules while tests run, and has the fixture ``probe``.

Load it with ``-p probekit.testing.pytest_plugin``, or name it in ``pytest_plugins``.
Which modules: the option ``--probekit-instrument`` (may be repeated), the ini value
``probekit_instrument``, and ``PROBEKIT_INSTRUMENT`` in the environment, all together.
Nothing leaves the process: what is recorded stays in memory.
"""

import os
from collections.abc import Iterator

import pytest

from probekit.model import Harvest, Problem
from probekit.recording.hook.modules import INSTRUMENTATION, instrument, uninstrument
from probekit.recording.registry import REGISTRY, Registry


class Recorded:
    """What was recorded since the test began, ask after ask.

    Attributes:
        problems: Errors, grouped, in the order in which they were taken.
    """

    def __init__(self, registry: Registry = REGISTRY) -> None:
        """Forget what was recorded before."""
        self.problems: list[Problem] = []
        self._registry = registry
        self._calls: dict[tuple[str, str], int] = {}
        self._sums: dict[str, float] = {}
        registry.drain()

    def calls(self, name: str, error_type: "str | None" = None) -> int:
        """How often a function was called.

        Args:
            name: Its ``code.function.name``.
            error_type: Count only calls that ended with this error; with the empty
                text those that ended well, with None all.

        """
        self._take()
        return sum(
            calls
            for (found, error), calls in self._calls.items()
            if found == name and error_type in {None, error}
        )

    def total(self, name: str) -> float:
        """Sum of a counter over all its attributes."""
        self._take()
        return self._sums.get(name, 0.0)

    def _take(self) -> None:
        harvest = self._registry.drain()
        self.problems += harvest.problems
        for series_id, values in harvest.raw:
            self._count(harvest, series_id, len(values))
        for series_id, binned in harvest.binned:
            self._count(harvest, series_id, binned.count)
        for series_id, value in zip(harvest.sum_ids, harvest.sum_values, strict=True):
            name = harvest.series[series_id].name
            self._sums[name] = self._sums.get(name, 0.0) + value

    def _count(self, harvest: Harvest, series_id: int, calls: int) -> None:
        given = dict(harvest.series[series_id].attributes)
        name = given.get("code.function.name")
        if isinstance(name, str):
            key = name, str(given.get("error.type", ""))
            self._calls[key] = self._calls.get(key, 0) + calls


@pytest.fixture
def probe() -> Iterator[Recorded]:
    """What probekit records during this test.

    Yields:
        An object with ``calls(name, error_type=None)``, ``total(counter)`` and
        ``problems``.

    """
    yield Recorded()
    REGISTRY.drain()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option and the ini value."""
    group = parser.getgroup("probekit")
    group.addoption(
        "--probekit-instrument",
        action="append",
        default=[],
        metavar="PATTERN",
        help="time the functions of these modules while the tests run, as 'shop.*'",
    )
    parser.addini("probekit_instrument", "patterns of modules to time", "linelist")


def pytest_configure(config: pytest.Config) -> None:
    """Instrument what was asked for, before test modules are imported."""
    patterns = [
        *config.getoption("--probekit-instrument"),
        *config.getini("probekit_instrument"),
        *os.environ.get("PROBEKIT_INSTRUMENT", "").split(","),
    ]
    patterns = [pattern.strip() for pattern in patterns if pattern.strip()]
    if patterns:
        instrument(*patterns)


def pytest_unconfigure() -> None:
    """Put everything back."""
    uninstrument()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many functions were timed, if any."""
    timed = sum(1 for _ in INSTRUMENTATION)
    if timed:
        left = len(INSTRUMENTATION.left)
        terminalreporter.write_line(f"probekit: {timed} functions timed, {left} left")
