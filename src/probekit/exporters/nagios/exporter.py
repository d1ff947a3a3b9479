"""Takes metrics and events to Nagios, Icinga and their relatives as passive results.

Three ways: the command file of a Nagios on this machine, an NSCA daemon, NRDP. Only
NRDP answers. A state of the past is worth nothing, so windows older than ``max_age_s``
are not sent (the shipper counts them).
"""

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from probekit.errors import ConfigError
from probekit.exporters.figures import learn
from probekit.exporters.nagios.command_file import CommandFile
from probekit.exporters.nagios.nrdp import Nrdp
from probekit.exporters.nagios.nsca import ENCRYPTIONS, OUTPUT_BYTES, Nsca
from probekit.exporters.nagios.plugin import Range
from probekit.exporters.nagios.results import NagiosResults, Result, Thresholds
from probekit.exporters.naming import Naming
from probekit.exporters.options import Options
from probekit.exporters.text import host_of
from probekit.exporters.transport.dial import CONNECT_TIMEOUT_S, Dialer
from probekit.exporters.transport.http import HttpTransport
from probekit.exporters.transport.tls import tls_from
from probekit.exporters.urls import Target
from probekit.model import Batch, Snapshot
from probekit.ports import DeliveryContract

NSCA_PORT, HTTP_PORT, HTTPS_PORT = 5667, 80, 443
MAX_AGE_S = 600.0
MAX_RECORDS = 1000
_HOST = Naming(re.compile(r"[^ -~]+|[`~!$%^&*\"|'<>?,()=;\\]+"), limit=63)


class _Way(Protocol):
    timeout_s: float

    def send(self, host: str, results: "list[Result]") -> None: ...

    def close(self) -> None: ...


class Nagios:
    """Sends passive results of services.

    Args:
        target: ``nagios:///path/nagios.cmd?host=NAME``,
            ``nagios+nsca://:password@host:5667?host=NAME``,
            ``nagios+nrdp://host/nrdp?host=NAME&token=TOKEN``; text or parsed.
    """

    def __init__(self, target: "Target | str") -> None:
        """Open nothing yet; raise ConfigError for a target that cannot be used."""
        self._target = Target.parse(target) if isinstance(target, str) else target
        options = self._target.options()
        self._host = options.text("host")
        if self._host and _HOST.of(self._host) != self._host:
            raise options.refuse(
                "host", "may hold 63 characters of ASCII, none of ~!$%^&*\"|'<>?,()=;"
            )
        self._results = NagiosResults(
            options.text("services", "*").split(","), _thresholds(options)
        )
        max_age_s = options.seconds("max_age_s", MAX_AGE_S, low=1.0, high=604_800.0)
        build = {"nagios+nsca": _nsca, "nagios+nrdp": _nrdp, "nagios+nrdp+https": _nrdp}
        self._way: _Way = build.get(self._target.scheme, _command_file)(
            self._target, options
        )
        options.finish()
        if isinstance(self._way, CommandFile) and (
            self._target.hosts or not self._target.path
        ):
            raise ConfigError(
                f"exporters: {self._target} must name a file: "
                f"nagios:///path/to/nagios.cmd"
            )
        if isinstance(self._way, Nrdp) and not self._way.has_token:
            raise options.refuse("token", "is needed: one of NRDP's authorized_tokens")
        self.contract = DeliveryContract(
            signals=frozenset({"metrics", "events"}),
            acknowledges=isinstance(self._way, Nrdp),
            accepts_past=False,
            max_age_s=max_age_s,
            max_records=MAX_RECORDS,
            deadline_s=self._way.timeout_s,
        )

    def __repr__(self) -> str:
        """The class and where it sends to; no secrets."""
        return f"Nagios({str(self._target)!r})"

    def begin(self, snapshot: "Callable[[], Snapshot]") -> None:
        """Give every series its service in the order of first appearance."""
        learn(snapshot, self._results.learn)

    def send(self, batch: Batch) -> None:
        """Hand the batch's results over; with NRDP: return when it has them.

        Raises:
            RetryLater: Nobody takes them now.
            Forbidden: NRDP refuses the token.
            Rejected: A number is not finite.

        """
        results = self._results.of(batch)
        if results:
            resource = batch.resource
            host = self._host or _HOST.of(host_of(resource) or resource.service)
            self._way.send(host, results)

    def close(self) -> None:
        """Close the connection."""
        self._way.close()


def _thresholds(options: Options) -> "dict[str, Thresholds]":
    warn, crit = options.prefixed("warn."), options.prefixed("crit.")
    return {
        name: Thresholds(
            _range(options, "warn", name, warn), _range(options, "crit", name, crit)
        )
        for name in {*warn, *crit}
    }


def _range(
    options: Options, word: str, name: str, given: "dict[str, str]"
) -> "Range | None":
    if name not in given:
        return None
    try:
        return Range.parse(given[name])
    except ValueError as error:
        raise options.refuse(f"{word}.{name}", f"= {error}") from None


def _command_file(target: Target, options: Options) -> _Way:
    return CommandFile(Path(target.path), options.seconds("timeout_s", 5.0, high=300.0))


def _nsca(target: Target, options: Options) -> _Way:
    encryption = options.choice("encryption", ENCRYPTIONS, "xor")
    size = options.choice("packet_bytes", tuple(map(str, OUTPUT_BYTES)), "4304")
    timeout_s = options.seconds("timeout_s", 10.0, high=300.0)
    return Nsca(
        Dialer(
            target.addresses(NSCA_PORT), connect_timeout_s=_connect_timeout_s(options)
        ),
        password=target.password.encode() if encryption == "xor" else None,
        packet_bytes=int(size),
        timeout_s=timeout_s,
    )


def _nrdp(target: Target, options: Options) -> _Way:
    over_tls = target.scheme.endswith("+https")
    headers = options.prefixed("header.")
    if target.user or target.password:
        pair = f"{target.user}:{target.password}".encode()
        headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
    transport = HttpTransport(
        Dialer(
            target.addresses(HTTPS_PORT if over_tls else HTTP_PORT),
            connect_timeout_s=_connect_timeout_s(options),
            tls=tls_from(options, default=over_tls),
        ),
        base_path=target.path,
        headers=headers,
        timeout_s=options.seconds("timeout_s", 10.0, high=300.0),
    )
    return Nrdp(transport, options.text("token"))


def _connect_timeout_s(options: Options) -> float:
    return options.seconds("connect_timeout_s", CONNECT_TIMEOUT_S, high=60.0)


def from_target(target: Target) -> Nagios:
    """Build from ``nagios:``, ``nagios+nsca:``, ``nagios+nrdp:`` or with ``+https``."""
    return Nagios(target)
