"""The promise behind the durable exporters: written before ``export()`` returns.

A frame of its own is appended to this process's segment, as for
``event(durable=True)``: it survives ``kill -9`` from then on. Where that is not
possible the records are held for the next try, and ``export()`` says FAILURE.
"""

import os
import threading
from typing import Any

from probekit.delivery.backlog import Backlog
from probekit.errors import ConfigError
from probekit.model import Harvest
from probekit.notice import notice
from probekit.recording.registry import REGISTRY, Registry

_TELLING = ("PROBEKIT_BUFFER", "PROBEKIT_EXPORTERS", "OTEL_EXPORTER_OTLP_ENDPOINT")


class Desk:
    """Commits harvests, one at a time; holds what could not be written.

    Threads:
        Any; one waits while another one writes.
    """

    def __init__(self, registry: Registry) -> None:
        """Write for *registry*."""
        self._registry = registry
        self._renew()

    def _renew(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.RLock()  # a signal handler may end spans too
        self._held = Backlog()
        self._asked = False

    def is_muted(self) -> bool:
        """Whether to record nothing here; also sees to the pump after a fork."""
        if self._registry.on_durable is None and self._registry.enabled:
            self._configure()
        return self._registry.is_muted()

    def commit(self, harvest: Harvest) -> bool:
        """Write *harvest* and what is held; say whether both are written.

        Returns:
            False when they are held in memory, 10,000 events and spans at most, until
            the next commit.

        """
        if self._pid != os.getpid():  # what the parent holds is the parent's
            self._renew()
        with self._lock:
            if self._held:
                if harvest:
                    self._held.put(harvest)
                harvest = self._held.take()
            try:
                if harvest:
                    self._write(harvest)
            finally:  # a signal's handler may raise too
                if not harvest.is_written:
                    self._held.put(harvest)
            return not self._held

    def _write(self, harvest: Harvest) -> None:
        write = self._registry.on_durable
        if write is None:
            notice(
                "otel-unconfigured",
                "probekit is not configured: OpenTelemetry's exports wait in memory",
            )
            return
        try:
            write(harvest)
        except OSError as error:
            notice("otel-write", f"exported records wait in memory: {error}")

    def _configure(self) -> None:
        """Configure from the environment, once, if it says anything of us."""
        if self._asked or not any(map(os.environ.get, _TELLING)):
            return
        self._asked = True
        from probekit.runtime import configure

        try:
            configure()
        except ConfigError as error:
            notice("otel-configure", f"the environment does not do: {error}")


DESK = Desk(REGISTRY)


def note_resource(resource: Any) -> None:
    """Say it when an SDK speaks for another service than ours: ours is delivered."""
    from probekit.runtime.client import current_service

    theirs = str(resource.attributes.get("service.name", ""))
    ours = current_service()
    if ours and theirs and theirs != ours and not theirs.startswith("unknown_service"):
        notice(
            "otel-service",
            f"OpenTelemetry's resource says service.name={theirs!r}; what it exports "
            f"is delivered as {ours!r}, probekit's own",
        )
