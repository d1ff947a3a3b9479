import time

import pytest

from probekit.model import Series


@pytest.fixture
def check(probekit, buffer):
    """Run the plugin on the buffer: (status, the line)."""

    def run(*arguments):
        status, out, err = probekit("check", *arguments, "--buffer", buffer.path)

        assert "" == err
        assert 1 == len(out.splitlines())
        return status, out.strip()

    return run


@pytest.mark.parametrize(
    "ranges, status",
    [
        ([], 0),
        (["-w", "3"], 0),
        (["-w", "2"], 1),
        (["-w", "1", "-c", "2"], 2),
        (["-w", "4:"], 1),
        (["-c", "@3:3"], 2),
        (["-c", "@4:5"], 0),
        (["-w", "~:2", "-c", "5:"], 2),
    ],
)
def test_ranges_are_those_of_nagios(check, ranges, status):
    """0 OK, 1 WARNING, 2 CRITICAL."""
    assert status == check("shop.orders", *ranges)[0]


def test_a_counter_is_one_line_with_performance_data(check):
    """What was counted in the time asked for, and the ranges as they were given."""
    found = check("shop.orders", "-w", "2", "-c", "~:9")

    assert (
        1,
        "PROBEKIT WARNING - shop.orders delta over 300 s is 3 | 'delta'=3;2;~:9",
    ) == found


@pytest.mark.parametrize(
    "figure, said",
    [
        ("count", "is 2 | 'count'=2;;;0"),
        ("max", "is 0.2s | 'max'=0.2s"),
        ("mean", "is 0.15s | 'mean'=0.15s"),
        ("sum", "is 0.3s | 'sum'=0.3s"),
        ("p95", "is 0.2s | 'p95'=0.2s"),
        ("error_ratio", "is 0 | 'error_ratio'=0;;;0"),
    ],
)
def test_histograms_have_many_figures(check, figure, said):
    """Units stand where the convention wants them."""
    status, text = check("probekit.function.duration", "--figure", figure)

    assert 0 == status
    assert text.endswith(said)


def test_the_total_is_a_counter_of_the_convention(check, buffer):
    """Over all windows."""
    buffer.add(orders=4.0)

    assert "'total'=7c" in check("shop.orders", "--figure", "total")[1]
    assert "'delta'=7" in check("shop.orders")[1]


def test_attributes_choose_among_series(check):
    """All that were given must be there."""
    assert 0 == check("shop.orders", "-a", "plan=pro")[0]
    status, text = check("shop.orders", "-a", "plan=free")

    assert 3 == status
    assert "these attributes" in text


def test_each_gauge_is_judged_and_the_worst_one_decides(check, buffer):
    """They have no sum."""
    from array import array

    from probekit.model import Harvest

    series = [
        Series("queue.depth", "gauge", "", (("queue", name),)) for name in ("a", "b")
    ]
    buffer.fold.add(
        Harvest(
            series=series,
            gauge_ids=array("I", [0, 1]),
            gauge_values=array("d", [3.0, 8.0]),
            gauge_counts=array("Q", [1, 1]),
        )
    )
    buffer.fold.close()
    status, text = check("queue.depth", "-w", "5")

    assert 1 == status
    assert "is 8 | 'queue:a'=3;5 'queue:b'=8;5" in text


@pytest.mark.parametrize(
    "arguments, word",
    [
        (["shop.order"], "did you mean 'shop.orders'"),
        (["shop.orders", "--figure", "p95"], "delta, rate, total"),
        (["shop.orders", "-w", "x"], "no range"),
        (["shop.orders", "-w", "5:1"], "start is above its end"),
        (["shop.orders", "-a", "plan"], "KEY=VALUE"),
        (["shop.orders", "--nonsense"], "--nonsense"),
        ([], "METRIC"),
    ],
)
def test_what_cannot_be_known_is_unknown(check, arguments, word):
    """A mistake must never look like an alarm, and never like health."""
    status, text = check(*arguments)

    assert 3 == status
    assert text.startswith("PROBEKIT UNKNOWN - ")
    assert word in text


def test_a_buffer_that_is_not_there_is_unknown(probekit, tmp_path):
    """Not 1, which would be a warning."""
    status, out, err = probekit("check", "a", "--buffer", tmp_path / "none.db")

    assert (3, "") == (status, err)
    assert out.startswith("PROBEKIT UNKNOWN - ")


def test_a_buffer_that_nobody_leads_any_more_is_unknown(check, monkeypatch):
    """What it says is of the past."""
    now = time.time_ns() + 3600 * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: now)
    status, text = check("shop.orders")

    assert 3 == status
    assert "nothing new for 36" in text


def test_nothing_measured_is_unknown_unless_idleness_is_fine(check, monkeypatch):
    """A percentile of nothing is no number."""
    now = time.time_ns() + 3600 * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: now)
    arguments = ["probekit.function.duration", "--max-age-s", "9999"]

    assert 3 == check(*arguments)[0]
    assert 0 == check(*arguments, "--idle-ok")[0]
    assert "'count'=0" in check(*arguments, "--figure", "count")[1]


def test_no_recorded_text_breaks_the_line(check, buffer):
    """Names are inert."""
    from array import array

    from probekit.model import Harvest

    series = [
        Series("odd|\n'x'", "gauge", "", (("k", text),)) for text in ("a|b='c'\n", "d")
    ]
    buffer.fold.add(
        Harvest(
            series=series,
            gauge_ids=array("I", [0, 1]),
            gauge_values=array("d", [1.0, 2.0]),
            gauge_counts=array("Q", [1, 1]),
        )
    )
    buffer.fold.close()
    status, text = check("odd|\n'x'")

    assert 0 == status
    assert 1 == text.count("|")
    assert "'k:a_b_''c''_'=1 'k:d'=2" in text
