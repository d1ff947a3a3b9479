import os
import threading

import pytest

from probekit.errors import ConfigError, Forbidden, Rejected, RetryLater
from probekit.exporters import build
from probekit.exporters.nagios.nrdp import judged
from probekit.exporters.nagios.nsca import xored
from probekit.testing import ExporterContract, HttpReceiver, Reply
from probekit.testing.contract import SECRET, only, sample_batch
from probekit.testing.receivers import StreamEndpoint


class Pipe:
    """The command file, and somebody who reads it."""

    def __init__(self, path):
        self.path, self.data = path, b""
        os.mkfifo(path)
        self._end = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(self._end, True)
        # A writer of our own keeps the reader from seeing an end between batches.
        self._own = os.open(path, os.O_WRONLY)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        while not self.data.endswith(b"\0"):
            self.data += os.read(self._end, 65536)

    def lines(self):
        return self.data.rstrip(b"\0").splitlines()

    def stop(self):
        if self._end is not None:
            os.write(self._own, b"\0")
            self._thread.join(5)
            os.close(self._own)
            os.close(self._end)
            self._end = None


class NscaEndpoint(StreamEndpoint):
    """Greets, and keeps decrypted packets of 4304 bytes."""

    VECTOR = bytes(range(128))

    def __init__(self, password=b""):
        super().__init__()
        self.packets, self._password = [], password

    def talk(self, connection):
        connection.sendall(self.VECTOR + b"\x65\x53\xf1\x00")
        held = b""
        while data := connection.recv(65536):
            held += data
            while len(held) >= 4304:
                plain = xored(held[:4304], self.VECTOR, self._password)
                self.packets.append(plain)
                held = held[4304:]


class TestNagiosCommandFile(ExporterContract):
    @pytest.fixture(autouse=True)
    def far_side(self, tmp_path):
        self.pipe = Pipe(tmp_path / "nagios.cmd")
        yield
        self.pipe.stop()

    def exporter(self):
        return build(f"nagios://{self.pipe.path}?host=h1&timeout_s=2")

    def received(self):
        return len(self.pipe.lines())

    def break_far_side(self):
        self.pipe.stop()
        return True


class TestNagiosNsca(ExporterContract):
    @pytest.fixture(autouse=True)
    def far_side(self):
        with NscaEndpoint(SECRET.encode()) as self.daemon:
            yield

    def exporter(self):
        return build(self.secret_url())

    def received(self):
        return len(self.daemon.packets)

    def break_far_side(self):
        self.daemon.stop()
        return True

    def secret_url(self):
        return f"nagios+nsca://:{SECRET}@127.0.0.1:{self.daemon.port}?host=h1"


class NrdpEndpoint(HttpReceiver):
    """Says that it has processed what came."""

    def _answer(self, connection, reply):
        count = self.requests[-1].body.count(b"%3Ccheckresult+type")
        said = "<result><status>0</status><message>OK</message><meta><output>"
        said += f"{count} checks processed</output></meta></result>"
        return super()._answer(connection, Reply(200, body=said.encode()))


class TestNagiosNrdp(ExporterContract):
    @pytest.fixture(autouse=True)
    def far_side(self):
        with NrdpEndpoint() as self.receiver:
            yield

    def exporter(self):
        return build(
            f"nagios+nrdp://127.0.0.1:{self.receiver.port}/nrdp?host=h1&token=t"
        )

    def received(self):
        bodies = [request.body for request in self.receiver.requests]
        return sum(body.count(b"%3Ccheckresult+type") for body in bodies)

    def break_far_side(self):
        self.receiver.stop()
        return True


def test_a_command_file_that_nobody_reads_is_neither_made_nor_waited_for(tmp_path):
    path = tmp_path / "nagios.cmd"
    exporter = build(f"nagios://{path}?host=h1")
    with pytest.raises(RetryLater, match="No such file"):
        exporter.send(sample_batch())

    assert not path.exists()
    os.mkfifo(path)
    with pytest.raises(RetryLater, match="nobody reads"):
        exporter.send(sample_batch())
    path.unlink()
    path.touch()
    with pytest.raises(RetryLater, match="no pipe"):
        exporter.send(sample_batch())

    assert b"" == path.read_bytes()


def test_a_full_pipe_is_waited_for_up_to_the_deadline(tmp_path):
    path = tmp_path / "nagios.cmd"
    os.mkfifo(path)
    end = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    exporter = build(f"nagios://{path}?host=h1&timeout_s=0.05")

    def fill():
        for _ in range(200):
            exporter.send(sample_batch())

    try:
        with pytest.raises(RetryLater, match="did not finish"):
            fill()
        assert os.read(end, 10**6).endswith(b"\n")  # whole lines only
    finally:
        os.close(end)


def test_thresholds_of_the_url_make_the_state(tmp_path):
    pipe = Pipe(tmp_path / "nagios.cmd")
    query = "host=h1&services=shop.orders&warn.shop.orders=2&crit.shop.orders=~:9"
    exporter = build(f"nagios://{pipe.path}?{query}")
    exporter.send(only(sample_batch(), frozenset({"metrics"})))
    pipe.stop()

    assert [b"1", b"0"] == [line.split(b";")[3] for line in pipe.lines()]
    assert b"'value'=3;2;~:9" in pipe.lines()[0]


@pytest.mark.parametrize(
    "said, error",
    [
        ("<status>-1</status><message>BAD TOKEN</message>", Forbidden),
        ("<status>-1</status><message>NO TOKENS</message>", Forbidden),
        ("<status>-1</status><message>BAD XML</message>", Rejected),
        ("<status>-1</status><message>CANNOT OPEN FILE</message>", RetryLater),
        ("<status>0</status><output>2 checks processed</output>", RetryLater),
        ("<status>0</status>", RetryLater),
        ("<html>Welcome to the hotel</html>", RetryLater),
        ("", RetryLater),
    ],
)
def test_only_the_right_count_is_an_acknowledgement(said, error):
    assert isinstance(judged(said, 3), error)


def test_a_token_that_is_echoed_is_not_shown():
    with HttpReceiver(reply=Reply(400, body=f"no {SECRET}".encode())) as receiver:
        url = f"nagios+nrdp://127.0.0.1:{receiver.port}/?host=h1&token={SECRET}"
        exporter = build(url)
        with pytest.raises(Rejected) as refused:
            exporter.send(sample_batch())
        exporter.close()

    assert SECRET not in repr(refused.value) + repr(exporter)


@pytest.mark.parametrize(
    "url, word",
    [
        ("nagios://h:1?host=a", "file"),
        ("nagios:///x?host=a;b", "host"),
        ("nagios:///x?warn.a=5:1", "warn.a"),
        ("nagios+nrdp://h/nrdp", "token"),
        ("nagios+nsca://h?encryption=des", "encryption"),
        ("nagios+nsca://h?packet_bytes=100", "packet_bytes"),
    ],
)
def test_a_wrong_parameter_is_named(url, word):
    with pytest.raises(ConfigError, match=word):
        build(url)
