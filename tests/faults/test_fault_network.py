"""Rows N: what stands between us and the receiver. Single answers are tested elsewhere.

Statuses, waits, partial successes, hanging and endless answers are laws of
``tests/exporters`` and ``tests/delivery``; reliability.md says which. Here is what only
whole programs show.
"""

import json
from types import SimpleNamespace

import pytest
from faultproxy import FlappingProxy, LossyDatagrams
from faultreceiver import CuttingProxy

pytestmark = [pytest.mark.e2e, pytest.mark.faults]


@pytest.fixture
def proxy(ledger, rng):
    """Between programs and the ledger; cuts many answers off."""
    made = CuttingProxy(ledger.port, rng)
    yield made
    made.close()


@pytest.mark.row("N9")
def test_answers_that_are_cut_off_cost_repeats_and_nothing_else(
    scene, ledger, proxy, measured
):
    """N9: sent again byte for byte, so a receiver that recognises it counts once."""
    ledger.start()
    url = f"otlp://127.0.0.1:{proxy.port}"
    scene.run(
        """
        configure()
        for n in range(1_500):
            operation(n, durable=n % 100 == 0)
            if n % 5 == 0:
                time.sleep(0.01)
            if n % 300 == 0:
                probekit.flush(0.3)
        """,
        sink=url,
    )
    for _ in range(3):  # who delivers changes while connections break
        scene.deliver(timeout_s=0.5, sink=url)
    proxy.calm()

    assert scene.deliver(sink=url)
    scene.expect_all("w0")
    assert proxy.cut_answers
    # A connection cut in a later request may have had an answer under way, and each
    # process may have ended while it waited for one.
    assert ledger.repeats <= proxy.cut_answers + proxy.cut_requests + len(scene.whos)
    measured(
        f"{proxy.cut_answers} answers and {proxy.cut_requests} requests cut off: "
        f"{ledger.repeats} sent again byte for byte; lost 0, twice 0"
    )


@pytest.mark.row("N9")
def test_a_process_killed_before_the_answer_is_no_reason_to_count_twice(scene, ledger):
    """N9: the receiver has it, the cursor does not; the next sends the same bytes."""
    ledger.delay_s = 0.3
    ledger.start()
    process = scene.start(
        """
        configure()
        for n in range(500):
            operation(n, durable=True)
        time.sleep(0.6)
        say("written")
        probekit.flush(20)
        time.sleep(20)
        """
    )
    assert process.stdout.readline() == "» written\n"
    process.kill()
    scene.finish(process, code=-9)
    ledger.delay_s = 0.0

    assert scene.deliver()
    scene.expect_all("w0")


@pytest.mark.row("N12")
def test_a_line_that_flaps_and_delivers_out_of_order_costs_nothing(
    scene, rng, ledger, measured
):
    """N12: acknowledged over TCP; up and down several times a second, late, cut."""
    ledger.start()
    proxy = FlappingProxy(ledger.port, rng)
    url = f"otlp://127.0.0.1:{proxy.port}"
    scene.run(
        """
        configure()
        for n in range(1_200):
            operation(n, durable=n % 100 == 0)
            if n % 4 == 0:
                time.sleep(0.008)
            if n % 200 == 0:
                probekit.flush(0.2)
        """,
        sink=url,
    )
    proxy.calm()
    try:
        assert scene.deliver(sink=url)
    finally:
        proxy.close()
    scene.expect_all("w0")
    assert proxy.flaps
    measured(
        f"TCP: down {proxy.flaps} times, {proxy.cut_answers} answers cut off, "
        f"{ledger.repeats} sent again byte for byte; lost 0, twice 0"
    )


@pytest.mark.row("N12")
def test_datagrams_that_get_lost_are_seen_in_the_running_total(scene, rng, measured):
    """N12: UDP is declared lossy; whatever arrives is whole and says what misses."""
    network = LossyDatagrams(rng)
    url = f"udp://127.0.0.1:{network.port}"
    scene.run(
        """
        configure(interval_s=0.5)
        for turn in range(30):
            for n in range(turn * 20, turn * 20 + 20):
                operation(n)
            probekit.flush(2)
        say(probekit.flush(5))
        """,
        sink=url,
    )
    network.close()

    def steps(datagrams):
        found = map(json.loads, set(datagrams))
        return [
            SimpleNamespace(
                block=line["attributes"]["block"], value=line["value"],
                total=line["total"],
            )
            for line in found if line.get("name") == "ops"
        ]  # fmt: skip

    wanted = {}
    for each in steps(network.sent):
        wanted[each.block] = wanted.get(each.block, 0) + each.value
    assert 600 == sum(wanted.values())
    arrived = steps(network.arrived)
    known = {each.block: 0 for each in arrived}
    highest = dict(known)
    for each in arrived:
        known[each.block] += each.value
        highest[each.block] = max(highest[each.block], each.total)

    assert network.dropped
    assert network.repeated()
    for block, total in highest.items():
        # The gap is what the total says and the steps do not; never above the truth.
        assert known[block] <= total <= wanted[block]
    sent, got = numbered_events(network.sent), numbered_events(network.arrived)
    assert [f"w0:{n}" for n in range(600)] == [sent[n] for n in sorted(sent)]
    missing = set(range(min(got), max(got))) - set(got)
    assert missing == {n for n in set(sent) - set(got) if min(got) < n < max(got)}
    assert missing
    measured(
        f"UDP: {network.dropped} of {len(network.sent)} datagrams lost, "
        f"{network.repeated()} repeated, order mixed: totals right, gaps computable; "
        f"the {len(missing)} missing events known by number"
    )


def numbered_events(datagrams):
    """The ids of the events among *datagrams*, by their number; each number once."""
    lines = [json.loads(each) for each in set(datagrams)]
    events = [each for each in lines if each.get("name") == "plain"]
    assert 1 == len({each["probekit.stream"] for each in events})
    found = {each["probekit.number"]: each["op.id"] for each in events}
    assert len(events) == len(found)
    return found


LOOKUPS = """
import socket
from time import perf_counter
real, asked = socket.getaddrinfo, []
moved = os.path.join(FOLDER, "moved")
main = threading.get_ident()

def lookup(host, *args, **kwargs):
    "Hangs; then leads to nobody; then to the receiver."
    if host != "collector.example":
        return real(host, *args, **kwargs)
    if kwargs.get("flags"):
        raise socket.gaierror(socket.EAI_NONAME, "not numeric")
    asked.append(threading.get_ident())
    if not os.path.exists(moved):
        time.sleep(30)
    there = "127.0.0.1" if os.path.exists(moved + "-again") else "127.0.0.2"
    return real(there, *args, **kwargs)

socket.getaddrinfo = lookup
configure()
longest = 0.0
for n in range(int(sys.argv[5])):
    before = perf_counter()
    operation(n)
    longest = max(longest, perf_counter() - before)
    time.sleep(0.002)
say(int(1000 * longest), bool(asked), main in asked)
if os.path.exists(moved):
    operation(n + 1)
    assert not probekit.flush(1)  # nobody listens at the first address
    open(moved + "-again", "w").close()
    say(probekit.flush(20))
"""


@pytest.mark.row("N11")
def test_a_name_that_hangs_or_moves_holds_no_thread_of_the_host(
    scene, ledger, measured
):
    """N11: the host never looks it up; the exit does not wait; the new one is found."""
    ledger.start()
    url = f"otlp://collector.example:{ledger.port}"
    (hung,) = scene.run(LOOKUPS, 300, sink=url, timeout_s=20)  # the lookup takes 30 s
    (scene.folder / "moved").touch()
    moved, found = scene.run(LOOKUPS, 100, sink=url)

    for said in (hung, moved):
        longest_ms, asked, by_host = said.split()
        assert ("True", "False") == (asked, by_host)
        assert int(longest_ms) < 1000
    assert "True" == found
    for who in ("w0", "w1"):
        scene.expect_all(who)
    measured(
        f"lookups by the host's thread 0; longest call {hung.split()[0]} ms; lost 0"
    )
