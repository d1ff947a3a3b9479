"""One error counts once, at the innermost place that saw it."""

import asyncio
import contextlib
import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

import probekit
from probekit.integrations.logging import Handler
from probekit.integrations.wsgi import ProbekitMiddleware
from probekit.recording.errors import seen
from probekit.recording.errors.problems import Problems
from probekit.recording.registry import REGISTRY


class ReportError(Exception):
    """What the application raises."""


@pytest.fixture(autouse=True)
def counted(monkeypatch):
    """Says how many errors were counted; what is logged is recorded."""
    handler = Handler()
    logging.getLogger("shop.reports").addHandler(handler)
    monkeypatch.setattr(REGISTRY, "problems", Problems(REGISTRY))
    REGISTRY.drain()
    yield lambda: sum(problem.count for problem in REGISTRY.drain().problems)
    logging.getLogger("shop.reports").removeHandler(handler)
    REGISTRY.drain()


def use_of_what(run, use, *arguments):
    """What *use* says of the error that *run* raises; the error is gone then."""
    try:
        run(*arguments)
    except Exception as error:
        return use(error)


def fail(kind):
    raise kind


# -- a job has seen it -----------------------------------------------------------------


@contextlib.contextmanager
def nightly():
    with probekit.job("nightly"):
        yield


@contextlib.asynccontextmanager
async def also_nightly():
    async with probekit.job("nightly"):
        yield


def in_a_block():
    with probekit.job("nightly"):
        raise ReportError


def in_a_generators_block():
    with nightly(), nightly():
        raise ReportError


def in_a_stack():
    with contextlib.ExitStack() as stack:
        stack.enter_context(probekit.job("nightly"))
        raise ReportError


async def in_an_asynchronous_generators_block():
    async with also_nightly(), also_nightly():
        raise ReportError


def on_another_thread():
    with ThreadPoolExecutor(1) as pool:
        pool.submit(in_a_block).result()


@probekit.job("nightly")
def fail_at_night(kind):
    raise kind


@pytest.mark.parametrize(
    "run",
    [
        in_a_block,
        probekit.job("nightly")(in_a_block),
        lambda: fail_at_night(ValueError),
        in_a_generators_block,
        in_a_stack,
        lambda: asyncio.run(in_an_asynchronous_generators_block()),
        on_another_thread,
    ],
)
def test_an_error_that_a_job_has_recorded_is_not_counted_again_further_out(
    run, counted
):
    for _ in range(3):
        use_of_what(run, probekit.record_exception)

    assert 3 == counted()


@pytest.mark.parametrize("kind", [ReportError, ValueError])
def test_an_error_with_the_number_of_one_that_is_gone_is_recorded(kind, counted):
    marked = set()

    def record(error):
        if id(error) not in marked:
            return False
        counted()
        probekit.record_exception(error)
        return True

    for _ in range(1000):
        marked.add(use_of_what(fail_at_night, id, kind))
        if use_of_what(fail, record, kind):
            break

    assert 1 == counted()


def test_marks_of_errors_that_went_nowhere_are_bounded(monkeypatch):
    monkeypatch.setattr(seen, "MARKS_LIMIT", 3)
    errors = []
    for _ in range(10):
        use_of_what(in_a_block, errors.append)

    assert 1 <= len(seen._marks) <= 3
    assert seen.is_marked(errors[-1])


# -- it is logged, or recorded by hand, and raised again ----------------------------


def log(error):
    logging.getLogger("shop.reports").error("no report", exc_info=error)


def report(kind, note):
    """Raise a *kind*; *note* it before, or not."""
    try:
        fail(kind)
    except kind as error:
        if note is not None:
            note(error)
        raise


@probekit.probe
def in_a_probe(kind, note):
    report(kind, note)


def in_a_request(kind, note):
    app = ProbekitMiddleware(lambda environ, head: report(kind, note))
    app({"REQUEST_METHOD": "GET", "wsgi.url_scheme": "http"}, lambda *_: None)


@probekit.job("nightly")
def in_a_job(kind, note):
    report(kind, note)


@probekit.probe
@probekit.job("nightly")
def in_all_of_them(kind, note):
    in_a_request(kind, note)


@pytest.mark.parametrize("note", [log, probekit.record_exception])
@pytest.mark.parametrize("kind", [ReportError, ValueError])
@pytest.mark.parametrize("run", [in_a_probe, in_a_request, in_a_job, in_all_of_them])
def test_an_error_that_is_noted_and_raised_again_counts_once(run, kind, note, counted):
    for _ in range(20):
        use_of_what(run, str, kind, note)

    assert 20 == counted()


@pytest.mark.parametrize("note", [log, probekit.record_exception])
@pytest.mark.parametrize("kind", [ReportError, ValueError])
def test_errors_that_are_noted_and_handled_count_each(kind, note, counted):
    """Python gives most of them the same number."""
    for _ in range(20):
        use_of_what(fail, note, kind)

    assert 20 == counted()


@probekit.probe
def handles_itself(kind, note):
    """Note what is raised here, and say nothing."""
    try:
        raise kind
    except kind as error:
        note(error)


@probekit.probe
def handles_what_its_job_raises(kind, _note):
    try:
        with probekit.job("nightly"):
            raise kind
    except kind:
        pass


@probekit.probe
def notes_and_raises(kind, note):
    try:
        raise kind
    except kind as error:
        note(error)
        raise


@pytest.mark.parametrize("note", [log, probekit.record_exception])
@pytest.mark.parametrize("kind", [ReportError, ValueError])
@pytest.mark.parametrize(
    "run", [handles_itself, handles_what_its_job_raises, notes_and_raises]
)
def test_an_error_that_a_probed_function_handles_in_its_own_frame_counts(
    run, kind, note, counted
):
    """It has not left the function, whose probe does not see it, or not yet."""
    for _ in range(20):
        use_of_what(run, str, kind, note)

    assert 20 == counted()


@pytest.mark.parametrize("kind", [ReportError, ValueError])
@pytest.mark.parametrize("run", [in_a_request, in_a_job])
def test_an_error_counts_in_a_run_of_its_own_though_the_last_one_was_noted(
    run, kind, counted
):
    for _ in range(20):
        use_of_what(run, str, kind, log)
        use_of_what(run, str, kind, None)

    assert 40 == counted()
