"""Where the buffer lies when nobody says so."""

import os
import re
import sys
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_SLUG_LIMIT = 80


def slug(service: str) -> str:
    """Turn a service's name into a folder's name that no other service has.

    Example:
        >>> slug("shop")
        'shop'
        >>> slug("../shop").startswith("shop-")
        True

    """
    safe = _UNSAFE.sub("-", service).strip(".-")[:_SLUG_LIMIT]
    if safe == service:
        return safe
    return f"{safe or 'service'}-{zlib.crc32(service.encode('utf-8', 'replace')):08x}"


def state_folder(environ: "Mapping[str, str]") -> Path:
    """Folder of all buffers of this user; it may not exist.

    ``$XDG_STATE_HOME/probekit``, else ``~/.local/state/probekit``; for a user
    without a home a folder of this user's id among the temporary files.
    """
    base = environ.get("XDG_STATE_HOME", "")
    if Path(base).is_absolute():  # the XDG rule: a relative path is ignored
        return Path(base) / "probekit"
    try:
        return Path.home() / ".local" / "state" / "probekit"
    except RuntimeError:
        user = os.getuid() if hasattr(os, "getuid") else "user"
        return Path(tempfile.gettempdir()) / f"probekit-{user}"


def default_buffer(service: str, environ: "Mapping[str, str] | None" = None) -> Path:
    """Path of a service's buffer file when no ``buffer`` is given."""
    chosen = os.environ if environ is None else environ
    return state_folder(chosen) / slug(service) / "buffer.db"


def default_service() -> str:
    """OpenTelemetry's name for the nameless, with the program's own name behind it."""
    script = Path(sys.argv[0] if sys.argv else "")
    name = script.parent.name if script.stem == "__main__" else script.stem
    if name == "-m":
        name = _module()
    if not name or name == "-c" or not name.isprintable():
        name = Path(sys.executable or "python").name
    return f"unknown_service:{name}"[:200]


def _module() -> str:
    """The module of ``python -m``, while Python has not found its file yet.

    Its last part: from then on the program's name is that of the file.
    """
    words = getattr(sys, "orig_argv", [])
    place = len(words) - len(sys.argv)  # before the program's own arguments
    word = words[place] if 0 < place < len(words) else ""
    return word.removeprefix("-m").rpartition(".")[2]
