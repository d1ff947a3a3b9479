"""Row D10: the power fails. What was synced is on the disk, and nothing else is."""

import os
import shutil
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from probekit.buffer.fold import Fold
from probekit.buffer.store import Store
from probekit.ports import DeliveryContract

pytestmark = [pytest.mark.e2e, pytest.mark.faults]

SYNC_S = 0.3  # in the place of 3.5
LONG = os.environ.get("PROBEKIT_FAULTS") == "long"
MOST_S = 3.0  # a second for the leader's reading, one for a busy machine

BUSY = f"""
from probekit.buffer.journal import segments
from probekit.delivery import term
term.SYNC_S = {SYNC_S}
segments.SegmentWriter.__init__.__kwdefaults__["limit_bytes"] = 20_000
segments._DEFINITIONS_SHARE = 0
configure(interval_s=float(sys.argv[5]), sync_durable=bool(int(sys.argv[6])))
say("ready")
for n in range(60_000):
    operation(n, durable=n % 10 == 0)
    if n % 5 == 4:
        time.sleep(0.01)
"""


@pytest.fixture(scope="session")
def power(tmp_path_factory):
    """A library to preload that keeps what is synced apart."""
    library = tmp_path_factory.mktemp("power") / "faultpower.so"
    source = Path(__file__).with_name("faultpower.c")
    subprocess.run(
        ["cc", "-O1", "-Wall", "-Werror", "-Wno-format-truncation", "-shared",
         "-fPIC", "-o", library, source, "-ldl"],
        check=True,
    )  # fmt: skip
    return library


def after_the_crash(shadow, folder):
    """Put the files of a disk back in their places."""
    for copy in shadow.iterdir():
        if copy.name.rpartition(".")[2].isdigit():
            continue  # a copy that was being made
        _, _, place = copy.name.rpartition("state%")
        path = folder / place.replace("%", "/")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copy(copy, path)


def found_in(folder):
    """Ids of all events that a leader finds there; the books must balance."""
    store = Store(folder / "buffer.db")
    try:
        store.open()
        store.register(["x"])
        fold = Fold(store, folder / "buffer.db.journal")
        fold.read()
        fold.close()
        found = []
        while (
            parcel := store.next_batch("x", DeliveryContract(), limit=10_000)
        ) is not None:
            # Under so much load the governor has events too: theirs have no id.
            mine = [each for each in parcel.events if "op.id" in each.attributes]
            found += [each.attributes["op.id"] for each in mine]
            store.advance("x", parcel)
        for account in store.status().accounts.values():
            dropped = sum(account.dropped.values())
            assert account.recorded == account.delivered + account.stored + dropped
        return [int(each.partition(":")[2]) for each in found]
    finally:
        store.close()


@pytest.mark.row("D10")
@pytest.mark.parametrize("interval_s", [60.0, 0.5])
def test_power_loss_costs_the_last_seconds_and_nothing_before(
    scene, power, rng, measured, interval_s
):
    """No hole, nothing twice, whether segments are folded and go, or wait.

    The receiver is down; segments are small.
    """
    losses, _, kept = lost_at_cuts(scene, power, rng, interval_s, sync_durable=False)
    oldest_s = max((s for ages_s in losses for s in ages_s.values()), default=0.0)
    measured(
        f"{len(losses)} cuts, synced each {SYNC_S} s: lost the last {oldest_s:.1f} s"
    )

    assert 0 < kept
    assert oldest_s <= MOST_S


@pytest.mark.row("D10")
@pytest.mark.parametrize("interval_s", [60.0, 0.5] if LONG else [0.5])
def test_with_the_switch_power_loss_costs_no_durable_event(
    scene, power, rng, measured, interval_s
):
    """At no cut is one missing that had returned."""
    losses, durable, kept = lost_at_cuts(
        scene, power, rng, interval_s, sync_durable=True
    )
    lost = [sorted(ages_s.keys() & durable) for ages_s in losses]
    measured(
        f"{len(losses)} cuts, sync_durable: lost {sum(map(len, lost))} durable events"
    )

    assert 0 < kept
    assert [[]] * len(losses) == lost


def lost_at_cuts(scene, power, rng, interval_s, *, sync_durable):
    """Cut the power again and again while a process records.

    Returns:
        For each cut {operation that had returned and is lost: how long ago it did,
        seconds}; which operations were durable; how many events the last disk holds.
    """
    shadow = scene.folder / "shadow"
    shadow.mkdir()
    process = scene.start(
        BUSY,
        interval_s,
        int(sync_durable),
        environment={
            "LD_PRELOAD": str(power),
            "FAULTPOWER_PATH": "/state/buffer.db",
            "FAULTPOWER_SHADOW": str(shadow),
        },
    )
    assert process.stdout.readline() == "» ready\n"
    cuts = []
    for turn in range(200 if LONG else 10):
        time.sleep(rng.uniform(0.2, 0.7))  # the moment itself
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)  # until then it still writes
        cuts.append(time.monotonic_ns())
        shutil.copytree(shadow, scene.folder / f"shadow-{turn}")
        process.send_signal(signal.SIGCONT)
    process.kill()
    scene.finish(process, code=-signal.SIGKILL)
    truth = scene.truth(process.who)
    finished = truth.finished
    losses, at_the_end = [], 0
    for turn, cut_ns in enumerate(cuts):
        folder = scene.folder / f"disk-{turn}"
        folder.mkdir(mode=0o700)
        after_the_crash(scene.folder / f"shadow-{turn}", folder)
        with closing(sqlite3.connect(folder / "buffer.db")) as connection:
            check = connection.execute("PRAGMA integrity_check").fetchall()
            assert [("ok",)] == check
        found = found_in(folder)
        assert len(set(found)) == len(found), "twice"
        wanted = {n for n, at_ns in finished.items() if at_ns <= cut_ns}
        lost = wanted - set(found)
        # One thread records: what is lost is the end, without a hole. A durable event
        # is written at once, plain ones before it a moment later.
        for kind in (truth.durable, truth.plain()):
            kept = kind & set(found)
            assert not lost & kind or min(lost & kind) > max(kept, default=-1)
        losses.append({n: (cut_ns - finished[n]) / 1e9 for n in lost})
        at_the_end = len(found)
        shutil.rmtree(folder)
    return losses, truth.durable, at_the_end
