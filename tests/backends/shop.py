"""An application of its own process that records on command, and sends to URLs.

``Shop`` starts it and talks to it over a pipe: one word in, one JSON line back.
"""

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import time

#: What ``record`` records, by metric; for the tests to compare with.
VALUES = [0.004, 0.12, 0.25, 9.0]
ORDERS, CARTS, TEMPERATURE = 3.0, 3.0, -4.5


def record():
    """One of each kind."""
    import probekit

    probekit.counter("shop.orders", unit="{order}").add(1, {"plan": "pro"})
    probekit.counter("shop.orders", unit="{order}").add(2, {"plan": "pro"})
    carts = probekit.up_down_counter("shop.carts", unit="{cart}")
    carts.add(5)
    carts.add(-2)
    probekit.gauge("shop.temperature", unit="Cel").set(-4.5)
    for value in VALUES:
        probekit.histogram("shop.request.duration", unit="s").record(value)
    probekit.event("order.refunded", {"order.id": "A1", "amount": 9})
    try:
        raise ValueError("no such plan")
    except ValueError as error:
        probekit.record_exception(error)


def orders(count, first=0):
    """Operations of the kind that is counted afterwards."""
    import probekit

    counter = probekit.counter("shop.operations")
    for number in range(first, first + int(count)):
        counter.add(1)
        if number % 10 == 0:
            probekit.event("operation", {"number": number})


def spread(text):
    """The same operations, spread over some seconds; no event is like another."""
    count, seconds = text.split()
    for first in range(0, int(count), 100):
        orders(100, first)
        time.sleep(float(seconds) * 100 / int(count))


def hostile(_):
    """Words that want to be more than words."""
    import probekit
    from probekit.testing.contract import HOSTILE

    for text in HOSTILE:
        probekit.counter("shop.words").add(1, {"word": text, text[:50]: "x"})
        probekit.event("words", {"word": text, text[:50]: text})


def bad_gauge(text):
    """A gauge with a name and a value that a test chooses."""
    import probekit

    name, _, value = text.partition("=")
    probekit.gauge(name).set(float(value))


def told(_):
    """The books of the process, and its dead letters."""
    import dataclasses

    import probekit

    return dataclasses.asdict(probekit.status())


def flush(timeout_s):
    """Whether everything is delivered."""
    import probekit

    return probekit.flush(float(timeout_s))


COMMANDS = {
    "record": lambda _: record(),
    "orders": orders,
    "spread": spread,
    "hostile": hostile,
    "gauge": bad_gauge,
    "status": told,
    "flush": flush,
}


def main(buffer, *urls):
    """Obey until the pipe ends."""
    import probekit

    probekit.configure(
        "shop",
        buffer=buffer,
        exporters=urls,
        interval_s=0.5,
        host_metrics=False,
        own_metrics=False,
        resource={"host.name": "h1"},
    )
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        answer = COMMANDS[word](rest)
        sys.stdout.write(json.dumps(answer, default=str) + "\n")
        sys.stdout.flush()
    probekit.shutdown()


class Shop:
    """The application, seen from a test.

    Args:
        folder: Where its buffer is made.
        urls: Where it sends to.
    """

    def __init__(self, folder, *urls):
        environment = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("PROBEKIT_", "OTEL_"))
        }
        self.buffer = folder / "state" / "buffer.db"
        self._process = subprocess.Popen(
            [sys.executable, __file__, self.buffer, *urls],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def ask(self, command):
        """Send a command, return what it answers."""
        self.tell(command)
        return self.hear()

    def tell(self, command):
        """Send a command; its answer is heard later."""
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()

    def hear(self):
        """What a command answers."""
        line = self._process.stdout.readline()
        assert line, f"the shop ended with {self._process.wait(5)}"
        return json.loads(line)

    def delivered(self):
        """Record one of each kind and flush; whether all was delivered."""
        self.ask("record")
        return self.ask("flush 10")

    def dead_letters(self):
        """(records, reason) of each, as the buffer has them and its status tells."""
        from probekit.buffer.read_only import read_status
        from probekit.cli.status import as_object

        place = f"file:{self.buffer}?mode=ro"
        query = "SELECT records, reason FROM dead_letter ORDER BY id"
        with contextlib.closing(sqlite3.connect(place, uri=True)) as buffer:
            found = list(buffer.execute(query))
        (told,) = as_object(read_status(self.buffer))["exporters"]
        assert sum(records for records, _ in found) == told["dead_letters"]
        assert (found or [(0, "")])[-1][1] == told["refusal"]
        return found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        self._process.stdout.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
