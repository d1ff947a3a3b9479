import http.server
import threading
import urllib.error
import urllib.request

import pytest
from opentelemetry import trace

from probekit.integrations import libraries
from probekit.integrations.libraries.http import Target, begin, target_of
from probekit.recording.registry import REGISTRY
from probekit.tracing.connection import connect
from probekit.tracing.policy import plan_of

METRIC = "http.client.request.duration"
TRACE, SPAN = "a" * 32, "b" * 16


class Answers(http.server.BaseHTTPRequestHandler):
    seen: list

    def do_GET(self):
        self.seen.append((self.command, self.headers.get("traceparent")))
        self.send_response({"/missing": 404, "/moved": 302}.get(self.path, 200))
        if self.path == "/moved":
            self.send_header("Location", "/ok")
        self.end_headers()

    do_POST = do_GET

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def server(recorded):
    handler = type("Handler", (Answers,), {"seen": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    libraries.instrument_libraries("urllib")
    yield f"http://127.0.0.1:{server.server_port}", handler.seen
    server.shutdown()
    server.server_close()
    thread.join(5)


def told(recorded):
    """(method, status, error) → values."""
    return {
        (
            found["http.request.method"],
            found.get("http.response.status_code"),
            found.get("error.type"),
        ): count
        for found, count in recorded().of(METRIC)
    }


def test_a_call_is_told_by_method_and_status(server, recorded):
    url, _ = server
    urllib.request.urlopen(f"{url}/ok").close()
    urllib.request.urlopen(f"{url}/ok", data=b"x").close()
    urllib.request.urlopen(f"{url}/moved").close()
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{url}/missing")
    caught.value.close()

    assert {
        ("GET", 200, None): 2,
        ("POST", 200, None): 1,
        ("GET", 404, "404"): 1,
    } == told(recorded)


def test_a_server_that_is_not_there_is_an_error_by_its_class(server, recorded):
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen("http://127.0.0.1:9/")

    assert {("GET", None, "urllib.error.URLError"): 1} == told(recorded)


def test_other_schemes_are_not_http(server, recorded, tmp_path):
    (tmp_path / "x").write_text("x")
    urllib.request.urlopen((tmp_path / "x").as_uri()).close()
    urllib.request.urlopen("data:,x").close()
    with pytest.raises(ValueError, match="unknown url type"):
        urllib.request.urlopen("nonsense")

    assert {} == told(recorded)


def test_the_trace_context_goes_out_with_texts_and_requests(server, monkeypatch):
    url, seen = server
    urllib.request.urlopen(f"{url}/ok").close()
    monkeypatch.setattr(REGISTRY, "trace_ids", lambda: (TRACE, SPAN))
    urllib.request.urlopen(f"{url}/ok").close()
    urllib.request.urlopen(f"{url}/ok", b"x").close()
    own = urllib.request.Request(f"{url}/ok", headers={"traceparent": "mine"})
    urllib.request.urlopen(own).close()
    request = urllib.request.Request(f"{url}/ok")
    urllib.request.urlopen(request).close()

    ours = f"00-{TRACE}-{SPAN}-01"
    assert [
        ("GET", None),
        ("GET", ours),
        ("POST", ours),
        ("GET", "mine"),
        ("GET", ours),
    ] == seen


def test_a_broken_source_of_trace_ids_costs_the_header_only(server, monkeypatch):
    url, seen = server
    monkeypatch.setattr(REGISTRY, "trace_ids", lambda: 1 / 0)
    urllib.request.urlopen(f"{url}/ok").close()

    assert [("GET", None)] == seen


def test_a_span_has_the_address_without_what_is_nobodys_business(server):
    """The conventions require it; a path keeps what does not look like a secret."""
    url, _ = server
    connection = connect(REGISTRY, plan_of(1.0), {"service.name": "shop"})
    try:
        with trace.get_tracer("shop").start_as_current_span("page"):
            urllib.request.urlopen(f"{url}/ok/4111111111111111?card=41&q=#top").close()
            target = target_of("GET", "https://ann:hunter2@shop.test/cart?id=7")
            with begin("test", lambda: target):
                pass
    finally:
        connection.close()
    found = [span.attributes.get("url.full") for span in REGISTRY.drain().spans]

    assert [
        f"{url}/ok/[redacted]?card=REDACTED&q=",
        "https://shop.test/cart?id=REDACTED",
        None,
    ] == found


def test_an_address_that_cannot_be_said_costs_itself_only(server, recorded):
    class Hostile:
        def __str__(self):
            raise RuntimeError("no")

    connection = connect(REGISTRY, plan_of(1.0), {"service.name": "shop"})
    target = Target("GET", "https", "shop.test", 443, Hostile())
    try:
        with (
            trace.get_tracer("shop").start_as_current_span("page"),
            begin("test", lambda: target),
        ):
            pass
    finally:
        connection.close()
    (span, _) = REGISTRY.drain().spans

    assert "url.full" not in span.attributes
    assert "shop.test" == span.attributes["server.address"]
