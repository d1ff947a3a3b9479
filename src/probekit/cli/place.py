"""Which buffer a command works on."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from probekit.settings import Settings, load, state_folder

Function = TypeVar("Function", bound="Callable[..., Any]")


def buffer_option(function: Function) -> Function:
    """Add ``--buffer FILE`` to a command."""
    return click.option(
        "--buffer",
        metavar="FILE",
        help="The buffer file. Without it: the one of the settings or of the service, "
        "or the only one there is.",
    )(function)


def find(buffer: "str | None") -> Path:
    """Find the buffer file that *buffer* or the settings mean.

    Args:
        buffer: What ``--buffer`` said; None when it was not given.

    Returns:
        A path at which a file is.

    Raises:
        click.ClickException: There is none, there are several, or it is in memory.
        ConfigError: A setting is wrong.

    """
    if buffer is not None:
        return _existing(Path(buffer).expanduser().absolute())
    settings = load()
    if names_buffer(settings):
        if settings.buffer is None:
            raise click.ClickException(
                "the settings keep the buffer in memory, where no other process sees it"
            )
        return _existing(settings.buffer)
    return _only_one(state_folder(os.environ))


def names_buffer(settings: Settings) -> bool:
    """Whether the settings say which buffer is meant, by its path or by a service."""
    return (
        settings.origins.get("buffer") != "default"
        or settings.origins.get("service") != "default"
    )


def _existing(path: Path) -> Path:
    try:
        there = path.exists()
        if path.is_dir():
            raise click.ClickException(
                f"{path} is a folder; say which buffer file, {path / 'buffer.db'}?"
                if (path / "buffer.db").exists()
                else f"{path} is a folder; a buffer is a file"
            )
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from None
    if not there:
        raise click.ClickException(
            f"there is no buffer at {path}; it appears with the first recording"
        )
    if not os.access(path, os.R_OK):
        raise click.ClickException(f"{path} may not be read by this user")
    return path


def _only_one(folder: Path) -> Path:
    found = sorted(folder.glob("*/buffer.db"))
    if not found:
        raise click.ClickException(
            f"there is no buffer under {folder}; say which with --buffer FILE"
        )
    if len(found) > 1:
        listed = ", ".join(map(str, found))
        raise click.ClickException(
            f"there are {len(found)} buffers; say which with --buffer FILE, or "
            f"PROBEKIT_SERVICE=NAME: {listed}"
        )
    return found[0]
