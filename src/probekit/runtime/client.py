"""``configure`` and what it returns; ``flush``, ``shutdown``, ``status``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probekit.errors import BufferFailed
from probekit.model import AttributeValue, Snapshot
from probekit.ports import Exporter
from probekit.runtime.status import Status
from probekit.runtime.turns import Turns

if TYPE_CHECKING:
    from probekit.runtime.presence import Presence
    from probekit.settings import Settings

_RECONFIGURE_S = 1.0  # longest wait for the last presence to hand the buffer over

_turns = Turns()
_presence: "Presence | None" = None
_settings: "Settings | None" = None
_guests: "list[Exporter]" = []  # exporters that integrations have brought


class Client:
    """What ``configure`` returns: a handle on probekit in this process.

    Attributes:
        settings: What is in force, from all origins.
    """

    def __init__(self, settings: "Settings") -> None:
        """Keep the settings."""
        self.settings = settings

    def flush(self, timeout_s: float = 5.0) -> bool:
        """See :func:`probekit.flush`."""
        return flush(timeout_s)

    def shutdown(self, timeout_s: float = 2.0) -> bool:
        """See :func:`probekit.shutdown`."""
        return shutdown(timeout_s)

    def status(self) -> Status:
        """See :func:`probekit.status`."""
        return status()

    def __repr__(self) -> str:
        """Name service and buffer; no secrets."""
        where = self.settings.buffer or ":memory:"
        return f"Client(service={self.settings.service!r}, buffer={str(where)!r})"


def configure(
    service: "str | None" = None,
    *,
    buffer: "str | Path | None" = None,
    exporters: "str | Exporter | Sequence[str | Exporter]" = (),
    resource: "Mapping[str, AttributeValue] | None" = None,
    interval_s: "float | None" = None,
    flush_interval_s: "float | None" = None,
    host_metrics: "bool | None" = None,
    own_metrics: "bool | None" = None,
    sync_durable: "bool | None" = None,
    traces: Any = None,
    shipper: "str | None" = None,
    retention: Any = None,
    limits: Any = None,
    scrub: Any = None,
    alerts: Any = None,
) -> Client:
    """Give what is recorded a place to stay and somewhere to go.

    What was recorded before is not lost: it was held. May be called again, with the
    same settings (nothing happens) or others (what runs is ended and begun anew).
    What code does not give comes from the environment, then from a file, then from
    the defaults.

    Args:
        service: Name of the application; also names the default buffer.
        buffer: Path of the buffer file, ``":memory:"`` for none; by default
            ``$XDG_STATE_HOME/probekit/<service>/buffer.db``.
        exporters: A URL, an exporter, or several; each gets everything.
        resource: Attributes of who speaks.
        interval_s: Width of a window, seconds, 0.5 to 3600; default 10.
        flush_interval_s: Between two writes of a process, seconds; default 0.2. What a
            ``kill -9`` may cost.
        host_metrics: Whether to sample the host; default yes.
        own_metrics: Whether to tell what probekit costs and how its buffer is;
            default yes.
        sync_durable: Whether an event with ``durable=True`` returns only when it is on
            the disk, safe from power loss; default no. It costs a sync of the disk
            each, and at most a second.
        traces: Share of traces recorded, 0 to 1, or a policy (``probekit.tracing``);
            default none.
        shipper: ``"thread"`` (default) ships from one of the application's processes,
            ``"process"`` from a process of its own, ``"external"`` leaves it to
            ``probekit ship``.
        retention: How much the buffer may keep.
        limits: Bounds on what a process holds in memory, and on what probekit costs.
        scrub: How secrets are taken out.
        alerts: Reserved; anything but None is refused.

    Returns:
        A handle with ``flush``, ``shutdown`` and ``status``.

    Raises:
        ConfigError: A setting cannot be used; the text names it, its value without
            secrets, and the rule. What ran before runs on. A buffer that cannot be
            written is no error: one warning is logged and all is kept in memory.

    Threads:
        Any; one at a time. Opens files, starts threads. A call of a signal's handler in
        the midst of another one, or of ``shutdown``, takes effect at the end of that.

    """
    from probekit.settings import load

    settings = load(
        service=service,
        buffer=buffer,
        exporters=exporters,
        resource=resource,
        interval_s=interval_s,
        flush_interval_s=flush_interval_s,
        host_metrics=host_metrics,
        own_metrics=own_metrics,
        sync_durable=sync_durable,
        traces=traces,
        shipper=shipper,
        retention=retention,
        limits=limits,
        scrub=scrub,
        alerts=alerts,
    )
    if settings.instrument:
        from probekit.recording.hook.modules import instrument

        instrument(*settings.instrument)
    _turns.take(lambda: _apply(_with_guests(settings)))
    return Client(settings)


def add_exporter(exporter: Exporter) -> None:
    """Deliver to *exporter* too: now, if configured, and after every ``configure``.

    What it is called (its attribute ``name``) must be the same after a restart: its
    cursor goes on from where it was.

    Args:
        exporter: Asked for twice, it is added once.

    Threads:
        Any; one at a time.

    """
    _turns.take(lambda: _add_guest(exporter))


def _add_guest(exporter: Exporter) -> None:
    if any(guest is exporter for guest in _guests):
        return
    _guests.append(exporter)
    if _settings is not None and not _settings.disabled:
        _apply(_with_guests(_settings))


def current_service() -> str:
    """Name of the service that is configured; empty before."""
    settings = _settings
    return "" if settings is None else settings.service


def _with_guests(settings: "Settings") -> "Settings":
    from dataclasses import replace

    known = {id(each) for each in settings.exporters}
    new = tuple(guest for guest in _guests if id(guest) not in known)
    if not new or settings.disabled:
        return settings
    return replace(settings, exporters=(*settings.exporters, *new))


def _apply(settings: "Settings") -> None:
    global _presence, _settings
    from probekit.recording.registry import REGISTRY

    if settings.disabled:
        _end(_RECONFIGURE_S, wait=False)
        REGISTRY.enabled = False
        _settings = settings
        return
    if _presence is not None and _settings == settings and _presence.is_working:
        return
    from probekit.runtime import traces
    from probekit.runtime.presence import Presence

    plan = traces.checked(settings.traces)  # may refuse; then what runs, runs on
    made = Presence(settings, REGISTRY)  # the same
    _end(_RECONFIGURE_S, wait=False)
    REGISTRY.enabled = True
    REGISTRY.disown()
    _presence = made
    made.start()
    traces.switch_on(plan, REGISTRY, settings.resource, flush)
    _settings = settings  # last: where a signal's handler raises, nothing is in force


def flush(timeout_s: float = 5.0) -> bool:
    """Deliver everything recorded so far, by all processes, and wait for it.

    Covers what earlier processes left in the buffer.

    Args:
        timeout_s: Longest wait, seconds.

    Returns:
        True when every exporter has it (without exporters: when it is stored); False
        when the time ran out, before ``configure``, and in the child of a raw fork,
        which hands its records over but cannot see what becomes of them.

    Threads:
        Any. Waits; never raises.

    Example:
        >>> flush(timeout_s=0.0)  # nothing is configured yet
        False

    """
    presence = _presence
    if presence is None:
        return _settings is not None and _settings.disabled
    try:
        return presence.flush(timeout_s)
    except Exception as error:
        _tell("flush", error)
        return False


def shutdown(timeout_s: float = 2.0) -> bool:
    """Deliver what can be delivered in time, then stop all threads and close.

    What is recorded later is held, as before ``configure``.

    Args:
        timeout_s: Longest wait, seconds.

    Returns:
        True when everything was delivered. False also for a call of a signal's handler
        in the midst of ``configure`` or another ``shutdown``: that one goes on with it.

    Threads:
        Any. Waits; never raises.

    """
    try:
        wait_s = max(0.0, timeout_s)
        return bool(_turns.take(lambda: _end(timeout_s, wait=True), wait_s=wait_s))
    except Exception as error:
        _tell("shutdown", error)
        return False


def status() -> Status:
    """Say what became of everything recorded, and how this process is.

    Returns:
        A :class:`Status`; its books are empty before ``configure`` and while the
        buffer cannot be read.

    Threads:
        Any; reads the buffer, waits for at most about 0.1 s. Never raises.

    Example:
        >>> status().role
        'off'

    """
    presence = _presence
    if presence is None:
        disabled = _settings is not None and _settings.disabled
        return Status(role="disabled" if disabled else "off")
    try:
        return presence.status()
    except Exception as error:
        _tell("status", error)
        return Status(service=presence.settings.service, trouble=str(error))


def snapshot() -> Snapshot:
    """Say where every series stands, over all processes, as of the last window.

    Raises:
        BufferFailed: Nothing is configured, or the buffer cannot be read now.

    Threads:
        Any; reads the buffer, waits for at most about 0.1 s.

    """
    presence = _presence
    if presence is None:
        raise BufferFailed("probekit is not configured in this process")
    return presence.snapshot()


def _end(timeout_s: float, *, wait: bool) -> bool:
    global _presence, _settings
    _settings = None
    if _presence is None:
        return True
    from probekit.runtime import traces

    traces.switch_off()
    delivered = False
    try:
        delivered = _presence.close(timeout_s, wait=wait)
    except Exception as error:
        _tell("shutdown", error)
    _presence = None  # not before: where a handler raises, the next one goes on with it
    return delivered


def _tell(what: str, error: Exception) -> None:
    from probekit.notice import notice

    notice(what, f"{what}() did not work: {type(error).__name__}: {error}")
