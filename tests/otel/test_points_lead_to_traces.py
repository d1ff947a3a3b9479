import pytest

from receiver import texts

pytestmark = pytest.mark.e2e

SHOP = """
import sys, probekit
from flask import Flask
from probekit.integrations.flask import Probekit

probekit.configure("shop", buffer=sys.argv[1], exporters=[sys.argv[2]],
                   host_metrics=False, traces=1.0)

@probekit.probe(name="charge", span=True)
def charge():
    return "ok"

app = Flask("shop")
Probekit(app)

@app.get("/orders/<int:number>")
def order(number):
    return charge()

client = app.test_client()
for number in range(20):
    client.get(f"/orders/{number}")
print(probekit.flush(timeout_s=20))
probekit.shutdown()
"""


def test_a_point_that_arrives_leads_to_spans_that_arrived(program, receiver):
    """Requests and functions, from the program to the receiver."""
    receiver.start()
    assert ["True"] == program.run(SHOP, receiver.url).split()
    arrived = {(span.trace_id, span.span_id) for span in receiver.spans}

    assert 40 == len(arrived)
    for wanted in ("http.server.request.duration", "probekit.function.duration"):
        linked = {
            (exemplar.trace_id, exemplar.span_id)
            for name, point in receiver.histograms
            if name == wanted
            for exemplar in point.exemplars
        }
        assert linked
        assert linked <= arrived


SORTED = """
import sys, probekit
from flask import Flask
from probekit.integrations.flask import Probekit
from probekit.tracing import Tail

probekit.configure("shop", buffer=sys.argv[1], exporters=[sys.argv[2]],
                   host_metrics=False, own_metrics=False,
                   traces=Tail(share=0.0, errors=True, slower_than_p99=False))
app = Flask("shop")
Probekit(app)

@app.get("/orders/<int:number>")
def order(number):
    if number % 10 == 3:
        raise LookupError("no such order")
    return "ok"

client = app.test_client()
for number in range(30):
    client.get(f"/orders/{number}")
print(probekit.flush(timeout_s=20))
probekit.shutdown()
"""


def test_a_trace_that_was_not_kept_is_nobodys_example(program, receiver):
    """Tail sampling keeps the three failed requests: their point has examples."""
    receiver.start()
    assert ["True"] == program.run(SORTED, receiver.url).split()
    kept = {(span.trace_id, span.span_id) for span in receiver.spans}
    examples = {
        (exemplar.trace_id, exemplar.span_id, status)
        for name, point in receiver.histograms
        for key, status in texts(point.attributes)
        for exemplar in point.exemplars
        if key == "http.response.status_code"
    }
    counts = {
        (dict(texts(point.attributes))["http.response.status_code"], point.count)
        for name, point in receiver.histograms
        if name == "http.server.request.duration"
    }

    assert {("200", 27), ("500", 3)} == counts
    assert 3 == len(kept)
    assert {(*ids, "500") for ids in kept} == examples
