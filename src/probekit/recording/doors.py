"""What users ask of the registry itself: to observe their own levels, to be silent."""

from typing import TypeVar

from probekit.observer import Observe
from probekit.recording.quiet import Suppression
from probekit.recording.registry import REGISTRY

C = TypeVar("C", bound=Observe)


def observe(callback: C) -> C:
    """Let probekit ask *callback* for your own gauges, again and again.

    The callback gets a :class:`probekit.observer.Observer` and tells it levels and
    totals. Usable as a decorator.

    Args:
        callback: Called about five times a second; quick, and free of side effects.

    Returns:
        The callback.

    Raises:
        ConfigError: It is not callable.

    Threads:
        The callback runs on probekit's thread. One that raises is told to the logger
        once a minute and asked again next time; after five times in a row it is left
        alone for five minutes.

    Example:
        >>> jobs = ["a", "b"]
        >>> @observe
        ... def queue_depth(observer):
        ...     observer.gauge("queue.depth", len(jobs))
        >>> REGISTRY.observers.remove(queue_depth)

    """
    return REGISTRY.observe(callback)


def suppress() -> Suppression:
    """Return a block in which the calling thread or task records nothing.

    Covers probes, bound and unbound instruments, events, errors and patched
    libraries. Tasks started inside inherit it. While a block is open anywhere, the
    calls of other threads cost about 0.3 µs more each.

    Example:
        >>> with suppress():
        ...     pass  # what is called here leaves no trace

    """
    return REGISTRY.suppress()
