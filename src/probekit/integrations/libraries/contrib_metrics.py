"""The metrics of OpenTelemetry's contrib instrumentations, on their way to our buffer.

Their spans find our tracer provider. For their metrics they are handed a provider of
ours, unless the application has set one. It is nobody else's: the global one stays
unset, for the application to set whenever it likes.

No thread is started: whoever drains the registry collects, so ``probekit.flush`` and
the end of the process cover these metrics as they cover all others.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from time import monotonic
from types import FrameType
from typing import Any
from weakref import WeakMethod

from opentelemetry import metrics as api

from probekit.model import Harvest
from probekit.notice import notice
from probekit.recording.registry import REGISTRY, Registry

COLLECT_EVERY_S = 2.0  # a flush collects at once
_PUMP = "probekit-pump"
_SDK = "opentelemetry.sdk.metrics"
_DUE = Registry.due.__code__


def provider() -> "Meters | None":
    """Return a provider for those to be switched on; None where one is set."""
    found = api.get_meter_provider()
    if type(found).__name__ != "_ProxyMeterProvider":
        return None  # the application's: its metrics go where it wants them
    return Meters(REGISTRY)


class Meters(api.MeterProvider):
    """Gives out meters of the SDK's; the SDK is loaded for the first one.

    Threads:
        Any.
    """

    def __init__(self, registry: Registry) -> None:
        """Collect into *registry*, from the first meter on."""
        self._registry = registry
        self._lock = threading.Lock()
        self._sdk: Any = None
        self._collector: Collector | None = None

    def get_meter(
        self,
        name: str,
        version: "str | None" = None,
        schema_url: "str | None" = None,
        attributes: Any = None,
    ) -> api.Meter:
        """Return the SDK's meter; see OpenTelemetry's API."""
        with self._lock:
            if self._sdk is None:
                self._begin()
        found: api.Meter = self._sdk.get_meter(name, version, schema_url, attributes)
        return found

    def retire(self) -> None:
        """Collect once more, at the next drain, and then no more."""
        if self._collector is not None:
            self._collector.is_retiring = True

    def _begin(self) -> None:
        from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from opentelemetry.sdk.resources import Resource

        from probekit.integrations.opentelemetry.metrics import DELTAS

        reader = InMemoryMetricReader(preferred_temporality=DELTAS)
        self._sdk = MeterProvider(
            [reader],
            Resource({}),  # ours is what is delivered
            exemplar_filter=AlwaysOffExemplarFilter(),  # spans are our exemplars
            shutdown_on_exit=False,
        )
        self._collector = Collector(self._registry, self._sdk, reader)
        self._registry.observers.collect(self._collector)


class Collector:
    """Asked by whoever drains; takes what the SDK has added up since the last time.

    Attributes:
        is_retiring: Whether the next time is the last.
    """

    def __init__(self, registry: Registry, sdk: Any, reader: Any) -> None:
        """Ask *reader* of the provider *sdk*."""
        from probekit.integrations.opentelemetry.points import Converter

        self.is_retiring = False
        self._registry, self._sdk, self._reader = registry, sdk, reader
        self._converter = Converter(registry.table)
        self._pid = os.getpid()
        self._next_s = 0.0
        _renew_in_children(WeakMethod(self._renew))

    def __call__(self, into: Harvest) -> None:
        """Add to *into* what has come, if it is time."""
        if self._pid != os.getpid():  # a fork that no hook saw
            self._renew()
        now_s, is_ending = monotonic(), self._registry.observers.is_ending
        if now_s < self._next_s and not is_ending and _in_passing():
            return
        if _inside_the_sdk():
            return
        self._next_s = now_s + COLLECT_EVERY_S
        if self.is_retiring:
            self._registry.observers.collect_no_more(self)
        data = self._reader.get_metrics_data()
        if data is not None:
            self._converter.harvest(data, self._registry.scrub, into)

    def _renew(self) -> None:
        """Begin at zero in the child of a fork: what is not collected is the parent's.

        The SDK would go on from the parent's sums, and with its locks, which another
        thread may have held at that moment.
        """
        self._pid = os.getpid()
        try:
            consumer = self._sdk._measurement_consumer  # noqa: SLF001 - no other way
            config = consumer._sdk_config  # noqa: SLF001
            held = consumer._reader_storages[self._reader]  # noqa: SLF001
            fresh = type(held)(
                config,
                self._reader._instrument_class_temporality,  # noqa: SLF001
                self._reader._instrument_class_aggregation,  # noqa: SLF001
            )
            self._reader._lock = threading.RLock()  # noqa: SLF001
            consumer._lock = threading.Lock()  # noqa: SLF001
            consumer._reader_storages = {self._reader: fresh}  # noqa: SLF001
        except Exception as error:  # another version's: rather nothing than twice
            self._registry.observers.collect_no_more(self)
            notice("contrib-fork", f"no contrib metrics in forked children: {error!r}")


def _renew_in_children(renew: "WeakMethod[Callable[[], None]]") -> None:
    """Call what *renew* refers to in each forked child, while it lives."""

    def forked() -> None:
        alive = renew()
        if alive is not None:
            alive()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=forked)


def _in_passing() -> bool:
    """Whether nobody has asked for this drain.

    It is the pump's then, or on an application's thread where there is no pump.
    """
    if threading.current_thread().name == _PUMP:
        return True
    return any(frame.f_code is _DUE for frame in _frames())


def _inside_the_sdk() -> bool:
    """Whether this thread, some frames up, records: a signal handler that flushes.

    The SDK's locks do not let the same thread in again.
    """
    return any(
        str(frame.f_globals.get("__name__", "")).startswith(_SDK) for frame in _frames()
    )


def _frames() -> "Iterator[FrameType]":
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - there is no other way
    while frame is not None:
        yield frame
        frame = frame.f_back
