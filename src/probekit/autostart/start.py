"""What happens in each Python that inherits the launcher's environment."""

import os
import sys
from collections.abc import Sequence

from probekit.autostart.environment import LIBRARIES, SWITCH
from probekit.notice import notice

# How multiprocessing writes the -c of its helpers. The resource tracker runs nothing
# of the application's; the fork server does nothing but fork, and must have no thread.
_TRACKER = "from multiprocessing.resource_tracker import main"
_FORK_SERVER = "from multiprocessing.forkserver import main"

_started_in: "int | None" = None
_served_from: "list[int]" = []  # the fork server of which this process is a child


def start() -> bool:
    """Configure this process and instrument what the environment names.

    Returns:
        True when this process records now.

    Threads:
        The main thread, before the program. Asked twice, the second does nothing.

    """
    try:
        return _start()
    except Exception as error:  # the program runs, with us or without
        notice("autostart", "probekit did not start", error)
        return False


def _start() -> bool:
    global _started_in
    if os.environ.get(SWITCH) != "1" or _started_in == os.getpid():
        return False
    role = role_of(getattr(sys, "orig_argv", sys.argv))
    if role == "fork server" and not _served_from:
        _served_from.append(os.getpid())
        _start_in_children()
    if role == "helper" or os.getpid() in _served_from:
        return False
    _started_in = os.getpid()
    _configure()
    return True


def _start_in_children() -> None:
    """Start in the fork server's children, where their finalizers are their own."""
    from multiprocessing.util import register_after_fork

    register_after_fork(start, lambda _: start())


def _configure() -> None:
    from probekit.recording.quiet import is_disabled

    if is_disabled():
        return
    from probekit.runtime import configure

    configure()  # which instruments the patterns of the settings
    if os.environ.get(LIBRARIES, "1") != "0":
        from probekit.integrations.libraries import instrument_libraries

        instrument_libraries()


def role_of(command: Sequence[str]) -> str:
    """What a Python started with *command* is for.

    Returns:
        ``helper`` for what must not be watched: probekit's own commands, and
        multiprocessing's resource tracker; ``fork server`` for what is watched in its
        children only; else ``program``.

    Example:
        >>> role_of(["python", "-m", "probekit", "ship"])
        'helper'
        >>> role_of(["python", "app.py", "-m", "probekit"])
        'program'

    """
    option, value = _what_runs(command)
    if option == "-c":
        if value.startswith(_TRACKER):
            return "helper"
        return "fork server" if value.startswith(_FORK_SERVER) else "program"
    if option == "-m":
        own = value == "probekit" or value.startswith("probekit.")
    else:
        own = os.path.basename(value) == "probekit"  # noqa: PTH119 - light at start
    return "helper" if own else "program"


def _what_runs(command: Sequence[str]) -> "tuple[str, str]":
    """The option that says what runs, empty for a script, and its value."""
    rest = iter(command[1:])
    for word in rest:
        if not word.startswith("-") or word == "-":
            return "", word
        if word in {"-X", "-W", "--check-hash-based-pycs"}:
            next(rest, None)
            continue
        if word.startswith("--"):
            continue
        for position, letter in enumerate(word[1:], start=2):
            if letter in "cm":
                return f"-{letter}", word[position:] or next(rest, "")
            if letter in "XW":
                break
    return "", ""
