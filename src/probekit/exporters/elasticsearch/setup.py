"""Puts the index templates in place; those that are newer or yours are left alone."""

import json
import re

from probekit.errors import Forbidden, Rejected
from probekit.exporters.elasticsearch.mappings import TYPES, VERSION, template_of
from probekit.exporters.transport.answer import Answer
from probekit.exporters.transport.deadline import Deadline
from probekit.exporters.transport.http import HttpTransport

_JSON = {"Content-Type": "application/json"}
_SUBOBJECTS_SINCE = (8, 3)
_NOT_FOUND = 404


def prepare(
    transport: HttpTransport, dataset: str, deadline: Deadline, *, data_streams: bool
) -> None:
    """Make the template of each signal, unless there is one of our version or newer.

    Raises:
        ExportError: As the transport's table says about the server's answers.

    """
    greeting = transport.exchange("GET", "/", deadline=deadline)
    error = transport.refusal(greeting)
    if error is not None:
        raise error
    dots_are_dots = knows_subobjects(greeting)
    for signal, kind in TYPES.items():
        path = f"/_index_template/{kind}-{dataset}"
        found = transport.exchange("GET", path, deadline=deadline)
        if found.status != _NOT_FOUND:
            error = transport.refusal(found)
            if error is not None:
                raise error
            if version_in(found) >= VERSION:
                continue
        wanted = template_of(
            signal, dataset, dots_are_dots=dots_are_dots, data_streams=data_streams
        )
        body = json.dumps(wanted).encode("ascii")
        answer = transport.exchange("PUT", path, body, _JSON, deadline=deadline)
        error = transport.refusal(answer)
        if isinstance(error, Rejected):  # not the records are wrong, the place is
            raise Forbidden(f"{transport.where} refuses {path}: {error.reason}")
        if error is not None:
            raise error


def version_in(answer: Answer) -> int:
    """The version of the template in *answer*; one without a version is the user's.

    Example:
        >>> version_in(Answer(200, body=b'{"index_templates":[]}'))
        0

    """
    try:
        held = json.loads(answer.body)["index_templates"]
        return int(held[0]["index_template"].get("version", VERSION)) if held else 0
    except (ValueError, TypeError, LookupError, AttributeError):
        return 0


def knows_subobjects(answer: Answer) -> bool:
    """Whether the server that introduced itself so is Elasticsearch 8.3 or newer."""
    try:
        version = json.loads(answer.body)["version"]
        if version.get("distribution", "elasticsearch") != "elasticsearch":
            return False
        numbers = re.match(r"(\d+)\.(\d+)", str(version["number"]))
    except (ValueError, TypeError, LookupError, AttributeError):
        return False
    if numbers is None:
        return False
    return (int(numbers[1]), int(numbers[2])) >= _SUBOBJECTS_SINCE
