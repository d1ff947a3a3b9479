"""The governor in a real process: a heavy load, a tiny budget, and exact counts."""

import json

import pytest

pytestmark = pytest.mark.e2e


def test_a_tiny_budget_makes_it_record_less_and_every_call_is_counted(stage):
    """Down in order, as events at the receiver; no call, error or sum is missing."""
    said = stage.run(
        """
        from probekit.runtime import governor
        governor.LOOK_S = 0.2  # else this test would take half a minute
        configure(limits={"cpu_ratio": 0.0001}, flush_interval_s=0.05)
        made = probekit.counter("made")

        @probekit.probe(name="work")
        def work(n):
            if n % 1000 == 0:
                raise ValueError("no")

        calls = 0
        end = time.monotonic() + 20
        while probekit.status().overhead_level < 4 and time.monotonic() < end:
            for _ in range(2000):
                calls += 1
                made.add(1, {"n": calls % 500})
                try:
                    work(calls)
                except ValueError:
                    pass
        status = probekit.status()
        print(probekit.flush(20), calls, status.overhead_level, status.overhead_step,
              status.flush_interval_s, status.cpu_ratio > 0.0001)
        """
    )
    flushed, calls, level, step, interval_s, dear = said.split()
    lines = stage.lines()
    moves = [line for line in lines if line.get("event") == "probekit.governor"
             or line.get("name") == "probekit.governor"]  # fmt: skip
    totals = stage.totals()

    assert ("True", "4", "flush", "1.0", "True") == (
        flushed, level, step, interval_s, dear,
    )  # fmt: skip
    assert ["stacks", "attributes", "flush"] == [
        move["probekit.overhead.step"] for move in moves
    ], json.dumps(moves)
    assert int(calls) == totals["made"] == totals["probekit.function.duration"]


OWN = {
    "probekit.buffer.size", "probekit.buffer.bytes", "probekit.buffer.oldest_age",
    "probekit.records.recorded", "probekit.records.delivered",
    "probekit.export.lag", "probekit.export.failing", "probekit.export.refused",
    "probekit.export.waiting",
    "probekit.overhead.level", "probekit.overhead.disk.io",
    "probekit.overhead.cpu.utilization", "probekit.overhead.memory.usage",
}  # fmt: skip


def test_what_probekit_tells_of_itself_arrives_and_can_be_switched_off(stage):
    """As metrics among the others; the counters follow the books over restarts."""
    program = """
        import json
        own = sys.argv[3] == "on"
        configure(own_metrics=own)
        for n in range(5):
            probekit.event("order", {"n": n})

        def is_told():
            text = open(SINK[7:]).read() if os.path.exists(SINK[7:]) else ""
            lines = [json.loads(line) for line in text.splitlines(keepends=True)
                     if line.endswith("\\n")]
            if not own:
                return any(line.get("name") == "process.uptime" for line in lines)
            return "probekit.overhead.level" in text and 10 == sum(
                line["value"] for line in lines
                if line.get("name") == "probekit.records.recorded"
                and line["attributes"] == {"probekit.signal": "events"})

        print(wait_for(is_told))
        probekit.shutdown(10)
        """
    before = stage.run(program, "off").strip()
    quiet = {line.get("name") for line in stage.lines()}
    after = stage.run(program, "on").strip()
    told = {line.get("name") for line in stage.lines()}

    assert ("True", "True") == (before, after)
    assert set() == quiet & {*OWN, "probekit.durable.unsynced"}
    assert told >= OWN
