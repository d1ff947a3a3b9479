"""``configure``, ``flush``, ``shutdown``, ``status`` as an application meets them."""

import pytest

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
]


def test_configuring_twice_alike_changes_nothing(stage):
    """The same threads go on."""
    out = stage.run(
        """
        import threading
        configure()
        probekit.flush(5)
        before = {t.ident for t in threading.enumerate()}
        configure()
        print(before == {t.ident for t in threading.enumerate()})
        """,
    )

    assert out.split() == ["True"]


def test_configuring_anew_loses_nothing_and_leaves_no_thread(stage):
    """Buffer and exporters change; what was recorded before stays where it was."""
    out = stage.run(
        """
        import threading
        configure()
        probekit.count("shop.first")
        second = BUFFER + "-2"
        configure(buffer=second)
        probekit.count("shop.second")
        print(probekit.flush(10))
        names = sorted(t.name for t in threading.enumerate() if "probekit" in t.name)
        print(names)
        configure()
        print(probekit.flush(10), probekit.status().buffer == BUFFER)
        """,
    )
    delivered, names, again = out.splitlines()

    assert delivered == "True"
    assert names == "['probekit-leader', 'probekit-pump', 'probekit-ship-file']"
    assert again == "True True"
    assert stage.totals()["shop.first"] == stage.totals()["shop.second"] == 1


def test_configuring_again_and_again_leaves_no_descriptor(stage):
    out = stage.run(
        """
        open_now = []
        for interval_s in (0.5, 0.6, 0.7, 0.8):
            configure(interval_s=interval_s)
            print(probekit.flush(10))
            probekit.shutdown()
            open_now.append(len(os.listdir("/dev/fd")))
        print(open_now[0] == open_now[-1])
        """,
    )

    assert out.split() == ["True"] * 5


def test_a_refused_setting_leaves_what_runs_as_it_is(stage):
    """ConfigError; the old presence goes on."""
    out = stage.run(
        """
        configure()
        try:
            configure(exporters=["otpl://user:geheim@h:1"])
        except probekit.ConfigError as error:
            print("geheim" in str(error))
        probekit.count("shop.orders")
        print(probekit.flush(10))
        """,
    )

    assert out.split() == ["False", "True"]
    assert stage.totals()["shop.orders"] == 1


def test_after_a_shutdown_records_are_held_until_the_next_configure(stage):
    """And no thread is left."""
    out = stage.run(
        """
        import threading
        client = configure()
        probekit.count("shop.orders", 1)
        print(client.shutdown(10), threading.active_count(), probekit.flush(0))
        probekit.count("shop.orders", 2)
        time.sleep(0.5)
        probekit.count("shop.orders", 4)
        print(probekit.status().role)
        configure()
        print(probekit.flush(10))
        """,
    )

    assert out.split() == ["True", "1", "False", "off", "True"]
    assert stage.totals()["shop.orders"] == 7


def test_a_buffer_in_memory_delivers_and_leaves_no_file(stage):
    """Flush, status and exit work alike."""
    out = stage.run(
        """
        configure(buffer=":memory:")
        probekit.count("shop.orders", 2)
        print(probekit.flush(10), probekit.status().buffer)
        pid = os.fork()
        if pid == 0:
            probekit.count("shop.orders", 3)
            print(probekit.flush(10), flush=True)
            os._exit(0)
        os.waitpid(pid, 0)
        probekit.count("shop.orders", 4)
        """,
    )

    assert out.split() == ["True", ":memory:", "True"]
    assert stage.totals()["shop.orders"] == 9
    assert not stage.buffer.parent.exists()


def test_an_exit_delivers_what_its_budget_allows(stage):
    """The file is quick: nobody needs to flush."""
    stage.run("configure()\nprobekit.count('shop.orders', 5)")

    assert stage.totals()["shop.orders"] == 5


@pytest.mark.row("P13")
def test_records_of_other_exit_handlers_are_written(stage):
    """Those that run before ours, and those of other threads meanwhile."""
    stage.run(
        """
        import atexit
        configure()
        atexit.register(lambda: probekit.count("shop.late", 3))
        """,
    )

    assert stage.deliver() == "True"
    assert stage.totals()["shop.late"] == 3


@pytest.mark.row("P4")
@pytest.mark.parametrize(
    "end",
    [
        "os.kill(os.getpid(), signal.SIGTERM)",
        "sys.exit(3)",
        "raise KeyboardInterrupt",
        "raise ValueError('host')",
    ],
)
def test_the_exit_status_is_the_hosts(stage, end):
    """We neither swallow nor add anything."""
    code = {"os": -15, "sy": 3, "ra": 1}[end[:2]]
    if "Keyboard" in end:
        code = -2
    stage.run(f"configure()\nprobekit.count('shop.orders')\n{end}", code=code)


def test_the_books_balance_and_status_says_who_leads(stage):
    """Recorded = delivered + stored + dropped, for each signal."""
    out = stage.run(
        """
        import dataclasses, json
        configure()
        for n in range(10):
            probekit.count("shop.orders")
            probekit.event("order.paid", {"n": n})
        probekit.counter("shop.bad").add("text")
        probekit.flush(10)
        found = probekit.status()
        for signal in ("metrics", "events", "spans"):
            print(found.recorded[signal] == found.delivered[signal]
                  + found.stored[signal] + sum(found.dropped[signal].values()))
        print(found.recorded["events"], found.dropped["metrics"]["invalid"],
              found.role, found.pump_alive, len(found.exporters),
              found.exporters[0].lag_windows)
        json.dumps(dataclasses.asdict(found))
        """,
    )

    assert out.split() == ["True"] * 3 + ["10", "1", "leader", "True", "1", "0"]


@pytest.mark.row("P14")
def test_without_any_thread_recording_goes_on_inline(stage):
    """A host whose limit of threads is reached is not disturbed."""
    out = stage.run(
        """
        import threading
        def refuse(self): raise RuntimeError("can't start new thread")
        threading.Thread.start = refuse
        configure(flush_interval_s=0.01)
        for _ in range(50):
            probekit.count("shop.orders")
            time.sleep(0.002)
        print(probekit.status().pump_alive, probekit.flush(0.1))
        """,
    )

    assert out.split() == ["False", "False"]
    assert stage.deliver() == "True"
    assert stage.totals()["shop.orders"] == 50


@pytest.mark.row("D3")
def test_a_flush_waits_for_its_time_and_not_for_a_disk_that_hangs(stage):
    """Nor does ``status``; what waited is delivered when the disk goes on."""
    out = stage.run(
        """
        import threading
        from probekit.buffer.journal import segments
        configure(own_metrics=False)
        probekit.count("shop.orders", 1)
        print(probekit.flush(10))
        hangs, goes_on, real = threading.Event(), threading.Event(), os.write

        def write(descriptor, data):
            hangs.set()
            goes_on.wait()
            return real(descriptor, data)

        segments.os = type("os", (), {**vars(os), "write": staticmethod(write)})
        probekit.count("shop.orders", 1)
        hangs.wait()
        print(probekit.flush(0.05), goes_on.is_set(), flush=True)
        goes_on.set()
        print(probekit.flush(10))
        """,
    )

    assert ["True", "False", "False", "True"] == out.split()
    assert stage.totals()["shop.orders"] == 2


@pytest.mark.row("P16")
def test_a_daemonized_host_keeps_recording_and_its_files_are_safe(stage):
    """It closes every descriptor and reuses the numbers: we never write into them.

    Not in the very middle of a write of ours: no check can help there, so that writers
    are held up for that long.
    """
    out = stage.run(
        """
        from probekit.runtime import client
        configure(own_metrics=False)
        probekit.count("shop.orders", 1)
        probekit.flush(10)
        presence = client._presence
        with presence._pump.steady, presence._quarters.crew.outlook.gate:
            os.closerange(3, 256)
            canaries = [open(f"canary-{n}", "w+b") for n in range(40)]
        for canary in canaries:
            canary.write(b"precious" * 10); canary.flush()
        for _ in range(10):
            probekit.count("shop.orders", 1)
            time.sleep(0.1)
        for n, canary in enumerate(canaries):
            found = open(f"canary-{n}", "rb").read()
            assert found == b"precious" * 10, (canaries[n].fileno(), found[:300])
        print("intact", flush=True)
        probekit.flush(2)
        os._exit(0)
        """,
    )

    assert out.split() == ["intact"]
    assert stage.deliver() == "True"
    assert stage.totals()["shop.orders"] == 11


def test_a_full_disk_loses_nothing_that_fits_into_memory(stage):
    """The segment cannot grow for a while; the numbers wait."""
    out = stage.run(
        """
        import resource
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        configure(flush_interval_s=0.05, shipper="external")
        probekit.count("shop.orders", 1)
        time.sleep(0.3)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
        for _ in range(10):
            probekit.count("shop.orders", 1)
            time.sleep(0.05)
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        probekit.count("shop.orders", 1)
        """,
    )

    assert out == ""
    assert stage.deliver() == "True"
    assert stage.totals()["shop.orders"] == 12


@pytest.mark.row("P14")
def test_a_process_without_memory_for_its_buffer_is_not_disturbed(stage):
    """Its segment keeps what is recorded; the leader tries again."""
    out = stage.run(
        """
        from probekit.buffer.store import Store
        open_, misses = Store.open, []
        def refuse(self):
            misses.append(1)
            if len(misses) < 3:
                raise MemoryError
            open_(self)
        Store.open = refuse
        configure()
        print(probekit.status().buffer == BUFFER)
        probekit.count("shop.orders", 2)
        probekit.flush(0.1)
        print(wait_for(lambda: len(misses) > 2))
        probekit.count("shop.orders", 3)
        print(probekit.flush(10), probekit.status().memory_only)
        """,
    )

    assert ["True", "True", "True", "False"] == out.split()
    assert 5 == stage.totals()["shop.orders"]


@pytest.mark.row("R3")
def test_our_own_traffic_is_not_recorded(stage):
    """Patched libraries ask on our threads, ours and other instrumentation's."""
    out = stage.run(
        """
        from opentelemetry import context
        from probekit.ports import DeliveryContract
        from probekit.recording.quiet import suppressed
        class Mine:
            contract = DeliveryContract()
            seen = []
            def send(self, batch):
                peers = context.get_value("suppress_instrumentation")
                self.seen.append((suppressed(), peers))
            def close(self): pass
        configure(exporters=Mine())
        probekit.count("shop.orders")
        print(probekit.flush(10), set(Mine.seen), suppressed())
        """,
    )

    assert out.strip() == "True {(True, True)} False"


@pytest.mark.row("P8")
def test_multiprocessing_children_that_configure_are_processes_like_others(stage):
    """Spawned ones start from nothing and lose nothing."""
    script = stage.folder / "spawning.py"
    script.write_text(
        """
import multiprocessing, sys, probekit

def child():
    probekit.configure("shop", buffer=sys.argv[1], exporters=[sys.argv[2]],
                       interval_s=0.5, host_metrics=False)
    probekit.count("shop.orders")

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    children = [context.Process(target=child) for _ in range(3)]
    for each in children: each.start()
    for each in children: each.join()
    print([each.exitcode for each in children])
""",
        encoding="utf-8",
    )
    out = stage.run(
        f"os.execv(sys.executable, [sys.executable, {str(script)!r}, BUFFER, SINK])",
    )

    assert out.strip() == "[0, 0, 0]"
    assert stage.deliver() == "True"
    assert stage.totals()["shop.orders"] == 3
