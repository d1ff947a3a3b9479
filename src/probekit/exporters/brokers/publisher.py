"""What differs from broker to broker: a small Protocol; and how clients come in."""

import asyncio
import importlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from probekit.errors import ExportError, MissingExtra, RetryLater
from probekit.exporters.brokers.messages import Message
from probekit.exporters.urls import Target


class Publisher(Protocol):
    """Speaks to one broker through its client; all on one private loop."""

    def load(self) -> None:
        """Import the client.

        Raises:
            MissingExtra: It is not installed.

        """

    async def is_alive(self) -> bool:
        """Whether what ``open`` opened can still be used."""

    async def open(self) -> None:
        """Connect; raises what the client raises."""

    async def publish(self, message: Message) -> None:
        """Return when the broker has acknowledged *message*."""

    async def close(self) -> None:
        """Say farewell."""

    def translate(self, error: Exception) -> ExportError:
        """What the client's *error* means."""


def client(module: str, extra: str, shown: str) -> Any:
    """The client library *module*.

    Args:
        module: What is imported.
        extra: The extra of ours that brings it.
        shown: The URL without secrets, for errors.

    Raises:
        MissingExtra: It is not installed.

    """
    try:
        found = importlib.import_module(module)
    except ImportError:
        raise MissingExtra(
            f"exporters: {shown} needs {module.partition('.')[0]}: "
            f"pip install 'probekit[{extra}]'"
        ) from None
    # Without any handler, logging would print warnings on the host's standard error.
    log = logging.getLogger(module.partition(".")[0])
    if not log.handlers:
        log.addHandler(logging.NullHandler())
    return found


def name_in(target: Target) -> str:
    """The stream, subject or topic of *target*; ``probekit`` when it names none.

    Example:
        >>> name_in(Target.parse("redis://h/telemetry")), name_in(Target("redis"))
        ('telemetry', 'probekit')

    """
    return target.path.lstrip("/") or "probekit"


def place_of(host: str, port: int) -> str:
    """``host:port``; IPv6 in brackets.

    Example:
        >>> place_of("::1", 4222)
        '[::1]:4222'

    """
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def first_that_answers(
    addresses: "list[tuple[str, int]]",
    connect: "Callable[[str, int], Awaitable[None]]",
    timeout_s: float,
) -> None:
    """Connect to the first address that answers; it is tried first next time.

    Args:
        addresses: At least one; rotated in place.
        connect: Does it.
        timeout_s: For each, seconds.

    """
    failure: Exception = RetryLater("no host is configured")
    for _ in range(len(addresses)):
        host, port = addresses[0]
        try:
            await asyncio.wait_for(connect(host, port), timeout_s)
            return
        except asyncio.TimeoutError:
            failure = RetryLater(f"{place_of(host, port)} did not answer in time")
        except Exception as error:
            failure = error
        addresses.append(addresses.pop(0))
    raise failure


def secrets_of(target: Target, *more: str) -> "Sequence[str]":
    """Everything in *target* that must not be shown."""
    return tuple(filter(None, (target.password, *more)))
