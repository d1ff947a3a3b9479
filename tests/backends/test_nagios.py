"""Nagios tells in status.dat what has come of our passive results and our plugin."""

import contextlib
import shutil
import sys

import matrix
import pytest
from monitors import nagios, nagios_version, nsca
from nagios_results import QUERY, SENT, SERVICES, stored
from servers import eventually
from shop import Shop

from probekit.exporters import build
from probekit.testing.contract import HOSTILE, hostile_batch, sample_batch

pytestmark = [pytest.mark.backend, pytest.mark.timeout(90)]


@pytest.fixture(scope="module")
def server():
    with nagios(SERVICES) as running_server:
        yield running_server


@contextlib.contextmanager
def way_to(server, way):
    """The URL of one way into *server*."""
    if way == "command file":
        yield f"nagios://{server.command_file}?{QUERY}"
        return
    with nsca(server, 1 if way == "NSCA, xor" else 0) as port:
        encryption = "xor" if way == "NSCA, xor" else "none"
        yield (
            f"nagios+nsca://:secret@127.0.0.1:{port}?{QUERY}&encryption={encryption}"
            f"&packet_bytes={720 if encryption == 'none' else 4304}"
        )


@pytest.mark.parametrize("way", ["command file", "NSCA, xor", "NSCA, none"])
def test_everything_an_application_records_comes_back(tmp_path, way):
    with nagios(SERVICES) as server, way_to(server, way) as url:
        with Shop(tmp_path, url) as shop:
            assert shop.delivered()
        eventually(lambda: stored(server) == SENT)
        found = stored(server)

    scheme = url.partition("//")[0]
    matrix.record(f"`{scheme}` ({way})", f"Nagios Core {nagios_version()}", SENT, found)
    assert SENT == found


def test_words_of_users_make_no_command_and_break_none(server):
    exporter = build(f"nagios://{server.command_file}?host=pk-host")
    for text in HOSTILE:
        exporter.send(hostile_batch(text))
    exporter.send(sample_batch())
    exporter.close()
    assert eventually(lambda: server.services().get("shop.temperature"))
    log = (server.folder / "nagios.log").read_text("utf-8", "replace")
    lines = [line for line in log.splitlines() if "EXTERNAL COMMAND" in line]
    expected = 2 * len(HOSTILE) + 7

    assert all("PROCESS_SERVICE_CHECK_RESULT;pk-host;" in line for line in lines)
    assert expected == len(lines)


def test_nothing_is_lost_while_nagios_is_away(tmp_path):
    with nagios(SERVICES) as first:
        url = f"nagios://{tmp_path / 'nagios.cmd'}?{QUERY}"
        (tmp_path / "nagios.cmd").symlink_to(first.command_file)
        with Shop(tmp_path, url) as shop:
            shop.ask("gauge shop.temperature=1")
            assert shop.ask("flush 10")
            (tmp_path / "nagios.cmd").unlink()
            shop.ask("record")
            assert not shop.ask("flush 2")
            (tmp_path / "nagios.cmd").symlink_to(first.command_file)
            assert shop.ask("flush 20")
        eventually(lambda: stored(first) == SENT)

        assert SENT == stored(first)


def test_nagios_runs_our_plugin(tmp_path):
    with Shop(tmp_path, "console:?stream=stderr") as shop:
        assert shop.delivered()
    readable = tmp_path / "buffer.db"
    shutil.copy(shop.buffer, readable)
    plugin = f"{sys.executable} -m probekit check --buffer {readable}"
    wanted = {
        "orders": (1, "-w 2 -c 10 shop.orders"),
        "slow": (2, "-c 5 --figure max shop.request.duration"),
        "nobody": (3, "shop.nobody"),
        "fine": (0, "-w ~:0 shop.temperature"),
    }
    checks = {name: f"{plugin} {text}" for name, (_, text) in wanted.items()}
    with nagios([], checks) as server:
        eventually(lambda: len(server.services()) == len(wanted), 30)
        shown = server.services()
    found = {name: shown[name][0] for name in wanted}
    sent = {name: state for name, (state, _) in wanted.items()}

    matrix.record("`probekit check`", f"Nagios Core {nagios_version()}", sent, found)
    assert sent == found
    assert "'delta'=3;2;10" == shown["orders"][2]
