"""What a bulk request looks like and what its answer says, record by record; pure."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from probekit.exporters.elasticsearch.documents import Document
from probekit.exporters.transport.answer import Answer

MOST_DOCUMENTS = 500  # an answer is read to 64 KiB; a status takes 30 bytes
MOST_BYTES = 5_000_000
SHORT = "/_bulk?filter_path=errors,items.*.status"
TALKATIVE = SHORT + ",items.*.error.type,items.*.error.reason"
MOST_TALK = 50
_CONFLICT, _TOO_MANY, _UNAVAILABLE = 409, 429, 503
_OK, _ERROR, _SERVER_ERROR = 200, 300, 500
_ACCESS = frozenset({401, 403, 404})


@dataclass(slots=True)
class Told:
    """What an answer says.

    Attributes:
        refused: Positions of documents that will never be taken.
        reasons: Position → the server's words, where it gave some.
        busy: The server wants some of them later.
        access: It refuses our credentials, or the index.
    """

    refused: "list[int]" = field(default_factory=list)
    reasons: "dict[int, str]" = field(default_factory=dict)
    busy: bool = False
    access: bool = False


def body_of(documents: "Sequence[Document]", streams: "dict[str, str]") -> bytes:
    """Two lines for each document; ``create`` never overwrites."""
    lines = [
        f'{{"create":{{"_index":"{streams[d.signal]}","_id":"{d.id}"}}}}\n{d.source}\n'
        for d in documents
    ]
    return "".join(lines).encode("ascii")


def portions(documents: "Sequence[Document]") -> "Iterator[Sequence[Document]]":
    """*documents* in requests of a size that servers and proxies take."""
    held: list[Document] = []
    size = 0
    for document in documents:
        length = len(document.source)
        if held and (len(held) >= MOST_DOCUMENTS or size + length > MOST_BYTES):
            yield held
            held, size = [], 0
        held.append(document)
        size += length
    if held:
        yield held


def told_by(answer: Answer, count: int) -> "Told | None":
    """What *answer* says about *count* documents; None when it is no bulk answer.

    A conflict means that the document is there already: an earlier try stored it.

    Example:
        >>> body = b'{"errors":true,"items":[{"create":{"status":409}}]}'
        >>> told_by(Answer(200, body=body), 1)
        Told(refused=[], reasons={}, busy=False, access=False)

    """
    try:
        items = json.loads(answer.body)["items"]
        results = [next(iter(item.values())) for item in items]
        statuses = [int(result["status"]) for result in results]
    except (ValueError, TypeError, LookupError, AttributeError, StopIteration):
        return None
    if len(statuses) != count:
        return None
    told = Told()
    for position, status in enumerate(statuses):
        if _OK <= status < _ERROR or status == _CONFLICT:
            continue
        if status == _TOO_MANY or status >= _SERVER_ERROR:
            told.busy = True
        elif status in _ACCESS:
            told.access = True
        else:
            told.refused.append(position)
        told.reasons[position] = f"{status} {_words(results[position])}".strip()
    return told


def _words(result: "dict[str, object]") -> str:
    error = result.get("error")
    if not isinstance(error, dict):
        return ""
    words = f"{error.get('type', '')}: {error.get('reason', '')}"
    return "".join(c if c.isprintable() else " " for c in words)[:200]
