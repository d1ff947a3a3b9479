"""From settings to parts: what a process, a sidecar or a service is put together of."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from probekit.clock import SYSTEM_CLOCK, Clock
from probekit.errors import ConfigError
from probekit.model import Resource
from probekit.observer import Observe, Observer
from probekit.ports import Exporter

if TYPE_CHECKING:
    from probekit.buffer.journal.memory_journal import MemoryJournal
    from probekit.buffer.store import Store
    from probekit.delivery.courier import Ledger
    from probekit.delivery.meter import CpuMeter
    from probekit.delivery.term import Office
    from probekit.recording.registry import Registry
    from probekit.runtime.sidecar import Sidecar
    from probekit.settings import Settings
    from probekit.sources.own import Governed

FIRST_S = 1.0  # from the start to the first reading of a source


@dataclass(frozen=True, slots=True)
class Places:
    """The files of one buffer.

    Attributes:
        buffer: The SQLite file.
    """

    buffer: Path

    @property
    def journal(self) -> Path:
        """Folder of all processes' segments."""
        return Path(f"{self.buffer}.journal")

    @property
    def lock(self) -> Path:
        """Who holds its flock leads."""
        return Path(f"{self.buffer}.leader")

    @property
    def wake(self) -> Path:
        """The FIFO that the leader sleeps on."""
        return Path(f"{self.buffer}.wake")


class Paced:
    """A source that is asked often and reads only once an interval."""

    __slots__ = ("_clock", "_due_s", "_interval_s", "_source")

    def __init__(self, source: Observe, interval_s: float, clock: Clock) -> None:
        """Read *source* at most every *interval_s* seconds, first after a while."""
        self._source = source
        self._interval_s = interval_s
        self._clock = clock
        self.restart()

    def restart(self) -> None:
        """Begin anew: at the start, and in a forked child, which has told nothing yet.

        The first reading opens files, elsewhere imports psutil: a process of a moment
        is spared that.
        """
        self._due_s = self._clock.monotonic_s() + min(FIRST_S, self._interval_s)

    def __call__(self, observer: Observer) -> None:
        """Read, if it is time."""
        now_s = self._clock.monotonic_s()
        if now_s >= self._due_s:
            self._due_s = now_s + self._interval_s
            self._source(observer)


def build_exporters(
    specs: "Sequence[str | Exporter]",
) -> "tuple[tuple[str, Exporter], ...]":
    """(cursor's name, exporter) for each of *specs*; nothing is opened.

    Raises:
        ConfigError: One of them cannot be made; the text names it without secrets.

    """
    if not specs:
        return ()
    from probekit.delivery.identity import cursor_names
    from probekit.exporters import build

    names = cursor_names(specs)
    return tuple(zip(names, map(build, specs), strict=True))


def hire(settings: "Settings", places: "Places | None") -> "Sidecar | None":
    """A hold on the process that ships for this one; None where none is wanted.

    Raises:
        ConfigError: It could not see the buffer, or an exporter cannot be handed over.

    """
    if settings.shipper == "thread":
        return None
    if places is None:
        raise ConfigError(
            f"shipper={settings.shipper!r}: another process cannot see a buffer in "
            "memory; give a file or shipper='thread'",
        )
    if settings.shipper == "external":
        return None
    from probekit.runtime.sidecar import Sidecar

    return Sidecar(settings, places.wake)


def build_store(settings: "Settings", path: "Path | None") -> "Store":
    """The buffer at *path*, or one in memory; nothing is opened."""
    from probekit.buffer.store import Store

    retention = settings.retention
    if path is None and settings.buffer is not None:
        # It stands in for a file: memory is dearer than the disk that was allowed.
        most = min(retention.max_bytes, settings.limits.memory_bytes)
        retention = replace(retention, max_bytes=most)
    return Store(
        path,
        retention=retention,
        resource=resource_of(settings),
    )


def build_office(
    settings: "Settings",
    store: "Store",
    exporters: "Sequence[tuple[str, Exporter]]",
    *,
    memory: "MemoryJournal | None" = None,
    ledger: "Ledger | None" = None,
    on_start: Callable[[], None] = lambda: None,
    meter: "CpuMeter | None" = None,
) -> "Office":
    """What a leader of this buffer leads with; *memory* for one without files."""
    from probekit.buffer.locks import FileLock
    from probekit.delivery.meter import CpuMeter
    from probekit.delivery.term import Office
    from probekit.delivery.wake import EventBell, FifoBell, can_ring
    from probekit.sources import buffer_source, host_source

    places = None
    if memory is None and settings.buffer is not None:
        places = Places(settings.buffer)
    return Office(
        store=store,
        source=places.journal if places else memory or _fresh_memory(),
        bell=FifoBell(places.wake) if places and can_ring() else EventBell(),
        lock=FileLock(places.lock) if places else None,
        exporters=exporters,
        interval_s=settings.interval_s,
        host=host_source() if settings.host_metrics else None,
        own=buffer_source(store.status) if settings.own_metrics else None,
        ledger={} if ledger is None else ledger,
        on_start=on_start,
        meter=meter or CpuMeter(),
    )


def _fresh_memory() -> "MemoryJournal":
    from probekit.buffer.journal.memory_journal import MemoryJournal

    return MemoryJournal()


def process_sources(
    settings: "Settings",
    governed: "Governed",
    clock: Clock = SYSTEM_CLOCK,
) -> "list[Paced]":
    """What each process tells about itself, once a window."""
    from probekit.sources import interpreter_source, overhead_source, process_source

    made = [process_source(), interpreter_source()]
    if settings.own_metrics:
        made.append(overhead_source(governed))
    return [Paced(source, settings.interval_s, clock) for source in made]


def tell_limits(settings: "Settings", registry: "Registry") -> None:
    """Have the registry keep to what was set: scrubbers, and how much it holds."""
    limits = settings.limits
    registry.scrub = settings.scrub.build()
    registry.allowance.sets_limit = limits.series
    registry.allowance.process_sets_limit = limits.process_series
    registry.events.limit, registry.spans.limit = limits.events, limits.spans


def resource_of(settings: "Settings") -> Resource:
    """Who speaks, with what we know of ourselves added."""
    import socket

    from probekit._version import __version__

    return Resource(
        {
            "host.name": socket.gethostname(),
            "telemetry.sdk.name": "probekit",
            "telemetry.sdk.language": "python",
            "telemetry.sdk.version": __version__,
            **settings.resource,
            "service.name": settings.service,
        },
    )


def silence() -> None:
    """Let nobody record what the calling thread of ours does, us and peers."""
    from probekit.recording.quiet import silence_thread

    silence_thread()
    if "opentelemetry.context" in sys.modules:
        from opentelemetry import context

        silent = context.set_value("suppress_instrumentation", value=True)
        context.attach(silent)
