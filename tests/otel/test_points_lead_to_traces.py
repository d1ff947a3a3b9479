import pytest

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
