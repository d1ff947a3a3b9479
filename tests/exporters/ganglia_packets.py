"""Reads Ganglia's packets as gmond does: strictly, to the last byte."""

import struct


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def word(self):
        (found,) = struct.unpack_from(">I", self.data, self.at)
        self.at += 4
        return found

    def text(self):
        size = self.word()
        found = self.data[self.at : self.at + size]
        assert size == len(found)
        padding = self.data[self.at + size : self.at + size + -size % 4]
        assert not padding.strip(b"\0")
        self.at += size + -size % 4
        return found.decode("ascii")

    def end(self):
        assert len(self.data) == self.at


def read(packet):
    """A packet as a dict; its ``kind`` is 128 or 133."""
    reader = Reader(packet)
    found = {"kind": reader.word(), "host": reader.text(), "name": reader.text()}
    found["spoofed"] = reader.word()
    if found["kind"] == 128:
        found["type"], again = reader.text(), reader.text()
        assert found["name"] == again
        found["units"] = reader.text()
        for name in ("slope", "tmax", "dmax"):
            found[name] = reader.word()
        count = reader.word()
        found["extra"] = [(reader.text(), reader.text()) for _ in range(count)]
    else:
        assert 133 == found["kind"]
        assert "%s" == reader.text()
        found["value"] = reader.text()
    reader.end()
    return found
