"""The host's network interfaces."""

from probekit.observer import Observer

# The host's end of a container's interface has a new name with each container:
# endless series for traffic that the bridge counts too.
_PASSING = ("veth",)


def interfaces(observer: Observer) -> None:
    """Say bytes, packets, errors and drops of each interface, by direction."""
    import psutil

    for name, now in psutil.net_io_counters(pernic=True).items():
        if name.startswith(_PASSING):
            continue
        received = (now.bytes_recv, now.packets_recv, now.errin, now.dropin)
        transmitted = (now.bytes_sent, now.packets_sent, now.errout, now.dropout)
        _say(observer, name, "receive", received)
        _say(observer, name, "transmit", transmitted)


def _say(
    observer: Observer,
    name: str,
    direction: str,
    totals: "tuple[int, int, int, int]",
) -> None:
    size, packets, errors, dropped = totals
    by_name = {"network.interface.name": name, "network.io.direction": direction}
    # The one metric of the family that the conventions key by device.
    by_device = {"system.device": name, "network.io.direction": direction}
    observer.total("system.network.io", size, by_name, unit="By")
    observer.total("system.network.packet.count", packets, by_device, unit="{packet}")
    observer.total("system.network.errors", errors, by_name, unit="{error}")
    observer.total("system.network.packet.dropped", dropped, by_name, unit="{packet}")
