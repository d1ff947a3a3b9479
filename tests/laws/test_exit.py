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
    process.wait()  # with a timeout it would look every 50 ms only
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


WORKING_ON = """
import atexit, os, threading, time
atexit.register(time.sleep, 0.3)  # runs after probekit's own
import sys, probekit
probekit.configure("shop", buffer=sys.argv[1], exporters=[sys.argv[2]], interval_s=1)

@probekit.probe(name="shop.work")
def work():
    pass

def serve():
    number = 0
    while True:
        work()
        number += 1
        os.write(1, b"%d %f\\n" % (number, time.monotonic()))
        time.sleep(0.002)

threading.Thread(target=serve, daemon=True).start()
time.sleep(0.6)
"""
NEXT = """
import sys, probekit
probekit.configure("shop", buffer=sys.argv[1])
probekit.flush(10)
"""


@pytest.mark.row("P13")
@pytest.mark.parametrize("state", ["up", "hanging"])
def test_what_daemon_threads_do_to_the_very_end_is_kept(program, receiver, state):
    """A request may be served while others say farewell, as behind a reloader."""
    receiver.start()
    if state == "hanging":
        receiver.hanging.set()
    lines = program.run(WORKING_ON, receiver.url).splitlines()
    calls = [(int(number), float(at_s)) for number, at_s in map(str.split, lines)]
    program.run(NEXT)

    ((counted,),) = program.sql(
        "SELECT count FROM series WHERE name = 'probekit.function.duration'"
    )
    # Writing comes every 10 ms at last; what follows the last of it goes.
    assert len(calls) >= counted
    assert counted >= sum(at_s < calls[-1][1] - 0.05 for _, at_s in calls)
