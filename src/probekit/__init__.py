"""probekit: a flight recorder for Python applications.

It times functions, catches errors and counts business facts at a cost that nobody
notices, keeps everything in a local buffer so that nothing is lost, and delivers it
to any monitoring system. Importing this loads nothing: each name comes with its first
use.

Example:
    >>> import probekit
    >>> @probekit.probe
    ... def charge(amount):
    ...     return amount
    >>> charge(5)
    5

"""

import sys
from types import ModuleType

from probekit._version import __version__

# Said to type checkers, which know the name; typing itself would be nine tenths of
# what it takes to import us.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from probekit import exporters as exporters
    from probekit.errors import BadName as BadName
    from probekit.errors import BufferBusy as BufferBusy
    from probekit.errors import BufferCorrupt as BufferCorrupt
    from probekit.errors import BufferFailed as BufferFailed
    from probekit.errors import ConfigError as ConfigError
    from probekit.errors import ExportError as ExportError
    from probekit.errors import Forbidden as Forbidden
    from probekit.errors import MissingExtra as MissingExtra
    from probekit.errors import ProbekitError as ProbekitError
    from probekit.errors import Rejected as Rejected
    from probekit.errors import RetryLater as RetryLater
    from probekit.errors import TooLarge as TooLarge
    from probekit.integrations.libraries import (
        instrument_libraries as instrument_libraries,
    )
    from probekit.recording.doors import observe as observe
    from probekit.recording.doors import suppress as suppress
    from probekit.recording.events import event as event
    from probekit.recording.events import record_exception as record_exception
    from probekit.recording.functions.timer import timer as timer
    from probekit.recording.hook.modules import instrument as instrument
    from probekit.recording.hook.modules import uninstrument as uninstrument
    from probekit.recording.instruments import count as count
    from probekit.recording.instruments import counter as counter
    from probekit.recording.instruments import gauge as gauge
    from probekit.recording.instruments import histogram as histogram
    from probekit.recording.instruments import up_down_counter as up_down_counter
    from probekit.recording.probe import probe as probe
    from probekit.recording.underway.job import job as job
    from probekit.runtime import Client as Client
    from probekit.runtime import Status as Status
    from probekit.runtime import configure as configure
    from probekit.runtime import flush as flush
    from probekit.runtime import shutdown as shutdown
    from probekit.runtime import status as status

# Name -> module that has it; a module under its own name is the module itself.
_HOMES = {
    "probe": "recording.probe",
    "timer": "recording.functions.timer",
    "job": "recording.underway.job",
    "counter": "recording.instruments",
    "up_down_counter": "recording.instruments",
    "gauge": "recording.instruments",
    "histogram": "recording.instruments",
    "count": "recording.instruments",
    "event": "recording.events",
    "record_exception": "recording.events",
    "observe": "recording.doors",
    "suppress": "recording.doors",
    "configure": "runtime",
    "flush": "runtime",
    "shutdown": "runtime",
    "status": "runtime",
    "Client": "runtime",
    "Status": "runtime",
    "instrument": "recording.hook.modules",
    "uninstrument": "recording.hook.modules",
    "instrument_libraries": "integrations.libraries",
    "exporters": "",
    "ProbekitError": "errors",
    "ConfigError": "errors",
    "MissingExtra": "errors",
    "BadName": "errors",
    "BufferFailed": "errors",
    "BufferCorrupt": "errors",
    "BufferBusy": "errors",
    "ExportError": "errors",
    "RetryLater": "errors",
    "TooLarge": "errors",
    "Forbidden": "errors",
    "Rejected": "errors",
}

# Under PROBEKIT_DISABLE these are calls that do nothing.
_SILENCED = frozenset({
    "timer", "job", "counter", "up_down_counter", "gauge", "histogram", "count",
    "event", "record_exception",
})  # fmt: skip

# What these answer before ``configure``, so also while it loads what they are in: a
# signal's handler may end the application there.
_UNCONFIGURED = {"flush": False, "shutdown": True}

__all__ = [  # noqa: PLE0604 - the table above is the list
    "__version__",
    *_HOMES,
]


class _Front(ModuleType):
    """This module: loading ``probekit.histogram`` must not hide the function."""

    def __setattr__(self, name: str, value: "Any") -> None:
        """Set *name*, unless it is a submodule that is called like a function."""
        if not (name == "histogram" and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Front


def __getattr__(name: str) -> "Any":
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if not home:
        return _loaded(name)
    if name in _SILENCED and _loaded("recording.quiet").is_disabled():
        home = "recording.silent"
    try:
        value = getattr(_loaded(home), name)
    except AttributeError:  # a signal's handler, that came while it is being loaded
        if name not in _UNCONFIGURED:
            raise
        answer = _UNCONFIGURED[name]
        return lambda *_, **__: answer
    globals()[name] = value
    return value


def _loaded(home: str) -> "Any":
    """The module *home* of ours; importlib would load three others for this."""
    name = f"{__name__}.{home}"
    __import__(name)
    return sys.modules[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
