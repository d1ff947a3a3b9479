"""Settings from ``probekit.toml``, or ``[tool.probekit]`` of ``pyproject.toml``.

The nearest one counts, from the working folder upward. A file that belongs to
somebody else is not read: it could name a place to send our data to.
"""

import importlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from probekit.errors import ConfigError
from probekit.notice import notice

OWN_NAME = "probekit.toml"
SHARED_NAME = "pyproject.toml"


def read_nearest(folder: Path) -> "tuple[Mapping[str, object], Path | None]":
    """Read the nearest file with settings of ours.

    Args:
        folder: Where to begin; its parents follow.

    Returns:
        The table and the file it stands in; an empty table and None without a file.

    Raises:
        ConfigError: The file cannot be read, or is no TOML.

    """
    for place in (folder, *folder.parents):
        for name in (OWN_NAME, SHARED_NAME):
            path = place / name
            text = _text(path)
            if text is None:
                continue
            table = _table(path, text)
            if table is not None:
                return table, path
    return {}, None


def _text(path: Path) -> "str | None":
    """The file's text; None when it is not there, not ours, or says nothing of us."""
    try:
        content = path.read_bytes()
        trusted = _is_trusted(path.stat().st_uid)
    except OSError as error:
        if path.name == OWN_NAME and isinstance(error, PermissionError):
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
        return None
    if path.name == SHARED_NAME and b"probekit" not in content:
        return None
    if not trusted:
        notice("settings-owner", f"{path} belongs to another user and is not read")
        return None
    return content.decode("utf-8", "replace")


def _is_trusted(owner: int) -> bool:
    return not hasattr(os, "getuid") or owner in {0, os.getuid()}


def _table(path: Path, text: str) -> "Mapping[str, object] | None":
    try:
        document = _parse(text)
    except ValueError as error:  # TOMLDecodeError of either library
        raise ConfigError(f"{path}: is not valid TOML: {error}") from None
    if path.name == OWN_NAME:
        return document
    table = document.get("tool", {}).get("probekit")
    return table if isinstance(table, Mapping) else None


def _parse(text: str) -> "dict[str, Any]":
    library = "tomllib" if sys.version_info >= (3, 11) else "tomli"
    document: dict[str, Any] = importlib.import_module(library).loads(text)
    return document
