"""Exceptions that nobody caught: the hooks of sys and threading, each one chained.

What stood there before is called afterwards, with the same arguments. ``SystemExit``
and ``KeyboardInterrupt`` are no errors.
"""

from types import ModuleType
from typing import Any

from probekit.integrations.libraries.figures import told
from probekit.integrations.libraries.patching import Patches
from probekit.model import SEVERITY_ERROR, SEVERITY_FATAL
from probekit.recording.errors.seen import Recorded
from probekit.recording.events import record_error
from probekit.recording.registry import REGISTRY


def patch(patches: Patches, module: ModuleType) -> None:
    """Chain the hooks of ``sys`` or of ``threading``."""
    if module.__name__ == "threading":
        _chain_threading(patches, module)
    else:
        _chain_sys(patches, module)


def _chain_sys(patches: Patches, module: Any) -> None:
    excepthook, unraisablehook = module.excepthook, module.unraisablehook

    def on_exception(kind: Any, error: Any, trace: Any) -> None:
        _record(patches, error, SEVERITY_FATAL)
        with Recorded(error):  # whoever comes next may log it
            excepthook(kind, error, trace)

    def on_unraisable(unraisable: Any) -> None:
        _record(patches, unraisable.exc_value, SEVERITY_ERROR)
        with Recorded(unraisable.exc_value):
            unraisablehook(unraisable)

    patches.replace(module, "excepthook", on_exception)
    patches.replace(module, "unraisablehook", on_unraisable)


def _chain_threading(patches: Patches, module: Any) -> None:
    excepthook = module.excepthook

    def on_exception(args: Any) -> None:
        _record(patches, args.exc_value, SEVERITY_ERROR)
        with Recorded(args.exc_value):
            excepthook(args)

    patches.replace(module, "excepthook", on_exception)


def _record(patches: Patches, error: object, severity: int) -> None:
    try:
        if patches.active and isinstance(error, Exception):
            record_error(REGISTRY, error, severity=severity)
    except Exception as failure:
        told("unhandled", failure)
