"""The kit that every exporter must pass; subclass it, say how to make one.

```python
class TestTcp(ExporterContract):
    @pytest.fixture(autouse=True)
    def far_side(self):
        with TcpReceiver() as self.receiver:
            yield

    def exporter(self):
        return build(f"tcp://127.0.0.1:{self.receiver.port}")

    def received(self):
        return len(self.receiver.lines)

    def break_far_side(self):
        self.receiver.stop()
```
"""

import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace

from probekit.errors import ExportError, Rejected
from probekit.histogram import Histogram
from probekit.model import (
    Batch,
    Event,
    Point,
    Resource,
    Series,
    Signal,
    Span,
    SpanEvent,
    SpanLink,
    Window,
)
from probekit.ports import ALL_SIGNALS, DeliveryContract, Exporter

BUFFER_ID = "0123456789abcdef0123456789abcdef"
SECRET = "s3cr3t-c4n4ry"  # noqa: S105 - what must never be seen

HOSTILE = (
    "a b",
    "line\nend",
    "carriage\r\nreturn",
    'quo"te',
    "apo'strophe",
    "back\\slash",
    "pipe|hash#colon:semi;comma,equals=at@",
    "nul\0byte",
    "bell\x07escape\x1b[31m",
    "line\u2028separator\x85",
    "smile \U0001f600",
    "half \ud83d surrogate",
    "<script>alert(1)</script>",
    "=1+1",
    "../../etc/passwd",
    "%0A%00",
    "{}[]",
    "long " + "x" * 10_000,
)


def moment_ns() -> int:
    """The start of a window that ended a moment ago, nanoseconds since 1970."""
    return time.time_ns() // 10**10 * 10**10 - 10**10


def sample_batch(start_unix_ns: "int | None" = None) -> Batch:
    """A batch with every kind of point, attribute, event and span in it.

    Args:
        start_unix_ns: Start of its window; None for the last ten seconds.

    """
    start = moment_ns() if start_unix_ns is None else start_unix_ns
    plan = (("plan", "pro"),)
    kinds = (
        ("count", 7),
        ("float", 0.5),
        ("paid", True),
        ("tags", ("x", "y")),
    )
    points = (
        Point(Series("shop.orders", "counter", "{order}", plan), 3.0, total=3.0),
        Point(Series("shop.orders", "counter", "{order}", kinds), 0.25, total=0.25),
        Point(Series("shop.carts", "up_down_counter", "{cart}"), -2.0, total=-2.0),
        Point(Series("shop.temperature", "gauge", "Cel"), -4.5),
        Point(
            Series("shop.request.duration", "histogram", "s", plan),
            Histogram.of([0.004, 0.12, 0.25, 9.0]),
            count=4,
        ),
    )
    trace_id, span_id = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    return Batch(
        buffer_id=BUFFER_ID,
        resource=Resource({"service.name": "shop", "host.name": "h1", "cpus": 2}),
        windows=(Window(7, start, start + 10**10, points, measurements=9),),
        events=(
            Event(
                start + 1,
                "order.refunded",
                {"order.id": "A1", "amount": 9, "ok": True},
                number=41,
            ),
            Event(
                start + 2,
                "exception",
                {"exception.type": "ValueError", "exception.message": "no"},
                severity=17,
                body="it broke",
                trace_id=trace_id,
                span_id=span_id,
                number=42,
            ),
        ),
        spans=(
            Span(
                trace_id,
                span_id,
                "00f067aa0ba902b7",
                "GET /orders/<id>",
                2,
                start + 1,
                start + 2_000_000,
                {"http.response.status_code": 500},
                events=(SpanEvent(start + 5, "retry", {"n": 1}),),
                links=(SpanLink(trace_id, "00f067aa0ba902b7", {"why": "batch"}),),
                status=2,
                status_message="it broke",
                number=5,
            ),
        ),
    )


def hostile_batch(text: str) -> Batch:
    """One record of each signal, with *text* wherever users' words can stand."""
    plain = sample_batch()
    attributes = {text: text, "key": text}
    series = Series(text, "counter", text, tuple(sorted(attributes.items())))
    return replace(
        plain,
        windows=(replace(plain.windows[0], points=(Point(series, 1.0, total=1.0),)),),
        events=(Event(1, text, attributes, body=text, number=1),),
        spans=(replace(plain.spans[0], name=text, attributes=attributes),),
    )


def only(batch: Batch, signals: "frozenset[Signal]") -> Batch:
    """*batch* without the signals that an exporter does not take."""
    return replace(
        batch,
        windows=batch.windows if "metrics" in signals else (),
        events=batch.events if "events" in signals else (),
        spans=batch.spans if "spans" in signals else (),
    )


class ExporterContract(ABC):
    """Tests that hold for every exporter.

    Attributes:
        most_lines_a_record: For :meth:`received`: how many lines the far side may see
            for one record (a StatsD gauge below zero takes two).
    """

    most_lines_a_record = 1

    @abstractmethod
    def exporter(self) -> Exporter:
        """Make an exporter that sends to a far side which works."""

    def received(self) -> "int | None":
        """How many records the far side has; None when it cannot say."""
        return None

    def break_far_side(self) -> bool:
        """Take the far side away; False when there is nothing to take away."""
        return False

    def secret_url(self) -> "str | None":
        """A URL of this exporter with :data:`SECRET` wherever secrets may stand."""
        return None

    def test_it_keeps_to_the_port(self) -> None:
        """An exporter has a contract, send and close."""
        exporter = self.exporter()

        assert isinstance(exporter, Exporter)
        exporter.close()

    def test_its_contract_is_one(self) -> None:
        """A contract's numbers make sense, and it stays the same."""
        exporter = self.exporter()
        contract = exporter.contract

        assert isinstance(contract, DeliveryContract)
        assert contract.signals
        assert contract.signals <= ALL_SIGNALS
        assert contract.deadline_s > 0
        assert contract.max_records >= 1
        assert contract.accepts_past or contract.max_age_s is not None
        assert contract == exporter.contract
        exporter.close()

    def test_it_takes_every_kind_of_record(self) -> None:
        """A batch with everything in it arrives."""
        exporter = self.exporter()
        exporter.send(only(sample_batch(), exporter.contract.signals))

        assert self._arrived(1)
        exporter.close()

    def test_it_takes_batches_with_parts_missing(self) -> None:
        """Any one signal alone makes a batch."""
        exporter = self.exporter()
        for signal in sorted(exporter.contract.signals):
            exporter.send(only(sample_batch(), frozenset({signal})))
        bare = replace(sample_batch(), resource=Resource())
        exporter.send(only(bare, exporter.contract.signals))

        assert self._arrived(1)
        exporter.close()

    def test_words_of_users_never_add_a_record(self) -> None:
        """One hostile record arrives as at most one, or is refused as a whole."""
        exporter = self.exporter()
        for text in HOSTILE:
            for batch in self._records(exporter, text):
                before = self.received()
                try:
                    exporter.send(batch)
                except Rejected:
                    continue
                after = self._settled(before)
                if before is not None and after is not None:
                    assert after - before <= self.most_lines_a_record, repr(text)[:60]
        exporter.close()

    def test_a_hostile_record_does_not_break_its_neighbours(self) -> None:
        """After hostile records an ordinary batch still arrives."""
        exporter = self.exporter()
        for text in HOSTILE:
            for batch in self._records(exporter, text):
                with contextlib.suppress(Rejected):
                    exporter.send(batch)
        before = self.received() or 0
        exporter.send(only(sample_batch(), exporter.contract.signals))

        assert self._arrived(before + 1)
        exporter.close()

    def test_a_far_side_that_is_gone_raises_an_error_of_ours(self) -> None:
        """What acknowledges says no; what cannot raises nothing foreign."""
        exporter = self.exporter()
        batch = only(sample_batch(), exporter.contract.signals)
        exporter.send(batch)
        if not self.break_far_side():
            exporter.close()
            return
        refused = [_refuses(exporter, batch), _refuses(exporter, batch)]

        assert all(refused) or not exporter.contract.acknowledges
        exporter.close()

    def test_close_may_come_first_and_twice(self) -> None:
        """Closing what was never opened, and closing again, changes nothing."""
        exporter = self.exporter()
        exporter.close()
        exporter.close()
        exporter = self.exporter()
        exporter.send(only(sample_batch(), exporter.contract.signals))
        exporter.close()
        exporter.close()

    def test_it_shows_no_secret(self) -> None:
        """Neither repr nor an error holds what a URL keeps secret."""
        from probekit.exporters import build

        url = self.secret_url()
        if url is None:
            return
        exporter = build(url)
        shown = repr(exporter)
        try:
            exporter.send(only(sample_batch(), exporter.contract.signals))
        except ExportError as error:
            shown += repr(error)

        assert SECRET not in shown
        exporter.close()

    @staticmethod
    def _records(exporter: Exporter, text: str) -> "Iterator[Batch]":
        for signal in sorted(exporter.contract.signals):
            yield only(hostile_batch(text), frozenset({signal}))

    def _arrived(self, count: int) -> bool:
        """Whether the far side has *count* records, or cannot say."""
        for _ in range(200):
            found = self.received()
            if found is None or found >= count:
                return True
            time.sleep(0.01)
        return False

    def _settled(self, before: "int | None") -> "int | None":
        """What the far side has once something new came and nothing follows."""
        last = before
        for _ in range(100):
            time.sleep(0.002)
            found = self.received()
            if found is None or (found == last and found != before):
                return found
            last = found
        return last


def _refuses(exporter: Exporter, batch: Batch) -> bool:
    try:
        exporter.send(batch)
    except ExportError:
        return True
    return False
