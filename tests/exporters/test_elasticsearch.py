"""Documents, bulk requests and their answers."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probekit.errors import ConfigError, Forbidden, Rejected, RetryLater
from probekit.exporters import build
from probekit.exporters.elasticsearch.bulk import MOST_DOCUMENTS, portions, told_by
from probekit.exporters.elasticsearch.documents import KEYS, Document, Documents
from probekit.exporters.elasticsearch.setup import knows_subobjects
from probekit.exporters.transport.answer import Answer
from probekit.model import Event
from probekit.testing import ExporterContract, HttpReceiver, Reply
from probekit.testing.contract import HOSTILE, SECRET, hostile_batch, sample_batch

STREAMS = {"metrics": "m", "events": "l", "spans": "t"}


def answered(*statuses, reason=""):
    items = [{"create": {"status": status}} for status in statuses]
    if reason:
        for item in items:
            if item["create"]["status"] >= 300:
                item["create"]["error"] = {"type": "bad", "reason": reason}
    return Reply(200, body=json.dumps({"errors": True, "items": items}).encode())


def accepting(request):
    """Answers as a server that takes everything."""
    if not request.path.startswith("/_bulk"):
        return Reply(200, body=b'{"version":{"number":"8.15.3"}}')
    return answered(*[201] * (request.body.count(b"\n") // 2))


def documents_in(receiver):
    found = []
    for request in receiver.requests:
        if request.path.startswith("/_bulk"):
            lines = request.body.decode("ascii").splitlines()
            found += [json.loads(line) for line in lines[1::2]]
    return found


class TestElasticsearch(ExporterContract):
    @pytest.fixture(autouse=True)
    def far_side(self):
        with HttpReceiver(reply=accepting) as self.receiver:
            yield

    def exporter(self):
        return build(f"elasticsearch://127.0.0.1:{self.receiver.port}?timeout_s=2")

    def received(self):
        return len(documents_in(self.receiver))

    def break_far_side(self):
        self.receiver.stop()
        return True

    def secret_url(self):
        self.receiver.reply = Reply(400, body=f"no: {SECRET}".encode())
        port = self.receiver.port
        return f"elasticsearch://{SECRET}:{SECRET}@127.0.0.1:{port}?token={SECRET}"


@pytest.fixture
def server():
    with HttpReceiver(reply=accepting) as receiver:
        yield receiver


@pytest.fixture
def exporter(server):
    exporter = build(f"elasticsearch://127.0.0.1:{server.port}?create=0")
    yield exporter
    exporter.close()


def test_the_same_record_always_has_the_same_id():
    first = [document.id for document in Documents().of(sample_batch(0))]

    assert first == [document.id for document in Documents().of(sample_batch(0))]
    assert len(first) == len(set(first)) == 8


def test_what_is_there_already_counts_as_delivered(server, exporter):
    server.reply = answered(*[409] * 8)
    exporter.send(sample_batch())

    assert 1 == len(server.requests)


def test_a_refused_record_is_told_in_the_servers_words(server, exporter):
    server.reply = lambda request: (
        answered(201, 400, 201, 201, 201, 201, 201, 201)
        if request.body.count(b"\n") == 16
        else answered(400, reason="failed to parse field [value]")
    )
    with pytest.raises(Rejected, match="400 bad: failed to parse field") as caught:
        exporter.send(sample_batch())

    assert caught.value.count is None


def test_many_refused_records_are_counted_and_the_rest_is_delivered(server, exporter):
    events = [Event(1, "e", number=number) for number in range(1, 31)]
    server.reply = lambda request: answered(
        *[400] * 20, *[201] * (request.body.count(b"\n") // 2 - 20), reason="full"
    )
    with pytest.raises(Rejected, match="full") as caught:
        exporter.send(replace(sample_batch(), windows=(), spans=(), events=events))

    assert 20 == caught.value.count


@pytest.mark.parametrize("status, error", [(429, RetryLater), (403, Forbidden)])
def test_a_record_that_the_server_cannot_take_now_keeps_the_batch(
    server, exporter, status, error
):
    server.reply = lambda request: answered(
        *[201] * (request.body.count(b"\n") // 2 - 1), status, reason="not now"
    )
    with pytest.raises(error, match="not now"):
        exporter.send(sample_batch())


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"items":[]}', b'{"items":[{}]}'])
def test_an_answer_without_a_result_for_each_record_is_none(body):
    assert told_by(Answer(200, body=body), 1) is None


def test_a_page_of_somebody_else_is_no_acknowledgement(server, exporter):
    server.reply = Reply(200, body=b"<html>please log in</html>")
    with pytest.raises(RetryLater, match="no Elasticsearch"):
        exporter.send(sample_batch())


def test_a_template_that_is_refused_loses_no_record(server):
    server.reply = lambda request: (
        (Reply(400, body=b"no such setting") if request.method == "PUT" else Reply(404))
        if "template" in request.path
        else Reply(200, body=b"{}")
    )
    exporter = build(f"elasticsearch://127.0.0.1:{server.port}")
    with pytest.raises(Forbidden, match="no such setting"):
        exporter.send(sample_batch())
    exporter.close()


def test_a_template_of_the_users_is_left_alone(server):
    held = {"index_templates": [{"name": "x", "index_template": {"priority": 999}}]}
    server.reply = lambda request: (
        Reply(200, body=json.dumps(held).encode())
        if "template" in request.path
        else accepting(request)
    )
    exporter = build(f"elasticsearch://127.0.0.1:{server.port}")
    exporter.send(sample_batch())
    exporter.close()

    assert "PUT" not in {request.method for request in server.requests}


@pytest.mark.parametrize(
    "version, expected",
    [
        ({"number": "8.15.3"}, True),
        ({"number": "7.17.0"}, False),
        ({"number": "3.8.0", "distribution": "opensearch"}, False),
        ({"number": "9"}, False),
        ({}, False),
    ],
)
def test_only_elasticsearch_from_8_3_on_knows_that_dots_are_dots(version, expected):
    body = json.dumps({"version": version}).encode()

    assert expected is knows_subobjects(Answer(200, body=body))


def test_requests_stay_within_their_sizes():
    small = [Document("events", str(n), "{}") for n in range(MOST_DOCUMENTS + 1)]
    large = [Document("events", str(n), "x" * 3_000_000) for n in range(3)]

    assert [MOST_DOCUMENTS, 1] == [len(portion) for portion in portions(small)]
    assert [1, 1, 1] == [len(portion) for portion in portions(large)]


@given(st.text(st.characters(exclude_categories=())))
@settings(max_examples=60)
def test_every_text_makes_one_document_of_one_line(words):
    for document in Documents().of(hostile_batch(words)):
        found = json.loads(document.source)

        assert "\n" not in document.source
        assert len(document.id) <= 512
        for key in found["attributes"]:
            assert key.strip(".") == key != ""
            assert ".." not in key


@pytest.mark.parametrize("words", HOSTILE)
def test_names_come_back_as_they_were(words):
    first = json.loads(Documents().of(hostile_batch(words))[0].source)

    # Half of a surrogate pair is no text: it is written in words.
    assert words.replace("\ud83d", "\\ud83d") == first["name"]


def test_keys_that_would_become_one_stay_two():
    event = Event(1, "e", {".a": 1, "_a": 2}, number=1)
    batch = replace(sample_batch(), windows=(), spans=(), events=(event,))
    found = json.loads(Documents().of(batch)[0].source)["attributes"]

    assert [1, 2] == sorted(found.values())
    assert "_a" == KEYS.of(".a")


@pytest.mark.parametrize("query", ["dataset=A-B", "namespace=", "gzip=perhaps"])
def test_a_wrong_url_says_what_is_wrong(query):
    with pytest.raises(ConfigError, match=query.partition("=")[0]):
        build(f"elasticsearch://h?{query}")
