"""BUFFER's fork rules to the letter, with the cases that fail silently without them."""

from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
]

KINDS = ["os.fork", "raw_fork"]


@pytest.mark.row("P7")
@pytest.mark.parametrize("kind", KINDS)
def test_a_fork_in_the_middle_of_the_leaders_transaction_loses_nothing(stage, kind):
    """The parent's transaction is interrupted and tried again; the child counts on."""
    out = stage.run(
        f"""
        client = configure()
        many = [probekit.counter("shop.wide").bind({{"n": n}}) for n in range(1500)]
        for round in range(12):
            for handle in many:
                handle.add(1)
            probekit.count("shop.parent")
            if round == 3:
                probekit.flush(5)
            while True:
                pid = {kind}()
                if pid == 0:
                    probekit.count("shop.child", 3)
                    probekit.flush(0.05)
                    os._exit(0)
                if lives(pid):
                    break
                assert "{kind}" == "raw_fork"
        print(probekit.flush(20))
        """,
    )

    assert out.split() == ["True"]
    totals = stage.totals()
    assert totals["shop.wide"] == 12 * 1500
    assert totals["shop.parent"] == 12
    assert totals["shop.child"] == 36


@pytest.mark.row("P7")
@pytest.mark.parametrize("kind", KINDS)
def test_a_child_that_records_after_its_parent_and_a_third_process_ended(stage, kind):
    """The last closer checkpoints and removes the log; the child's rows stay."""
    go = stage.folder / "go"
    parent = stage.start(
        f"""
        configure()
        probekit.count("shop.orders", 100)
        probekit.flush(5)
        if {kind}() == 0:
            os.close(0); os.close(1); os.close(2)
            probekit.count("shop.orders", 100)
            probekit.flush(0.1)
            go = sys.argv[3]
            wait_for(lambda: os.path.exists(go), 20)
            for _ in range(100):
                probekit.count("shop.orders")
            probekit.flush(0.1)
            open(go + ".done", "w").close()
            os._exit(0)
        """,
        go,
    )
    parent.communicate(timeout=20)
    stage.run("configure()\nprobekit.count('shop.third')\nprobekit.flush(1)")
    go.touch()
    done = stage.folder / "go.done"

    assert _appears(done)
    assert stage.deliver() == "True"
    assert stage.totals()["shop.orders"] == 300
    assert stage.totals()["shop.third"] == 1


@pytest.mark.row("P7", "P10")
def test_a_raw_forked_child_has_no_thread_no_buffer_and_never_leads(stage):
    """It appends inline; somebody else delivers."""
    out = stage.run(
        """
        configure()
        probekit.count("shop.parent")
        probekit.flush(5)
        pid = raw_fork()
        if pid == 0:
            probekit.count("shop.child", 2)
            probekit.flush(0.1)
            import threading
            tasks = len(os.listdir("/proc/self/task"))
            opened = [os.readlink(f"/proc/self/fd/{fd}")
                      for fd in os.listdir("/proc/self/fd")
                      if os.path.exists(f"/proc/self/fd/{fd}")]
            locks = [path for path in opened if path.endswith(".leader")]
            print(tasks, probekit.status().role, len(locks), flush=True)
            os._exit(0)
        os.waitpid(pid, 0)
        print(probekit.flush(20))
        """,
    )

    assert out.split() == ["1", "inline", "0", "True"]
    assert stage.totals()["shop.child"] == 2


@pytest.mark.row("P10")
def test_no_thread_of_ours_is_there_when_uwsgi_forks_its_workers(stage):
    """One that waits for the interpreter then would make each worker wait for ever."""
    out = stage.run(
        """
        import threading, types
        uwsgi = types.SimpleNamespace(worker_id=lambda: 0, mule_id=lambda: 0,
                                      i_am_the_spooler=lambda: False)
        sys.modules["uwsgi"] = uwsgi
        configure(sync_durable=True)
        probekit.count("shop.orders")
        probekit.event("shop.loaded", durable=True)
        time.sleep(0.3)
        probekit.count("shop.orders")
        print(threading.active_count())
        uwsgi.worker_id = lambda: 1
        time.sleep(0.3)
        probekit.count("shop.orders")
        print(threading.active_count() > 1, probekit.flush(10))
        """,
    )

    assert ["1", "True", "True"] == out.split()
    assert 3 == stage.totals()["shop.orders"]


def test_a_forked_child_lets_go_of_its_parents_lock(stage):
    """The parent is killed, the child lives on and does nothing: another one leads."""
    stop = stage.folder / "stop"
    parent = stage.start(
        """
        configure()
        probekit.count("shop.orders")
        probekit.flush(5)
        if os.fork() == 0:
            os.close(0); os.close(1); os.close(2)
            wait_for(lambda: os.path.exists(sys.argv[3]), 100)
            os._exit(0)
        print("forked", flush=True)
        time.sleep(60)
        """,
        stop,
    )
    assert parent.stdout.readline() == "forked\n"
    parent.kill()
    parent.wait()
    delivered = stage.deliver()
    stop.touch()

    assert delivered == "True"


def test_a_child_that_only_flushes_writes_nothing_of_its_parents(stage):
    """What the parent has recorded and not written yet is the parent's alone."""
    out = stage.run(
        """
        configure(flush_interval_s=30)
        probekit.flush(5)
        probekit.count("shop.orders", 1000)
        pid = os.fork()
        if pid == 0:
            probekit.flush(5)
            os._exit(0)
        os.waitpid(pid, 0)
        print(probekit.flush(10))
        """,
    )

    assert out.split() == ["True"]
    assert stage.totals()["shop.orders"] == 1000


def test_a_child_that_leads_after_its_parents_death_delivers(stage, eventually):
    """It opens connections of its own."""
    parent = stage.start(
        """
        configure()
        probekit.count("shop.orders")
        probekit.flush(5)
        if os.fork() == 0:
            os.close(0); os.close(1); os.close(2)
            probekit.count("shop.child")
            wait_for(lambda: probekit.status().role == "leader", 15)
            probekit.count("shop.child")
            probekit.flush(10)
            os._exit(0)
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)
        """,
    )
    parent.wait(timeout=20)

    assert eventually(lambda: stage.totals()["shop.child"] == 2, 20)
    assert stage.totals()["shop.orders"] == 1


def test_a_child_that_leads_holds_locks_that_the_kernel_knows(stage, eventually):
    """Else somebody's plain SQLite, closing last, takes the log from under it."""
    ready, stop = stage.folder / "ready", stage.folder / "stop"
    parent = stage.start(
        """
        configure()
        probekit.count("shop.orders")
        probekit.flush(5)
        if os.fork() == 0:
            os.close(0); os.close(1); os.close(2)
            probekit.count("shop.orders", 10)
            wait_for(lambda: probekit.status().role == "leader", 15)
            probekit.flush(10)
            with open(sys.argv[3] + ".new", "w") as file:
                file.write(str(os.getpid()))
            os.rename(sys.argv[3] + ".new", sys.argv[3])
            wait_for(lambda: os.path.exists(sys.argv[4]), 20)
        os._exit(0)
        """,
        ready,
        stop,
    )
    parent.wait(timeout=20)
    assert eventually(ready.exists, 20)
    inode = stage.buffer.stat().st_ino
    locks = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    holders = {int(each[4]) for each in locks if each[5].endswith(f":{inode}")}
    child = int(ready.read_text())
    stop.touch()

    assert child in holders


@pytest.mark.row("P7")
def test_a_child_forked_while_our_thread_imports_does_not_wait_for_it(stage):
    """A module's lock crosses the fork, held by a thread that is not there."""
    out = stage.run(
        """
        import threading
        begun = threading.Event()
        class Slow:
            def find_spec(self, name, path=None, target=None):
                if name == "fractions" and not begun.is_set():
                    begun.set()
                    time.sleep(0.3)
        sys.meta_path.insert(0, Slow())
        def ask(observer):
            import fractions
        probekit.observe(ask)
        configure()
        probekit.count("shop.parent")
        assert begun.wait(10)
        pid = os.fork()
        if pid == 0:
            import fractions
            probekit.count("shop.child")
            probekit.flush(0.1)
            os._exit(0)
        print(lives(pid), probekit.flush(20))
        """,
    )

    assert out.split() == ["True", "True"]
    assert stage.totals()["shop.child"] == 1


def test_what_was_recorded_before_configure_is_not_repeated_by_children(stage):
    """A preloading master records, forks, and its workers configure."""
    stage.run(
        """
        probekit.count("shop.master", 1000)
        for _ in range(3):
            pid = os.fork()
            if pid == 0:
                configure()
                probekit.count("shop.worker")
                probekit.flush(10)
                os._exit(0)
            os.waitpid(pid, 0)
        """,
    )

    assert stage.deliver() == "True"
    assert stage.totals()["shop.worker"] == 3
    assert stage.totals()["shop.master"] == 0


@pytest.mark.row("P7")
def test_forks_of_two_threads_at_once_are_clean(stage):
    """Hooks of both threads interleave; no child is left without its records."""
    out = stage.run(
        """
        import threading
        configure()
        probekit.count("shop.parent")
        def forker():
            for _ in range(15):
                pid = os.fork()
                if pid == 0:
                    probekit.count("shop.child")
                    probekit.flush(0.05)
                    os._exit(0)
                os.waitpid(pid, 0)
        threads = [threading.Thread(target=forker) for _ in range(2)]
        for t in threads: t.start()
        for t in threads: t.join()
        print(probekit.flush(20))
        """,
    )

    assert out.split() == ["True"]
    assert stage.totals()["shop.child"] == 30


@pytest.mark.row("P8")
def test_a_pool_of_multiprocessing_loses_nothing(stage):
    """Fork and spawn, plain pools and executors' pools."""
    script = stage.folder / "pool.py"
    script.write_text(
        """
import multiprocessing, sys, probekit
from concurrent.futures import ProcessPoolExecutor

def work(n):
    configure()
    probekit.count("shop.orders")
    return n

def configure():
    probekit.configure("shop", buffer=sys.argv[1], exporters=[sys.argv[2]],
                       interval_s=0.5, host_metrics=False)

if __name__ == "__main__":
    for method in ("fork", "spawn"):
        context = multiprocessing.get_context(method)
        with context.Pool(2) as pool:
            pool.map(work, range(20))
            pool.close()
            pool.join()
        with ProcessPoolExecutor(2, mp_context=context) as executor:
            list(executor.map(work, range(20)))
    configure()
    print(probekit.flush(20))
""",
        encoding="utf-8",
    )
    out = stage.run(
        f"sys.argv[0] = {str(script)!r}\nimport runpy\n"
        f"sys.modules.pop('__main__', None)\n"
        f"os.execv(sys.executable, [sys.executable, '-W', 'ignore', *sys.argv])",
    )

    assert out.split() == ["True"]
    assert stage.totals()["shop.orders"] == 80


def _appears(path):
    import time

    end_s = time.monotonic() + 15
    while not path.exists() and time.monotonic() < end_s:
        time.sleep(0.02)
    return path.exists()
