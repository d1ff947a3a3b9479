"""Many processes, one truth: BUFFER's fork rules, seen from outside."""

import pytest

pytestmark = pytest.mark.e2e

FORK_KINDS = ["os", "raw"]

PRELUDE = """
import ctypes, os, sys, time, warnings, probekit
warnings.simplefilter("ignore")
def raw_fork():
    # Asked to give the GIL to a thread that only the parent has, a child forked in C
    # waits for ever, and no library can help: fork with the GIL freshly taken.
    time.sleep(0.001)
    return ctypes.PyDLL(None).fork()
fork = os.fork if sys.argv[3] == "os" else raw_fork
def configure():
    probekit.configure("shop", buffer=sys.argv[1], exporters=[sys.argv[2]],
                       interval_s=0.5)

def lives(pid):
    # A raw-forked child may hang inside the interpreter before any of our code runs
    # (a thread of the parent waited for the GIL): it is ended and another one made.
    end = time.monotonic() + 5
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if time.monotonic() > end:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            return False
        time.sleep(0.002)
    return True

@probekit.probe
def work():
    pass
"""


@pytest.mark.row("P7", "P8")
@pytest.mark.parametrize("kind", FORK_KINDS)
def test_children_never_repeat_their_parents_numbers(program, receiver, kind):
    """What the parent recorded before the fork counts once, drained or not."""
    receiver.start()
    program.run(
        PRELUDE
        + """
configure()
for round in range(5):
    for _ in range(100):
        work()
        probekit.count("shop.orders")
    while True:
        pid = fork()
        if pid == 0:
            for _ in range(10):
                work()
                probekit.count("shop.orders")
            probekit.flush(timeout_s=0.2)
            os._exit(0)
        if lives(pid):
            break
        assert sys.argv[3] == "raw"
print(probekit.flush(timeout_s=20))
""",
        receiver.url,
        kind,
    )

    assert receiver.total("shop.orders") == 550
    assert receiver.total("probekit.function.duration") == 550


@pytest.mark.row("P7")
@pytest.mark.parametrize("kind", FORK_KINDS)
def test_a_child_that_outlives_its_parent_loses_nothing(
    program,
    receiver,
    eventually,
    kind,
):
    """Fork, parent ends, a third process opens and closes the buffer, child records."""
    go = program.folder / "go"
    process = program.start(
        PRELUDE
        + """
configure()
for _ in range(100):
    probekit.count("shop.orders")
assert probekit.flush(timeout_s=0.5) is False
pid = fork()
if pid == 0:
    os.close(1); os.close(2)
    for _ in range(100):
        probekit.count("shop.orders")
    time.sleep(0.5)
    while not os.path.exists(sys.argv[4]):
        time.sleep(0.02)
    for _ in range(100):
        probekit.count("shop.orders")
    probekit.flush(timeout_s=0.2)
    open(sys.argv[4] + ".done", "w").close()
    os._exit(0)
""",
        receiver.url,
        kind,
        go,
    )
    _, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    program.run(
        PRELUDE + "configure()\nprobekit.count('shop.third')\nprobekit.flush(1)\n",
        receiver.url,
        kind,
    )
    go.touch()
    done = program.folder / "go.done"
    assert eventually(done.exists, 10)
    receiver.start()
    program.run(
        PRELUDE + "configure()\nprint(probekit.flush(timeout_s=20))\n",
        receiver.url,
        kind,
    )

    assert receiver.total("shop.orders") == 300
    assert receiver.total("shop.third") == 1


@pytest.mark.row("P7")
def test_forks_under_load_neither_hang_nor_repeat(program, receiver):
    """100 forks while four threads record; every child ends and counts once."""
    receiver.start()
    out = program.run(
        PRELUDE
        + """
import threading
configure()
stop = threading.Event()
counts = [0] * 4
def busy(i):
    while not stop.is_set():
        work(); probekit.count("shop.load"); counts[i] += 1
        if counts[i] % 50 == 0: time.sleep(0.001)
threads = [threading.Thread(target=busy, args=(i,)) for i in range(4)]
for t in threads: t.start()
for n in range(100):
    pid = os.fork()
    if pid == 0:
        probekit.count("shop.children")
        probekit.flush(timeout_s=0.1)
        os._exit(0)
    end = time.monotonic() + 10
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if time.monotonic() > end:
            print("hung"); os.kill(pid, 9); os.waitpid(pid, 0); break
        time.sleep(0.001)
stop.set()
for t in threads: t.join()
assert probekit.flush(timeout_s=20)
print("load", sum(counts))
""",
        receiver.url,
        "os",
    )

    assert "hung" not in out
    assert receiver.total("shop.children") == 100
    assert receiver.total("shop.load") == int(out.split()[-1])
