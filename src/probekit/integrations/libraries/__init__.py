"""Other people's libraries, recorded with one line and put back with another.

:func:`instrument_libraries` patches the clients, drivers and parts of the standard
library that are there, now or when they are imported; :func:`uninstall` restores each
original by identity. Nothing here runs at import, and no library is imported by us.
"""

import os
from collections.abc import Iterable
from importlib import import_module
from threading import Lock
from types import ModuleType

from probekit.errors import ConfigError
from probekit.integrations.libraries import contrib
from probekit.integrations.libraries.catalogue import (
    LIBRARIES,
    Library,
    names_of,
    unknown,
)
from probekit.integrations.libraries.patching import Patches
from probekit.notice import notice

__all__ = ["instrument_libraries", "uninstall"]

_lock = Lock()
_active: "dict[str, Patches]" = {}
_hooked: "set[tuple[str, str]]" = set()


def instrument_libraries(
    only: "str | Iterable[str] | None" = None,
    exclude: "str | Iterable[str]" = (),
) -> "tuple[str, ...]":
    """Record what the application does through other people's libraries.

    Each library is patched once, when it is there: at once if it has been imported,
    else at the end of its import. OpenTelemetry's own instrumentations, where they are
    installed and probekit has none for that library, are switched on too.

    Args:
        only: Name or names of libraries; None for all that are installed. A name that
            is asked for must exist and be installed.
        exclude: Name or names to leave alone.

    Returns:
        Names of the libraries that are patched or waited for, sorted.

    Raises:
        ConfigError: A name is unknown (the nearest known one is named), or a library
            in *only* is not installed. Nothing is changed then.

    Threads:
        Any; patches while holding a lock of its own.

    Example:
        >>> instrument_libraries(only="sqlite3")
        ('sqlite3',)
        >>> uninstall()

    """
    unwanted = set(names_of(exclude, "exclude"))
    if only is None:
        libraries = [library for library in LIBRARIES.values() if library.is_installed]
        others = contrib.names()
    else:
        libraries, others = _asked_for(names_of(only, "only"))
    for name in unwanted:
        if name not in LIBRARIES and name not in contrib.names():
            raise unknown(name, contrib.names(), "exclude")
    if os.environ.get("PROBEKIT_DISABLE") == "1":
        return ()
    with _lock:
        for library in libraries:
            if library.name not in unwanted:
                _install(library)
        contrib.activate(name for name in others if name not in unwanted)
        return tuple(sorted([*_active, *contrib.active()]))


def uninstall() -> None:
    """Put every library back as it was found, by identity; asked twice, does nothing.

    Threads:
        Any. Calls that are under way end as they began.

    """
    with _lock:
        for patches in _active.values():
            patches.undo()
        _active.clear()
        contrib.deactivate()


def _asked_for(names: "tuple[str, ...]") -> "tuple[list[Library], list[str]]":
    libraries, others = [], []
    for name in names:
        library = LIBRARIES.get(name)
        if library is None:
            if name not in contrib.names():
                raise unknown(name, contrib.names(), "only")
            others.append(name)
        elif library.is_installed:
            libraries.append(library)
        else:
            raise ConfigError(f"only: the library {name!r} is not installed here")
    return libraries, others


def _install(library: Library) -> None:
    if library.name in _active:
        return
    import wrapt

    _active[library.name] = Patches()
    for awaited in library.awaits:
        key = (library.name, awaited)
        if key in _hooked:
            _patch_if_imported(library, awaited)
            continue
        _hooked.add(key)  # wrapt's hooks cannot be taken back: ours asks who is active

        def imported(module: ModuleType, library: Library = library) -> None:
            _patch(library, module)

        wrapt.register_post_import_hook(imported, awaited)


def _patch_if_imported(library: Library, awaited: str) -> None:
    import sys

    module = sys.modules.get(awaited)
    if module is not None:
        _patch(library, module)


def _patch(library: Library, module: ModuleType) -> None:
    patches = _active.get(library.name)
    if patches is None:
        return
    try:
        import_module(library.room).patch(patches, module)
    except Exception as error:
        patches.undo()
        notice(
            f"library-{library.name}",
            f"{library.name} is not recorded, patching it failed",
            error,
        )
