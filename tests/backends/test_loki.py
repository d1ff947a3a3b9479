"""What is pushed to Loki, told by a receiver of our own: no Loki can be had."""

import json
import random

import matrix
import pytest
from shop import Shop

from probekit.testing import HttpReceiver, Reply

pytestmark = [pytest.mark.backend, pytest.mark.timeout(60)]


def entries(receiver):
    """(labels, time, line as an object) of all that came."""
    return [
        (stream["stream"], int(time), json.loads(line))
        for request in receiver.requests
        for stream in json.loads(request.body)["streams"]
        for time, line in stream["values"]
    ]


def test_everything_that_happens_in_an_application_arrives(tmp_path):
    with HttpReceiver(reply=Reply(204)) as receiver:
        url = f"loki://127.0.0.1:{receiver.port}?signals=events,metrics&label.env=test"
        with Shop(tmp_path, url) as shop:
            assert shop.delivered()
        found = entries(receiver)
    by_name = {line["name"]: (labels, line) for labels, _, line in found}
    labels, refunded = by_name["order.refunded"]
    sent = {
        "labels": {
            "service_name": "shop",
            "host": "h1",
            "env": "test",
            "kind": "event",
            "level": "info",
        },
        "event": ["A1", 9],
        "exception": ["error", "ValueError"],
        "counter": 3,
    }
    exception = by_name["exception"]
    read = {
        "labels": labels,
        "event": [refunded["order.id"], refunded["amount"]],
        "exception": [exception[0]["level"], exception[1]["exception.type"]],
        "counter": by_name["shop.orders"][1]["total"],
    }

    matrix.record("`loki:`", "a receiver of our own (no Loki can be had)", sent, read)
    assert sent == read


def test_what_the_receiver_refuses_is_a_dead_letter_and_the_rest_arrives(tmp_path):
    def answered(request):
        if b"A1" in request.body:
            return Reply(400, body=b"entry for stream has timestamp too old")
        return Reply(204)

    with HttpReceiver(reply=answered) as receiver:
        with Shop(tmp_path, f"loki://127.0.0.1:{receiver.port}") as shop:
            assert shop.delivered()
            ((records, reason),) = shop.dead_letters()
        taken = [request for request in receiver.requests if b"A1" not in request.body]

    assert 1 == records
    assert "timestamp too old" in reason
    assert 1 == sum(b"no such plan" in request.body for request in taken)


def test_nothing_is_lost_while_the_receiver_refuses_or_is_away(tmp_path):
    draw = random.Random(7)
    with HttpReceiver(reply=Reply(204)) as receiver:
        with Shop(tmp_path, f"loki://127.0.0.1:{receiver.port}") as shop:
            shop.ask("orders 1000")
            assert shop.ask("flush 10")
            receiver.stop()
            shop.ask("orders 1000")
            assert not shop.ask("flush 2")
            receiver.start()
            receiver.answer_with(*(Reply(draw.choice([429, 500, 503])) for _ in "ab"))
            shop.ask("orders 500")
            assert shop.ask("flush 30")
        accepted = receiver.requests
        # A busy machine's governor may tell of its own steps too.
        told = {(e[1], e[2]["number"]) for e in entries(receiver) if "number" in e[2]}

    assert 250 == len(told)
    assert len(accepted) >= 4
