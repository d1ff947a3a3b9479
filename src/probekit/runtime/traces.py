"""Traces as a part of the runtime: checked with the settings, loaded when wanted."""

import atexit
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from probekit.model import AttributeValue

if TYPE_CHECKING:
    from probekit.recording.registry import Registry
    from probekit.tracing.connection import Connection
    from probekit.tracing.policy import Plan

_connection: "Connection | None" = None
_registered = False


def checked(traces: Any) -> "Plan | None":
    """Understand the setting; None for no traces.

    Raises:
        ConfigError: It is neither a share nor a policy.

    """
    if traces is None:
        return None
    from probekit.tracing.policy import plan_of

    return plan_of(traces)


def switch_on(
    plan: "Plan | None",
    registry: "Registry",
    resource: Mapping[str, AttributeValue],
    flush: "Callable[[float], bool]",
) -> None:
    """Switch traces on, or leave them off without a plan."""
    global _connection, _registered
    switch_off()
    if plan is None:
        return
    from probekit.tracing.connection import connect

    _connection = connect(registry, plan, resource, flush)
    if not _registered:
        # Called before the runtime's own end, which was registered earlier.
        _registered = True
        atexit.register(_finish)


def switch_off() -> None:
    """Switch traces off; traces that wait are decided."""
    global _connection
    connection, _connection = _connection, None
    if connection is not None:
        connection.close()


def _finish() -> None:
    if _connection is not None:
        try:
            _connection.finish()
        except Exception as error:  # the exit goes on whatever happens here
            from probekit.notice import notice

            notice("traces-end", "traces without an end may be missing", error)
