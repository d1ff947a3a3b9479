"""The exporters of the time-series and log backends against the kit."""

import json
import pickle
import struct

import pytest

from probekit.exporters import build
from probekit.testing import (
    ExporterContract,
    HttpReceiver,
    Reply,
    TcpReceiver,
    UdpReceiver,
)
from probekit.testing.contract import SECRET


class OverTcp(ExporterContract):
    """Lines over TCP."""

    form = ""

    @pytest.fixture(autouse=True)
    def far_side(self):
        with TcpReceiver() as self.receiver:
            yield

    def exporter(self):
        return build(self.form.format(port=self.receiver.port))

    def received(self):
        return len(self.receiver.lines)

    def break_far_side(self):
        self.receiver.stop()
        return True


class OverUdp(OverTcp):
    """Lines in datagrams."""

    @pytest.fixture(autouse=True)
    def far_side(self):
        with UdpReceiver() as self.receiver:
            yield


class OverHttp(OverTcp):
    """Lines in requests."""

    reply = Reply(204)

    @pytest.fixture(autouse=True)
    def far_side(self):
        with HttpReceiver(reply=self.reply) as self.receiver:
            yield

    def received(self):
        return sum(request.body.count(b"\n") for request in self.receiver.requests)

    def secret_url(self):
        self.receiver.reply = Reply(400, body=f"no: {SECRET}".encode())
        start, _, rest = self.form.format(port=self.receiver.port).partition("//")
        mark = "&" if "?" in rest else "?"
        return f"{start}//{SECRET}:{SECRET}@{rest}{mark}token={SECRET}"


class TestInfluxdb(OverHttp):
    form = "influxdb://127.0.0.1:{port}/pk?timeout_s=2"


class TestInfluxdbOverTcp(OverTcp):
    form = "influxdb+tcp://127.0.0.1:{port}?timeout_s=2"


class TestInfluxdbOverUdp(OverUdp):
    form = "influxdb+udp://127.0.0.1:{port}?datagram_bytes=60000"


class TestGraphite(OverTcp):
    most_lines_a_record = 8
    form = "graphite://127.0.0.1:{port}?timeout_s=2"


class TestGraphiteOverUdp(OverUdp):
    most_lines_a_record = 8
    form = "graphite+udp://127.0.0.1:{port}?tags=graphite"


class TestGraphitePickled(OverTcp):
    form = "graphite+pickle://127.0.0.1:{port}?timeout_s=2"

    def received(self):
        return sum(map(len, unpickled(self.receiver.received)))


class TestOpenTsdb(OverHttp):
    most_lines_a_record = 8
    form = "opentsdb://127.0.0.1:{port}?timeout_s=2"

    def received(self):
        bodies = [json.loads(request.body) for request in self.receiver.requests]
        return sum(map(len, bodies))


class TestOpenTsdbTelnet(OverTcp):
    most_lines_a_record = 8
    form = "opentsdb+telnet://127.0.0.1:{port}?timeout_s=2"


class TestCollectd(OverUdp):
    form = "collectd://127.0.0.1:{port}"

    def received(self):
        return len(self.receiver.datagrams)

    def secret_url(self):
        return f"collectd://{SECRET}:{SECRET}@127.0.0.1:{self.receiver.port}"


class TestSyslog(OverUdp):
    form = "syslog://127.0.0.1:{port}?signals=events,metrics&datagram_bytes=60000"

    def received(self):
        return len(self.receiver.datagrams)


class TestSyslogOverTcp(OverTcp):
    form = "syslog+tcp://127.0.0.1:{port}?timeout_s=2&signals=events,metrics"

    def received(self):
        count, data = 0, self.receiver.received
        while data:
            size, _, rest = data.partition(b" ")
            if len(rest) < int(size):
                break
            count, data = count + 1, rest[int(size) :]
        return count


class TestLoki(OverHttp):
    form = "loki://127.0.0.1:{port}?timeout_s=2&signals=events,metrics"

    def received(self):
        bodies = [json.loads(request.body) for request in self.receiver.requests]
        return sum(len(s["values"]) for body in bodies for s in body["streams"])


def unpickled(data):
    """The lists of metrics in a stream; an unfinished frame is left out."""
    found = []
    while len(data) >= 4:
        (size,) = struct.unpack(">I", data[:4])
        if len(data) < 4 + size:
            break
        found.append(pickle.loads(data[4 : 4 + size]))
        data = data[4 + size :]
    return found
