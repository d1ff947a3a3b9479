"""The thread behind one courier: it sleeps, steps, and lets go at the end."""

import contextlib
import threading
from collections.abc import Callable

from probekit.clock import SYSTEM_CLOCK, Clock
from probekit.delivery.courier import Courier
from probekit.notice import notice
from probekit.ports import Exporter
from probekit.thread import Thread


class Shipper:
    """Ships one exporter's parcels on a daemon thread of its own."""

    def __init__(
        self,
        courier: Courier,
        exporter: Exporter,
        *,
        label: str = "",
        clock: Clock = SYSTEM_CLOCK,
        on_start: Callable[[], None] = lambda: None,
        on_step: Callable[[], None] = lambda: None,
    ) -> None:
        """Wire it; nothing runs yet.

        Args:
            courier: What does the work.
            exporter: Closed at the end, on the shipping thread.
            label: Shown in the thread's name, ``otlp``.
            clock: Only its monotonic reading is used.
            on_start: Called once on the thread before all else.
            on_step: Called on the thread after each step; does not raise.

        """
        self.courier = courier
        self._exporter = exporter
        self._clock = clock
        self._on_start = on_start
        self._on_step = on_step
        self._wake = threading.Event()
        self._finish_by_s: float | None = None
        self._stopped = False
        self._farewell: Callable[[], None] = lambda: None
        self._thread = Thread(self._run, f"probekit-ship-{label or courier.name}"[:60])

    @property
    def is_alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    def start(self) -> bool:
        """Start the thread; say whether it could be started."""
        try:
            self._thread.start()
        except RuntimeError as error:
            notice("ship-start", f"{self.courier.name} has no thread: {error}")
            return False
        return True

    def wake(self) -> None:
        """Something new may wait; any thread."""
        self._wake.set()

    def hurry(self) -> None:
        """Somebody flushes: try at once; any thread."""
        self.courier.hurry()
        self._wake.set()

    def finish(self, by_s: float) -> None:
        """Deliver what can be delivered until *by_s* on the monotonic clock, then end.

        One try, no waiting for a backend that does not answer or asks for time.
        """
        self._finish_by_s = by_s
        self.hurry()

    def stop(self) -> None:
        """End after the step at hand."""
        self._stopped = True
        self._wake.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; False when the thread is still sending."""
        if self.is_alive:
            self._thread.join(max(0.0, timeout_s))
        return not self.is_alive

    def outlive(self, farewell: Callable[[], None]) -> None:
        """It goes on when the term is over: *farewell* then is the last it does."""
        self._farewell = farewell

    def _run(self) -> None:
        with contextlib.suppress(Exception):  # silence on our threads is a courtesy
            self._on_start()
        try:
            while not self._stopped:
                self._wake.clear()
                finish_by_s = self._finish_by_s  # before the step: it must see the last
                wait_s = self.courier.step()
                self._on_step()
                if finish_by_s is not None and self._is_done(wait_s, finish_by_s):
                    break
                if wait_s > 0:
                    self._wake.wait(wait_s)
        finally:
            try:
                self._farewell()
            except Exception as error:
                notice("ship-end", "the buffer was not closed", error)
            with contextlib.suppress(Exception):  # a foreign close may fail as it likes
                self._exporter.close()

    def _is_done(self, wait_s: float, finish_by_s: float) -> bool:
        left_s = finish_by_s - self._clock.monotonic_s()
        # What cannot be tried within the time left is left for whoever comes next.
        return self.courier.is_idle or wait_s >= left_s or self.courier.is_blocked
