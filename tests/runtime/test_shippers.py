"""Who leads, who takes over, and how the shipping process lives and ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
]

WORKER = """
configure(**eval(sys.argv[3]))
probekit.count("shop.started")
print(os.getpid(), flush=True)
for line in sys.stdin:
    probekit.count("shop.orders", int(line))
    print(probekit.flush(float(sys.argv[4])), probekit.status().role, flush=True)
"""


class Worker:
    """A process that records and flushes when it is told to."""

    def __init__(self, stage, options, flush_s=15):
        prelude = stage.prelude
        self.process = subprocess.Popen(
            [
                sys.executable, "-c", prelude + WORKER,
                str(stage.buffer), f"file://{stage.sink}", repr(options),
                str(flush_s),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=stage.folder,
        )  # fmt: skip
        stage.processes.append(self.process)
        self.process.stdout.readline()

    def count(self, n):
        """Record *n*, flush; (whether all is delivered, role)."""
        self.process.stdin.write(f"{n}\n")
        self.process.stdin.flush()
        delivered, role = self.process.stdout.readline().split()
        return delivered == "True", role


@pytest.fixture
def worker(stage, request):
    """A maker of workers with these settings."""
    module = sys.modules[type(stage).__module__]
    stage.prelude = module.PRELUDE
    return lambda flush_s=15, **options: Worker(stage, options, flush_s)


def sidecars(stage):
    """Pids of the processes that lead this buffer and are no workers of ours."""
    module = sys.modules[type(stage).__module__]
    ours = {process.pid for process in stage.processes}
    wake = f"{stage.buffer}.wake"
    return [pid for pid in module.users_of(wake) if pid not in ours]


def test_another_process_takes_over_when_the_leader_is_killed(stage, worker):
    """Nothing is lost beyond what the killed one had not written."""
    first, second = worker(), worker()
    assert first.count(1) == (True, "leader")
    assert second.count(2) == (True, "follower")
    first.process.kill()
    first.process.wait()

    assert second.count(4) == (True, "leader")
    assert stage.totals()["shop.orders"] == 7


def test_a_leader_that_ends_hands_over(stage, worker):
    """The same at a normal end."""
    first, second = worker(), worker()
    first.count(1)
    first.process.stdin.close()
    first.process.wait(timeout=10)

    assert second.count(2) == (True, "leader")
    assert stage.totals()["shop.orders"] == 3


def test_the_shipping_process_serves_a_family_and_ends_with_it(stage, worker):
    """One for all, nobody's child, and gone soon after the last process."""
    first = worker(shipper="process")
    assert first.count(1) == (True, "follower")
    second = worker(shipper="process")
    assert second.count(2) == (True, "follower")
    (sidecar,) = sidecars(stage)
    facts = Path(f"/proc/{sidecar}")
    parent = int((facts / "stat").read_text().rpartition(")")[2].split()[1])
    command = (facts / "cmdline").read_bytes()

    assert parent not in {first.process.pid, os.getpid()}
    assert str(stage.sink).encode() not in command
    for each in (first, second):
        each.process.stdin.close()
        each.process.wait(timeout=10)
    assert stage.leaves_nothing_running()
    assert stage.totals()["shop.orders"] == 3


def test_a_shipping_process_that_is_killed_is_replaced(stage, worker):
    """The next flush finds a new one."""
    first = worker(shipper="process")
    first.count(1)
    (sidecar,) = sidecars(stage)
    os.kill(sidecar, signal.SIGKILL)

    assert first.count(2) == (True, "follower")
    assert sidecars(stage) != [sidecar]
    assert stage.totals()["shop.orders"] == 3


def test_another_familys_end_does_not_leave_the_rest_without_a_shipper(
    stage, worker, eventually
):
    """The sidecar goes with its family; somebody else's pump notices."""
    first = worker(shipper="process")
    first.count(1)
    second = worker(shipper="process")
    first.process.stdin.close()
    first.process.wait(timeout=10)
    delivered, _ = second.count(2)

    assert delivered
    assert stage.totals()["shop.orders"] == 3


def test_what_a_family_recorded_last_is_delivered_after_it(stage, worker, eventually):
    """No flush, a kill: the sidecar folds what is in the segments."""
    first = worker(shipper="process", interval_s=60)
    first.count(1)
    first.process.stdin.write("5\n")
    first.process.stdin.flush()
    first.process.stdout.readline()
    first.process.kill()

    assert eventually(lambda: stage.totals()["shop.orders"] == 6)
    assert stage.leaves_nothing_running()


def test_exporters_given_as_objects_cannot_go_to_another_process(stage):
    """One clear error that names the class and the way out."""
    out = stage.run(
        """
        class Mine:
            contract = None
            def send(self, batch): pass
            def close(self): pass
        for exporters in ([Mine()], SINK):
            try:
                configure(exporters=exporters, shipper="process",
                          buffer=":memory:" if exporters == SINK else BUFFER)
            except probekit.ConfigError as error:
                print(error)
        """,
    )

    assert len(out.splitlines()) == 2
    assert "Mine" in out
    assert "shipper" in out


def test_an_external_shipper_serves_until_it_is_told_to_end(stage, worker, eventually):
    """The application has no leader; the service has, and ends on SIGTERM."""
    service = stage.start(
        """
        from probekit.runtime.service import run
        from probekit.settings import load
        settings = load(service="shop", buffer=BUFFER, exporters=[SINK],
                        interval_s=0.5, host_metrics=False)
        print(run(settings))
        """,
    )
    first = worker(shipper="external")

    assert first.count(3) == (True, "follower")
    service.send_signal(signal.SIGTERM)
    out, err = service.communicate(timeout=15)
    assert (0, "True\n", "") == (service.returncode, out, err)
    assert stage.totals()["shop.orders"] == 3


def test_once_delivers_everything_and_ends(stage, worker):
    """For cron: what lies in the segments is folded, sent, and the lock let go."""
    first = worker(shipper="external", flush_s=0.1)
    first.process.stdin.write("3\n")
    first.process.stdin.close()
    first.process.wait(timeout=20)
    once = """
        from probekit.errors import BufferBusy, ConfigError
        from probekit.runtime.service import run
        from probekit.settings import load
        given = dict(service="shop", buffer=BUFFER, interval_s=0.5,
                     host_metrics=False)
        try:
            run(load(**given), once=True)
        except ConfigError as error:
            print("exporters" in str(error))
        print(run(load(**given, exporters=[SINK]), once=True))
        """

    assert stage.run(once).split() == ["True", "True"]
    assert stage.totals()["shop.orders"] == 3
    assert stage.leaves_nothing_running()


def test_once_refuses_while_somebody_leads(stage, worker):
    """It says so, instead of doing nothing silently."""
    first = worker()
    first.count(1)
    out = stage.run(
        """
        from probekit.errors import BufferBusy
        from probekit.runtime import service
        from probekit.settings import load
        service.LOCK_WAIT_S = 0.2
        try:
            service.run(load(service="shop", buffer=BUFFER, exporters=[SINK]),
                        once=True)
        except BufferBusy as error:
            print(error)
        """,
    )

    assert BUFFER_WORDS in out
    assert first.count(1) == (True, "leader")


BUFFER_WORDS = "another process ships it already"
