import pytest

from probekit.model import Harvest, Retention, Series
from probekit.ports import DeliveryContract

MINUTE = 60
HOUR = 3600


def keep_house(buffer, **limits):
    """Housekeeping until nothing is left to do."""
    if limits:
        buffer.store._retention = Retention(**limits)
    buffer.store.housekeep(deadline_s=5)
    assert buffer.books_balance()


def let_age(buffer, clock):
    """Housekeeping at the end of a window, for two minutes."""
    for _ in range(3):
        keep_house(buffer)
        clock.advance(MINUTE)
    keep_house(buffer)


def windows(buffer):
    return buffer.sql("SELECT id, measurements, merged FROM window ORDER BY id")


def fill(buffer, clock, harvest, count, **more):
    for _ in range(count):
        clock.advance(10)
        buffer.write(harvest(orders=1, latency=[0.1, 0.2], active=1, **more))


def squeeze(monkeypatch, share):
    """Let the buffer seem so full, whatever it holds."""
    from probekit.buffer.store import Store

    monkeypatch.setattr(
        Store,
        "_used_bytes",
        lambda store, _: int(share * store._retention.max_bytes),
    )


def test_undelivered_data_is_left_alone_while_there_is_room(buffer, clock, harvest):
    buffer.store.register(["dead"])
    fill(buffer, clock, harvest, 30)
    clock.advance(6 * 86_400)
    keep_house(buffer)

    assert 30 == len(windows(buffer))


def test_delivered_windows_are_rolled_up_and_then_go(buffer, clock, harvest):
    buffer.store.register(["a"])
    fill(buffer, clock, harvest, 12)
    buffer.deliver("a")
    clock.advance(1000)
    keep_house(buffer)
    assert [(6, 24, 6), (12, 24, 6)] == windows(buffer)
    clock.advance(3 * HOUR)
    keep_house(buffer)
    assert [(12, 48, 12)] == windows(buffer)
    clock.advance(8 * 24 * HOUR)
    keep_house(buffer)
    assert [] == windows(buffer)
    assert 48 == buffer.store.status().accounts["metrics"].delivered
    assert [] == buffer.sql("SELECT * FROM point")


def test_a_roll_up_keeps_sums_counts_bins_and_the_last_level(buffer, clock, harvest):
    buffer.store.register(["a", "late"])
    for amount in range(1, 7):
        clock.advance(9.99)
        buffer.write(harvest(orders=amount, latency=[amount], depth=amount))
    buffer.deliver("a")
    buffer.deliver("late")
    clock.advance(1000)
    keep_house(buffer)
    buffer.store.register(["again"])
    (parcel,) = buffer.deliver("again")
    (window,) = parcel.windows
    points = {p.series.name: p for p in window.points}

    assert 18 == window.measurements
    assert (21.0, 6, 21.0) == tuple(
        getattr(points["shop.orders"], name) for name in ("value", "count", "total")
    )
    assert (6, 21.0, 1.0, 6.0, 6) == (
        points["shop.latency"].value.count,
        points["shop.latency"].value.sum,
        points["shop.latency"].value.min,
        points["shop.latency"].value.max,
        len(points["shop.latency"].value.bins),
    )
    assert 6.0 == points["queue.depth"].value


def test_in_an_outage_resolution_goes_before_data(buffer, clock, harvest, monkeypatch):
    buffer.store.register(["dead"])
    fill(buffer, clock, harvest, 400)
    squeeze(monkeypatch, 0.8)
    clock.advance(HOUR)
    keep_house(buffer)
    minutes = windows(buffer)
    squeeze(monkeypatch, 0.9)
    keep_house(buffer)
    hours = windows(buffer)

    assert 66 <= len(minutes) <= 68
    assert 2 == len(hours)
    assert 1600 == sum(row[1] for row in minutes) == sum(row[1] for row in hours)
    assert 400.0 == sum(
        point.value
        for parcel in buffer.deliver("dead")
        for window in parcel.windows
        for point in window.points
        if point.series.name == "shop.orders"
    )
    assert {} == buffer.store.status().accounts["metrics"].dropped


def test_what_was_offered_and_not_passed_is_never_merged(
    buffer, clock, harvest, monkeypatch
):
    buffer.store.register(["slow", "dead"])
    fill(buffer, clock, harvest, 6)
    offered = buffer.store.next_batch("slow", DeliveryContract(), limit=1000)
    fill(buffer, clock, harvest, 6)
    clock.advance(HOUR)
    squeeze(monkeypatch, 0.9)
    keep_house(buffer)
    again = buffer.store.next_batch("slow", DeliveryContract(), limit=1000)

    assert offered == again
    assert [1, 2, 3, 4, 5, 6, 12] == [row[0] for row in windows(buffer)]
    buffer.store.advance("slow", again)
    keep_house(buffer)
    assert [6, 12] == [row[0] for row in windows(buffer)]


@pytest.mark.row("D9")
def test_only_when_nothing_can_be_merged_the_oldest_goes_and_is_counted(
    buffer, clock, harvest, monkeypatch
):
    monkeypatch.setattr("probekit.buffer.retention._POINTS_A_PASS", 3)
    buffer.store.register(["dead"])
    fill(buffer, clock, harvest, 3)
    clock.advance(2 * HOUR)
    fill(buffer, clock, harvest, 3)
    pressures = iter([0.99] * 3 + [0.2] * 100)
    from probekit.buffer.store import Store

    monkeypatch.setattr(
        Store,
        "_used_bytes",
        lambda store, _: next(pressures) * store._retention.max_bytes,
    )
    clock.advance(2 * HOUR)
    keep_house(buffer)
    account = buffer.store.status().accounts["metrics"]

    assert {"full": 12} == account.dropped
    assert 12 == account.stored


def test_the_signal_that_fills_the_buffer_pays(buffer, clock, harvest, monkeypatch):
    buffer.store.register(["dead"])
    fill(buffer, clock, harvest, 2)
    clock.advance(10)
    buffer.write(harvest(events=["x" * 200] * 500))
    squeeze(monkeypatch, 0.99)
    buffer.store._retention = Retention()
    with buffer.store._writing() as connection:
        from probekit.buffer.retention import step

        now_ns = clock.now_ns - HOUR
        known = connection, buffer.store._totals, Retention(), now_ns, 0.99
        while step(*known, ageing_ns=now_ns):
            if not connection.execute("SELECT count(*) FROM event").fetchone()[0]:
                break
    books = buffer.store.status().accounts

    assert {"full": 500} == books["events"].dropped
    assert {} == books["metrics"].dropped
    assert buffer.books_balance()


@pytest.mark.row("D9")
def test_undelivered_data_beyond_its_age_is_expired(buffer, clock, harvest):
    buffer.store.register(["dead"])
    fill(buffer, clock, harvest, 3, events=["e"], spans=["s"])
    clock.advance(8 * 86_400)
    fill(buffer, clock, harvest, 1)
    let_age(buffer, clock)
    books = buffer.store.status().accounts

    assert ({"expired": 12}, 4) == (books["metrics"].dropped, books["metrics"].stored)
    assert {"expired": 3} == books["events"].dropped == books["spans"].dropped


@pytest.mark.parametrize("jump", ["advance", "step"])
def test_what_grew_old_at_one_moment_can_still_be_delivered(
    buffer, clock, harvest, jump
):
    """The computer was off for years, or its clock was in 1970 until now."""
    buffer.store.register(["a"])
    fill(buffer, clock, harvest, 3, events=["e"])
    keep_house(buffer)
    getattr(clock, jump)(50 * 365 * 86_400)
    keep_house(buffer)
    buffer.deliver("a")
    let_age(buffer, clock)
    books = buffer.store.status().accounts

    assert (12, {}) == (books["metrics"].delivered, books["metrics"].dropped)
    assert (3, {}) == (books["events"].delivered, books["events"].dropped)


def test_a_parcel_that_expires_while_it_is_sent_keeps_the_books_balanced(
    buffer, clock, harvest
):
    buffer.store.register(["slow"])
    fill(buffer, clock, harvest, 2)
    parcel = buffer.store.next_batch("slow", DeliveryContract(), limit=1000)
    clock.advance(8 * 86_400)
    let_age(buffer, clock)
    buffer.store.advance("slow", parcel)

    assert {"expired": 8} == buffer.store.status().accounts["metrics"].dropped
    assert buffer.books_balance()


def test_window_ids_and_numbers_are_never_given_twice(buffer, clock, harvest):
    buffer.store.register(["a"])
    fill(buffer, clock, harvest, 2, events=["e"])
    buffer.deliver("a")
    clock.advance(9 * 86_400)
    keep_house(buffer)
    buffer.lead()
    buffer._writer.append(harvest(orders=1, events=["e"]))
    buffer.settle()
    (parcel,) = buffer.deliver("a")

    assert 3 == parcel.windows[0].id
    assert 3 == parcel.events[0].number


@pytest.mark.row("D9")
def test_the_file_stays_within_its_cap_under_a_dead_exporter(
    tmp_path, new_buffer, clock, harvest
):
    buffer = new_buffer(tmp_path)
    buffer.store._retention = Retention(max_bytes=1 << 20)
    buffer.store.register(["dead"])
    for number in range(60):
        clock.advance(10)
        buffer.write(harvest(orders=1, events=[f"{number} {'x' * 400}"] * 100))
        buffer.store.housekeep(deadline_s=0.5)
    status = buffer.store.status()

    assert status.file_bytes <= 2 << 20
    assert status.wal_bytes <= 2 << 20
    assert 0 < status.accounts["events"].dropped["full"]
    assert buffer.books_balance()


def test_free_pages_are_given_back_and_a_long_log_is_cut(buffer, clock, harvest):
    buffer.store.register(["a"])
    for _ in range(8):
        clock.advance(10)
        buffer.write(harvest(events=["x" * 190] * 1000))
    buffer.deliver("a")
    buffer.store.housekeep(deadline_s=0.2)
    full = buffer.store.status()
    clock.advance(9 * 86_400)
    for _ in range(5):
        keep_house(buffer)
    left = buffer.store.status()

    assert full.file_bytes > 1 << 20
    assert left.file_bytes < full.file_bytes / 4
    assert left.wal_bytes <= 1 << 20


def test_problems_are_bounded(buffer, harvest, monkeypatch):
    from probekit.buffer import commits
    from probekit.model import Problem

    monkeypatch.setattr(commits, "PROBLEMS_LIMIT", 5)
    one = harvest()
    one.problems = [Problem(f"{i:016x}", "E", "m", "c", "s", i, i, 1) for i in range(9)]
    buffer.write(one)

    assert [(5, 4)] == buffer.sql(
        "SELECT count(*), min(last_seen_unix_ns) FROM problem"
    )


def churn(buffer, clock, count, first=0):
    """Each series speaks once, as where an attribute never comes again."""
    for n in range(first, first + count):
        clock.advance(10)
        harvest = Harvest(series=[Series("hits", "counter", "", (("n", n),))])
        harvest.sum_ids.append(0)
        harvest.sum_values.append(1.0)
        harvest.sum_counts.append(1)
        writer = buffer.writer()
        writer.append(harvest)
        writer.close()
        buffer.settle()


def names(buffer):
    rows = buffer.sql("SELECT attributes FROM series WHERE name = 'hits' ORDER BY id")
    return [row[0] for row in rows]


def test_series_that_nothing_refers_to_are_forgotten_and_begin_anew(buffer, clock):
    buffer.store.register(["a"])
    churn(buffer, clock, 20)
    buffer.deliver("a")
    clock.advance(8 * 86_400)
    churn(buffer, clock, 2, first=100)
    keep_house(buffer)

    assert ['{"n": 100}', '{"n": 101}'] == names(buffer)
    churn(buffer, clock, 1, first=3)
    buffer.lead()
    assert [1.0] == [row[0] for row in buffer.sql(
        "SELECT sum FROM series WHERE attributes = '{\"n\": 3}'"
    )]  # fmt: skip
    assert 3 == len(set(buffer.sql("SELECT id FROM series")))


def test_series_of_undelivered_windows_and_of_living_processes_stay(
    buffer, clock, harvest
):
    buffer.store.register(["dead"])
    churn(buffer, clock, 5)
    buffer.write(harvest(orders=1, active=1))
    clock.advance(6 * 86_400)
    keep_house(buffer)
    clock.advance(2 * 86_400)
    buffer.store.register([])
    buffer.store.register(["late"])
    buffer.deliver("late")
    churn(buffer, clock, 1, first=100)
    keep_house(buffer)

    left = set(buffer.sql("SELECT name FROM series WHERE name <> 'hits'"))
    assert {("shop.orders",), ("http.server.active_requests",)} == left
