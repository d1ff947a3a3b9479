"""Laws of the governor: less in a stated order, back with hysteresis, counts exact."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probekit.delivery.meter import CpuMeter
from probekit.delivery.pump import Pump
from probekit.recording.events import record_error
from probekit.recording.instruments import Counter, UpDownCounter
from probekit.recording.registry import Registry
from probekit.recording.thrift import NO_LIMIT
from probekit.runtime.governor import (
    CHEAP_LOOKS,
    DEAR_LOOKS,
    LOOK_S,
    Budget,
    Governor,
    Reading,
    Saving,
)
from probekit.runtime.savings import FEW_SETS, savings_of

ORDER = ["spans", "stacks", "attributes", "flush"]


class Clock:
    now_s = 100.0

    def monotonic_s(self):
        return self.now_s

    def wall_ns(self):
        return int(self.now_s * 1e9)


class Scene:
    """A governor whose clock and readings are turned by hand."""

    def __init__(self, savings=None, budget=Budget()):  # noqa: B008 - frozen
        self.clock = Clock()
        self.reading = Reading()
        self.in_force = []
        self.moves = []
        self.useless = set()
        self.governor = Governor(
            budget,
            savings or [self._saving(name) for name in ORDER],
            lambda: self.reading,
            self.moves.append,
            clock=self.clock,
        )
        self.governor.turn()

    def _saving(self, name):
        return Saving(
            name,
            lambda: self.in_force.append(name),
            lambda: self.in_force.remove(name),
            helps=lambda: name not in self.useless,
            relaxed=0.5,
        )

    def look(self, used, *, memory_bytes=0, written_bytes=0):
        """One measurement in which *used* times the CPU budget is taken."""
        self.clock.now_s += LOOK_S
        before = self.reading
        self.reading = Reading(
            before.cpu_s + used * 0.01 * LOOK_S,
            memory_bytes,
            before.written_bytes + written_bytes,
        )
        self.governor.turn()

    def looks(self, used, count):
        for _ in range(count):
            self.look(used)

    def steps(self):
        return [(move.saving, move.direction) for move in self.moves]


@pytest.fixture
def scene():
    return Scene()


def test_above_the_budget_things_are_given_up_in_the_stated_order(scene):
    """And no further than there is something to give up."""
    scene.looks(3.0, 20 * DEAR_LOOKS)

    assert [(name, "down") for name in ORDER] == scene.steps()
    assert ORDER == scene.in_force
    assert (4, "flush") == (scene.governor.level, scene.governor.step)
    assert [1, 2, 3, 4] == [move.level for move in scene.moves]
    assert {"cpu"} == {move.cause for move in scene.moves}


def test_they_come_back_in_the_opposite_order(scene):
    """Once the use is well below the budget."""
    scene.looks(3.0, 4 * DEAR_LOOKS)
    scene.looks(0.1, 4 * CHEAP_LOOKS)

    assert [(name, "up") for name in reversed(ORDER)] == scene.steps()[4:]
    assert ([], 0, "") == (scene.in_force, scene.governor.level, scene.governor.step)


def test_a_burst_is_no_habit(scene):
    """One dear measurement between cheap ones costs nothing."""
    for _ in range(10):
        scene.looks(50.0, DEAR_LOOKS - 1)
        scene.look(0.9)

    assert [] == scene.moves


def test_between_the_two_marks_nothing_moves(scene):
    """That is the hysteresis: neither dear nor cheap."""
    scene.looks(2.0, DEAR_LOOKS)
    scene.looks(0.8, 100)

    assert [("spans", "down")] == scene.steps()


def test_who_sways_waits_twice_as_long_for_the_next_step_up(scene):
    """Cheap only because of what was given up."""
    waits = []
    for _ in range(4):
        while not scene.in_force:
            scene.look(2.0)
        waits.append(0)
        while scene.in_force:
            scene.look(0.1)
            waits[-1] += 1

    assert [CHEAP_LOOKS * n for n in (1, 2, 4, 8)] == waits


def test_what_does_not_help_is_passed_over(scene):
    """Without traces there are no spans to give up; the level says the place."""
    scene.useless = {"spans", "stacks"}
    scene.looks(2.0, DEAR_LOOKS)

    assert (["attributes"], 3) == (scene.in_force, scene.governor.level)


@pytest.mark.parametrize(
    "cause, more",
    [("memory", {"memory_bytes": 40 << 20}), ("disk", {"written_bytes": 200 << 20})],
)
def test_memory_and_disk_count_like_cpu(scene, cause, more):
    """The part of the budget that is used most decides, and is named."""
    for _ in range(DEAR_LOOKS):
        scene.look(0.2, **more)

    assert [cause] == [move.cause for move in scene.moves]
    assert scene.moves[0].used_ratio > 2


def test_an_end_takes_everything_back(scene):
    """A new configure finds nothing given up."""
    scene.looks(3.0, 4 * DEAR_LOOKS)
    scene.governor.release()

    assert ([], 0) == (scene.in_force, scene.governor.level)


@settings(max_examples=60)
@given(st.lists(st.floats(0.0, 5.0), max_size=120))
def test_whatever_the_load_the_steps_in_force_are_the_first_of_the_order(loads):
    """Up and down as it may go."""
    scene = Scene()
    for load in loads:
        scene.look(load)

        assert ORDER[: scene.governor.level] == scene.in_force
    directions = [1 if way == "down" else -1 for _, way in scene.steps()]
    assert sum(directions) == scene.governor.level


def test_the_meter_adds_up_threads_and_knows_a_new_one_under_an_old_number():
    """A thread's clock that goes back belongs to another thread."""
    cpu = iter([1.0, 1.5, 0.25, 0.5])
    meter = CpuMeter(lambda: next(cpu))
    for _ in range(4):
        meter.turn()

    assert 2.0 == meter.total_s()


@pytest.fixture
def real():
    """The savings of a registry and a pump, in force as told."""
    registry = Registry()
    registry.clock = Clock()
    pump = Pump(registry.drain, None, registry.watch, flush_interval_s=0.2)
    by_name = {each.name: each for each in savings_of(registry, pump)}
    assert ORDER == list(by_name)
    return registry, pump, by_name


def test_counts_stay_exact_while_attribute_sets_are_limited(real):
    """Sets beyond the hundredth add up in the overflow series; known ones stay."""
    registry, _, savings = real
    orders = Counter("orders", registry=registry)
    orders.add(1, {"n": 0})
    savings["attributes"].begin()
    for n in range(3 * FEW_SETS):
        orders.add(1, {"n": n})
    harvest = registry.drain()
    savings["attributes"].end()
    later = Counter("more", registry=registry)
    for n in range(3 * FEW_SETS):
        later.add(1, {"n": n})
    series = {each.name: 0 for each in registry.table.series}
    for each in registry.table.series:
        series[each.name] += 1

    assert 3 * FEW_SETS + 1 == sum(harvest.sum_values)
    assert {"orders": FEW_SETS + 1, "more": 3 * FEW_SETS} == series
    assert NO_LIMIT == registry.thrift.sets_limit


def test_what_went_up_comes_down_where_it_was(real):
    """Up-down counters keep their sets, or a level would stay for ever."""
    registry, _, savings = real
    active = UpDownCounter("active", registry=registry)
    savings["attributes"].begin()
    for n in range(2 * FEW_SETS):
        active.add(1, {"n": n})
    savings["attributes"].end()
    for n in range(2 * FEW_SETS):
        active.add(-1, {"n": n})
    harvest = registry.drain()
    levels = dict.fromkeys(harvest.sum_ids, 0.0)
    for id_, value in zip(harvest.sum_ids, harvest.sum_values, strict=True):
        levels[id_] += value

    assert {0.0} == set(levels.values())


def test_errors_are_counted_exactly_while_samples_are_few(real):
    """One sample of the problem, and every occurrence in its count."""
    registry, _, savings = real
    assert not savings["stacks"].helps()
    savings["stacks"].begin()
    for _ in range(40):
        record_error(registry, ValueError("no"))
    harvest = registry.drain()

    assert savings["stacks"].helps()
    assert (1, [40]) == (len(harvest.events), [p.count for p in harvest.problems])
    assert {("events", "rate_limited"): 39} == harvest.losses


def test_the_same_traces_are_kept_everywhere_and_the_others_are_counted(real, spans):
    """One in sixteen by its id, all spans of it."""
    registry, _, savings = real
    savings["spans"].begin()
    for span in spans(160):
        registry.span(span)
    kept = registry.drain()
    savings["spans"].end()
    for span in spans(160):
        registry.span(span)

    assert 20 == len(kept.spans)
    assert {("spans", "overhead"): 300} == kept.losses
    assert 10 == len({span.trace_id for span in kept.spans})
    assert 320 == len(registry.drain().spans)


def test_the_flush_becomes_rarer_and_is_as_asked_again(real):
    """Never more often than asked for."""
    _, pump, savings = real
    savings["flush"].begin()
    slow = pump.interval_s
    savings["flush"].end()

    assert (1.0, 0.2) == (slow, pump.interval_s)


@pytest.fixture
def spans():
    """Makes traces of two spans each."""
    from probekit.model import Span

    def make(traces):
        return [
            Span(f"{0xABC000 + n:032x}", f"{2 * n + k + 1:016x}", "", "s", 1, 1, 2)
            for n in range(traces)
            for k in range(2)
        ]

    return make
