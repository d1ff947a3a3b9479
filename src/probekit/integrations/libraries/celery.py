"""Celery on both sides, through its signals: sending, waiting, working, failing.

Only that a message could not be sent is told by no signal: for that alone
``Celery.send_task`` is wrapped.

The sender's trace context and the moment of sending travel in the message's headers;
the worker makes that context its own while the task runs.
"""

import sys
import time
from contextvars import ContextVar
from datetime import datetime
from functools import partial
from types import ModuleType
from typing import Any

from probekit.integrations.context import Attached, inject
from probekit.integrations.http import share_trace_ids
from probekit.integrations.libraries.figures import (
    Durations,
    Names,
    Pairs,
    error_type,
    told,
)
from probekit.integrations.libraries.patching import Patches
from probekit.integrations.spans import CONSUMER, PRODUCER, call
from probekit.model import AttributeValue
from probekit.recording import instruments
from probekit.recording.errors.seen import forget_mark, is_marked, mark_recorded
from probekit.recording.events import record_error
from probekit.recording.quiet import suppressed
from probekit.recording.registry import REGISTRY
from probekit.recording.seams import CallSpan
from probekit.recording.underway.running import UNDERWAY, Operation

SENT_HEADER = "probekit_sent_unix_ns"
_TRACE_HEADERS = ("traceparent", "tracestate", "baggage")
_WORK = "_probekit_work"
_NAMES = Names(500)

_PROCESS = Durations("messaging.process.duration", "Duration of processing a message.")
_SEND = Durations(
    "messaging.client.operation.duration",
    "Duration of sending a message.",
)
_QUEUE = Durations(
    "probekit.celery.queue.duration",
    "Time from sending a task, or from its ETA, to its start.",
)
# Task id -> perf_counter() seconds, and the span of sending it.
_sending: "dict[str, tuple[float, CallSpan | None]]" = {}
_SENDING_LIMIT = 1000
# Ids of the messages that the running ``send_task`` has begun to send.
_IDS: "ContextVar[list[str] | None]" = ContextVar("probekit_celery_ids", default=None)


def patch(patches: Patches, module: ModuleType) -> None:
    """Listen to ``celery.signals``; patch ``celery.app.base``."""
    if module.__name__ == "celery.app.base":
        patches.wrap(module.Celery, "send_task", _send_task)
        return
    share_trace_ids()
    for name, heard in _HEARD.items():
        signal = getattr(module, name)
        mark = f"probekit-{name}"
        signal.connect(heard, weak=False, dispatch_uid=mark)
        patches.on_undo(partial(signal.disconnect, dispatch_uid=mark))


def _send_task(wrapped: Any, _app: Any, args: Any, kwargs: Any) -> Any:
    ids: list[str] = []
    token = _IDS.set(ids)
    try:
        return wrapped(*args, **kwargs)
    except Exception as error:
        _not_sent(ids, args[0] if args else kwargs.get("name"), error)
        raise
    finally:
        _IDS.reset(token)


def _not_sent(ids: "list[str]", task: object, problem: Exception) -> None:
    """Record the messages that were begun and did not get out."""
    try:
        for task_id in ids:
            sent = _sending.pop(task_id, None)
            if sent is not None:
                failure = ("error.type", error_type(type(problem)))
                _sent(*sent, (*_pairs("publish", task, None), failure), problem)
    except Exception as error:
        told("celery", error)


def _sent(
    started_s: float,
    span: "CallSpan | None",
    pairs: Pairs,
    error: "Exception | None" = None,
) -> None:
    _SEND.record(time.perf_counter() - started_s, pairs)
    if span is not None:
        span.describe("", dict(pairs))
        span.end(error)


def _before_publish(
    sender: Any = None,
    headers: Any = None,
    body: Any = None,
    **_facts: Any,
) -> None:
    del body
    if suppressed() or not isinstance(headers, dict):
        return
    try:
        headers[SENT_HEADER] = time.time_ns()
        task_id = str(headers.get("id"))
        span = _send_span(sender, task_id)
        if span is None:
            inject(headers)
        else:
            for name, value in span.headers().items():
                headers.setdefault(name, value)
        if len(_sending) >= _SENDING_LIMIT:
            _sending.clear()  # sent past send_task, and failed: nobody said so
        _sending[task_id] = time.perf_counter(), span
        ids = _IDS.get()
        if ids is not None:
            ids.append(task_id)
    except Exception as error:
        told("celery", error)


def _after_publish(
    sender: Any = None,
    headers: Any = None,
    routing_key: Any = None,
    **_facts: Any,
) -> None:
    if suppressed():
        return
    try:
        pairs = _pairs("publish", sender, routing_key)
        instruments.counter(
            "messaging.client.sent.messages",
            unit="{message}",
            description="Messages sent.",
        ).add(1, dict(pairs))
        sent = _sending.pop(str((headers or {}).get("id")), None)
        if sent is not None:
            _sent(*sent, pairs)
    except Exception as error:
        told("celery", error)


class _Work:
    """A task that is being worked on."""

    __slots__ = ("attached", "error", "error_type", "pairs", "span", "started_s")

    def __init__(self, task: Any) -> None:
        request = task.request
        delivery = getattr(request, "delivery_info", None) or {}
        self.pairs = _pairs("process", task.name, delivery.get("routing_key"))
        self.error_type = ""
        self.error: BaseException | None = None
        carrier = {
            name: getattr(request, name, None)
            for name in _TRACE_HEADERS
            if getattr(request, name, None) is not None
        }
        self.attached = Attached(carrier)
        self.span = _work_span(task, self.pairs, carrier)
        self.started_s = time.perf_counter()

    def underway(self, longest_s: float) -> "Operation | None":
        """Describe it, if it began before *longest_s*; see ``running.Underway``."""
        if self.started_s > longest_s:
            return None
        facts = dict(self.pairs)
        name = str(facts["celery.task_name"])
        return Operation("job", name, self.started_s, facts, entry=id(self))


def _prerun(task: Any = None, **_facts: Any) -> None:
    try:
        work = _Work(task)
        setattr(task.request, _WORK, work)
        UNDERWAY.add(work)
        waited_s = _waited_s(task.request)
        if waited_s is not None:
            _QUEUE.record(waited_s, work.pairs)
        instruments.counter(
            "messaging.client.consumed.messages",
            unit="{message}",
            description="Messages delivered to the application.",
        ).add(1, dict(work.pairs))
    except Exception as error:
        told("celery", error)


def _postrun(task: Any = None, **_facts: Any) -> None:
    try:
        work = vars(task.request).pop(_WORK, None)
        if work is None:
            return
        UNDERWAY.discard(work)
        elapsed_s = time.perf_counter() - work.started_s
        pairs = work.pairs
        if work.error_type:
            pairs = (*pairs, ("error.type", work.error_type))
        _PROCESS.record(elapsed_s, pairs)
        if work.span is not None:
            work.span.describe("", dict(pairs))
            work.span.end(work.error, error_type=work.error_type)
        work.error = None
        work.attached.detach()
    except Exception as error:
        told("celery", error)


def _failure(sender: Any = None, exception: Any = None, **_facts: Any) -> None:
    try:
        work = getattr(sender.request, _WORK, None)
        if work is not None:
            work.error_type = error_type(type(exception))
            work.error = exception
        if work is None or not is_marked(exception, work.started_s):
            forget_mark(exception)  # of an earlier task's
        else:
            mark_recorded(exception)  # also if it was only logged: it counts once
        record_error(REGISTRY, exception, {"celery.task_name": _name(sender)})
        mark_recorded(exception)  # Celery is about to log it
    except Exception as error:
        told("celery", error)


def _retry(sender: Any = None, **_facts: Any) -> None:
    try:
        instruments.counter(
            "probekit.celery.task.retries",
            unit="{retry}",
            description="Times that tasks were put back to be tried again.",
        ).add(1, {"celery.task_name": _name(sender)})
    except Exception as error:
        told("celery", error)


def _child_ends(**_facts: Any) -> None:
    """Write what a pool's process recorded last: it ends without ``atexit``."""
    runtime = sys.modules.get("probekit.runtime")
    if runtime is not None:  # else nothing was configured, and there is no buffer
        runtime.shutdown(timeout_s=0.0)


_HEARD = {
    "worker_process_shutdown": _child_ends,
    "before_task_publish": _before_publish,
    "after_task_publish": _after_publish,
    "task_prerun": _prerun,
    "task_postrun": _postrun,
    "task_failure": _failure,
    "task_retry": _retry,
}


def _send_span(task: object, task_id: str) -> "CallSpan | None":
    """The span of sending a task; not the current one: its end may go untold."""
    name = f"publish {_name(task)}"
    return call(name, _message("send", task_id), kind=PRODUCER, attach=False)


def _message(operation: str, task_id: str) -> "dict[str, AttributeValue]":
    """What a span says of a message, and a series does not: ids have no end."""
    return {"messaging.operation.type": operation, "messaging.message.id": task_id}


def _work_span(task: Any, pairs: Pairs, carrier: "dict[str, Any]") -> "CallSpan | None":
    """The span of working on a task: the sender's trace goes on."""
    tracing = REGISTRY.tracing
    if tracing is None:
        return None

    def header(key: str) -> "str | None":
        value = carrier.get(key)
        return value if isinstance(value, str) else None

    attributes = {**dict(pairs), **_message("process", str(task.request.id))}
    return tracing.serve(f"process {_name(task.name)}", CONSUMER, attributes, header)


def _pairs(operation: str, task: object, destination: object) -> Pairs:
    pairs: Pairs = (
        ("messaging.system", "celery"),
        ("messaging.operation.name", operation),
        ("celery.task_name", _name(task)),
    )
    if isinstance(destination, str) and destination:
        pairs = (*pairs, ("messaging.destination.name", _NAMES.bounded(destination)))
    return pairs


def _name(task: object) -> str:
    name = task if isinstance(task, str) else getattr(task, "name", None)
    return _NAMES.bounded(name) if isinstance(name, str) and name else "_OTHER"


def _waited_s(request: Any) -> "float | None":
    """Seconds since the task could have begun; None when nobody stamped it."""
    sent_ns = getattr(request, SENT_HEADER, None)
    if not isinstance(sent_ns, int):
        return None
    could_begin_s = sent_ns / 1e9
    eta = getattr(request, "eta", None)
    if isinstance(eta, str):
        could_begin_s = max(could_begin_s, _moment_s(eta))
    return max(0.0, time.time() - could_begin_s)


def _moment_s(iso: str) -> float:
    try:
        return datetime.fromisoformat(iso.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0.0
