"""One request is told the same by every way through: the long one and its copies.

Flask and Django have ``Exchange``'s lines in frames of their own, for speed. What they
leave is held against the plain WSGI middleware, which uses ``Exchange`` itself.
"""

import logging
import os
from contextlib import nullcontext
from functools import cache
from types import ModuleType

import flask
import pytest
from recorded_requests import Told
from werkzeug.test import EnvironBuilder

import probekit
from cuts import Late, cuts
from probekit.integrations.flask import Probekit
from probekit.integrations.wsgi import ProbekitMiddleware
from probekit.integrations.wsgi_exchange import KEY, REMOTE
from probekit.recording.errors.problems import Problems
from probekit.recording.registry import REGISTRY

TRACE, SPAN = "a" * 32, "b" * 16
PARENT = {"traceparent": f"00-{TRACE}-{SPAN}-01"}
ROUTES = {
    "/orders/7": "/orders/<int:number>",
    "/broken": "/broken",
    "/stream": "/stream",
    "/broken-stream": "/broken-stream",
    "/timeout": "/timeout",
}


class PaymentError(Exception):
    """What the shop raises."""


# -- one shop, three times -------------------------------------------------------------


def order():
    probekit.event("order.seen")
    return "order"


def broken():
    raise PaymentError("declined")


def timeout():
    raise SystemExit(1)


def chunks(error=None):
    yield b"a"
    probekit.event("stream.begun")
    if error is not None:
        raise error
    yield b"b"


def plain(environ, head):
    path = environ["PATH_INFO"]
    if path not in ROUTES:
        head("404 NOT FOUND", [])
        return [b""]
    if path == "/broken":
        broken()
    if path == "/timeout":
        timeout()
    head("200 OK", [])
    if path == "/stream":
        return chunks()
    if path == "/broken-stream":
        return chunks(PaymentError("declined"))
    return [order().encode()]


def told_by_hand():
    return ProbekitMiddleware(plain, route=lambda e: ROUTES.get(e["PATH_INFO"], ""))


def flask_app(around=None, *, watch=Probekit):
    app = flask.Flask("lawful_shop")  # its logger is its own
    app.add_url_rule("/orders/<int:number>", "order", lambda number: order())
    app.add_url_rule("/broken", "broken", broken)
    app.add_url_rule("/timeout", "timeout", timeout)
    app.add_url_rule("/stream", "stream", lambda: flask.Response(chunks()))
    app.add_url_rule(
        "/broken-stream",
        "broken_stream",
        lambda: flask.Response(chunks(PaymentError("declined"))),
    )
    if around is not None:
        app.wsgi_app = around(app.wsgi_app)
    watch(app)
    return app


def between(inner):
    """A middleware of the application's own."""

    def around(environ, head):
        return inner(environ, head)

    return around


def django_app(**changed):
    from django.core.handlers.wsgi import WSGIHandler
    from django.http import HttpResponse, StreamingHttpResponse
    from django.test import override_settings
    from django.urls import path

    urls = ModuleType("law_urls")
    urls.urlpatterns = [
        path("orders/<int:number>", lambda request, number: HttpResponse(order())),
        path("broken", lambda request: broken()),
        path("timeout", lambda request: timeout()),
        path("stream", lambda request: StreamingHttpResponse(chunks())),
        path(
            "broken-stream",
            lambda request: StreamingHttpResponse(chunks(PaymentError("declined"))),
        ),
    ]
    settings = {
        "ROOT_URLCONF": urls,
        "MIDDLEWARE": ["probekit.integrations.django.ProbekitMiddleware"],
        "DEBUG": False,
        **changed,
    }
    with override_settings(**settings):
        serve = WSGIHandler()

    def application(environ, head):
        with override_settings(**settings):
            return serve(environ, head)

    return application


@pytest.fixture(scope="module", autouse=True)
def project(tmp_path_factory):
    """Django, set up once a process; no request here asks the database."""
    database = tmp_path_factory.mktemp("django") / "shop.sqlite3"
    os.environ["SHOP_DATABASE"] = str(database)
    os.environ["DJANGO_SETTINGS_MODULE"] = "django_shop.settings"
    import django

    django.setup()
    yield
    del os.environ["SHOP_DATABASE"], os.environ["DJANGO_SETTINGS_MODULE"]


REFERENCE = "wsgi"
WAYS = {
    REFERENCE: told_by_hand,
    "flask": flask_app,
    "flask, with middleware between": lambda: flask_app(between),
    "django": django_app,
    "django, the long way": lambda: django_app(
        SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https")
    ),
    "django, without a database": lambda: without_database(django_app),
    "django, watched from outside": lambda: ProbekitMiddleware(django_app()),
}


def without_database(make):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "probekit.integrations.django.middleware.has_databases", lambda: False
        )
        return make()


# -- what is told ----------------------------------------------------------------------


class Spans:
    """Stands where a tracer would; keeps what it is told of spans."""

    def __init__(self):
        self.told = []

    def serve(self, name, kind, attributes, header):
        self.told.append((name, kind, dict(attributes), header("traceparent")))
        return self

    def describe(self, name, attributes):
        self.told.append((name, dict(attributes)))

    def end(self, error=None, *, error_type=""):
        self.told.append(("end", error, error_type))


def serve(
    application,
    path,
    method="GET",
    headers=None,
    *,
    without=(),
    most=None,
    during=None,
):
    """Serve one request as a server does; return what is known of it afterwards."""
    environ = EnvironBuilder(path, method=method, headers=headers or {}).get_environ()
    for name in without:
        del environ[name]
    try:
        with during or nullcontext():
            body = application(environ, lambda *_: lambda _: None)
            try:
                for number, _ in enumerate(body, 1):
                    if number == most:
                        break
            finally:
                if hasattr(body, "close"):
                    body.close()
    except (PaymentError, SystemExit, Late):  # the server's to see
        pass
    told = Told()
    return {
        "requests": told.of(),
        "level": told.level(),
        "problems": [
            (found.type, found.message, found.count) for found in told.problems
        ],
        "events": [
            (found.name, found.trace_id, found.span_id)
            for found in told.events
            if found.name
        ],
        "losses": told.harvest.losses,
        "left": KEY in environ,
    }, str(told.harvest.__reduce_ex__(2))


CASES = {
    "ok": ("/orders/7", {}),
    "a trace goes on": ("/orders/7", {"headers": PARENT}),
    "HEAD": ("/orders/7", {"method": "HEAD"}),
    "a method that a client made up": ("/nothing", {"method": "GEHEIM"}),
    "404": ("/nothing", {}),
    "an error": ("/broken", {"headers": PARENT}),
    "a worker's timeout": ("/timeout", {}),
    "a stream": ("/stream", {"headers": PARENT}),
    "a stream that is cut off": ("/stream", {"most": 1}),
    "a stream that breaks": ("/broken-stream", {}),
    "secrets": ("/orders/7?token=geheim", {"headers": {"authorization": "geheim"}}),
    "a server that leaves names out": (
        "/orders/7",
        {"without": ("SERVER_PROTOCOL", "SCRIPT_NAME")},
    ),
}


@cache
def made(way):
    return WAYS[way]()


@pytest.mark.parametrize("is_traced", [False, True])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("way", [way for way in WAYS if way != REFERENCE])
def test_a_request_is_told_the_same_whichever_way_it_takes(
    way, case, is_traced, monkeypatch
):
    path, options = CASES[case]
    told = []
    for application in (made(REFERENCE), made(way)):
        spans = Spans()
        Told()  # what making them has left
        if is_traced:
            monkeypatch.setattr(REGISTRY, "tracing", spans)
        facts, everything = serve(application, path, **options)
        told.append(facts | {"spans": spans.told})
        assert "geheim" not in everything + str(spans.told)

    assert 1 == len(told[0]["requests"])
    assert told[0] == told[1]


# -- errors that are logged as well ----------------------------------------------------


UNWATCHED = {
    "wsgi": lambda: plain,
    "flask": lambda: flask_app(watch=lambda app: app),
    "django": lambda: django_app(MIDDLEWARE=[]),
}


def behind_a_server(application):
    """A server's part of it: what an application lets out is logged."""

    def served(environ, head):
        try:
            return application(environ, head)
        except PaymentError:
            logging.getLogger("server").exception("Error handling request")
            head("500 Internal Server Error", [])
            return [b""]

    return served


@pytest.mark.usefixtures("logged")
@pytest.mark.parametrize("way", WAYS)
def test_an_error_that_framework_and_server_log_as_well_counts_once(way):
    application = behind_a_server(made(way))
    for _ in range(20):
        environ = EnvironBuilder("/broken").get_environ()
        for _ in application(environ, lambda *_: lambda _: None):
            pass

    assert 20 == sum(found.count for found in Told().problems)


@pytest.mark.usefixtures("logged")
@pytest.mark.parametrize("way", UNWATCHED)
def test_an_error_of_a_request_that_nobody_watches_counts_if_it_is_logged(way):
    """Also where its number is that of one that has counted."""
    watched, unwatched = made(way), UNWATCHED[way]()
    for _ in range(20):
        for application in map(behind_a_server, (watched, unwatched)):
            environ = EnvironBuilder("/broken").get_environ()
            for _ in application(environ, lambda *_: lambda _: None):
                pass

    assert 40 == sum(found.count for found in Told().problems)


# -- what a handler of a signal cuts --------------------------------------------------


@pytest.mark.parametrize("headers", [{}, PARENT], ids=["alone", "in a trace"])
@pytest.mark.parametrize("path", ["/orders/7", "/broken", "/stream"])
@pytest.mark.parametrize("way", [REFERENCE, "flask", "django"])
def test_a_limit_that_comes_at_any_place_leaves_no_request_active(
    way, path, headers, monkeypatch
):
    """Nor the ids of its caller running.

    But where it comes at the first line of what ends a request that has failed: there
    is nothing yet that would catch it.
    """
    # Its own, for the same error again and again is told more and more rarely.
    monkeypatch.setattr(REGISTRY, "problems", Problems(REGISTRY))
    application = made(way)
    whole, _ = serve(application, path, headers=headers)
    for places, cut in enumerate(cuts(spare="fail")):
        told, _ = serve(application, path, headers=headers, during=cut)
        left = REMOTE.get()
        REMOTE.set(("", ""))

        assert (0, ("", "")) == (told["level"], left), places
    after, _ = serve(application, path, headers=headers)

    assert whole["requests"] == after["requests"]
    assert places > 8
