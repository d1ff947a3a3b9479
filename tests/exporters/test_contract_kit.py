"""Every exporter of this room against the kit."""

import io
import json

import pytest

from probekit.exporters import Console, build
from probekit.exporters.otlp.answers import PROTOBUF
from probekit.testing import (
    ExporterContract,
    HttpReceiver,
    MemoryExporter,
    Reply,
    TcpReceiver,
    UdpReceiver,
)
from probekit.testing.contract import SECRET


class TestMemory(ExporterContract):
    def exporter(self):
        self.made = MemoryExporter()
        return self.made

    def received(self):
        return sum(map(len, self.made.batches))


class TestConsole(ExporterContract):
    def exporter(self):
        self.stream = io.StringIO()
        return Console(self.stream)

    def received(self):
        return len(self.stream.getvalue().splitlines())

    def break_far_side(self):
        self.stream.close()
        return True


class TestFile(ExporterContract):
    @pytest.fixture(autouse=True)
    def far_side(self, tmp_path):
        self.path = tmp_path / "deep" / "out.jsonl"

    def exporter(self):
        return build(f"file://{self.path}")

    def received(self):
        return len(self.path.read_text().splitlines()) if self.path.exists() else 0

    def break_far_side(self):
        self.path.unlink()
        self.path.mkdir()
        return True


class TestTcp(ExporterContract):
    @pytest.fixture(autouse=True)
    def far_side(self):
        with TcpReceiver() as self.receiver:
            yield

    def exporter(self):
        return build(f"tcp://127.0.0.1:{self.receiver.port}?timeout_s=2")

    def received(self):
        return sum(bool(json.loads(line)) for line in self.receiver.lines)

    def break_far_side(self):
        self.receiver.stop()
        return True

    def secret_url(self):
        return f"tcp://{SECRET}:{SECRET}@127.0.0.1:{self.receiver.port}"


class TestUdp(ExporterContract):
    @pytest.fixture(autouse=True)
    def far_side(self):
        with UdpReceiver() as self.receiver:
            yield

    def exporter(self):
        return build(f"udp://127.0.0.1:{self.receiver.port}")

    def received(self):
        return sum(bool(json.loads(data)) for data in self.receiver.datagrams)

    def break_far_side(self):
        self.receiver.stop()
        return True


class TestStatsd(ExporterContract):
    most_lines_a_record = 2

    @pytest.fixture(autouse=True, params=["path", "dogstatsd", "graphite"])
    def far_side(self, request):
        self.tags = request.param
        with UdpReceiver() as self.receiver:
            yield

    def exporter(self):
        return build(f"statsd://127.0.0.1:{self.receiver.port}?tags={self.tags}")

    def received(self):
        return len(self.receiver.lines)

    def break_far_side(self):
        self.receiver.stop()
        return True


class TestStatsdOverTcp(ExporterContract):
    most_lines_a_record = 2

    @pytest.fixture(autouse=True)
    def far_side(self):
        with TcpReceiver() as self.receiver:
            yield

    def exporter(self):
        return build(f"statsd+tcp://127.0.0.1:{self.receiver.port}?timeout_s=2")

    def received(self):
        return len(self.receiver.lines)

    def break_far_side(self):
        self.receiver.stop()
        return True


class TestOtlp(ExporterContract):
    @pytest.fixture(autouse=True)
    def far_side(self):
        reply = Reply(headers={"Content-Type": PROTOBUF})
        with HttpReceiver(reply=reply) as self.receiver:
            yield

    def exporter(self):
        return build(f"otlp://127.0.0.1:{self.receiver.port}?timeout_s=2")

    def received(self):
        from tests_otlp_messages import records_in

        return sum(records_in(request) for request in self.receiver.requests)

    def break_far_side(self):
        self.receiver.stop()
        return True

    def secret_url(self):
        self.receiver.reply = Reply(400, body=f"no: Bearer {SECRET}".encode())
        return (
            f"otlp://{SECRET}:{SECRET}@127.0.0.1:{self.receiver.port}"
            f"?token={SECRET}&header.x-key={SECRET}"
        )
