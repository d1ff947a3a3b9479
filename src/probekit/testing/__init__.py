"""Stubs, kits and far sides for tests of probekit and of what is built on it.

Shipped, so that whoever writes an exporter or an application can use them. Only the
standard library is needed.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from probekit.testing.contract import ExporterContract
    from probekit.testing.http_receiver import HttpReceiver, Reply, Request
    from probekit.testing.memory import MemoryExporter
    from probekit.testing.receivers import TcpReceiver, UdpReceiver

__all__ = (
    "ExporterContract",
    "HttpReceiver",
    "MemoryExporter",
    "Reply",
    "Request",
    "TcpReceiver",
    "UdpReceiver",
)

_HOME_OF = {
    "ExporterContract": "contract",
    "HttpReceiver": "http_receiver",
    "MemoryExporter": "memory",
    "Reply": "http_receiver",
    "Request": "http_receiver",
    "TcpReceiver": "receivers",
    "UdpReceiver": "receivers",
}


def __getattr__(name: str) -> object:
    """Load a helper's module when it is first asked for."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
