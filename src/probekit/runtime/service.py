"""``probekit ship``: leads and ships in the foreground, for a sidecar or for cron."""

import signal
from typing import TYPE_CHECKING

from probekit.clock import SYSTEM_CLOCK
from probekit.errors import BufferBusy, ConfigError

if TYPE_CHECKING:
    from probekit.settings import Settings

FAREWELL_S = 5.0
LOCK_WAIT_S = 5.0
ONCE_LIMIT_S = 3600.0


def run(settings: "Settings", *, once: bool = False) -> bool:
    """Lead and ship until SIGTERM or SIGINT, or once.

    Args:
        settings: Where the buffer is and who gets its data.
        once: End as soon as all that is stored is delivered, or no exporter can take
            more now.

    Returns:
        True when everything stored was delivered at the end.

    Raises:
        ConfigError: There is no exporter, or the buffer is in memory.
        BufferFailed: The buffer cannot be used, or (*once*) another process leads.

    Threads:
        The main thread: the signals are this process's own.

    """
    if settings.buffer is None:
        raise ConfigError("buffer: ':memory:' cannot be shipped by another process")
    if not settings.exporters:
        raise ConfigError("exporters: none is given, so nothing can be shipped")
    return _once(settings) if once else _serve(settings)


def _serve(settings: "Settings") -> bool:
    from probekit.delivery.leader import Leader
    from probekit.runtime.parts import build_exporters, build_office, build_store

    failure: list[Exception] = []
    store = build_store(settings, settings.buffer)
    office = build_office(settings, store, build_exporters(settings.exporters))
    store.open()  # a buffer that nobody can use is told at once
    store.close()
    leader = Leader(office, on_unusable=failure.append)

    def end(*_: object) -> None:
        leader.finish(SYSTEM_CLOCK.monotonic_s() + FAREWELL_S)

    before = {each: signal.signal(each, end) for each in _SIGNALS}
    try:
        leader.run()
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    if failure:
        raise failure[0]
    return leader.delivered_all


def _once(settings: "Settings") -> bool:
    from probekit.delivery.term import Term
    from probekit.runtime.parts import build_exporters, build_office, build_store

    store = build_store(settings, settings.buffer)
    office = build_office(settings, store, build_exporters(settings.exporters))
    assert settings.buffer is not None  # noqa: S101 - checked at the door
    assert office.lock is not None  # noqa: S101 - a buffer with a file has one
    store.open()  # makes the folder that the lock lies in
    if not office.lock.acquire(LOCK_WAIT_S):
        store.close()
        raise BufferBusy(
            f"{settings.buffer}: another process ships it already; nothing was done",
        )
    try:
        term = Term(office)
        return term.finish(SYSTEM_CLOCK.monotonic_s() + ONCE_LIMIT_S)
    finally:
        store.close()
        office.bell.close()
        office.lock.close()


_SIGNALS = (signal.SIGTERM, signal.SIGINT)
