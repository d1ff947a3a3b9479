"""Row T1: the wall clock steps by an hour, by ten years, to 1970, over summer time."""

import sqlite3
import struct
from contextlib import closing

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.faults]

HOUR_S, YEARS_S = 3600, 10 * 365 * 86_400
STEPS = {
    "an hour ahead": HOUR_S,
    "an hour back": -HOUR_S,
    "ten years ahead": YEARS_S,
    "ten years back": -YEARS_S,
}

STEPPING = """
import mmap, struct
with open(os.environ["FAULTCLOCK_FILE"], "r+b") as file:
    shift = memoryview(mmap.mmap(file.fileno(), 8)).cast("q")

@probekit.probe
def work(n):
    operation(n, durable=n % 10 == 0)

@probekit.probe
def step(to):
    "The clock moves while this runs."
    shift[0] = to
    time.sleep(0.01)

configure()
n = 0
for to in sys.argv[5:]:
    for _ in range(60):
        work(n)
        n += 1
        time.sleep(0.003)
    real = int(time.time()) - shift[0]
    step(int(to[1:]) - real if to[0] == "@" else int(to))  # to a moment, or by so much
    say(int(time.time()))
for _ in range(60):
    work(n)
    n += 1
say(wait_for(lambda: probekit.flush(2), 20))
check_books()
"""


def stepping(scene, ledger, clock_shim, *steps, zone="Europe/Berlin"):
    """Run the program under a clock that makes these steps; its buffer's windows."""
    ledger.start()
    file = scene.folder / "shift"
    file.write_bytes(struct.pack("q", 0))
    environment = {
        "LD_PRELOAD": str(clock_shim),
        "FAULTCLOCK_FILE": str(file),
        "TZ": zone,
    }
    *moments, flushed = scene.run(STEPPING, *steps, environment=environment)

    assert "True" == flushed
    scene.expect_all("w0")
    assert 0 == scene.lost("events") == scene.lost("metrics")
    with closing(sqlite3.connect(scene.buffer)) as connection:
        windows = connection.execute(
            "SELECT id, start_unix_ns, end_unix_ns FROM window ORDER BY id"
        ).fetchall()
        longest = connection.execute("SELECT max(max) FROM v_functions").fetchone()
    assert 0 < longest[0] < 5, "a duration read from the wall clock"
    return list(map(int, moments)), windows


@pytest.mark.row("T1")
def test_a_clock_that_steps_costs_no_record_and_bends_no_duration(
    scene, ledger, clock_shim, measured
):
    """T1: ahead and back, by hours and by years, within one process."""
    _, windows = stepping(scene, ledger, clock_shim, *STEPS.values(), 0)

    assert [] == [each for each in windows if each[1] >= each[2]]
    assert [] == [each for each in windows if each[2] - each[1] > 60 * 10**9]
    measured(f"{', '.join(STEPS)}: lost 0, twice 0, windows without length 0")


MOMENTS = {
    "1970": 5,
    "the beginning of summer time": 1_774_746_000 - 1,
    "its end": 1_792_890_000 - 1,
    "the last second of 2038's 32 bits": (1 << 31) - 2,
}


@pytest.mark.row("T1")
def test_no_moment_is_special(scene, ledger, clock_shim, measured):
    """T1: a host that does not know the year yet; an hour that comes twice or never."""
    moments = [f"@{moment}" for moment in MOMENTS.values()]
    begun, windows = stepping(scene, ledger, clock_shim, *moments, 0)

    for moment, at_s in zip(MOMENTS.values(), begun, strict=False):
        assert moment <= at_s <= moment + 10
    assert [] == [each for each in windows if each[1] >= each[2]]
    measured(f"{', '.join(MOMENTS)}: lost 0, twice 0, windows without length 0")
