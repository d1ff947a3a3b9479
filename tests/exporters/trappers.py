"""A Zabbix trapper for tests: it has items, or makes them when it is told of them."""

import json
import struct

from probekit.testing.receivers import StreamEndpoint


class TrapperEndpoint(StreamEndpoint):
    """Answers "sender data" as the server does.

    Attributes:
        values: (key, value, clock, ns) → how often it came; those that were taken.
        missing: Keys without an item.
        answer: Instead of the true answer's body.
    """

    def __init__(self):
        super().__init__()
        self.values = {}
        self.hosts = set()
        self.missing = set()
        self.answer = None
        self.requests = 0

    def talk(self, connection):
        header = self._read(connection, 13)
        magic, flags, length, reserved = struct.unpack("<4sBII", header)
        assert (b"ZBXD", 1, 0) == (magic, flags, reserved)
        asked = json.loads(self._read(connection, length))
        assert "sender data" == asked["request"]
        failed = 0
        for value in asked["data"]:
            self.hosts.add(value["host"])
            failed += value["key"] in self.missing
            if value["key"] not in self.missing:
                what = tuple(value[name] for name in ("key", "value", "clock", "ns"))
                self.values[what] = self.values.get(what, 0) + 1
        total = len(asked["data"])
        info = f"processed: {total - failed}; failed: {failed}; total: {total}; "
        body = {"response": "success", "info": info + "seconds spent: 0.000319"}
        self.requests += 1  # before the answer: who has it may look
        text = json.dumps(body).encode() if self.answer is None else self.answer
        connection.sendall(b"ZBXD\x01" + struct.pack("<II", len(text), 0) + text)
        self._tell()

    @staticmethod
    def _read(connection, size):
        held = b""
        while len(held) < size:
            data = connection.recv(size - len(held))
            if not data:
                raise OSError("gone")
            held += data
        return held

    def keys(self):
        """Keys of the values taken, discovery left out."""
        return [key for key, *_ in self.values if "discovery" not in key]
