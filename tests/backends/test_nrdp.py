"""Nagios tells what has come of results that went over NRDP.

NRDP's own PHP files are in no package. The protocol is checked against a receiver of
our own that spools for a real Nagios, and also against NRDP's files where somebody has
unpacked its archive to ``var/servers/nrdp``.
"""

import contextlib
import shutil
import sys
from pathlib import Path

import matrix
import pytest
from monitors import nagios, nagios_version
from nagios_results import QUERY, SENT, SERVICES, stored
from servers import SERVERS, command, eventually, running
from shop import Shop

from freeports import free_ports
from probekit.errors import Forbidden, Rejected
from probekit.exporters import build
from probekit.exporters.nagios import nrdp as protocol
from probekit.testing.contract import HOSTILE, hostile_batch, sample_batch

pytestmark = [pytest.mark.backend, pytest.mark.timeout(90)]
NRDPS_OWN = SERVERS / "nrdp" / "server"
RECEIVERS = ["own receiver", *(["NRDP 2"] if NRDPS_OWN.exists() else [])]
TOKEN = "pk-token"


@contextlib.contextmanager
def nrdp(server, folder, port, receiver="own receiver"):
    """A way over NRDP into *server*'s spool; yields its URL."""
    if receiver == "own receiver":
        program = Path(__file__).with_name("nrdp_receiver.py")
        arguments = [sys.executable, program, port, server.spool, TOKEN]
    else:
        arguments = [command("php"), "-S", f"127.0.0.1:{port}", "-t", folder / "server"]
        _unpack(server, folder / "server")
    with running(arguments, folder, port):
        yield f"nagios+nrdp://127.0.0.1:{port}/?{QUERY}&token={TOKEN}"


def _unpack(server, folder):
    shutil.copytree(NRDPS_OWN, folder, dirs_exist_ok=True)
    settings = (NRDPS_OWN / "config.inc.php").read_text()
    settings += (
        f'\n$cfg["authorized_tokens"] = array("{TOKEN}");\n'
        f'$cfg["check_results_dir"] = "{server.spool}";\n'
        '$cfg["nagios_command_group"] = "nagios";\n'
    )
    (folder / "config.inc.php").write_text(settings)


@pytest.mark.parametrize("receiver", RECEIVERS)
def test_nrdp_acknowledges_and_nagios_has_it(tmp_path, receiver):
    (port,) = free_ports(1)
    with nagios(SERVICES) as server:
        with (
            nrdp(server, tmp_path / "nrdp", port, receiver) as url,
            Shop(tmp_path, url) as shop,
        ):
            assert shop.delivered()
        eventually(lambda: stored(server) == SENT, 20)
        found = stored(server)

    what = f"Nagios Core {nagios_version()}, {receiver}"
    matrix.record("`nagios+nrdp:`", what, SENT, found)
    assert SENT == found


@pytest.mark.parametrize("receiver", RECEIVERS)
def test_nothing_is_lost_while_nrdp_is_away(tmp_path, receiver):
    (port,) = free_ports(1)
    folder = tmp_path / "nrdp"
    with nagios(["shop.operations"]) as server:
        with nrdp(server, folder, port, receiver) as url:
            shop = Shop(tmp_path, url)
            shop.ask("orders 1000")
            assert shop.ask("flush 10")
        with shop:
            shop.ask("orders 1000")
            assert not shop.ask("flush 2")
            with nrdp(server, folder, port, receiver):
                shop.ask("orders 500")
                assert shop.ask("flush 30")

        def counted():
            return server.performance("shop.operations", "value")

        eventually(lambda: sum(counted()) >= 2500, 20)

        assert 2500 == sum(counted())  # the spool has no order within a second


class Spool:
    """A folder where nobody takes anything away."""

    def __init__(self, folder):
        self.spool = folder
        folder.mkdir()

    def outputs(self):
        """What every result in it says."""
        return sorted(
            line.removeprefix("output=")
            for path in self.spool.glob("c??????")
            for line in path.read_text("utf-8").splitlines()
            if line.startswith("output=")
        )


def test_words_of_users_make_one_result_each_and_break_none(tmp_path):
    (port,) = free_ports(1)
    spool = Spool(tmp_path / "spool")
    with nrdp(spool, tmp_path / "nrdp", port) as url:
        exporter = build(url)
        for text in HOSTILE:
            exporter.send(hostile_batch(text))
        exporter.close()

    assert 2 * len(HOSTILE) == len(spool.outputs())


def test_a_wrong_token_keeps_the_data_and_broken_xml_is_refused(tmp_path, monkeypatch):
    (port,) = free_ports(1)
    spool = Spool(tmp_path / "spool")
    with nrdp(spool, tmp_path / "nrdp", port) as url:
        wrong, right = build(url.replace(TOKEN, "other")), build(url)
        with pytest.raises(Forbidden, match="BAD TOKEN"):
            wrong.send(sample_batch())
        monkeypatch.setattr(protocol, "document", lambda *_: "<checkresults>")
        with pytest.raises(Rejected, match="BAD XML"):
            right.send(sample_batch())
        wrong.close()
        right.close()

    assert [] == spool.outputs()
