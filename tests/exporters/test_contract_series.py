"""The exporters of the time-series and log backends against the kit."""

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
