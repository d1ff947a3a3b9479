"""Bad networks between a program and a receiver, in this process: TCP and UDP."""

import contextlib
import socket
import threading
import time
from collections import Counter

from faultreceiver import CuttingProxy


class FlappingProxy(CuttingProxy):
    """Up for a moment, down for a moment; what goes through comes late and unordered.

    Args:
        target_port: Of the receiver, on loopback.
        rng: Source of chance.

    Attributes:
        flaps: How often it went down.
    """

    def __init__(self, target_port, rng):
        super().__init__(target_port, rng, cut_ratio=0.2)
        self.flaps = 0
        self._down = False
        self._stable = threading.Event()
        threading.Thread(target=self._flap, daemon=True).start()

    def calm(self):
        super().calm()
        self._stable.set()
        self._down = False

    def close(self):
        self.calm()
        super().close()

    def _flap(self):
        while not self._stable.wait(self._rng.uniform(0.05, 0.3)):
            self._down = not self._down
            self.flaps += self._down

    def _serve(self, client):
        if self._down and not self._stable.is_set():
            self._reset(client)
            client.close()
            return
        if not self._stable.is_set():
            time.sleep(self._rng.uniform(0.0, 0.05))
        super()._serve(client)


class LossyDatagrams:
    """A UDP proxy and receiver in one: loses 30 %, repeats and reorders.

    Args:
        rng: Source of chance.
        lost_ratio: Share of datagrams that never arrive.

    Attributes:
        sent: Datagrams that came in.
        dropped: Datagrams that were lost on purpose.
        arrived: What came through, in the order of arrival, repeats included.
    """

    def __init__(self, rng, lost_ratio=0.3):
        self._rng = rng
        self._lost_ratio = lost_ratio
        self.sent = []
        self.dropped = 0
        self.arrived = []
        self._held = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()

    def close(self):
        """Let go of what was held back; nothing arrives any more."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)
        self.arrived += self._held
        self._held = []

    def _receive(self):
        with contextlib.suppress(OSError):
            while data := self._socket.recv(65536):
                self._pass(data)

    def _pass(self, data):
        self.sent.append(data)
        if self._rng.random() < self._lost_ratio:
            self.dropped += 1
            return
        self._held += [data] * (1 + (self._rng.random() < 0.1))
        self._rng.shuffle(self._held)
        if len(self._held) > 8:
            self.arrived += self._held[4:]
            del self._held[4:]

    def repeated(self):
        """How many datagrams arrived more than once."""
        return sum(times > 1 for times in Counter(self.arrived).values())
