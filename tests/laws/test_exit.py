"""The exit of the host never waits for the network."""

import statistics
import time

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.alone]

BARE = """
import sys, time
time.sleep(0.3)
"""

WITH = """
import sys, time, probekit
probekit.configure("shop", buffer=sys.argv[1], exporters=[sys.argv[2]], interval_s=1)

@probekit.probe
def work():
    pass

for _ in range(1000):
    work()
time.sleep(0.3)
"""

# The time from the end of the main program to the end of the process, measured by the
# parent: the child says when its main program is over.
END = """
print(time.monotonic(), flush=True)
"""


def exit_s(program, text, *arguments):
    """Seconds from the last statement of a program to the end of its process."""
    process = program.start(text + END, *arguments)
    line = process.stdout.readline()
    process.wait(timeout=30)
    ended_s = time.monotonic()
    process.communicate()
    assert process.returncode == 0
    return ended_s - float(line)


@pytest.mark.row("P4", "N1", "N2")
@pytest.mark.parametrize("state", ["up", "down", "slow", "hanging"])
def test_exit_takes_at_most_300_ms_longer_than_without(
    program, receiver, state, record_property
):
    """Whatever the receiver does; peers hold the exit for 5 to 30 seconds."""
    if state != "down":
        receiver.start()
    if state == "slow":
        receiver.delay_s = 5.0
    if state == "hanging":
        receiver.hanging.set()
    bare = [exit_s(program, BARE) for _ in range(3)]
    ours = [exit_s(program, WITH, receiver.url) for _ in range(3)]
    added_s = statistics.median(ours) - statistics.median(bare)

    record_property("measured", f"receiver {state}: exit {added_s:+.2f} s")
    # The law is 0.3 s of waiting; 0.15 s more is the noise of a busy machine.
    assert added_s <= 0.45
