import json
import socket
import sqlite3
import time
from contextlib import closing

import pytest

from probekit.cli.export import moment_ns
from probekit.errors import Rejected, RetryLater
from probekit.ports import DeliveryContract

NOW = 1_800_000_000 * 10**9


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def cursors(buffer):
    with closing(sqlite3.connect(buffer.path)) as connection:
        return connection.execute("SELECT * FROM cursor").fetchall()


@pytest.fixture
def replay(probekit, buffer, tmp_path):
    """Replay into a file: (status, output, errors, lines)."""

    def run(*arguments, since="1h"):
        target = tmp_path / "replayed.jsonl"
        told = probekit(
            "export", "--since", since, "--to", f"file://{target}",
            "--buffer", buffer.path, *arguments,
        )  # fmt: skip
        return (*told, lines(target) if target.exists() else [])

    return run


def test_everything_of_the_time_is_sent(replay, buffer):
    """Each point, event and error event once, in order."""
    buffer.add(orders=4.0)
    status, out, err, sent = replay()
    orders = [each for each in sent if each["name"] == "shop.orders"]

    assert (0, "4 points, 2 events, 0 spans\n", "") == (status, out, err)
    assert [(3, 3), (4, 7)] == [(each["value"], each["total"]) for each in orders]
    assert ["order.paid", "odd"] == [each["name"] for each in sent[-2:]]
    assert 6 == len(sent)


def test_no_cursor_moves_and_a_second_time_sends_again(replay, buffer):
    """History is nobody's to lose."""
    buffer.store.register(["file"])
    before = cursors(buffer)
    first, second = replay()[3], replay()[3]

    assert before == cursors(buffer)
    assert 2 * len(first) == len(second)


def test_only_what_lies_between_the_moments_is_sent(replay, buffer):
    """A window belongs to every time that it touches."""
    assert "0 points, 0 events, 0 spans\n" == replay(since="2100-01-01T00:00:00Z")[1]
    assert (
        "0 points, 0 events, 0 spans\n"
        == replay("--until", "2000-01-01", since="1999-01-01")[1]
    )
    middle = time.time()
    buffer.add(orders=9.0, events=[buffer.event("late")])
    sent = replay("--until", str(middle))[3]

    assert [] == [each for each in sent if each["name"] == "late"]


class Scripted:
    """An exporter that says what it is told to."""

    def __init__(self, answers=(), **contract):
        self.answers, self.sent, self.closed = list(answers), [], 0
        self.contract = DeliveryContract(**contract)

    def send(self, batch):
        if self.answers:
            answer = self.answers.pop(0)
            if answer is not None:
                raise answer
        self.sent.append(batch)

    def close(self):
        self.closed += 1


@pytest.fixture
def to(probekit, buffer, monkeypatch):
    """Replay to an exporter object: (status, output, errors)."""

    def run(exporter, *arguments):
        monkeypatch.setattr("probekit.exporters.build", lambda _url: exporter)
        return probekit(
            "export", "--since", "1h", "--to", "tcp://h:1", "--buffer", buffer.path,
            *arguments,
        )  # fmt: skip

    return run


def test_batches_are_no_larger_than_the_contract_says(to, buffer):
    """And nothing falls between two of them."""
    buffer.add(orders=4.0)
    exporter = Scripted(max_records=1)
    assert 0 == to(exporter)[0]
    totals = [
        point.total
        for batch in exporter.sent
        for window in batch.windows
        for point in window.points
        if point.series.name == "shop.orders"
    ]

    assert [1] * 6 == [len(batch) for batch in exporter.sent]
    assert [3.0, 7.0] == totals
    assert 1 == exporter.closed


def test_histograms_have_their_running_totals_where_they_are_needed(to, buffer):
    """As of each window, not as of now."""
    buffer.add()
    exporter = Scripted(cumulative=True)
    to(exporter)
    counts = [
        point.total.count
        for batch in exporter.sent
        for window in batch.windows
        for point in window.points
        if point.series.kind == "histogram"
    ]

    assert [2, 4] == counts


def test_signals_that_the_exporter_does_not_take_are_left_out(to):
    """As in shipping."""
    exporter = Scripted(signals=frozenset({"events"}))

    assert "0 points, 2 events, 0 spans\n" == to(exporter)[1]


def test_a_far_side_that_is_away_for_a_moment_is_tried_again(to):
    """With the patience of shipping."""
    exporter = Scripted([RetryLater("not now", 0.001), None])

    assert (0, "2 points, 2 events, 0 spans\n", "") == to(exporter)


def test_a_far_side_that_stays_away_ends_it_with_its_reason(to):
    """Status 1, one line."""
    exporter = Scripted([RetryLater("not now", 0.05)] * 9)
    status, _, err = to(exporter, "--timeout-s", "0.1")

    assert 1 == status
    assert "gave up: not now" in err
    assert 1 == len(err.splitlines())
    assert 1 == exporter.closed


def test_a_refused_record_is_told_and_the_others_arrive(to):
    """Looked for by halves."""

    class Picky(Scripted):
        def send(self, batch):
            if any(event.name == "odd" for event in batch.events):
                raise Rejected("odd is not allowed")
            super().send(batch)

    exporter = Picky()
    status, out, err = to(exporter)

    assert (1, "2 points, 1 events, 0 spans\n") == (status, out)
    assert "1 records refused: odd is not allowed" in err


def test_what_is_too_old_for_the_far_side_is_told(to, monkeypatch):
    """It is not sent as if it were of now."""
    later = time.time_ns() + 100 * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: later)
    status, out, err = to(Scripted(accepts_past=False, max_age_s=60.0))

    assert (1, "0 points, 0 events, 0 spans\n") == (status, out)
    assert "4 records are too old" in err


def test_a_buffer_that_is_written_meanwhile_does_not_matter(to, buffer):
    """The replay is of one moment."""

    class Busy(Scripted):
        def send(self, batch):
            buffer.add(orders=1.0)
            super().send(batch)

    assert "2 points, 2 events, 0 spans\n" == to(Busy(max_records=1))[1]


@pytest.mark.parametrize(
    "text, seconds",
    [
        ("90s", NOW / 1e9 - 90),
        ("30m", NOW / 1e9 - 1800),
        ("1.5h", NOW / 1e9 - 5400),
        ("7d", NOW / 1e9 - 604_800),
        ("1700000000", 1_700_000_000),
        ("1700000000.25", 1_700_000_000.25),
        ("2023-11-14T22:13:20Z", 1_700_000_000),
        ("2023-11-14T22:13:20.500+00:00", 1_700_000_000.5),
        ("2023-11-14T23:13:20+01:00", 1_700_000_000),
    ],
)
def test_a_moment_is_written_in_many_ways(text, seconds):
    """Ago, since 1970, or a date."""
    assert seconds == pytest.approx(moment_ns(text, NOW) / 1e9, abs=1e-6, rel=0)


@pytest.mark.parametrize(
    "arguments, status, word",
    [
        (["--since", "yesterday", "--to", "console:"], 2, "yesterday"),
        (["--to", "console:"], 2, "--since"),
        (["--since", "1h"], 2, "--to"),
        (["--since", "1h", "--until", "2h", "--to", "console:"], 2, "--until"),
        (["--since", "1h", "--to", "otpl://h"], 1, "otlp"),
        (["--since", "1h", "--to", "prometheus://h:1"], 2, "asked by others"),
        (["--since", "1h", "--to", "tcp://me:geheim@h"], 1, "port"),
    ],
)
def test_a_wrong_option_is_one_line(probekit, buffer, arguments, status, word):
    """And shows no secret."""
    found, _, err = probekit("export", *arguments, "--buffer", buffer.path)

    assert status == found
    assert 1 == len(err.splitlines())
    assert word in err
    assert "geheim" not in err


def test_nobody_there_is_told_after_the_timeout(probekit, buffer):
    """Over a real socket."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"tcp://127.0.0.1:{unused.getsockname()[1]}"
        status, _, err = probekit(
            "export", "--since", "1h", "--to", url, "--timeout-s", "0.1",
            "--buffer", buffer.path,
        )  # fmt: skip

    assert 1 == status
    assert "Connection refused" in err
