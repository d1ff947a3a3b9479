"""What is read on a timer: the host, this process, the interpreter.

A source is a callable that takes an ``Observer`` and says what it reads; it never
raises, and what cannot be read on this machine (a container, another system, a
missing file) is left out. ``runtime`` comes here: host figures once per host by the
leader, process and interpreter figures by each process's pump. Linux is read from
``/proc``; psutil, elsewhere, is imported at the first reading, never before.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from probekit.observer import Observe

if TYPE_CHECKING:
    from probekit.buffer.status import BufferStatus
    from probekit.sources.own import Governed


def host_source() -> Observe:
    """Make a reader of the host's figures; give it to one process per host.

    Threads:
        One thread at a time. The first reading is the base line of the counters.

    """
    from probekit.sources.host import HostSource

    return HostSource()


def process_source() -> Observe:
    """Make a reader of this process's figures; it begins anew in a forked child.

    Threads:
        One thread at a time.

    """
    from probekit.sources.process import ProcessSource

    return ProcessSource()


def interpreter_source() -> Observe:
    """Make a reader of the interpreter's garbage collector.

    Threads:
        One thread at a time.

    """
    from probekit.sources.interpreter import InterpreterSource

    return InterpreterSource()


def overhead_source(governor: "Governed") -> Observe:
    """Make a reader of what probekit itself costs in this process.

    Threads:
        The one that the governor looks on.

    """
    from probekit.sources.own import OverheadSource

    return OverheadSource(governor)


def buffer_source(status: "Callable[[], BufferStatus]") -> Observe:
    """Make a reader of the buffer's own state; give it to the leader.

    Threads:
        One at a time; reads the buffer.

    """
    from probekit.sources.own import BufferSource

    return BufferSource(status)
