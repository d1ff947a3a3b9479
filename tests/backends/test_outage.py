"""All backends are away for ten seconds in the middle of 10,000 operations.

One application sends to all of them at once: what each has afterwards is compared with
what its contract promises, and none waited for another.
"""

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
SAME = {"opensearch": "elasticsearch", "otlp+http": "otlp"}
LIVING = {"file"}  # the scene's own, which never dies


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    with Scene(tmp_path_factory.mktemp("outage"), MAKERS) as playing:
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


@pytest.mark.parametrize("sides", sorted(MAKERS), indirect=True)
def test_nothing_is_double_and_lost_is_only_what_the_contract_gives_up(scene, sides):
    wrong = []
    for side in sides.sides:
        operations, numbers = settled(side, scene.held[side.backend])
        lost = OPERATIONS - operations
        row = {"operations lost": int(max(lost, 0))}
        row["operations double"] = int(max(-lost, 0))
        if numbers is not None:
            row["events lost"] = len({*NUMBERS} - {*numbers})
            row["events double"] = len(numbers) - len({*numbers})
        limit = side.most_lost
        matrix.record_outage(
            side.backend, sides.name, f"{DOWN_S:g} s ({sides.how})", row, limit
        )
        limits = {"operations lost": limit, "events lost": limit / 10}
        if any(count > limits.get(what, 0) for what, count in row.items()):
            wrong.append((side.backend, row))

    assert [] == wrong


def test_every_exporter_that_is_acknowledged_is_in_the_scene(scene, tmp_path):
    acknowledged = {
        scheme
        for scheme in known_schemes()
        if not scheme.endswith(("https", "+"))
        and SAME.get(scheme, scheme) == scheme
        and build(_url(scheme, tmp_path)).contract.acknowledges
    }
    there = {side.url.partition(":")[0] for _, side in scene.sides()}

    assert not acknowledged - there - LIVING


def _url(scheme, folder):
    odd = {
        "console": "console:",
        "file": f"file:{folder / 'f'}",
        "influxdb+tcp": "influxdb+tcp://h:1",
        "influxdb+udp": "influxdb+udp://h:1",
        "nagios": f"nagios:{folder / 'n'}",
        "nagios+nrdp": "nagios+nrdp://h:1/x?token=t",
        "opentsdb+telnet": "opentsdb+telnet://h:1",
        "prometheus": "prometheus://127.0.0.1:1",
    }
    return odd.get(scheme, f"{scheme}://h:1/x")


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
