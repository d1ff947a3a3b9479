"""Rows N: what stands between us and the receiver. Single answers are tested elsewhere.

Statuses, waits, partial successes, hanging and endless answers are laws of
``tests/exporters`` and ``tests/delivery``; reliability.md says which. Here is what only
whole programs show.
"""

import pytest
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
    # A connection cut in a later request may have had an answer under way.
    assert ledger.repeats <= proxy.cut_answers + proxy.cut_requests
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
