"""An OTLP receiver that knows records by their identity, and a proxy that cuts.

Shares no code with probekit. A request that comes again byte for byte is a repeat and
is taken once: what a receiver does that recognises a batch.
"""

import contextlib
import socket
import struct
import threading
from collections import Counter

from receiver import Listener, texts

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset


class Ledger(Listener):
    """Counts operations by id and by block.

    Attributes:
        events: (event name, operation id) → how often, repeats left out.
        blocks: (who, block) → operations counted by the metric.
        repeats: Requests that came again byte for byte.
    """

    def __init__(self):
        super().__init__()
        self.events = Counter()
        self.blocks = Counter()
        self.texts = []
        self.repeats = 0

    def take(self, path, body):
        with self.lock:
            if (path, body) in self.bodies:
                self.repeats += 1
            else:
                super().take(path, body)

    def take_metrics(self, request):
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name != "ops":
                        continue
                    for point in metric.sum.data_points:
                        found = dict(texts(point.attributes))
                        amount = point.as_double or point.as_int
                        self.blocks[found["who"], int(found["block"])] += amount

    def take_logs(self, request):
        for resource in request.resource_logs:
            for scope in resource.scope_logs:
                for record in scope.log_records:
                    found = dict(texts(record.attributes))
                    self.events[record.event_name, found.get("op.id")] += 1
                    self.texts.append(str(record))

    def ids(self, name, who):
        """Numbers of the operations of *who* that arrived as events called *name*."""
        with self.lock:
            found = [key.split(":") for event, key in self.events if event == name]
        return {int(number) for owner, number in found if owner == who}

    def doubled(self):
        """Operations that arrived twice; the governor's own events have no id."""
        with self.lock:
            return [key for key, times in self.events.items() if times > 1 and key[1]]


class CuttingProxy:
    """Forwards to a receiver and resets connections at random moments.

    Some connections after a few bytes of the request; and, the one that matters, many
    when the answer is there and has not been passed on.

    Args:
        target_port: Of the receiver, on loopback.
        rng: Source of chance.
        cut_ratio: Share of answers that are cut off.

    Attributes:
        cut_answers: How many answers were kept back.
        cut_requests: How many requests did not arrive whole.
    """

    def __init__(self, target_port, rng, cut_ratio=0.4):
        self._target_port = target_port
        self._rng = rng
        self._cut_ratio = cut_ratio
        self._lock = threading.Lock()
        self.cut_answers = self.cut_requests = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def calm(self):
        """Cut nothing any more."""
        self._cut_ratio = 0.0

    def close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _cuts_request(self):
        """After how many bytes this connection's request is cut; None for not."""
        with self._lock:
            if self._rng.random() < self._cut_ratio / 4:
                return self._rng.randrange(1, 4000)
            return None

    def _cuts_answer(self):
        """Whether this answer stays here; the first one always does."""
        with self._lock:
            cut = self._cut_ratio > 0 and (
                not self.cut_answers or self._rng.random() < self._cut_ratio
            )
            self.cut_answers += cut
            return cut

    def _serve(self, client):
        request_bytes = self._cuts_request()
        try:
            server = socket.create_connection(("127.0.0.1", self._target_port), 5)
        except OSError:
            self._reset(client)
            return
        back = threading.Thread(
            target=self._answers, args=(server, client), daemon=True
        )
        back.start()
        passed = 0
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                if request_bytes is not None and passed + len(data) >= request_bytes:
                    server.sendall(data[: request_bytes - passed])
                    with self._lock:
                        self.cut_requests += 1
                    self._reset(client)
                    break
                passed += len(data)
                server.sendall(data)
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        back.join(5)
        server.close()
        client.close()

    def _answers(self, server, client):
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if self._cuts_answer():
                    self._reset(client)
                    return
                client.sendall(data)

    @staticmethod
    def _reset(connection):
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            connection.shutdown(socket.SHUT_RDWR)
