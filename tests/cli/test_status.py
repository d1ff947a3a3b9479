import json

from probekit.model import Event
from probekit.ports import DeliveryContract


def test_json_shows_the_books_of_each_signal(probekit, buffer):
    """By the names of probekit.status()."""
    status, out, _ = probekit("status", "--json", "--buffer", buffer.path)
    found = json.loads(out)

    assert 0 == status
    assert {"metrics": 5, "events": 6, "spans": 0} == found["recorded"]
    assert {"metrics": 0, "events": 0, "spans": 0} == found["delivered"]
    assert {"metrics": 5, "events": 2, "spans": 0} == found["stored"]
    assert {"metrics": {}, "events": {"queue_full": 4}, "spans": {}} == found["dropped"]
    assert str(buffer.path) == found["buffer"]


def test_each_exporter_shows_lag_and_last_error(probekit, buffer):
    """For people and for programs."""
    buffer.store.register(["tcp://h:1"])
    buffer.store.note_error("tcp://h:1", "nobody answers")
    _, out, _ = probekit("status", "--json", "--buffer", buffer.path)
    (exporter,) = json.loads(out)["exporters"]

    assert "tcp://h:1" == exporter["name"]
    assert "nobody answers" == exporter["last_error"]
    assert 0.0 <= exporter["lag_s"]
    assert 1 == exporter["lag_windows"]
    _, out, _ = probekit("status", "--buffer", buffer.path)

    assert "nobody answers" in out
    assert "queue_full 4" in out


def test_a_refusal_is_told_in_the_far_sides_words(probekit, buffer):
    """Also after a later delivery has cleared the last error."""
    buffer.store.register(["tcp://h:1"])
    for reason in ("too old", "no such field"):
        parcel = buffer.store.next_batch("tcp://h:1", DeliveryContract(), limit=1)
        buffer.store.bury("tcp://h:1", parcel, reason)
    _, out, _ = probekit("status", "--json", "--buffer", buffer.path)
    (exporter,) = json.loads(out)["exporters"]

    assert "no such field" == exporter["refusal"]
    assert 2 <= exporter["dead_letters"]
    _, out, _ = probekit("status", "--buffer", buffer.path)

    assert "no such field" in out
    assert "too old" not in out


def test_status_never_writes(probekit, buffer):
    """A look leaves every byte of the file as it was."""
    buffer.store.close()
    before = buffer.path.read_bytes()
    probekit("status", "--buffer", buffer.path)

    assert before == buffer.path.read_bytes()


def test_colours_are_for_terminals(probekit, buffer):
    """A pipe gets plain text."""
    assert "\x1b" not in probekit("status", "--buffer", buffer.path)[1]


def test_status_tells_what_was_under_way_when_a_process_was_killed(probekit, buffer):
    """The newest of them; for people only when there is one."""
    assert "ended" not in probekit("status", "--buffer", buffer.path)[1]
    said = [
        Event(second * 10**9, "interrupted", {}, body=f"job {second} had been running")
        for second in (1, 3, 2)
    ]
    buffer.add(events=said)
    _, out, _ = probekit("status", "--json", "--buffer", buffer.path)
    last = {"last": "job 3 had been running", "last_unix_ns": 3 * 10**9}

    assert {"count": 3, **last} == json.loads(out)["interrupted"]
    _, out, _ = probekit("status", "--buffer", buffer.path)

    assert "3 operations" in out
    assert "job 3 had been running" in out


def test_a_leader_that_is_gone_does_not_lead(probekit, buffer, monkeypatch):
    """Whoever holds the lock leads; where that cannot be seen, the last one is told."""
    buffer.store.beat(4711)
    for held, words in ((True, "4711"), (False, "nobody now"), (None, "4711")):
        monkeypatch.setattr("probekit.cli.status.is_locked", lambda path, it=held: it)

        assert (
            held
            is json.loads(probekit("status", "--json", "--buffer", buffer.path)[1])[
                "leads"
            ]
        )
        (line,) = (
            line
            for line in probekit("status", "--buffer", buffer.path)[1].splitlines()
            if line.startswith("leader")
        )
        assert words in line
