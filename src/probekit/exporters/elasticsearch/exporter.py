"""Takes metrics, events and spans to Elasticsearch or OpenSearch in bulk.

Every record has an id and is created, never overwritten: what comes again is told
apart by the server. It takes the good records of a request and names the bad ones.
"""

import re
import zlib
from collections.abc import Mapping, Sequence

from probekit.errors import Forbidden, Rejected, RetryLater
from probekit.exporters.elasticsearch.bulk import (
    MOST_TALK,
    SHORT,
    TALKATIVE,
    Told,
    body_of,
    portions,
    told_by,
)
from probekit.exporters.elasticsearch.documents import Document, Documents
from probekit.exporters.elasticsearch.mappings import stream_of
from probekit.exporters.elasticsearch.setup import prepare
from probekit.exporters.transport.answer import VERDICTS, Verdict
from probekit.exporters.transport.deadline import Deadline
from probekit.exporters.transport.http import HttpTransport
from probekit.exporters.urls import Target
from probekit.model import Batch, Signal
from probekit.ports import DeliveryContract

DEFAULT_PORT = 9200
MANY_REFUSED = 8  # up to here each refused record is looked for
ELASTIC_VERDICTS: "Mapping[int, Verdict]" = {
    **VERDICTS,
    405: "forbidden",
    406: "forbidden",
    500: "retry",
}
SIGNALS: "tuple[Signal, ...]" = ("metrics", "events", "spans")
_NAME = re.compile(r"[a-z0-9_.]{1,100}")
_GZIP_LEVEL, _GZIP_WINDOW = 3, 31


class Elasticsearch:
    """Sends bulk requests.

    Args:
        target: ``elasticsearch://host:9200?token=APIKEY&namespace=prod``; text or
            parsed.
    """

    def __init__(self, target: "Target | str") -> None:
        """Open nothing yet; raise ConfigError for a target that cannot be used."""
        self._target = Target.parse(target) if isinstance(target, str) else target
        options = self._target.options()
        self._dataset = options.text("dataset", "probekit")
        namespace = options.text("namespace", "default")
        for name, value in (("dataset", self._dataset), ("namespace", namespace)):
            if not _NAME.fullmatch(value):
                raise options.refuse(
                    name, "must be lower-case letters, digits, dots and underscores"
                )
        self._streams: dict[str, str] = {
            signal: stream_of(signal, self._dataset, namespace) for signal in SIGNALS
        }
        self._create = options.flag("create", default=True)
        self._data_streams = options.flag("data_streams", default=True)
        self._gzip = options.flag("gzip", default=True)
        self._transport = HttpTransport.from_options(
            self._target,
            options,
            default_port=DEFAULT_PORT,
            tls=self._target.scheme.endswith("+https"),
            token_word="ApiKey",  # noqa: S106 - the word before a key
            verdicts=ELASTIC_VERDICTS,
        )
        options.finish()
        self._documents = Documents()
        self._is_ready = not self._create
        self.contract = DeliveryContract(
            idempotent=True, max_records=2000, deadline_s=self._transport.timeout_s
        )

    def __repr__(self) -> str:
        """The class and where it sends to; no secrets."""
        return f"Elasticsearch({str(self._target)!r})"

    def send(self, batch: Batch) -> None:
        """Return when the server has every record of *batch*.

        Raises:
            RetryLater, TooLarge, Forbidden: See :data:`ELASTIC_VERDICTS`; or the server
                says so of single records.
            Rejected: It refuses records in its words, and has all others; with a count
                when there are too many to look for each.

        """
        documents = self._documents.of(batch)
        deadline = self._transport.deadline()
        if not self._is_ready:
            prepare(
                self._transport,
                self._dataset,
                deadline,
                data_streams=self._data_streams,
            )
            self._is_ready = True
        refused: list[Document] = []
        for portion in portions(documents):
            told = self._bulk(SHORT, portion, deadline)
            self._complain(told, portion, deadline)
            refused += [portion[position] for position in told.refused]
        if refused:
            many = MANY_REFUSED < len(refused) < len(documents)
            reason = self._reason(refused, deadline)
            raise Rejected(reason, len(refused) if many else None)

    def _bulk(
        self, path: str, documents: "Sequence[Document]", deadline: Deadline
    ) -> Told:
        body = body_of(documents, self._streams)
        headers = {"Content-Type": "application/x-ndjson"}
        if self._gzip:
            compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
            body = compressor.compress(body) + compressor.flush()
            headers["Content-Encoding"] = "gzip"
        answer = self._transport.post(path, body, headers, deadline=deadline)
        told = told_by(answer, len(documents))
        if told is None:
            raise RetryLater(
                f"{self._transport.where} answered {answer.status} without a result "
                f"for each record: no Elasticsearch"
            )
        return told

    def _complain(
        self, told: Told, documents: "Sequence[Document]", deadline: Deadline
    ) -> None:
        """Raise when some records were neither taken nor refused."""
        if not (told.busy or told.access):
            return
        self._is_ready = not self._create  # the templates may be gone as well
        open_ones = [
            documents[position]
            for position in told.reasons
            if position not in told.refused
        ]
        reason = self._reason(open_ones, deadline)
        raise RetryLater(reason) if told.busy else Forbidden(reason)

    def _reason(self, documents: "Sequence[Document]", deadline: Deadline) -> str:
        """Ask again about a few, for the server's words."""
        some = documents[:MOST_TALK]
        told = self._bulk(TALKATIVE, some, deadline)
        words = dict.fromkeys(told.reasons.values())
        said = "; ".join(list(words)[:3]) or "the server changed its mind"
        return self._transport.without_secrets(f"{self._transport.where}: {said}")

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()


def from_target(target: Target) -> Elasticsearch:
    """Build from ``elasticsearch://``, ``opensearch://``, each also ``+https``."""
    return Elasticsearch(target)
