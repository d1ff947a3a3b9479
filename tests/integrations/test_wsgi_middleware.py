"""What the plain WSGI middleware records, and that it changes nothing."""

import io
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import flask
import pytest
from recorded_requests import Told

import probekit
from probekit.errors import ConfigError
from probekit.integrations.wsgi import ProbekitMiddleware
from probekit.recording.registry import REGISTRY

BASE = {
    "http.request.method": "GET",
    "url.scheme": "http",
    "network.protocol.version": "1.0",
}


class PaymentError(Exception):
    """What the shop raises."""


def environ_of(path, **more):
    environ = {"PATH_INFO": path, "SCRIPT_NAME": "", **more}
    environ.setdefault("SERVER_PROTOCOL", "HTTP/1.0")
    setup_testing_defaults(environ)
    return environ


def shop(environ, start_response):
    """An application without a framework."""
    path = environ["PATH_INFO"]
    if path == "/raise":
        raise PaymentError("declined")
    status = f"{path[1:]} Told" if path[1:].isdigit() else "200 OK"
    start_response(status, [("Content-Type", "text/plain")])
    if path == "/event":
        probekit.event("order.refunded")
    if path == "/generator":
        return (chunk for chunk in (b"a", b"b"))
    if path == "/broken-generator":
        return (1 / 0 for _ in (1,))
    return [b"ok"]


def late(environ, start_response):
    """An application that is a generator: its head comes with its first chunk."""
    start_response("201 Created", [("Content-Type", "text/plain")])
    yield b"a"


def serve(app, path, **more):
    """The head and the whole body, as a server reads them."""
    heads = []
    body = app(environ_of(path, **more), lambda *head: heads.append(head))
    try:
        return heads, b"".join(body)
    finally:
        if hasattr(body, "close"):
            body.close()


def told_of(path, app=shop, **more):
    serve(ProbekitMiddleware(app), path, **more)
    return Told()


def test_an_error_with_the_number_of_one_that_a_job_has_recorded_is_recorded():
    marked = set()

    def fail():
        raise PaymentError

    def unlucky(environ, start_response):
        while True:
            try:
                with probekit.job("nightly"):
                    fail()
            except PaymentError as error:
                marked.add(id(error))
            try:
                fail()
            except PaymentError as error:
                if id(error) in marked:
                    Told()
                    raise

    with pytest.raises(PaymentError):
        serve(ProbekitMiddleware(unlucky), "/")

    assert [1] == [problem.count for problem in Told().problems]


def test_a_request_has_its_method_its_status_and_no_route_of_its_own():
    told = told_of("/404")

    assert [BASE | {"http.response.status_code": 404}] == told.of()
    assert 0.0 == told.level()


def test_an_error_is_a_500_with_its_type_and_passes_unchanged():
    with pytest.raises(PaymentError, match="declined"):
        serve(ProbekitMiddleware(shop), "/raise")
    told = Told()

    assert [("", 500)] == told.routes()
    assert f"{__name__}.PaymentError" == told.of()[0]["error.type"]
    assert [1] == [problem.count for problem in told.problems]


def test_a_body_that_is_made_while_it_is_sent_lasts_until_its_end():
    body = ProbekitMiddleware(shop)(environ_of("/generator"), lambda *_: None)
    before = Told()
    body = b"".join(body)
    after = Told()

    assert (b"ab", 0, 1) == (body, len(before.of()), len(after.of()))
    assert (1.0, -1.0) == (before.level(), after.level())


def test_an_error_in_a_body_keeps_the_status_that_was_sent():
    with pytest.raises(ZeroDivisionError):
        serve(ProbekitMiddleware(shop), "/broken-generator")
    (found,) = Told().of()

    assert (200, "ZeroDivisionError") == (
        found["http.response.status_code"],
        found["error.type"],
    )


def test_an_application_that_is_a_generator_has_its_status():
    assert [("", 201)] == told_of("/", late).routes()


@pytest.mark.parametrize("app", [shop, late])
def test_the_contract_between_server_and_application_is_kept(app):
    """By the standard library's own judge, on both sides."""
    judged = validator(ProbekitMiddleware(validator(app)))
    _, body = serve(judged, "/generator", QUERY_STRING="")

    assert body in {b"ab", b"a"}


def test_heads_and_bodies_pass_as_the_same_objects():
    headers = [("Content-Type", "text/plain")]
    answer = [b"ok"]
    told = (ValueError, ValueError(), None)

    def app(environ, start_response):
        start_response("200 OK", headers, told)
        return answer

    heads = []
    body = ProbekitMiddleware(app)(environ_of("/"), lambda *head: heads.append(head))

    assert answer is body
    assert heads[0][1] is headers
    assert heads[0][2] is told


def test_the_old_way_to_write_is_the_servers_own():
    def write(data):
        written.append(data)

    def app(environ, start_response):
        start_response("200 OK", [])(b"ok")
        return []

    written = []
    ProbekitMiddleware(app)(environ_of("/"), lambda *_: write)

    assert [b"ok"] == written


@pytest.mark.parametrize("kind", ["class", "function"])
def test_a_file_stays_with_the_server_that_may_have_quicker_ways_to_send_it(kind):
    class Wrapper:
        def __init__(self, file):
            self.file = file

    wrapper = Wrapper if kind == "class" else lambda file: file
    file = io.FileIO(__file__)

    def app(environ, start_response):
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](file)

    environ = environ_of("/") | {"wsgi.file_wrapper": wrapper}
    body = ProbekitMiddleware(app)(environ, lambda *_: None)
    file.close()

    assert file is (body.file if kind == "class" else body)
    assert 1 == len(Told().of())


def test_flasks_route_is_read_where_flask_leaves_it():
    app = flask.Flask("shop")
    app.add_url_rule("/orders/<int:number>", "order", lambda number: "ok")

    assert [("/orders/<int:number>", 200)] == told_of("/orders/7", app).routes()


def test_bottles_route_is_read_where_bottle_leaves_it():
    class Found:
        rule = "/orders/<number>"

    def app(environ, start_response):
        environ["bottle.route"] = Found()
        return shop(environ, start_response)

    assert [("/orders/<number>", 200)] == told_of("/orders/7", app).routes()


def test_a_function_may_say_the_route():
    app = ProbekitMiddleware(shop, route=lambda environ: "/<status>")
    serve(app, "/404")

    assert [("/<status>", 404)] == Told().routes()


def test_a_route_function_that_fails_costs_the_route_only():
    serve(ProbekitMiddleware(shop, route=lambda environ: 1 / 0), "/404")

    assert [("", 404)] == Told().routes()


def test_a_route_function_that_fails_five_times_in_a_row_is_left_alone():
    """Also when what it raises fails to say what it is."""
    asked = []

    class Wordless(Exception):
        def __str__(self):
            raise self

        __repr__ = __str__

    def route(environ):
        asked.append(environ)
        raise Wordless

    app = ProbekitMiddleware(shop, route=route)
    for _ in range(7):
        serve(app, "/200")

    assert 5 == len(asked)
    assert 7 * [("", 200)] == Told().routes()


def test_excluded_paths_are_not_recorded():
    app = ProbekitMiddleware(shop, exclude=["/health", "/static/*"])
    for path in ("/health", "/static/a", "/404"):
        serve(app, path)

    assert [("", 404)] == Told().routes()


def test_a_pattern_that_matches_no_path_is_refused_with_its_value():
    with pytest.raises(ConfigError, match=r"exclude: 'health' "):
        ProbekitMiddleware(shop, exclude="health")


def test_watched_twice_is_counted_once():
    assert 1 == len(told_of("/404", ProbekitMiddleware(shop)).of())


def test_the_callers_trace_is_on_what_is_recorded_during_the_request():
    trace, span = "a" * 32, "b" * 16
    header = f"00-{trace}-{span}-01"
    first = told_of("/event", HTTP_TRACEPARENT=header).events
    second = told_of("/event").events

    assert [(trace, span), ("", "")] == [
        (event.trace_id, event.span_id) for event in first + second
    ]


def test_a_request_inside_suppress_is_not_recorded():
    with probekit.suppress():
        serve(ProbekitMiddleware(shop), "/404")
    told = Told()

    assert ([], 0) == (told.of(), told.level())


def test_a_request_that_began_while_recording_was_on_is_counted(
    monkeypatch,
):
    def app(environ, start_response):
        monkeypatch.setattr(REGISTRY, "enabled", False)
        return shop(environ, start_response)

    serve(ProbekitMiddleware(app), "/404")
    monkeypatch.undo()
    serve(ProbekitMiddleware(shop), "/404")
    told = Told()

    assert (2, 0.0) == (len(told.of()), told.level())


def test_a_fault_of_ours_does_not_reach_the_client(monkeypatch):
    def fall(*_):
        raise RuntimeError

    for place in ("active", "duration"):
        with monkeypatch.context() as patch:
            patch.setattr(f"probekit.integrations.http.ServerMetrics.{place}", fall)
            assert b"ok" == serve(ProbekitMiddleware(shop), "/404")[1]


def test_a_disabled_probekit_passes_everything_through(monkeypatch):
    monkeypatch.setenv("PROBEKIT_DISABLE", "1")

    assert [] == told_of("/404").of()
