"""The environment that carries probekit into a program and its children."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

HOOK = Path(__file__).parent / "hook"
SWITCH = "PROBEKIT_AUTOSTART"  # "1": start; anything else: do not
LIBRARIES = "PROBEKIT_LIBRARIES"  # "0": leave other people's libraries alone


def environment_for(
    environ: Mapping[str, str],
    *,
    service: "str | None" = None,
    buffer: "str | None" = None,
    exporters: Sequence[str] = (),
    instrument: Sequence[str] = (),
    libraries: "bool | None" = None,
) -> "dict[str, str]":
    """Return *environ* with what was asked for, and the hook on ``PYTHONPATH``.

    Args:
        environ: The launcher's own; settings in it that are not named stay.
        service: Name of the application.
        buffer: Path of the buffer file, made absolute: children may change folder.
        exporters: URLs.
        instrument: Patterns of modules.
        libraries: Whether other people's libraries are patched; None as in *environ*.

    Example:
        >>> environment_for({"PYTHONPATH": "/x"}, service="shop")["PROBEKIT_SERVICE"]
        'shop'

    """
    made = dict(environ)
    given = {
        "PROBEKIT_SERVICE": service,
        "PROBEKIT_BUFFER": buffer and _absolute(buffer),
        "PROBEKIT_EXPORTERS": ",".join(exporters),
        "PROBEKIT_INSTRUMENT": ",".join(instrument),
        LIBRARIES: None if libraries is None else str(int(libraries)),
        SWITCH: "1",
    }
    made.update({name: value for name, value in given.items() if value})
    made["PYTHONPATH"] = _with_hook(environ.get("PYTHONPATH", ""))
    return made


def _absolute(buffer: str) -> str:
    special = buffer == ":memory:"
    return buffer if special else str(Path(buffer).expanduser().absolute())


def _with_hook(path: str) -> str:
    hook = str(HOOK)
    others = (
        [entry for entry in path.split(os.pathsep) if entry != hook] if path else []
    )
    return os.pathsep.join([hook, *others])
