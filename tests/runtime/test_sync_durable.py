"""``sync_durable`` in a real process: what returned is on the disk, or is counted."""

import pytest

pytestmark = pytest.mark.e2e

PROGRAM = """
    import threading
    from probekit.buffer.journal import prompt, syncing
    prompt.PromptSync.__init__.__kwdefaults__["wait_s"] = 0.05
    synced, hangs, real = [], threading.Event(), syncing._sync
    never = threading.Event()

    def sync(descriptor):
        if threading.current_thread().name == "probekit-sync":
            if hangs.is_set():
                never.wait()
            synced.append(os.fstat(descriptor).st_size)
        real(descriptor)

    syncing._sync = sync
    if len(sys.argv) > 3:
        configure(sync_durable=sys.argv[3] == "on")
    else:
        configure()

    def sizes():
        "Length of the newest segment after each durable event, and what was synced."
        before = []
        for n in range(3):
            probekit.event("order", {"n": n}, durable=True)
            journal = BUFFER + ".journal"
            newest = max(e for e in os.listdir(journal) if e.endswith(".seg"))
            before.append(os.stat(os.path.join(journal, newest)).st_size)
        return before
"""


def test_only_who_asks_waits_for_the_disk(stage):
    """Each is synced before it returns; plain events never, and none by default."""
    program = (
        PROGRAM
        + """
    sizes_before = sizes()
    done = list(synced)
    probekit.event("plain")
    probekit.flush(5)
    print(len(done), [a <= b for a, b in zip(done, sizes_before)] or "-",
          len(synced) == len(done))
    """
    )

    assert "3 [True, True, True] True" == stage.run(program, "on").strip()
    assert "0 - True" == stage.run(program, "off").strip()
    assert "0 - True" == stage.run(program).strip()


def test_a_disk_that_hangs_is_counted_and_every_event_arrives_once(stage):
    """A child of a fork begins with a count and a thread of its own."""
    child_code = stage.run(
        PROGRAM
        + """
    hangs.set()
    sizes()
    child = os.fork()
    if not child:
        hangs.clear()
        probekit.event("order", {"n": 3}, durable=True)
        os._exit(0 if len(synced) == 1 else 1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    def told():
        text = open(SINK[7:]).read() if os.path.exists(SINK[7:]) else ""
        return "probekit.durable.unsynced" in text
    wait_for(told)
    probekit.flush(5)
    """,
        "on",
    )
    lines = stage.lines()
    unsynced = [e for e in lines if e.get("name") == "probekit.durable.unsynced"]

    assert "0" == child_code.strip()
    assert [0, 1, 2, 3] == sorted(e["n"] for e in lines if "n" in e)
    assert 3 == sum(each["value"] for each in unsynced)
