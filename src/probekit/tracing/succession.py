"""A provider of ours gives way to one that the application sets later.

OpenTelemetry lets its global provider be set once. Under ``probekit run``, and wherever
``configure`` comes first, that once would be ours, and the application's provider with
its exporters would be refused. So the once is left to the application.
"""

import threading
from collections.abc import Callable
from typing import Any

from opentelemetry import trace

from probekit.notice import notice

_ONCE = "_TRACER_PROVIDER_SET_ONCE"


class Throne:
    """Stands in for OpenTelemetry's own ``Once`` while our provider is the global one.

    Threads:
        Any; whoever sets the provider waits for who sets it at the same time.
    """

    def __init__(self, succeeded: "Callable[[], None]") -> None:
        """Free; *succeeded* is called when another provider has been set."""
        self._succeeded = succeeded
        self._lock = threading.RLock()
        self._is_taken = False

    def do_once(self, set_provider: "Callable[[], None]") -> bool:
        """Let the first who asks set the provider; say whether it could."""
        with self._lock:
            if self._is_taken:
                return False
            self._is_taken = True
            set_provider()
        try:
            self._succeeded()
        except Exception as error:
            notice("traces-join", "the application's provider not joined", error)
        return True


def leave_free(succeeded: "Callable[[], None]") -> None:
    """Let the application set its provider after ours.

    Args:
        succeeded: Called when it has, on the thread that did.

    """
    if hasattr(trace, _ONCE):  # else this version keeps it elsewhere: ours stays
        setattr(trace, _ONCE, Throne(succeeded))


def pass_on(ours: Any, theirs: Any) -> None:
    """Hand what tracers of *ours* still make to the processors of *theirs*."""
    active = getattr(theirs, "_active_span_processor", None)
    if active is not None:
        ours.add_span_processor(active)
