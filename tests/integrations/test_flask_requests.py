"""What the Flask integration records, and that it changes nothing."""

import gc
import weakref
from collections import Counter

import flask
import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import run_wsgi_app

import probekit
from probekit.errors import ConfigError
from probekit.integrations.flask import Probekit
from probekit.recording.registry import REGISTRY

DURATION = "http.server.request.duration"
ACTIVE = "http.server.active_requests"
BASE = {
    "http.request.method": "GET",
    "url.scheme": "http",
    "network.protocol.version": "1.1",
}


class PaymentError(Exception):
    """What the shop raises."""


def make_app(name="shop", **options):
    app = flask.Flask(name)

    @app.get("/orders/<int:number>")
    def order(number):
        return f"order {number}"

    @app.get("/broken")
    def broken():
        raise PaymentError("declined")

    @app.get("/abort/<int:status>")
    def give_up(status):
        flask.abort(status)

    @app.get("/stream")
    def stream():
        return flask.Response(chunk for chunk in (b"a", b"b", b"c"))

    @app.get("/broken-stream")
    def broken_stream():
        def chunks():
            yield b"a"
            raise PaymentError("declined")

        return flask.Response(chunks())

    @app.get("/file")
    def file():
        return flask.send_file(__file__, mimetype="text/plain")

    @app.get("/event")
    def event():
        probekit.event("order.refunded")
        return "ok"

    Probekit(app, **options)
    return app


@pytest.fixture(autouse=True)
def _empty_registry():
    REGISTRY.drain()
    yield
    REGISTRY.drain()


def harvest():
    return REGISTRY.drain()


def requests_of(harvest):
    """(attributes of a duration) → how many were recorded."""
    found = Counter()
    for series_id, values in harvest.raw:
        series = harvest.series[series_id]
        if series.name == DURATION:
            found[series.attributes] += len(values)
    return found


def recorded():
    """The attributes of every recorded request, one dict for each."""
    counted = requests_of(harvest())
    return [dict(attributes) for attributes in counted.elements()]


def levels(harvest):
    """What the requests in flight add up to."""
    return sum(
        value
        for series_id, value in zip(harvest.sum_ids, harvest.sum_values, strict=True)
        if harvest.series[series_id].name == ACTIVE
    )


def test_a_request_has_its_route_template_its_method_and_its_status():
    make_app().test_client().get("/orders/7")

    assert [
        BASE
        | {
            "http.route": "/orders/<int:number>",
            "http.response.status_code": 200,
        }
    ] == recorded()


def test_a_request_to_no_route_has_no_route_whatever_its_path():
    client = make_app().test_client()
    for path in ("/a", "/b", "/c"):
        client.get(path)
    (only,) = requests_of(harvest()).items()

    assert (
        tuple(sorted((BASE | {"http.response.status_code": 404}).items())),
        3,
    ) == only


def test_a_method_that_is_not_allowed_is_a_405_without_a_route():
    make_app().test_client().delete("/orders/7")

    assert [
        BASE | {"http.request.method": "DELETE", "http.response.status_code": 405}
    ] == recorded()


def test_methods_that_clients_make_up_are_one_series():
    client = make_app().test_client()
    for method in ("BREW", "get", "X" * 100):
        client.open("/orders/7", method=method)

    assert {"_OTHER"} == {found["http.request.method"] for found in recorded()}


def test_an_unhandled_exception_is_a_500_with_its_type_and_is_recorded_once():
    make_app().test_client().get("/broken")
    taken = harvest()
    (attributes,) = requests_of(taken)

    assert BASE | {
        "http.route": "/broken",
        "http.response.status_code": 500,
        "error.type": f"{__name__}.PaymentError",
    } == dict(attributes)
    assert ["exception"] == [event.name for event in taken.events]
    assert [1] == [problem.count for problem in taken.problems]
    assert "/broken" == taken.events[0].attributes["http.route"]


def test_an_exception_that_flask_passes_on_is_recorded_once_and_passes_unchanged():
    app = make_app()
    app.testing = True
    with pytest.raises(PaymentError, match="declined"):
        app.test_client().get("/broken")
    taken = harvest()
    (attributes,) = requests_of(taken)

    assert f"{__name__}.PaymentError" == dict(attributes)["error.type"]
    assert 500 == dict(attributes)["http.response.status_code"]
    assert [1] == [problem.count for problem in taken.problems]


def test_an_exception_that_a_probe_has_seen_is_not_recorded_again():
    app = make_app()

    @probekit.probe
    def charge():
        raise PaymentError("declined")

    app.add_url_rule("/charge", "charge", charge)
    app.logger.disabled = True
    app.test_client().get("/charge")
    taken = harvest()

    assert ["exception"] == [event.name for event in taken.events]
    assert [1] == [problem.count for problem in taken.problems]


@pytest.mark.parametrize("status, error", [(404, None), (418, None), (503, "503")])
def test_http_exceptions_are_answers_and_no_exceptions(status, error):
    make_app().test_client().get(f"/abort/{status}")
    taken = harvest()
    (attributes,) = requests_of(taken)

    assert error == dict(attributes).get("error.type")
    assert status == dict(attributes)["http.response.status_code"]
    assert [] == taken.events


def test_an_exception_with_a_handler_of_its_own_is_an_answer():
    app = make_app()
    app.register_error_handler(PaymentError, lambda error: ("declined", 402))
    app.test_client().get("/broken")
    taken = harvest()
    (attributes,) = requests_of(taken)

    assert 402 == dict(attributes)["http.response.status_code"]
    assert "error.type" not in dict(attributes)
    assert [] == taken.events


def test_a_request_refused_before_its_view_is_recorded_with_its_route():
    app = make_app()
    app.before_request(lambda: ("no", 403))
    app.test_client().get("/orders/7")

    assert [
        BASE
        | {
            "http.route": "/orders/<int:number>",
            "http.response.status_code": 403,
        }
    ] == recorded()


def test_an_error_in_a_teardown_is_recorded_and_passes_unchanged():
    app = make_app()

    @app.teardown_request
    def fall(_error):
        raise PaymentError("too late")

    with pytest.raises(PaymentError, match="too late"):
        app.test_client().get("/orders/7")
    taken = harvest()
    (attributes,) = requests_of(taken)

    assert f"{__name__}.PaymentError" == dict(attributes)["error.type"]
    assert 500 == dict(attributes)["http.response.status_code"]
    assert 0.0 == levels(taken)
    assert 1 == len(taken.events)


def test_system_exit_is_timed_and_is_no_error():
    app = make_app()

    @app.get("/exit")
    def leave():
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        app.test_client().get("/exit")
    taken = harvest()
    (attributes,) = requests_of(taken)

    assert "error.type" not in dict(attributes)
    assert [] == taken.events
    assert 0.0 == levels(taken)


def test_requests_in_flight_go_up_and_down_with_equal_attributes():
    app = make_app()
    during = []

    @app.get("/look")
    def look():
        during.append(levels(harvest()))
        return "ok"

    app.test_client().get("/look")

    assert [1.0] == during
    assert -1.0 == levels(harvest())


def test_requests_in_flight_are_taken_back_when_their_process_dies():
    make_app().test_client().get("/orders/7")
    told = harvest()  # by series of these requests: the table has others' too
    each = (told.series[series_id] for series_id in told.sum_ids)
    found = [one for one in each if one.name == ACTIVE]

    assert {(True, "{request}")} == {(one.ends_with_process, one.unit) for one in found}


def test_a_streamed_answer_lasts_until_it_is_closed():
    app = make_app()
    body, status, _ = run_wsgi_app(app, environ("/stream"))
    at_the_first_chunk = harvest()
    rest = b"".join(body)
    at_the_end = harvest()

    assert "200 OK" == status
    assert b"abc" == rest
    assert (0, 1.0) == (
        len(requests_of(at_the_first_chunk)),
        levels(at_the_first_chunk),
    )
    assert (1, -1.0) == (len(requests_of(at_the_end)), levels(at_the_end))


def test_a_streamed_answer_that_is_cut_off_ends_at_its_close():
    app = make_app()
    body, _, _ = run_wsgi_app(app, environ("/stream"))
    next(body)
    body.close()
    taken = harvest()

    assert 1 == len(requests_of(taken))
    assert 0.0 == levels(taken)


def test_a_streamed_answer_that_a_server_forgot_ends_with_its_memory():
    app = make_app()
    body, _, _ = run_wsgi_app(app, environ("/stream"))
    del body
    gc.collect()

    assert 0.0 == levels(harvest())


def test_an_error_while_streaming_is_recorded_with_the_status_that_was_sent():
    app = make_app()
    body, _, _ = run_wsgi_app(app, environ("/broken-stream"))
    with pytest.raises(PaymentError):
        list(body)
    body.close()
    taken = harvest()
    (attributes,) = requests_of(taken)

    assert f"{__name__}.PaymentError" == dict(attributes)["error.type"]
    assert 200 == dict(attributes)["http.response.status_code"]
    assert 1 == len(taken.events)


def test_a_file_stays_with_the_server_that_may_have_quicker_ways_to_send_it():
    class Wrapper:
        def __init__(self, file, size=8192):
            self.file = file

        def __iter__(self):
            return iter(lambda: self.file.read(8192), b"")

        def close(self):
            self.file.close()

    environment = environ("/file") | {"wsgi.file_wrapper": Wrapper}
    body = make_app().wsgi_app(environment, lambda *_: None)
    body.close()

    assert isinstance(body, Wrapper)
    assert 1 == len(recorded())


def test_excluded_paths_are_not_recorded_at_all():
    client = make_app(exclude=["/orders/*", "/broken"]).test_client()
    for path in ("/orders/7", "/broken", "/orders"):
        client.get(path)
    taken = harvest()

    assert [404] == [
        dict(key)["http.response.status_code"] for key in requests_of(taken)
    ]
    assert [] == taken.events


def test_one_excluded_path_may_be_given_as_text():
    make_app(exclude="/orders/7").test_client().get("/orders/7")

    assert [] == recorded()


@pytest.mark.parametrize("pattern", ["health", "", 7, None])
def test_a_pattern_that_matches_no_path_is_refused_with_its_value(pattern):
    with pytest.raises(ConfigError, match=rf"exclude: {pattern!r} "):
        Probekit(exclude=[pattern])


def test_what_is_no_flask_application_is_refused_with_its_type():
    with pytest.raises(ConfigError, match="got dict"):
        Probekit({})


def test_watched_twice_is_counted_once():
    app = make_app()
    Probekit(app)
    Probekit().init_app(app)
    app.test_client().get("/orders/7")

    assert 1 == len(recorded())


def test_an_application_factory_and_several_applications_share_one_extension():
    extension = Probekit()
    for name in ("first", "second"):
        app = flask.Flask(name)
        app.add_url_rule(f"/{name}", name, lambda: "ok")
        extension.init_app(app)
        app.test_client().get(f"/{name}")

    assert {"/first", "/second"} == {found["http.route"] for found in recorded()}


def test_a_blueprints_prefix_is_part_of_the_route():
    app = make_app()
    blueprint = flask.Blueprint("admin", __name__, url_prefix="/admin")
    blueprint.add_url_rule("/users/<name>", "users", lambda name: name)
    app.register_blueprint(blueprint)
    app.test_client().get("/admin/users/eva")

    assert ["/admin/users/<name>"] == [found["http.route"] for found in recorded()]


def test_an_application_mounted_in_another_is_one_request_under_its_mount_point():
    outer, inner = make_app("outer"), make_app("inner")
    bare_inner = inner.wsgi_app
    outer = flask.Flask("outer")
    outer.wsgi_app = DispatcherMiddleware(outer.wsgi_app, {"/admin": bare_inner})
    Probekit(outer)
    outer.test_client().get("/admin/orders/7")

    assert ["/admin/orders/<int:number>"] == [
        found["http.route"] for found in recorded()
    ]


def test_a_request_that_a_view_makes_to_another_application_is_a_request_of_its_own():
    inner, outer = make_app("inner"), make_app("outer")
    outer.add_url_rule("/ask", "ask", lambda: inner.test_client().get("/orders/7").data)
    outer.test_client().get("/ask")

    assert {"/ask", "/orders/<int:number>"} == {
        found["http.route"] for found in recorded()
    }


def test_a_proxy_fix_inside_is_believed_about_the_scheme():
    app = flask.Flask("shop")
    app.wsgi_app = ProxyFix(app.wsgi_app, x_proto=1)
    Probekit(app)
    client = app.test_client()
    client.get("/", headers={"X-Forwarded-Proto": "https"})
    client.get("/", headers={"X-Forwarded-Proto": "gopher"})
    taken = harvest()

    assert {"https", "_OTHER"} == {
        dict(key)["url.scheme"] for key in requests_of(taken)
    }
    assert 0.0 == levels(taken)


def environ(path):
    return flask.Flask("any").test_request_context(path).request.environ.copy()


def answer(app, path, method):
    """Everything that a server would see of an answer."""
    seen = []
    environment = environ(path) | {"REQUEST_METHOD": method}
    environment.pop("werkzeug.request")
    body = app.wsgi_app(environment, lambda *head: seen.append(head))
    try:
        chunks = list(body)
    finally:
        body.close()
    return seen, chunks


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
@pytest.mark.parametrize(
    "path", ["/orders/7", "/missing", "/broken", "/abort/404", "/stream", "/file"]
)
def test_status_headers_and_bytes_are_the_same_with_and_without(path, method):
    def without_dates(seen):
        return [
            (status, [pair for pair in headers if pair[0] != "Date"], *more)
            for status, headers, *more in seen
        ]

    watched = make_app()
    bare = make_app()
    del bare.wsgi_app, bare.full_dispatch_request
    for app in (watched, bare):
        app.logger.disabled = True
    expected_head, expected_chunks = answer(bare, path, method)
    head, chunks = answer(watched, path, method)

    assert without_dates(expected_head) == without_dates(head)
    assert expected_chunks == chunks


def test_flasks_signals_are_sent_as_before():
    app = make_app()
    sent = []

    def hear(sender, **_):
        sent.append(sender)

    for signal in (flask.request_started, flask.request_finished):
        signal.connect(hear, app)
    app.test_client().get("/orders/7")

    assert [app, app] == sent


def test_nothing_keeps_a_request_or_its_exception_alive():
    app = make_app()
    kept = []

    @app.get("/weak")
    def weak():
        error = PaymentError("declined")
        kept.extend(
            (weakref.ref(error), weakref.ref(flask.request._get_current_object()))
        )
        raise error

    app.logger.disabled = True
    app.test_client().get("/weak")
    gc.collect()

    assert [None, None] == [reference() for reference in kept]


def test_the_callers_trace_is_on_what_is_recorded_during_the_request():
    trace, span = "a" * 32, "b" * 16
    client = make_app().test_client()
    client.get("/event", headers={"traceparent": f"00-{trace}-{span}-01"})
    client.get("/event")
    client.get("/event", headers={"traceparent": f"00-{'0' * 32}-{span}-01"})

    assert [(trace, span), ("", ""), ("", "")] == [
        (event.trace_id, event.span_id) for event in harvest().events
    ]


def test_a_fault_of_ours_reaches_neither_the_application_nor_the_client(monkeypatch):
    app = make_app()

    def fall(*_):
        raise RuntimeError

    monkeypatch.setattr("probekit.integrations.http.ServerMetrics.active", fall)
    first = app.test_client().get("/orders/7")
    monkeypatch.undo()
    monkeypatch.setattr("probekit.integrations.http.ServerMetrics.duration", fall)
    second = app.test_client().get("/orders/7")

    assert [b"order 7", b"order 7"] == [first.data, second.data]


def test_a_disabled_probekit_leaves_the_application_as_it_was(monkeypatch):
    monkeypatch.setenv("PROBEKIT_DISABLE", "1")
    app = make_app()

    assert not {"wsgi_app", "full_dispatch_request"} & set(vars(app))
