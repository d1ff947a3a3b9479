"""Figures of the host that take long to read; never part of the default sample."""

import socket
from collections import Counter

from probekit.observer import Observer


def processes(observer: Observer) -> None:
    """Say how many processes are in each state; about 50 µs a process."""
    import psutil

    states: Counter[str] = Counter()
    for process in psutil.process_iter(["status"]):
        states[process.info["status"]] += 1
    for state, count in states.items():
        attributes = {"process.state": state}
        observer.level("system.process.count", count, attributes, unit="{process}")


def connections(observer: Observer) -> None:
    """Say how many connections are in each state; reads every process's descriptors."""
    import psutil

    states: Counter[tuple[str, str]] = Counter()
    for connection in psutil.net_connections("inet"):
        transport = "udp" if connection.type == socket.SOCK_DGRAM else "tcp"
        states[transport, connection.status.lower()] += 1
    for (transport, state), count in states.items():
        attributes = {"network.transport": transport}
        if state != "none":  # UDP knows no states
            attributes["network.connection.state"] = state
        observer.level(
            "system.network.connection.count",
            count,
            attributes,
            unit="{connection}",
        )


def frequencies(observer: Observer) -> None:
    """Say the clock of each processor; some kernels stop the core to ask it."""
    import psutil

    for number, clock in enumerate(psutil.cpu_freq(percpu=True)):
        attributes = {"cpu.logical_number": number}
        observer.gauge(
            "system.cpu.frequency", clock.current * 1e6, attributes, unit="Hz"
        )
