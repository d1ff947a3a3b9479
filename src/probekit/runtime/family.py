"""The process that leads and ships for a family of processes; see ``sidecar``."""

import os
import signal

from probekit.clock import SYSTEM_CLOCK
from probekit.delivery.leader import Leader
from probekit.runtime.parts import build_exporters, build_office, build_store
from probekit.settings import Settings
from probekit.thread import Thread

FAREWELL_S = 5.0  # for the last deliveries, once the family is gone
STANDBY_S = 2.0  # longest wait for office; then somebody else's sidecar serves


def main(text: str) -> None:
    """Lead and ship until the family is gone.

    Args:
        text: The settings, as ``Settings.to_json`` wrote them.

    """
    settings = Settings.from_json(text)
    store = build_store(settings, settings.buffer)
    office = build_office(settings, store, build_exporters(settings.exporters))
    leader = Leader(
        office,
        on_unusable=lambda _error: None,  # the applications find out by themselves
        give_up_after_s=STANDBY_S,
    )

    def end(*_: object) -> None:
        leader.finish(SYSTEM_CLOCK.monotonic_s() + FAREWELL_S)

    def listen() -> None:
        while os.read(0, 4096):
            continue
        end()

    signal.signal(signal.SIGTERM, end)
    Thread(listen, "probekit-family").start()
    leader.run()
