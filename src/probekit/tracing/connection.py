"""Traces on and off: joins the application's tracer provider, or installs one.

OpenTelemetry's global provider can be set once in a process and never taken back. So
this module keeps, for the life of the process, the provider it has installed and the
gates it has put into others; ``connect`` opens them, ``Connection.close`` closes them.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from probekit._version import __version__
from probekit.model import AttributeValue
from probekit.notice import notice
from probekit.recording.registry import Registry
from probekit.tracing.gate import Flush, Gate
from probekit.tracing.ids import KernelIds
from probekit.tracing.policy import Plan
from probekit.tracing.sampler import Switch, sampler_of
from probekit.tracing.spans import Tracer, current_ids
from probekit.tracing.succession import leave_free, pass_on
from probekit.tracing.tail import TailSampler
from probekit.tracing.translate import Ended

LOST = "tail_memory"

_SWITCH = Switch()
_current: "Connection | None" = None
_GATES: "WeakKeyDictionary[Any, Gate]" = WeakKeyDictionary()


class Connection:
    """Traces while they are on.

    Threads:
        One at a time.
    """

    def __init__(
        self,
        registry: Registry,
        gate: "Gate | None",
        plan: Plan,
        flush: "Flush | None" = None,
    ) -> None:
        """Open *gate*, None where the provider takes none, and give out spans."""
        self._registry = registry
        self._gate = gate
        self._ids_before = registry.trace_ids
        tail = plan.policy.tail
        sink: Recorder | Sorter
        self._sorter: Sorter | None = None
        if tail is None:
            sink = Recorder(registry)
        else:
            sampler = TailSampler(tail, self._keep, self._lose)
            sink = self._sorter = Sorter(registry, sampler)
        self._sink, self._flush = sink, flush
        self.use(gate)
        registry.trace_ids = self._ids

    def use(self, gate: "Gate | None") -> None:
        """Take spans from *gate*, and no other, and make them with its provider."""
        if self._gate is not None:
            self._gate.open(None)
        self._gate = gate
        if gate is not None:
            gate.open(self._sink, self._flush)
        tracer = Tracer(trace.get_tracer("probekit", __version__))
        self._registry.tracing, self._registry.span_maker = tracer, tracer.probe

    def finish(self) -> None:
        """Decide about what waits; call it before the last drain."""
        if self._sorter is not None:
            self._sorter.sampler.finish()

    def close(self) -> None:
        """Switch off; what waits is decided first."""
        global _current
        if _current is self:
            _current = None
        self.finish()
        if self._gate is not None:
            self._gate.open(None)
        _SWITCH.use(None)
        registry = self._registry
        registry.tracing = registry.span_maker = None
        if registry.trace_ids == self._ids:
            registry.trace_ids = self._ids_before

    def _ids(self) -> "tuple[str, str]":
        found = current_ids()
        if found[0] or self._ids_before is None:
            return found
        return self._ids_before()

    def _keep(self, spans: Sequence[Any]) -> None:
        for span in spans:
            self._registry.span(Ended(span))

    def _lose(self, count: int) -> None:
        self._registry.loss("spans", LOST, count)


class Recorder:
    """Takes every sampled span."""

    def __init__(self, registry: Registry) -> None:
        """Record into *registry*."""
        self._registry = registry

    def started(self, span: Any) -> None:
        """Do nothing: only the end matters."""

    def ended(self, readable: Any) -> None:
        """Queue it, unless the caller is inside ``suppress()``."""
        if not self._registry.is_muted():
            self._registry.span(Ended(readable))


class Sorter:
    """Lets traces wait for their decision."""

    def __init__(self, registry: Registry, sampler: TailSampler) -> None:
        """Hand spans to *sampler*."""
        self._registry = registry
        self.sampler = sampler

    def started(self, span: Any) -> None:
        """Pass on."""
        self.sampler.started(span)

    def ended(self, readable: Any) -> None:
        """Pass on; the look at the watch keeps the pump alive."""
        self._registry.is_muted()
        self.sampler.ended(readable)


def connect(
    registry: Registry,
    plan: Plan,
    resource: Mapping[str, AttributeValue],
    flush: "Flush | None" = None,
) -> Connection:
    """Switch traces on.

    Args:
        registry: Where spans go, and whom middleware asks for spans.
        plan: Which traces are recorded and kept. In a provider that the application
            has set, its own sampler decides about recording; the tail is ours.
        resource: Who speaks; for a provider that is installed here.
        flush: What ``force_flush`` of the provider does; None for nothing.

    Returns:
        What switches them off again.

    Threads:
        One at a time. Imports OpenTelemetry's SDK.

    """
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider):
        provider = _installed(resource)
    global _current
    _SWITCH.use(sampler_of(plan))
    _current = Connection(registry, _gate_of(provider), plan, flush)
    return _current


class Provider(TracerProvider):
    """The provider that is installed where the application has none."""

    def _handle_fork(self) -> None:
        """Begin anew in a forked child, without the SDK's threads.

        Its own hook asks resource detectors on a thread pool. Where the module of
        thread pools was imported after the provider was made, that never returns: a
        lock of that module, taken before the fork, is freed only after the hook.
        """
        self._tracers_lock = threading.Lock()


def _installed(resource: Mapping[str, AttributeValue]) -> Any:
    made = Provider(
        sampler=_SWITCH,
        resource=Resource(dict(resource)),
        shutdown_on_exit=False,
        id_generator=KernelIds(),
    )
    trace.set_tracer_provider(made)
    found = trace.get_tracer_provider()  # another thread may have been quicker
    if found is made:
        leave_free(lambda: _joined(made))
    return found


def _joined(ours: Provider) -> None:
    """Go over to the provider that the application has set after ours."""
    theirs = trace.get_tracer_provider()
    gate = _gate_of(theirs)
    if _current is not None:
        _current.use(gate)
    pass_on(ours, theirs)


def _gate_of(provider: Any) -> "Gate | None":
    """The gate in *provider*, put there if need be; None where it takes none."""
    gate = _GATES.get(provider)
    if gate is not None:
        return gate
    add = getattr(provider, "add_span_processor", None)
    if not callable(add):
        kind = type(provider).__name__
        notice("traces", f"the tracer provider {kind} takes no processors: no spans")
        return None
    active = getattr(provider, "_active_span_processor", None)
    gate = Gate(lambda: getattr(active, "_span_processors", ()))
    add(gate)
    _GATES[provider] = gate
    return gate
