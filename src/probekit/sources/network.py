"""The host's network interfaces."""

from probekit.observer import Observer, Readings
from probekit.sources.portable import HostReader

# The host's end of a container's interface has a new name with each container:
# endless series for traffic that the bridge counts too.
_PASSING = ("veth",)


class Interfaces:
    """Bytes, packets, errors and drops of each interface, by direction."""

    __slots__ = ("_reader", "_said")

    def __init__(self, reader: HostReader) -> None:
        """Ask *reader*."""
        self._reader = reader
        self._said: dict[str, Readings] = {}

    def __call__(self, observer: Observer) -> None:
        """Say them."""
        for name, totals in self._reader.interfaces():
            if name.startswith(_PASSING):
                continue
            said = self._said.get(name)
            if said is None:
                received, sent = _series(name, "receive"), _series(name, "transmit")
                said = self._said[name] = Readings("total", received + sent)
            observer.say(said, totals)


def _series(name: str, direction: str) -> "list[tuple[str, dict[str, str], str]]":
    by_name = {"network.interface.name": name, "network.io.direction": direction}
    # The one metric of the family that the conventions key by device.
    by_device = {"system.device": name, "network.io.direction": direction}
    return [
        ("system.network.io", by_name, "By"),
        ("system.network.packet.count", by_device, "{packet}"),
        ("system.network.errors", by_name, "{error}"),
        ("system.network.packet.dropped", by_name, "{packet}"),
    ]
