"""Nagios tells in status.dat what has come of our passive results and our plugin."""

import contextlib
import shutil
import sys

import matrix
import pytest
from monitors import nagios, nagios_version, nsca
from servers import SERVERS, command, eventually, free_ports, running
from shop import VALUES, Shop

from probekit.exporters import build
from probekit.testing.contract import HOSTILE, hostile_batch, sample_batch

pytestmark = [pytest.mark.backend, pytest.mark.timeout(90)]
SERVICES = [
    "shop.orders plan:pro",
    "shop.carts",
    "shop.temperature",
    "shop.request.duration",
    "events",
    "exceptions",
]
SENT = {
    "counter shop.orders{plan=pro}": (1, "'value'=3;2;10 'total'=3c"),
    "up-down shop.carts": (0, "'value'=3"),
    "gauge shop.temperature": (0, "'value'=-4.5"),
    "histogram": (2, f"'count'={len(VALUES)} 'sum'=9.374s 'min'=0.004s 'max'=9s;;5"),
    "event order.refunded": (0, "OK - order.refunded amount=9 order.id=A1"),
    "exception": (2, "CRITICAL - ValueError: no such plan"),
}
QUERY = "host=pk-host&warn.shop.orders=2&crit.shop.orders=10"
QUERY += "&crit.shop.request.duration:max=5"


@pytest.fixture(scope="module")
def server():
    with nagios(SERVICES) as running_server:
        yield running_server


def stored(server):
    """What Nagios shows, in the words of SENT."""
    shown = server.services()
    nothing = (None, "", "")

    def perf(service):
        state, _, data = shown.get(service, nothing)
        return state, data

    def output(service):
        return shown.get(service, nothing)[:2]

    state, data = perf("shop.request.duration")
    return {
        "counter shop.orders{plan=pro}": perf("shop.orders plan:pro"),
        "up-down shop.carts": perf("shop.carts"),
        "gauge shop.temperature": perf("shop.temperature"),
        "histogram": (state, data.partition(" 'p50'")[0]),
        "event order.refunded": output("events"),
        "exception": output("exceptions"),
    }


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


@contextlib.contextmanager
def nrdp(server, folder, port):
    """NRDP's own PHP files behind a web server, spooling for *server*."""
    home = needed_nrdp()
    if not folder.exists():
        shutil.copytree(home, folder / "server")
        settings = (home / "config.inc.php").read_text()
        settings += (
            '\n$cfg["authorized_tokens"] = array("pk-token");\n'
            f'$cfg["check_results_dir"] = "{server.spool}";\n'
            '$cfg["nagios_command_group"] = "nagios";\n'
        )
        (folder / "server" / "config.inc.php").write_text(settings)
    arguments = [command("php"), "-S", f"127.0.0.1:{port}", "-t", folder / "server"]
    with running(arguments, folder, port):
        yield f"nagios+nrdp://127.0.0.1:{port}/?{QUERY}&token=pk-token"


def test_nrdp_acknowledges_and_nagios_has_it(tmp_path):
    (port,) = free_ports(1)
    folder = tmp_path / "nrdp"
    with nagios(SERVICES) as server:
        with nrdp(server, folder, port) as url, Shop(tmp_path, url) as shop:
            assert shop.delivered()
        eventually(lambda: stored(server) == SENT, 20)
        found = stored(server)

    what = f"Nagios Core {nagios_version()}"
    matrix.record("`nagios+nrdp:`", what, SENT, found)
    assert SENT == found


def test_nothing_is_lost_while_nrdp_is_away(tmp_path):
    (port,) = free_ports(1)
    folder = tmp_path / "nrdp"
    with nagios(["shop.operations"]) as server:
        with nrdp(server, folder, port) as url:
            shop = Shop(tmp_path, url)
            shop.ask("orders 1000")
            assert shop.ask("flush 10")
        with shop:
            shop.ask("orders 1000")
            assert not shop.ask("flush 2")
            with nrdp(server, folder, port):
                shop.ask("orders 500")
                assert shop.ask("flush 30")

        def counted():
            return server.performance("shop.operations", "value")

        eventually(lambda: sum(counted()) >= 2500, 20)

        assert 2500 == sum(counted())  # the spool has no order within a second


def needed_nrdp():
    """NRDP's PHP files; no package has them, so nobody must have them."""
    home = SERVERS / "nrdp" / "server"
    if not home.exists():
        pytest.skip(f"{home} is not there: unpack NRDP's own archive to {home.parent}")
    return home


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
