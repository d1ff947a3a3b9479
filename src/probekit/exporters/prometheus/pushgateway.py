"""Leaves the totals of a job at a Pushgateway, where Prometheus finds them later.

Each push replaces the job's group with where everything stands, so a repeated push
changes nothing. A push that is refused as a whole (another group has the same name
with another type) is done again family by family: only the refused one is lost.
"""

import base64
import zlib
from collections.abc import Callable, Sequence
from urllib.parse import quote

from probekit.errors import BufferFailed, Rejected, RetryLater
from probekit.exporters.prometheus.aliases import with_aliases
from probekit.exporters.prometheus.naming import label_value
from probekit.exporters.prometheus.shelf import Shelf
from probekit.exporters.prometheus.text import TEXT, Exposition
from probekit.exporters.transport.deadline import Deadline
from probekit.exporters.transport.http import HttpTransport
from probekit.exporters.urls import Target
from probekit.model import Batch, Point, Resource, Snapshot
from probekit.ports import DeliveryContract

DEFAULT_PORT = 9091
_GZIP_WINDOW = 31  # zlib's code for a gzip header


class Pushgateway:
    """Pushes over HTTP.

    Args:
        target: ``pushgateway://H:9091?job=nightly&group.instance=db1``; text or parsed.
    """

    def __init__(self, target: "Target | str") -> None:
        """Open nothing yet; raise ConfigError for a target that cannot be used."""
        self._target = Target.parse(target) if isinstance(target, str) else target
        options = self._target.options()
        self._transport = HttpTransport.from_options(
            self._target, options, default_port=DEFAULT_PORT
        )
        self._job = options.text("job")
        self._group = tuple(options.prefixed("group.").items())
        for name, _ in self._group:
            if name == "job" or not (name.isascii() and name.isidentifier()):
                raise options.refuse(f"group.{name}", "is no label that may be added")
        self._aliases = options.flag("aliases", default=False)
        self._gzip = options.flag("gzip", default=True)
        self._exposition = Exposition(
            options.numbers("bounds", ()) or None,
            scope=options.flag("scope", default=False),
        )
        options.finish()
        self._shelf = Shelf()
        self.contract = DeliveryContract(
            signals=frozenset({"metrics"}),
            idempotent=True,
            deadline_s=self._transport.timeout_s,
        )

    def __repr__(self) -> str:
        """The class and where it sends to; no secrets."""
        return f"Pushgateway({str(self._target)!r})"

    def begin(self, snapshot: "Callable[[], Snapshot]") -> None:
        """Push what *snapshot* says."""
        self._shelf.begin(snapshot)

    def send(self, batch: Batch) -> None:
        """Return when the gateway has where everything stands.

        Raises:
            RetryLater, TooLarge, Forbidden: See ``transport.answer.VERDICTS``.
            Rejected: The gateway refuses some families; all others were pushed.

        """
        self._shelf.add(batch)
        try:
            snapshot = self._shelf.snapshot()
        except BufferFailed as error:
            raise RetryLater(f"the buffer cannot be read: {error}") from None
        if self._aliases:
            snapshot = with_aliases(snapshot)
        path = self._path(snapshot.resource)
        deadline = self._transport.deadline()
        try:
            self._push("PUT", path, self._exposition.write(snapshot), deadline)
        except Rejected as error:
            if error.count is not None:
                raise
            self._push_apart(path, snapshot, batch, deadline)

    def _push_apart(
        self, path: str, snapshot: Snapshot, batch: Batch, deadline: Deadline
    ) -> None:
        refused: list[tuple[Sequence[Point], str]] = []
        for points, body in self._exposition.families(snapshot):
            reason = self._refusal_of(path, body, deadline)
            if reason:
                refused.append((points, reason))
        lost = {point.series for points, _ in refused for point in points}
        count = sum(p.series in lost for w in batch.windows for p in w.points)
        if count:
            reasons = "; ".join(dict.fromkeys(reason for _, reason in refused))
            raise Rejected(reasons, count)

    def _refusal_of(self, path: str, body: bytes, deadline: Deadline) -> str:
        try:
            self._push("POST", path, body, deadline)
        except Rejected as error:
            return error.reason
        return ""

    def _push(self, method: str, path: str, body: bytes, deadline: Deadline) -> None:
        headers = {"Content-Type": TEXT}
        if self._gzip:
            packer = zlib.compressobj(3, zlib.DEFLATED, _GZIP_WINDOW)
            body = packer.compress(body) + packer.flush()
            headers["Content-Encoding"] = "gzip"
        answer = self._transport.exchange(
            method, path, body, headers, deadline=deadline
        )
        error = self._transport.refusal(answer)
        if error is not None:
            raise error

    def _path(self, resource: Resource) -> str:
        """The group's address: job, then the labels that the URL adds."""
        pairs = [("job", self._job or job_of(resource))]
        pairs += self._group
        return "/metrics" + "".join(_segment(name, text) for name, text in pairs)

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()
        self._shelf.end()


def from_target(target: Target) -> Pushgateway:
    """Build from ``pushgateway://H:P``."""
    return Pushgateway(target)


def job_of(resource: Resource) -> str:
    """The job: the service, after its namespace and a slash where it has one."""
    namespace = resource.attributes.get("service.namespace")
    return (
        f"{label_value(namespace)}/{resource.service}"
        if namespace
        else resource.service
    )


def _segment(name: str, text: str) -> str:
    r"""One label in the path; what a path cannot hold goes as base64.

    Example:
        >>> _segment("job", "nightly"), _segment("job", "a/b"), _segment("x", "")
        ('/job/nightly', '/job@base64/YS9i', '/x@base64/=')

    """
    if text and "/" not in text and text.isprintable() and text not in {".", ".."}:
        return f"/{name}/{quote(text, safe='', errors='replace')}"
    packed = base64.urlsafe_b64encode(text.encode("utf-8", "replace")).decode()
    return f"/{name}@base64/{packed.rstrip('=') or '='}"
