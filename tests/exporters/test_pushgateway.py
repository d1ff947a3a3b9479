"""A job's totals at a Pushgateway: replaced as a whole, refused in part."""

import pytest

from probekit.errors import ConfigError, Rejected
from probekit.exporters import build
from probekit.testing import HttpReceiver, Reply
from probekit.testing.contract import SECRET, ExporterContract, only, sample_batch


class TestPushgateway(ExporterContract):
    @pytest.fixture(autouse=True)
    def far_side(self):
        with HttpReceiver() as self.receiver:
            yield

    def exporter(self):
        return build(f"pushgateway://127.0.0.1:{self.receiver.port}")

    def break_far_side(self):
        self.receiver.stop()
        return True

    def secret_url(self):
        return f"pushgateway://u:{SECRET}@127.0.0.1:{self.receiver.port}?job=x"


def push(receiver, query=""):
    exporter = build(f"pushgateway://127.0.0.1:{receiver.port}{query}")
    try:
        exporter.send(only(sample_batch(), exporter.contract.signals))
    finally:
        exporter.close()
    return receiver.requests


def test_the_group_is_replaced_and_named_by_job_and_labels():
    with HttpReceiver() as receiver:
        (request,) = push(receiver, "?job=a/b&group.instance=db 1&group.empty=")

    assert "PUT" == request.method
    assert "/metrics/job@base64/YS9i/instance/db%201/empty@base64/=" == request.path
    assert request.body.endswith(b"\n")


def test_a_refused_family_does_not_take_the_others_along():
    no = Reply(400, body=b"type of shop_orders differs")
    with (
        HttpReceiver(script=[no, no]) as receiver,
        pytest.raises(Rejected, match="differs") as caught,
    ):
        push(receiver)

    assert 2 == caught.value.count  # two series of the family shop.orders
    assert ["PUT", *["POST"] * 4] == [r.method for r in receiver.requests]


@pytest.mark.parametrize("query", ["?group.job=x", "?group.a-b=1"])
def test_a_label_that_may_not_be_added_is_named(query):
    with pytest.raises(ConfigError, match="no label"):
        build(f"pushgateway://h{query}")
