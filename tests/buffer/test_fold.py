import pytest

from probekit.buffer.cells import Cell
from probekit.buffer.closing import Superseded
from probekit.buffer.fold import Fold
from probekit.buffer.journal import segment_files
from probekit.buffer.journal.segments import MemoryJournal
from probekit.buffer.store import Store
from probekit.errors import BufferFailed
from probekit.histogram import Histogram
from probekit.model import Harvest, Problem, Series

S = 10**9


def test_what_is_folded_is_in_one_window_with_its_totals(buffer, harvest):
    buffer.store.register(["x"])
    buffer.write(harvest(orders=3, latency=[0.1, 0.2], depth=7, binned=[0.3]))
    (parcel,) = buffer.deliver("x")
    points = {p.series.name: p for w in parcel.windows for p in w.points}

    assert 3.0 == points["shop.orders"].value == points["shop.orders"].total
    assert Histogram.of([0.1, 0.2, 0.3]) == points["shop.latency"].value
    assert 7.0 == points["queue.depth"].value
    assert 5 == parcel.windows[0].measurements
    assert [(3, 0.1, 0.3)] == buffer.sql(
        "SELECT count, min, max FROM series WHERE name = 'shop.latency'"
    )


def test_deltas_of_all_processes_make_one_total(buffer, harvest):
    writers = [buffer.writer() for _ in range(3)]
    for amount, writer in enumerate(writers, 1):
        writer.append(harvest(orders=amount))
    buffer.settle()
    writers[0].append(harvest(orders=10))
    buffer.settle()

    assert [(1, 16.0)] == buffer.sql("SELECT count(*), sum(sum) FROM series")
    assert 2 == buffer.store.last_window()
    for writer in writers:
        writer.close()


def test_the_newest_value_of_a_gauge_stands_whatever_the_order_of_reading(
    buffer, clock, harvest
):
    late, early = buffer.writer(), buffer.writer()
    late.append(harvest(orders=0))  # its segment is read first
    early.append(harvest(depth=1))
    clock.advance(1)
    late.append(harvest(depth=2))
    buffer.settle()

    assert [(2.0, 2)] == buffer.sql(
        "SELECT value, count FROM point WHERE total IS NULL"
    )
    late.close()
    early.close()


def test_a_leader_that_dies_between_reading_and_committing_loses_and_repeats_nothing(
    buffer, harvest
):
    writer = buffer.writer()
    writer.append(harvest(orders=1))
    buffer.settle()
    writer.append(harvest(orders=2, events=["a"]))
    buffer.fold.read()
    buffer.lead()  # the one before never committed
    buffer.settle()
    buffer.lead()
    buffer.settle()

    assert 3.0 == buffer.total("shop.orders")
    assert [("a",)] == buffer.sql("SELECT name FROM event")
    writer.close()


def test_a_commit_that_fails_changes_nothing_and_is_repeated_whole(
    buffer, harvest, monkeypatch
):
    buffer.write(harvest(orders=1, active=1))
    from probekit.buffer import commits

    def fail(*_):
        raise BufferFailed("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(commits, "_write_places", fail)
        buffer._writer.append(harvest(orders=2, latency=[1.0], active=1))
        buffer.fold.read()
        with pytest.raises(BufferFailed):
            buffer.fold.close()
    assert 1.0 == buffer.total("shop.orders")
    buffer.fold.close()

    assert 3.0 == buffer.total("shop.orders")
    assert 2.0 == buffer.total("http.server.active_requests")
    assert buffer.books_balance()


def test_a_commit_that_landed_though_it_was_reported_failed_is_not_repeated(
    buffer, harvest, monkeypatch
):
    buffer.write(harvest(orders=1))
    buffer._writer.append(harvest(orders=2))
    buffer.fold.read()
    real = Store.commit

    def landed_and_failed(store, closing):
        real(store, closing)
        raise BufferFailed("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "commit", landed_and_failed)
        with pytest.raises(BufferFailed):
            buffer.fold.close()
    with pytest.raises(Superseded):
        buffer.fold.close()
    buffer.settle()

    assert 3.0 == buffer.total("shop.orders")


def test_of_two_leaders_the_second_commit_is_refused(buffer, clock, harvest):
    writer = buffer.writer()
    rival_store = Store(buffer.path, clock=clock)
    rival = Fold(rival_store, buffer.directory, clock=clock)
    writer.append(harvest(orders=1))
    buffer.fold.read()
    rival.read()
    buffer.fold.close()

    with pytest.raises(Superseded):
        rival.close()
    rival.read()
    rival.close()
    assert 1.0 == buffer.total("shop.orders")
    rival_store.dispose()
    writer.close()


def test_frames_left_behind_go_to_the_cells_of_their_own_time(
    buffer, clock, harvest, start_ns
):
    writer = buffer.writer()
    for _ in range(3):
        clock.advance(10)
        writer.append(harvest(orders=1))
    clock.advance(1000)
    buffer.lead()
    clock.advance(3)
    writer.append(harvest(orders=5))
    buffer.settle()
    windows = buffer.sql(
        "SELECT start_unix_ns, end_unix_ns, value FROM window "
        "JOIN point ON window = id ORDER BY id"
    )
    cells = [((s - start_ns) // S, (e - start_ns) // S, v) for s, e, v in windows]

    assert [(10, 20, 1), (20, 30, 1), (30, 40, 1), (1030, 1033, 5)] == cells
    writer.close()


def test_a_frame_that_just_missed_the_close_goes_into_the_next_window(
    buffer, clock, harvest
):
    writer = buffer.writer()
    clock.advance(9.9)
    writer.append(harvest(orders=1))
    clock.advance(0.2)
    buffer.fold.close()
    buffer.settle()

    assert [(1,)] == buffer.sql("SELECT count(*) FROM window")
    writer.close()


def test_frames_keep_their_window_when_the_clock_is_set_back(buffer, clock, harvest):
    writer = buffer.writer()
    clock.advance(5)
    writer.append(harvest(orders=1))
    clock.step(-3600)
    clock.advance(5)
    writer.append(harvest(orders=1))
    buffer.settle()

    assert [(2.0, 1)] == buffer.sql(
        "SELECT value, epoch FROM point JOIN window ON window = id"
    )
    writer.close()


def test_a_segment_is_deleted_once_its_owner_is_gone_and_all_is_committed(
    buffer, harvest
):
    writer = buffer.writer()
    writer.append(harvest(orders=1))
    buffer.settle()
    assert 1 == len(list(buffer.directory.iterdir()))
    writer.close()
    buffer.settle()

    assert [] == list(buffer.directory.iterdir())
    buffer.settle()
    assert [] == buffer.sql("SELECT * FROM segment")
    assert [] == buffer.sql("SELECT * FROM stream")


def test_a_leader_that_dies_between_commit_and_deletion_repeats_nothing(
    buffer, harvest, monkeypatch
):
    writer = buffer.writer()
    writer.append(harvest(orders=1, active=1))
    writer.close()
    with monkeypatch.context() as patch:
        patch.setattr(Fold, "_committed", lambda *_: None)  # killed right here
        buffer.settle()
    assert 1 == len(list(buffer.directory.glob("*.seg")))
    for _ in range(2):
        buffer.lead()
        buffer.settle()

    assert 1.0 == buffer.total("shop.orders")
    assert 0.0 == buffer.total("http.server.active_requests")
    assert [] == list(buffer.directory.iterdir())


def test_a_segment_outlives_a_commit_that_fails(buffer, harvest, monkeypatch):
    writer = buffer.writer()
    writer.append(harvest(orders=1))
    writer.close()
    buffer.fold.read()

    def fail(*_):
        raise BufferFailed("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "commit", fail)
        with pytest.raises(BufferFailed):
            buffer.fold.close()

    assert 1 == len(list(buffer.directory.iterdir()))


def test_covers_turns_true_with_the_commit_and_stays_true_after_deletion(
    buffer, harvest
):
    writer = buffer.writer()
    writer.append(harvest(orders=1), ship_now=True)
    position = writer.position()
    state = buffer.fold.read()

    assert state.ship_now
    assert not buffer.fold.covers(*position)
    buffer.fold.close()
    assert buffer.fold.covers(*position)
    assert not buffer.fold.read().ship_now
    writer.close()
    buffer.settle()
    assert buffer.fold.covers(*position)


def test_levels_of_a_process_are_taken_back_when_it_is_gone(buffer, harvest):
    writer = buffer.writer(limit_bytes=1)  # over several segments
    for _ in range(40):
        writer.append(harvest(active=1))
    buffer.settle()
    other = buffer.writer()
    other.append(harvest(active=5))
    buffer.settle()
    assert 45.0 == buffer.total("http.server.active_requests")
    writer.close()
    buffer.settle()

    assert 5.0 == buffer.total("http.server.active_requests")
    assert buffer.books_balance()
    other.close()


def test_levels_are_taken_back_by_the_next_leader_and_only_once(buffer, harvest):
    writer = buffer.writer()
    writer.append(harvest(active=2, orders=1))
    buffer.settle()
    writer.close()
    for _ in range(3):
        buffer.lead()
        buffer.settle()

    assert 0.0 == buffer.total("http.server.active_requests")
    assert 1.0 == buffer.total("shop.orders")


def test_what_the_leader_recorded_itself_is_taken_back_by_the_next(buffer, harvest):
    buffer.fold.add(harvest(active=3, orders=1))
    buffer.fold.close()
    assert 3.0 == buffer.total("http.server.active_requests")
    buffer.lead()
    buffer.settle()

    assert 0.0 == buffer.total("http.server.active_requests")
    assert 1.0 == buffer.total("shop.orders")


def damage(path, offset):
    data = bytearray(path.read_bytes())
    data[offset] ^= 0xFF
    path.write_bytes(bytes(data))


def test_a_damaged_frame_of_a_living_owner_is_tried_again(buffer, harvest):
    writer = buffer.writer()
    writer.append(harvest(orders=1))
    (path,) = buffer.directory.glob("*.seg")
    damage(path, 60)
    buffer.settle()
    assert [] == buffer.sql("SELECT * FROM loss")
    damage(path, 60)  # flipped back: the owner was still writing, so to say
    buffer.settle()

    assert 1.0 == buffer.total("shop.orders")
    writer.close()


def test_a_damaged_frame_of_a_dead_owner_is_a_counted_loss(buffer, harvest):
    writer = buffer.writer()
    writer.append(harvest(orders=1))
    _, end = writer.position()
    writer.append(harvest(orders=2))
    writer._stream.segment.close()  # as a kill does
    writer._stream.segment = None
    (path,) = buffer.directory.glob("*.seg")
    damage(path, end + 40)
    buffer.settle()

    assert 1.0 == buffer.total("shop.orders")
    assert [("metrics", "torn", 1)] == buffer.sql("SELECT * FROM loss")
    assert [] == list(buffer.directory.iterdir())
    assert buffer.books_balance()


def test_a_piece_of_a_segment_that_is_there_twice_counts_once(buffer, harvest):
    writer = buffer.writer()
    for orders in (1, 2, 4):
        writer.append(harvest(orders=orders))
    writer.close()
    (path,) = buffer.directory.glob("*.seg")
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"PKF2", 4)] + data)
    buffer.settle()

    assert 7.0 == buffer.total("shop.orders")
    assert [] == buffer.sql("SELECT * FROM loss")


def test_frames_missing_from_a_stream_are_counted(buffer, harvest):
    writer = buffer.writer(limit_bytes=1)
    writer.append(harvest(orders=1))
    for _ in range(60):
        writer.append(harvest(orders=1))
    paths = sorted(buffer.directory.glob("*.seg"))
    missing = buffer_frames(paths[1])
    paths[1].unlink()
    buffer.settle()

    assert [("metrics", "gap", missing)] == buffer.sql("SELECT * FROM loss")
    assert 61.0 - missing == buffer.total("shop.orders")
    writer.close()


def buffer_frames(path):
    from probekit.buffer.journal.segments import read_frames

    return len(list(read_frames(path)))


def test_losses_that_a_process_reports_are_in_the_books(buffer, harvest):
    buffer.write(harvest(orders=1, losses={("events", "queue_full"): 4}))
    account = buffer.store.status().accounts["events"]

    assert (4, {"queue_full": 4}) == (account.recorded, account.dropped)
    assert buffer.books_balance()


def test_values_that_are_not_finite_are_counted_and_stored_nowhere(buffer, harvest):
    buffer.write(
        harvest(
            orders=float("nan"),
            depth=float("inf"),
            latency=[1.0, float("nan"), float("-inf")],
        )
    )

    assert [("metrics", "invalid", 4)] == buffer.sql("SELECT * FROM loss")
    assert [(1, 1.0)] == buffer.sql("SELECT count, value FROM point")
    assert buffer.books_balance()


@pytest.mark.parametrize("values", [[0.5, 0.25], [0.5, float("nan")], [0.5]])
def test_one_value_each_is_taken_as_many_values_are(buffer, values):
    """As columns, which a series that nobody defined or a NaN sends the long way."""
    table = [
        Series("shop.latency", "histogram", "s", (("shop.page", str(n)),))
        for n in range(3)
    ]
    harvest = Harvest(series=table, raw=[(n, [v]) for n, v in enumerate(values)])
    writer = buffer.writer()
    writer.append(harvest)
    writer.append(harvest)
    writer.close()
    buffer.settle()
    finite = [value for value in values if value == value]  # noqa: PLR0124 - NaN

    assert [(2, 2 * v) for v in finite] == buffer.sql("SELECT count, value FROM point")
    invalid = len(values) - len(finite)
    told = [("metrics", "invalid", 2)] if invalid else []
    assert told == buffer.sql("SELECT * FROM loss")
    assert buffer.books_balance()


def test_a_single_value_of_no_known_series_is_a_counted_loss():
    cell = Cell()
    harvest = Harvest(single_ids=[0, 7], single_values=[0.5, 0.25])

    assert {("metrics", "undefined"): 1} == cell.add(harvest, [0, None], 1)
    assert {("metrics", "undefined"): 2} == cell.add(harvest, [None], 1)
    assert 1 == cell.raw_values


def test_sums_that_overflow_stay_finite(buffer, harvest):
    for _ in range(3):
        buffer.write(harvest(orders=1.7e308, latency=[1.7e308] * 3))

    assert [(1,)] == buffer.sql(
        "SELECT count(*) FROM series WHERE kind = 'counter' AND sum < 1e999"
    )
    assert [(0,)] == buffer.sql("SELECT count(*) FROM point WHERE value >= 1e999")


def test_memory_is_bounded_by_early_closes(buffer, harvest, monkeypatch):
    monkeypatch.setattr("probekit.buffer.harvests.RECORDS_LIMIT", 10)
    monkeypatch.setattr("probekit.buffer.harvests.VALUES_LIMIT", 100)
    writer = buffer.writer()
    for _ in range(20):
        writer.append(harvest(latency=[0.1] * 30, events=["a", "b"]))
    state = buffer.fold.read()

    assert state.closed
    assert state.records_waiting < 300
    buffer.fold.close()
    assert [(600,)] == buffer.sql("SELECT count FROM series")
    assert [(40,)] == buffer.sql("SELECT count(*) FROM event")
    writer.close()


def test_an_early_close_in_the_middle_of_an_orphan_repeats_nothing(
    buffer, harvest, monkeypatch
):
    monkeypatch.setattr("probekit.buffer.harvests.VALUES_LIMIT", 50)
    writer = buffer.writer()
    for _ in range(20):
        writer.append(harvest(latency=[0.1] * 30))
    writer.close()
    buffer.settle()

    assert [(600,)] == buffer.sql("SELECT count FROM series")


def test_problems_are_merged_over_processes_and_windows(buffer, harvest):
    def problem(count, first, last, message):
        one = harvest()
        one.problems = [
            Problem("f" * 16, "ValueError", message, "a.b", "stack", first, last, count)
        ]
        return one

    buffer.write(problem(2, 10, 20, "older"))
    buffer.write(problem(3, 5, 30, "newer"))
    buffer.write(problem(1, 12, 13, "oldest"))

    assert [(6, 5, 30, "newer")] == buffer.sql(
        "SELECT count, first_seen_unix_ns, last_seen_unix_ns, message FROM problem"
    )


def test_live_windows_show_what_is_open_and_commit_nothing(buffer, harvest):
    writer = buffer.writer()
    writer.append(harvest(orders=2, latency=[0.5]))
    buffer.fold.read()
    (window,) = buffer.fold.live()

    assert {"shop.orders": 2.0, "shop.latency": Histogram.of([0.5])} == {
        p.series.name: p.value for p in window.points
    }
    assert 0 == buffer.store.last_window()
    buffer.fold.close()
    assert () == buffer.fold.live()
    writer.close()


def test_nothing_recorded_makes_no_window(buffer, clock):
    for _ in range(3):
        clock.advance(10)
        assert 0 == buffer.settle()


def test_a_buffer_that_was_deleted_is_made_anew_without_repeating_segments(
    buffer, harvest
):
    buffer.write(harvest(orders=1))
    for path in buffer.path.parent.glob("buffer.db*"):
        if path.is_file():
            path.unlink()
    buffer._writer.append(harvest(orders=2))
    buffer.fold.read()
    with pytest.raises(BufferFailed):
        buffer.fold.close()
    buffer.fold.close()

    assert 2.0 == buffer.total("shop.orders")


def test_a_buffer_in_memory_folds_like_any_other(clock, harvest):
    store, journal = Store(None, clock=clock), MemoryJournal()
    fold = Fold(store, journal, clock=clock)
    journal.append(harvest(orders=1, events=["a"]), ship_now=True)
    journal.append(harvest(orders=2, latency=[1.0]))
    position = journal.position()

    assert fold.read().ship_now
    assert not fold.covers(*position)
    assert 1 == fold.close()
    assert fold.covers(*position)
    assert not fold.read().ship_now
    assert 3 == store.status().accounts["metrics"].stored
    store.close()
    assert 1 == store.last_window()
    store.dispose()


@pytest.mark.parametrize("moment", [1, 2])
def test_a_frame_to_be_shipped_takes_along_all_that_was_written_before_it(
    buffer, harvest, monkeypatch, moment
):
    """Also when both come while the leader looks through the folder."""
    asking, other = buffer.writer(), buffer.writer()
    asking.append(harvest(orders=1))
    buffer.settle()
    real, calls = segment_files.sizes, []

    def sizes(folder):
        found = real(folder)
        calls.append(found)
        if len(calls) == moment:  # seen by nobody yet
            other.append(harvest(orders=10))
            asking.append(harvest(orders=1), ship_now=True)
            # The size of the asking one is measured after its frame came.
            own = asking.position()[0]
            found = [(n, real_size(folder / n.text, s, own)) for n, s in found]
        return found

    def real_size(path, size, own):
        return path.stat().st_size if path.name == own else size

    monkeypatch.setattr(segment_files, "sizes", sizes)
    buffer.settle()
    covered = buffer.fold.covers(*asking.position())

    assert (not covered) or buffer.total("shop.orders") == 12.0
    buffer.settle()
    assert buffer.fold.covers(*asking.position())
    assert 12.0 == buffer.total("shop.orders")
    asking.close()
    other.close()
