"""What the Django integration records, and that it changes nothing: a real project."""

import asyncio
import gc
import importlib
import os
from io import BytesIO, StringIO

import pytest
from asgi_client import call, scope_of
from recorded_requests import Told

import probekit
from probekit.errors import ConfigError
from probekit.integrations.asgi import ProbekitMiddleware as AsgiMiddleware
from probekit.integrations.wsgi import ProbekitMiddleware as WsgiMiddleware

DB_DURATION = "probekit.http.server.db.duration"
DB_OPERATIONS = "probekit.http.server.db.operations"
JOBS = "probekit.job.duration"
BASE = {
    "http.request.method": "GET",
    "url.scheme": "http",
    "network.protocol.version": "1.1",
}


@pytest.fixture(scope="module", autouse=True)
def project(tmp_path_factory):
    """The project, set up once a process, with its tables."""
    database = tmp_path_factory.mktemp("django") / "shop.sqlite3"
    os.environ["SHOP_DATABASE"] = str(database)
    os.environ["DJANGO_SETTINGS_MODULE"] = "django_shop.settings"
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connection

    settings.DATABASES["default"]["NAME"] = str(database)
    connection.settings_dict["NAME"] = str(database)
    call_command("migrate", "--run-syncdb", verbosity=0)
    yield
    connection.close()
    del os.environ["SHOP_DATABASE"], os.environ["DJANGO_SETTINGS_MODULE"]


def error_name():
    views = importlib.import_module("django_shop.views")
    return f"{views.__name__}.PaymentError"


def client(**options):
    from django.test import Client

    return Client(raise_request_exception=False, **options)


def ask(path, method="get", **options):
    """One request under WSGI; the answer is read to its end."""
    answer = getattr(client(), method)(path, **options)
    return answer.status_code, b"".join(answer)


def ask_async(path, **options):
    """One request under ASGI."""
    from asgiref.sync import sync_to_async
    from django.db import connections
    from django.test import AsyncClient

    async def asked():
        answer = await AsyncClient(raise_request_exception=False).get(path, **options)
        if getattr(answer, "is_async", False):
            body = b"".join([chunk async for chunk in answer])
        else:
            body = b"".join(answer)
        # In the thread that opened them.
        await sync_to_async(connections.close_all)()
        return answer.status_code, body

    return asyncio.run(asked())


@pytest.fixture(params=["wsgi", "asgi"])
def asked(request):
    """Both ways to be asked."""
    return ask if request.param == "wsgi" else ask_async


@pytest.mark.parametrize(
    "path, route, status",
    [
        ("/orders/7/", "/orders/<int:number>/", 200),
        ("/orders/", "/orders/", 200),
        ("/async/orders/7/", "/async/orders/<int:number>/", 200),
        ("/async/orders/", "/async/orders/", 200),
        ("/missing/7/", "/missing/<int:number>/", 404),
        ("/denied/", "/denied/", 403),
        ("/tenants/eva/users/a/", "/tenants/<slug:tenant>/users/(?P<name>[^/]+)/", 403),
        ("/nothing/", "", 404),
        ("/refused/", "", 403),
        ("/unavailable/", "/unavailable/", 503),
        ("/orders", "", 301),
    ],
)
def test_a_request_has_its_route_template_and_its_status(asked, path, route, status):
    assert status == asked(path)[0]

    told = Told()
    assert [(route, status)] == told.routes()
    assert 0.0 == told.level()
    assert [] == told.problems


def test_a_request_has_the_attributes_of_the_conventions(asked):
    asked("/orders/7/")

    assert [
        BASE
        | {
            "http.route": "/orders/<int:number>/",
            "http.response.status_code": 200,
        }
    ] == Told().of()


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("path", ["/broken/", "/async/broken/"])
def test_an_unhandled_error_is_a_500_with_its_type_recorded_once(
    asked, path, debug, settings
):
    settings(DEBUG=debug)
    assert 500 == asked(path)[0]

    told = Told()
    (found,) = told.of()
    assert (path, 500, error_name()) == (
        found["http.route"],
        found["http.response.status_code"],
        found["error.type"],
    )
    assert [1] == [problem.count for problem in told.problems]
    assert [path] == [event.attributes["http.route"] for event in told.events]


@pytest.mark.parametrize("debug", [False, True])
def test_a_missing_page_is_one_series_with_and_without_debug(debug, settings):
    settings(DEBUG=debug)
    for path in ("/a/", "/b/"):
        ask(path)

    assert [("", 404)] * 2 == Told().routes()


def test_an_error_in_a_middleware_is_recorded_too():
    assert 500 == ask("/broken-middleware/")[0]

    told = Told()
    assert error_name() == told.of()[0]["error.type"]
    assert 1 == len(told.problems)


def test_an_error_that_django_passes_on_passes_unchanged(settings):
    settings(DEBUG_PROPAGATE_EXCEPTIONS=True)
    views = importlib.import_module("django_shop.views")
    from django.test import Client

    with pytest.raises(views.PaymentError, match="declined"):
        Client().get("/broken/")
    told = Told()

    assert (500, error_name()) == (
        told.of()[0]["http.response.status_code"],
        told.of()[0]["error.type"],
    )
    assert 0.0 == told.level()


def test_methods_that_clients_make_up_are_one_series():
    for method in ("BREW", "X" * 100):
        client().generic(method, "/orders/7/")

    assert {"_OTHER"} == {found["http.request.method"] for found in Told().of()}


@pytest.fixture
def without_databases(monkeypatch):
    """As in a project that has none: requests go a shorter way."""
    monkeypatch.setattr(
        "probekit.integrations.django.middleware.has_databases", lambda: False
    )


@pytest.mark.usefixtures("without_databases")
@pytest.mark.parametrize(
    "path, route, status",
    [
        ("/orders/7/", "/orders/<int:number>/", 200),
        ("/orders/", "/orders/", 200),
        ("/async/orders/7/", "/async/orders/<int:number>/", 200),
        ("/nothing/", "", 404),
        ("/broken/", "/broken/", 500),
        ("/file/", "/file/", 200),
    ],
)
def test_without_databases_a_request_is_told_the_same(asked, path, route, status):
    trace, span = "a" * 32, "b" * 16
    with probekit.suppress():
        asked(path)
    asked(path, headers={"traceparent": f"00-{trace}-{span}-01"})
    told = Told()

    assert [(route, status)] == told.routes()
    assert [] == told.of(DB_OPERATIONS)
    assert 0.0 == told.level()
    assert {trace} >= {event.trace_id for event in told.events}
    assert [status == 500] == [len(told.problems) == 1]


@pytest.mark.usefixtures("without_databases")
def test_without_databases_a_stream_lasts_until_its_end():
    answer = client().get("/stream/")
    before = Told()
    b"".join(answer.streaming_content)
    after = Told()

    assert (0, 1.0) == (len(before.of()), before.level())
    assert ([("/stream/", 200)], -1.0) == (after.routes(), after.level())


@pytest.mark.usefixtures("without_databases")
def test_without_databases_nothing_of_ours_stays_on_a_request():
    answer = client().get("/orders/7/")

    assert not [key for key in answer.wsgi_request.META if "probekit" in key]


@pytest.mark.usefixtures("without_databases")
def test_without_databases_a_fault_of_ours_does_not_reach_the_client(monkeypatch):
    def fall(*_, **__):
        raise RuntimeError

    for place in ("http.ServerMetrics.active", "http.ServerMetrics.duration"):
        with monkeypatch.context() as patch:
            patch.setattr(f"probekit.integrations.{place}", fall)
            assert 200 == ask("/orders/7/")[0]


# -- the database ----------------------------------------------------------------------


def test_a_requests_statements_are_counted_and_timed(asked):
    asked("/orders/")
    told = Told()

    assert [1] == told.values(DB_OPERATIONS)
    assert 0 < told.values(DB_DURATION)[0] < told.values()[0]
    assert [{"http.request.method": "GET", "http.route": "/orders/"}] == told.of(
        DB_DURATION
    )


def test_statements_that_run_in_other_threads_are_the_requests(asked):
    asked("/async/orders/")

    assert [1] == Told().values(DB_OPERATIONS)


def test_statements_that_cannot_be_counted_are_a_loss_and_cost_no_later_ones(
    monkeypatch,
):
    def fall(_method):
        raise RuntimeError

    place = "probekit.integrations.django.database.known_method"
    monkeypatch.setattr(place, fall)
    ask("/orders/")
    lost = Told()
    monkeypatch.undo()
    ask("/orders/")

    assert {("metrics", "internal_error"): 2} == lost.harvest.losses
    assert ([], [1]) == (lost.of(DB_OPERATIONS), Told().values(DB_OPERATIONS))


def test_several_statements_of_a_request_are_one_value():
    ask("/orders/", "post")

    assert [2] == Told().values(DB_OPERATIONS)


def test_statements_while_streaming_are_the_requests():
    ask("/stream/")

    assert [1] == Told().values(DB_OPERATIONS)


def test_statements_while_streaming_asynchronously_are_the_requests():
    assert b"end" in ask_async("/async/stream/")[1]

    assert [1] == Told().values(DB_OPERATIONS)


def test_statements_outside_of_a_request_are_nobodys():
    from django_shop.models import Order

    Order.objects.count()
    ask("/orders/7/")

    assert [] == Told().of(DB_OPERATIONS)


def test_a_projects_own_wrapper_is_the_one_that_its_block_takes_away():
    from django.db import connection

    from probekit.integrations.django.database import timed

    def theirs(execute, *arguments):
        return execute(*arguments)

    client().get("/orders/")
    connection.execute_wrappers.remove(timed)
    connection.close()
    with connection.execute_wrapper(theirs):
        connection.ensure_connection()
        inside = list(connection.execute_wrappers)

    assert [timed, theirs] == inside
    assert [timed] == connection.execute_wrappers


# -- bodies ----------------------------------------------------------------------------


def test_a_stream_lasts_until_its_end():
    answer = client().get("/stream/")
    before = Told()
    body = b"".join(answer.streaming_content)
    after = Told()

    assert body.endswith(b"end")
    assert (0, 1.0) == (len(before.of()), before.level())
    assert (1, -1.0) == (len(after.of()), after.level())


def test_a_stream_that_is_cut_off_ends_at_its_close():
    answer = client().get("/stream/")
    next(answer.streaming_content)
    answer.close()
    told = Told()

    assert 1 == len(told.of())
    assert 0.0 == told.level()


def test_an_asynchronous_stream_lasts_until_its_end():
    assert b"end" in ask_async("/async/stream/")[1]
    told = Told()

    assert [("/async/stream/", 200)] == told.routes()
    assert 0.0 == told.level()


def test_an_error_in_a_stream_keeps_the_status_that_was_sent():
    views = importlib.import_module("django_shop.views")
    answer = client().get("/broken-stream/")
    with pytest.raises(views.PaymentError):
        list(answer.streaming_content)
    told = Told()
    (found,) = told.of()

    assert (200, error_name()) == (
        found["http.response.status_code"],
        found["error.type"],
    )
    assert 1 == len(told.problems)


def test_a_file_stays_with_the_server_that_may_have_quicker_ways_to_send_it():
    from django.core.handlers.wsgi import WSGIHandler
    from django.test import RequestFactory

    class Wrapper:
        def __init__(self, file, size=8192):
            self.file = file

        def close(self):
            self.file.close()

    environ = RequestFactory().get("/file/").environ
    environ |= {"wsgi.file_wrapper": Wrapper, "wsgi.input": BytesIO()}
    body = WSGIHandler()(environ, lambda *_: None)
    before = len(Told().of())
    body.close()

    assert isinstance(body, Wrapper)
    assert (0, [("/file/", 200)]) == (before, Told().routes())


# -- where it stands -------------------------------------------------------------------


def test_inside_our_wsgi_middleware_a_request_is_one_with_djangos_route():
    from django.core.handlers.wsgi import WSGIHandler
    from django.test import RequestFactory

    app = WsgiMiddleware(WSGIHandler())
    for path in ("/orders/", "/broken/"):
        environ = RequestFactory().get(path).environ | {"wsgi.input": BytesIO()}
        body = app(environ, lambda *_: None)
        list(body)
        body.close()
    told = Told()

    assert [("/broken/", 500), ("/orders/", 200)] == told.routes()
    assert {None, error_name()} == {found.get("error.type") for found in told.of()}
    assert [1] == told.values(DB_OPERATIONS)
    assert 1 == len(told.problems)
    assert 0.0 == told.level()


def test_inside_our_asgi_middleware_a_request_is_one_with_djangos_route():
    from django.core.handlers.asgi import ASGIHandler

    app = AsgiMiddleware(ASGIHandler())

    async def serve():
        await call(app, scope_of("/async/orders/7/"))
        await call(app, scope_of("/async/broken/"))

    asyncio.run(serve())
    told = Told()

    assert [
        ("/async/broken/", 500),
        ("/async/orders/<int:number>/", 200),
    ] == told.routes()
    assert {None, error_name()} == {found.get("error.type") for found in told.of()}


def test_a_client_that_goes_away_ends_the_request():
    import django
    from django.core.handlers.asgi import ASGIHandler

    if django.VERSION < (5,):
        pytest.skip("Django listens for clients that go away from 5.0 on")

    views = importlib.import_module("django_shop.views")

    async def goes_away():
        await views.entered.wait()
        return {"type": "http.disconnect"}

    async def serve():
        views.entered = asyncio.Event()
        incoming = [
            {"type": "http.request", "body": b"", "more_body": False},
            goes_away,
        ]
        await call(ASGIHandler(), scope_of("/slow/"), incoming)

    asyncio.run(serve())
    told = Told()

    assert [BASE | {"http.route": "/slow/"}] == told.of()
    assert 0.0 == told.level()
    assert [] == told.problems


def test_the_callers_trace_is_on_what_is_recorded_during_the_request(asked):
    trace, span = "a" * 32, "b" * 16
    header = f"00-{trace}-{span}-01"
    asked("/orders/7/", headers={"traceparent": header})
    asked("/orders/8/")

    assert [(trace, span), ("", "")] == [
        (event.trace_id, event.span_id) for event in Told().events
    ]


def test_a_traced_request_is_a_span_in_the_callers_trace(asked):
    from probekit.recording.registry import REGISTRY
    from probekit.tracing.connection import connect
    from probekit.tracing.policy import plan_of

    trace, parent = "a" * 32, "b" * 16
    connection = connect(REGISTRY, plan_of(1.0), {"service.name": "shop"})
    try:
        headers = {"traceparent": f"00-{trace}-{parent}-01"}
        asked("/orders/7/", headers=headers)
        asked("/broken/", headers=headers)
        spans = Told().harvest.spans
    finally:
        connection.close()

    assert [
        ("GET /orders/<int:number>/", trace, parent, 0),
        ("GET /broken/", trace, parent, 2),
    ] == [
        (span.name, span.trace_id, span.parent_span_id, span.status) for span in spans
    ]


def test_a_proxys_header_counts_where_django_believes_it(settings):
    header = {"headers": {"X-Forwarded-Proto": "https"}}
    ask("/orders/7/", **header)
    settings(SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"))
    ask("/orders/7/", **header)

    assert ["http", "https"] == [found["url.scheme"] for found in Told().of()]


def test_a_request_inside_suppress_is_not_recorded(asked):
    with probekit.suppress():
        asked("/orders/")
    asked("/orders/7/")
    told = Told()

    assert [("/orders/<int:number>/", 200)] == told.routes()
    assert [] == told.of(DB_OPERATIONS)
    assert 0.0 == told.level()


def test_nothing_of_ours_stays_on_a_request():
    answer = client().get("/orders/7/")
    gc.collect()

    assert not [key for key in answer.wsgi_request.META if "probekit" in key]


@pytest.mark.parametrize(
    "path", ["/orders/7/", "/nothing/", "/broken/", "/stream/", "/file/", "/refused/"]
)
def test_status_headers_and_bytes_are_the_same_with_and_without(path, settings):
    from django.conf import settings as present

    def answer():
        found = client().get(path)
        return found.status_code, sorted(found.headers.items()), b"".join(found)

    watched = answer()
    settings(MIDDLEWARE=present.MIDDLEWARE[1:])

    assert answer() == watched


def test_a_fault_of_ours_reaches_neither_django_nor_the_client(monkeypatch, asked):
    def fall(*_, **__):
        raise RuntimeError

    for place in (
        "http.ServerMetrics.active",
        "django.database.DatabaseMetrics.record",
    ):
        with monkeypatch.context() as patch:
            patch.setattr(f"probekit.integrations.{place}", fall)
            assert (200, b'{"orders": ') == (
                (found := asked("/orders/"))[0],
                found[1][:11],
            )


# -- settings and commands -------------------------------------------------------------


@pytest.fixture
def settings():
    """Changes Django's settings until the test ends."""
    from django.test import override_settings

    overridden = []

    def change(**values):
        overridden.append(override_settings(**values))
        overridden[-1].enable()

    yield change
    for one in reversed(overridden):
        one.disable()


def test_configure_takes_what_the_setting_says(settings):
    told = {"service": "django-shop", "buffer": ":memory:", "host_metrics": False}
    settings(PROBEKIT={**told, "exclude": ["/orders/*"]})
    try:
        ask("/orders/7/")
        service = probekit.status().service
        mine = probekit.configure("mine", buffer=":memory:", host_metrics=False)
        ask("/orders/7/")
        role = probekit.status().service
    finally:
        probekit.shutdown(timeout_s=0)

    assert "django-shop" == service
    assert ("mine", "mine") == (mine.settings.service, role)
    assert [] == Told().of()


@pytest.mark.parametrize(
    "value, text",
    [
        (
            {"servcie": "shop"},
            "PROBEKIT: unknown name 'servcie'; did you mean 'service'",
        ),
        ({"interval_s": -1}, "interval_s"),
        ({"exclude": ["health"]}, "exclude: 'health'"),
        ("shop", "PROBEKIT must be a dict, got str"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_with_its_name(settings, value, text):
    settings(PROBEKIT=value)

    with pytest.raises(ConfigError, match=text):
        ask("/orders/7/")


def test_a_disabled_probekit_is_not_in_the_chain_at_all(monkeypatch):
    monkeypatch.setenv("PROBEKIT_DISABLE", "1")

    assert 200 == ask("/orders/7/")[0]
    assert [] == Told().of()


def test_a_management_command_is_a_job():
    from django.core.management import call_command

    out = StringIO()
    call_command("report", stdout=out)
    told = Told()

    assert "done\n" == out.getvalue()
    assert [{"probekit.job.name": "django.report"}] == told.of(JOBS)


def test_a_management_command_that_fails_is_a_failed_job():
    from django.core.management import CommandError, call_command

    with pytest.raises(CommandError, match="no orders"):
        call_command("report", "--fail")

    assert ["django.core.management.base.CommandError"] == [
        found["error.type"] for found in Told().of(JOBS)
    ]


def test_commands_that_serve_until_somebody_ends_them_are_no_jobs():
    from django.core.management.commands.shell import Command

    Command().execute(
        command="pass", no_color=True, force_color=False, skip_checks=True,
        no_startup=True, no_imports=True, interface=None, verbosity=0,
    )  # fmt: skip

    assert [] == Told().of(JOBS)
