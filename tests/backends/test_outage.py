"""All backends are away for ten seconds in the middle of 10,000 operations.

One application sends to all of them at once: what each has afterwards is compared with
what its contract promises, and none waited for another.
"""

import functools

import farseries
import farstores
import matrix
import pytest
from outage import DOWN_S, NUMBERS, OPERATIONS, Scene
from servers import eventually

from probekit.exporters import build, known_schemes

pytestmark = [pytest.mark.backend, pytest.mark.timeout(180)]
MAKERS = farseries.MAKERS | farstores.MAKERS
# The same exporter under another name, or over TLS.
SAME = {"opensearch", "otlp+http", "statsd+udp", "syslog+udp", "syslog+tls", "tcp+tls"}
# Nobody to kill (the terminal, a disk), or only receivers of our own (tests/exporters).
NO_SERVER = {"console", "file", "tcp", "udp"}


@pytest.fixture(scope="module")
def scene(tmp_path_factory, zabbix_server):
    makers = {**MAKERS, "zabbix": functools.partial(farstores.zabbix, zabbix_server)}
    with Scene(tmp_path_factory.mktemp("outage"), makers) as playing:
        playing.play()
        yield playing


@pytest.fixture
def sides(scene, request):
    if request.param in scene.missing:
        pytest.skip(scene.missing[request.param])
    return scene.servers[request.param]


def settled(side, held):
    """(operations, numbers) once they are what they should be, or do not change."""
    wanted = OPERATIONS - side.most_lost
    eventually(lambda: (side.operations() or 0) + held >= wanted)
    operations = (side.operations() or 0) + held
    if side.numbers is None:
        return operations, None
    if not side.most_lost:
        eventually(lambda: len(side.numbers()) >= len(NUMBERS))
    return operations, sorted(side.numbers())


@pytest.mark.parametrize("sides", sorted([*MAKERS, "zabbix"]), indirect=True)
def test_nothing_is_lost_or_double_but_what_the_contract_gives_up(scene, sides):
    wrong = []
    for side in sides.sides:
        operations, numbers = settled(side, scene.held[side.backend])
        missing = OPERATIONS - operations
        row = {"operations lost": int(max(missing, 0))}
        row["operations double"] = int(max(-missing, 0))
        if numbers is not None:
            row["events lost"] = len({*NUMBERS} - {*numbers})
            row["events double"] = len(numbers) - len({*numbers})
        lost, double = side.most_lost, side.most_double
        allowed = {
            "operations lost": lost,
            "operations double": double,
            "events lost": lost // 10,
            "events double": double // 10,
        }
        away = f"{DOWN_S:g} s ({sides.how})"
        matrix.record_outage(side.backend, sides.name, away, row, (lost, double))
        if any(count > allowed[what] for what, count in row.items()):
            wrong.append((side.backend, row))

    assert [] == wrong


def test_every_exporter_is_in_the_scene_and_keeps_the_promise_of_its_contract(scene):
    there = {side.url.partition(":")[0]: side for _, side in scene.sides()}
    ours = {name.partition("+")[0] + "+" if "sql" in name else name for name in there}
    wanted = {name for name in known_schemes() if not name.endswith("https")}
    acknowledged = [side for _, side in scene.sides() if _acknowledges(side)]

    assert wanted - SAME - NO_SERVER == ours
    assert {(0, 0)} == {(side.most_lost, side.most_double) for side in acknowledged}


def _acknowledges(side):
    return build(side.url).contract.acknowledges


def test_a_backend_that_is_away_delays_no_other(scene):
    pulled = ("file:", "prometheus:")
    near = {url: n for url, n in scene.waiting.items() if url.startswith(pulled)}
    away = {url: n for url, n in scene.waiting.items() if url not in near}

    assert max(near.values()) <= 4, near
    assert min(away.values()) >= 10, away


def test_a_backend_that_stays_away_keeps_all_of_it(scene):
    left = dict(scene.left)
    dead = scene.dead.partition("?")[0]

    assert left.pop(dead) >= 20
    assert max(left.values()) <= 0, left
