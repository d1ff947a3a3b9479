"""Log records of an OpenTelemetry SDK, committed to our buffer as events."""

import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk._logs import export as sdk

from probekit.integrations.opentelemetry.commit import DESK, note_resource
from probekit.integrations.opentelemetry.spans import flushed
from probekit.model import SEVERITY_INFO, Event, Harvest
from probekit.naming import NAME_LIMIT, VALUE_LIMIT
from probekit.notice import notice
from probekit.recording.attributes import clean, encodable
from probekit.recording.registry import REGISTRY
from probekit.recording.seams import Scrub

EVENT_NAME = "log"  # of records that have no event name, as in integrations.logging
_HIGHEST_SEVERITY = 24

if TYPE_CHECKING:
    SdkLogExporter = sdk.LogRecordExporter
    _Result = sdk.LogRecordExportResult
else:  # older SDKs know them by their first names
    SdkLogExporter = getattr(sdk, "LogRecordExporter", None) or sdk.LogExporter
    _Result = getattr(sdk, "LogRecordExportResult", None) or sdk.LogExportResult


class DurableLogExporter(SdkLogExporter):
    """Commits log records to probekit's buffer, as events.

    An event is called like the record's event name, or ``log``.

    Durability:
        As for :class:`DurableSpanExporter`.

    Threads:
        Any; waits for one write.

    Example:
        >>> from opentelemetry.sdk._logs import LoggerProvider
        >>> provider = LoggerProvider(shutdown_on_exit=False)
        >>> provider.add_log_record_processor(DurableLogProcessor())

    """

    def export(self, batch: "Sequence[Any]") -> "_Result":
        """Return SUCCESS when *batch* is written; never raises."""
        try:
            if not batch or DESK.is_muted():
                return _Result.SUCCESS
            resource = getattr(batch[0], "resource", None)
            if resource is not None:
                note_resource(resource)
            if DESK.commit(_harvest(batch)):
                return _Result.SUCCESS
        except Exception as error:
            notice("otel-logs", "log records were not taken", error)
        return _Result.FAILURE

    def shutdown(self) -> None:
        """Write what is held, if it can be written now."""
        DESK.commit(Harvest())

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Deliver everything, as ``probekit.flush``; say whether it is delivered."""
        return flushed(timeout_millis)


class DurableLogProcessor(sdk.SimpleLogRecordProcessor):
    """Commits each log record as it is emitted."""

    def __init__(self) -> None:
        """Commit through a :class:`DurableLogExporter`."""
        super().__init__(DurableLogExporter())

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Deliver everything, as ``probekit.flush``; say whether it is delivered."""
        return flushed(timeout_millis)


def _harvest(batch: "Sequence[Any]") -> Harvest:
    """What can be translated; the rest is counted as lost."""
    found: list[Event] = []
    scrub = REGISTRY.scrub
    for each in batch:
        try:
            found.append(event_of(each.log_record, scrub))
        except Exception as error:  # noqa: PERF203 - one bad record, not the others
            REGISTRY.loss("events", "invalid")
            notice("otel-log", "a log record was not taken", error)
    return Harvest(series=REGISTRY.table.series, events=found)


def event_of(record: Any, scrub: Scrub) -> Event:
    """Return a log record of the SDK's as an event, scrubbed."""
    name = getattr(record, "event_name", None) or EVENT_NAME
    severity = record.severity_number.value if record.severity_number else 0
    at_ns = record.timestamp or record.observed_timestamp or time.time_ns()
    return Event(
        at_ns,
        encodable(name, NAME_LIMIT),
        scrub.attributes(clean(record.attributes)),
        severity if 0 < severity <= _HIGHEST_SEVERITY else SEVERITY_INFO,
        scrub.text(_body(record.body)),
        f"{record.trace_id:032x}" if record.trace_id else "",
        f"{record.span_id:016x}" if record.span_id else "",
    )


def _body(body: Any) -> str:
    if body is None:
        return ""
    if not isinstance(body, str):
        body = json.dumps(body, default=lambda value: f"<{type(value).__name__}>")
    return encodable(body, VALUE_LIMIT)
