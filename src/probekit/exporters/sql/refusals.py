"""What a database's error means: wait, split, mend the access, or give the record up.

PostgreSQL says it with SQLSTATE, MySQL and MariaDB with numbers, SQLite with classes
and words. Statements and parameters never reach the text: they hold users' data.
"""

import re
from typing import TYPE_CHECKING

from probekit.errors import ExportError, Forbidden, Rejected, RetryLater, TooLarge

if TYPE_CHECKING:
    from sqlalchemy.exc import DBAPIError

# SQLSTATE classes: 22 data, 23 integrity, 44 check option, P0 raised by a trigger.
_REJECTED_STATES = frozenset({"22", "23", "44", "P0"})
# 28 authorization, 3D no such database, 0P no such role; 42501 no privilege.
_FORBIDDEN_STATES = frozenset({"28", "3D", "0P"})
_NO_PRIVILEGE = "42501"
_REJECTED_NUMBERS = frozenset({1264, 1366, 1406, 1644, 3140, 3819, 4025})
_FORBIDDEN_NUMBERS = frozenset({1044, 1045, 1049, 1142, 1143, 1227, 1698})
_TOO_LARGE_NUMBERS = frozenset({1153, 1118})
_FORBIDDEN_WORDS = re.compile(
    r"password|authentication|access denied|permission denied|readonly database"
    r"|(?:database|role) \S+ does not exist|no pg_hba",
    re.IGNORECASE,
)
_WORDS_LIMIT = 200


def as_export_error(error: "DBAPIError", where: str) -> ExportError:
    """The error of ours that *error* stands for.

    Args:
        error: As SQLAlchemy wraps the driver's.
        where: The database in words, without secrets.

    """
    cause = error.orig
    said = f"{where}: {_said(cause)}"
    state = str(getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None))
    number = _number(cause)
    if error.connection_invalidated:
        return RetryLater(said)
    if number in _TOO_LARGE_NUMBERS:
        return TooLarge(said)
    if (
        state[:2] in _FORBIDDEN_STATES
        or state == _NO_PRIVILEGE
        or number in _FORBIDDEN_NUMBERS
    ):
        return Forbidden(said)
    if state[:2] in _REJECTED_STATES or number in _REJECTED_NUMBERS:
        return Rejected(said)
    return _by_class(error, said)


def _by_class(error: "DBAPIError", said: str) -> ExportError:
    from sqlalchemy import exc

    if isinstance(error, (exc.IntegrityError, exc.DataError)):
        return Rejected(said)
    if _FORBIDDEN_WORDS.search(said):
        return Forbidden(said)
    return RetryLater(said)


def _number(cause: object) -> "int | None":
    arguments = getattr(cause, "args", ())
    first = arguments[0] if arguments else None
    return first if isinstance(first, int) else None


def _said(cause: object) -> str:
    """The driver's words on one line; a ``DETAIL`` quotes rows, so it stays out."""
    whole = str(cause).partition("\nDETAIL")[0]
    clean = "".join(c if c.isprintable() else " " for c in whole)
    return f"{type(cause).__name__}: {' '.join(clean.split())[:_WORDS_LIMIT]}"
