"""What was running when a process was killed is told by the next leader, once."""

import json
import signal
import sqlite3

import pytest
from faultscene import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.faults, pytest.mark.timeout(90)]

# Runs until it is killed: a call in a call, a job, and what has just begun.
BUSY = """
@probekit.probe(attributes={"team": "billing"})
def charge(order):
    time.sleep(60)

@probekit.probe
def checkout(order):
    charge(order)

def nightly():
    with probekit.job("nightly"):
        time.sleep(60)

@probekit.probe
def quick():
    time.sleep(0.01)

def be_busy():
    for each in (nightly, lambda: checkout("hunter2")):
        threading.Thread(target=each, daemon=True).start()

def has_beaten(*words, pid=None):
    "Whether the last beat tells of all of these: threads begin one after the other."
    words = [each.encode() for each in words or ("charge", "nightly")]
    mine, folder = f"-{pid or os.getpid()}-", BUFFER + ".journal"
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        if mine in name and name.endswith(".beat"):
            with open(os.path.join(folder, name), "rb") as file:
                beat = file.read()
            if all(each in beat for each in words):
                return True
    return False
"""


def told(scene):
    """The attributes of every such event in the buffer, oldest operation first."""
    connection = sqlite3.connect(f"file:{scene.buffer}?mode=ro", uri=True)
    try:
        rows = connection.execute(
            "SELECT attributes FROM v_events WHERE name = 'interrupted' ORDER BY number"
        ).fetchall()
    finally:
        connection.close()
    return [json.loads(text) for (text,) in rows]


def names(scene):
    return sorted(each["probekit.operation.name"] for each in told(scene))


WANTED = ["__main__.charge", "__main__.checkout", "nightly"]


@pytest.mark.row("P1")
def test_a_killed_process_leaves_what_was_running_and_for_how_long(scene, ledger):
    """Calls and jobs older than a second, with memory and load, once and delivered."""
    ledger.start()
    process = scene.start(
        BUSY
        + """
configure()
be_busy()
while not has_beaten():
    quick()
say("beats")
time.sleep(60)
"""
    )
    assert process.stdout.readline() == "» beats\n"
    process.send_signal(signal.SIGKILL)
    scene.finish(process, code=-signal.SIGKILL)
    assert scene.deliver()
    assert scene.deliver()

    found = {each["probekit.operation.name"]: each for each in told(scene)}
    assert WANTED == names(scene)
    for each in found.values():
        assert 1.0 <= each["probekit.operation.duration"] < 60
        assert process.pid == each["process.pid"]
        assert each["process.memory.usage"] > 1 << 20
        assert each["system.memory.linux.available"] > 1 << 20
    charge = found["__main__.charge"]
    assert ("call", "billing") == (charge["probekit.operation.kind"], charge["team"])
    assert "in charge" in charge["code.stacktrace"]
    assert "hunter2" not in str(found)
    assert "job" == found["nightly"]["probekit.operation.kind"]
    assert 3 == sum("had been running" in text for text in ledger.texts)
    assert [] == list(scene.buffer.with_name("buffer.db.journal").glob("*.beat*"))


SHOP = """
import time

def blocks():
    time.sleep(60)

def computes(ends_s):
    while time.monotonic() < ends_s:
        sum(range(1000))

async def waits(event):
    await event.wait()
"""


@pytest.mark.row("P1")
def test_instrumented_functions_and_coroutines_that_wait_are_told_too(scene, ledger):
    """Woven code does not show when it began, and who waits is on no thread's stack."""
    ledger.start()
    (scene.folder / "shop.py").write_text(SHOP)
    process = scene.start(
        BUSY
        + f"""
import asyncio
sys.path.insert(0, {str(scene.folder)!r})
probekit.instrument("shop")
import shop

@probekit.probe
async def page():
    await shop.waits(asyncio.Event())

async def main():
    waiting = asyncio.create_task(page())
    while not has_beaten(*WANTED):
        quick()
        await asyncio.sleep(0.01)
    say("beats")
    await waiting

WANTED = "shop.blocks", "shop.computes", "shop.waits", "__main__.page"
ends_s = time.monotonic() + 60
configure()
threading.Thread(target=shop.blocks, daemon=True).start()
threading.Thread(target=shop.computes, args=(ends_s,), daemon=True).start()
asyncio.run(main())
"""
    )
    assert process.stdout.readline() == "» beats\n"
    process.send_signal(signal.SIGKILL)
    scene.finish(process, code=-signal.SIGKILL)
    assert scene.deliver()

    found = {each["probekit.operation.name"]: each for each in told(scene)}
    assert {"shop.blocks", "shop.computes", "shop.waits", "__main__.page"} == set(found)
    for each in found.values():
        assert "call" == each["probekit.operation.kind"]
        assert 1.0 <= each["probekit.operation.duration"] < 60
        assert process.pid == each["process.pid"]
    for name in ("shop.waits", "__main__.page"):
        stack = found[name]["code.stacktrace"]
        assert stack.index("in waits") < stack.index("in page")


def test_an_exit_is_a_word(scene, ledger):
    """What is cut off by the end of a program that ends by itself is no accident."""
    ledger.start()
    scene.run(BUSY + "configure()\nbe_busy()\nassert wait_for(has_beaten)\nsys.exit(0)")
    assert scene.deliver()

    assert [] == names(scene)


def test_a_leader_that_lives_tells_of_a_killed_child_and_not_of_itself(scene, ledger):
    """The parent runs for long too; a child starts without its parent's beat."""
    ledger.start()
    process = scene.start(
        BUSY
        + """
configure()
be_busy()
assert wait_for(has_beaten)
if os.fork() == 0:
    probekit.event("plain")
    time.sleep(1.3)
    os._exit(0)
pid = os.fork()
if pid == 0:
    with probekit.job("child"):
        wait_for(lambda: has_beaten("child"))
        os._exit(0)
os.wait(), os.wait()
say(probekit.flush(20))
time.sleep(60)
"""
    )
    assert process.stdout.readline() == "» True\n"
    assert wait_until(lambda: names(scene) == ["child"])
    process.send_signal(signal.SIGKILL)
    scene.finish(process, code=-signal.SIGKILL)
    assert scene.deliver()

    assert ["__main__.charge", "__main__.checkout", "child", "nightly"] == names(scene)
