"""The settings as one frozen object, and its form for a child process."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias

from probekit.errors import ConfigError
from probekit.model import AttributeValue, Retention
from probekit.ports import Exporter
from probekit.scrub import Scrubber, redacted

Shipper: TypeAlias = Literal["thread", "process", "external"]
TextScrubber: TypeAlias = Callable[[str], str]

SHIPPERS: "tuple[Shipper, ...]" = ("thread", "process", "external")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what a process may hold, and on what probekit itself may cost.

    Attributes:
        series: Attribute sets of one instrument before the overflow series; 1 or more.
        process_series: The same of all instruments of a process together, functions
            left out; 1 or more.
        events: Events between two drains; 1 or more.
        spans: Spans between two drains; 1 or more.
        cpu_ratio: Share of a core that our threads may take; above it the governor
            records less; 0.0001 or more.
        memory_bytes: What may wait in memory for the disk, and the size of a buffer
            that has to stand in for one on disk; 1 MiB or more.
        disk_bytes_per_s: What this process may write of what it records, bytes a
            second; 1 KiB or more.
    """

    series: int = 2_000
    process_series: int = 10_000
    events: int = 10_000
    spans: int = 10_000
    cpu_ratio: float = 0.01
    memory_bytes: int = 16 << 20
    disk_bytes_per_s: int = 8 << 20


@dataclass(frozen=True, slots=True)
class ScrubSettings:
    """How texts are cleaned before anything is buffered.

    Attributes:
        enabled: False keeps texts as they are; without effect in high security.
        deny_names: Further names whose values are secret.
        extra: Further scrubbers, text to text, applied after the built-in ones.
        high_security: Stricter, and not to be weakened by code.
    """

    enabled: bool = True
    deny_names: "tuple[str, ...]" = ()
    extra: "tuple[TextScrubber, ...]" = ()
    high_security: bool = False

    def build(self) -> Scrubber:
        """Make the scrubber of these settings."""
        return Scrubber(
            deny_names=self.deny_names,
            extra=self.extra,
            high_security=self.high_security,
            enabled=self.enabled,
        )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Settings:
    """All settings of one process, checked.

    Attributes:
        service: Name of the service, 1 to 200 printable characters.
        buffer: Absolute path of the buffer file; None keeps all in memory.
        exporters: URLs or exporter objects; each gets a cursor of its own.
        resource: Attributes of who speaks; ``service.name`` is among them.
        interval_s: Width of a window, seconds, 0.5 to 3600.
        flush_interval_s: Between two writes of a process, seconds, 0.01 to 60;
            what a ``kill -9`` may cost.
        host_metrics: Whether the leader samples the host.
        own_metrics: Whether probekit tells what it costs and how its buffer is.
        sync_durable: Whether a durable event is on the disk, and not only in the
            kernel, when it returns; what power loss may cost.
        traces: Share of traces kept, 0 to 1, or a policy object; None for no traces.
        shipper: Who ships: a thread, a child process, or ``probekit ship``.
        retention: How much the buffer may keep.
        limits: Bounds on what a process may hold in memory.
        scrub: How texts are cleaned.
        instrument: Patterns of modules to instrument, ``shop.*``.
        disabled: True makes everything a no-op.
        origins: Setting → where its value came from, for people.
    """

    service: str
    buffer: "Path | None"
    exporters: "tuple[str | Exporter, ...]" = ()
    resource: "Mapping[str, AttributeValue]" = field(default_factory=dict)
    interval_s: float = 10.0
    flush_interval_s: float = 0.2
    host_metrics: bool = True
    own_metrics: bool = True
    sync_durable: bool = False
    traces: Any = None
    shipper: Shipper = "thread"
    retention: Retention = field(default_factory=Retention)
    limits: Limits = field(default_factory=Limits)
    scrub: ScrubSettings = field(default_factory=ScrubSettings)
    instrument: "tuple[str, ...]" = ()
    disabled: bool = False
    origins: "Mapping[str, str]" = field(default_factory=dict, compare=False)

    def __repr__(self) -> str:
        """Show every setting; exporters without their credentials."""
        shown = ", ".join(f"{name}={value}" for name, value in self.shown().items())
        return f"Settings({shown})"

    def shown(self) -> "dict[str, str]":
        """Setting → value as text for people, without secrets; origins left out."""
        pairs = {
            each.name: repr(getattr(self, each.name))
            for each in fields(self)
            if each.name not in {"origins", "exporters", "resource"}
        }
        urls = (
            redacted(spec) if isinstance(spec, str) else type(spec).__name__
            for spec in self.exporters
        )
        pairs["exporters"] = ", ".join(urls) or "none"
        pairs["resource"] = repr(ScrubSettings().build().attributes(self.resource))
        return pairs

    def to_json(self) -> str:
        """Write the settings for the process that ships.

        Scrubbers and trace policies given as objects stay behind: they work where
        recording happens, before anything is written, and a shipper records no text.

        Raises:
            ConfigError: An exporter was given as an object and not as a URL.

        """
        for spec in self.exporters:
            if not isinstance(spec, str):
                raise ConfigError(
                    f"exporters: a {type(spec).__name__} cannot be handed to another "
                    'process; give its URL, or shipper="thread"'
                )
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        plain["buffer"] = None if self.buffer is None else str(self.buffer)
        plain["traces"] = self.traces if isinstance(self.traces, float) else None
        plain["retention"] = asdict(self.retention)
        plain["limits"] = asdict(self.limits)
        plain["scrub"] = {
            "enabled": self.scrub.enabled,
            "deny_names": self.scrub.deny_names,
            "high_security": self.scrub.high_security,
        }
        plain["resource"] = dict(self.resource)
        plain["origins"] = dict(self.origins)
        return json.dumps(plain)

    @classmethod
    def from_json(cls, text: str) -> "Settings":
        """Read what ``to_json`` wrote.

        Raises:
            ConfigError: The text is not that.

        """
        try:
            plain = json.loads(text)
            plain["buffer"] = plain["buffer"] and Path(plain["buffer"])
            plain["resource"] = {
                name: tuple(value) if isinstance(value, list) else value
                for name, value in plain["resource"].items()
            }
            plain["retention"] = Retention(**plain["retention"])
            plain["limits"] = Limits(**plain["limits"])
            scrub = plain["scrub"]
            plain["scrub"] = ScrubSettings(
                **scrub | {"deny_names": tuple(scrub["deny_names"])}
            )
            for name in ("exporters", "instrument"):
                plain[name] = tuple(plain[name])
            return cls(**plain)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise ConfigError(
                f"settings handed over as JSON are damaged: {error}"
            ) from None
