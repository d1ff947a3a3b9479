"""What the database clients share: ``db.client.operation.duration``.

A statement is told by its verb and its first table; parameters, literals and the
statement itself are never kept.
"""

from typing import Any

from probekit.integrations.libraries.figures import Durations, Names, Pairs, told
from probekit.integrations.libraries.layer import DATABASE, enter
from probekit.integrations.libraries.operation import UNCOUNTED, Operation, Uncounted
from probekit.integrations.libraries.patching import Patches
from probekit.integrations.libraries.sql import summarize

_DURATIONS = Durations(
    "db.client.operation.duration",
    "Duration of database client operations.",
)
_COLLECTIONS = Names(500)
_NAMESPACES = Names(50)
_HOSTS = Names(100)
_STATEMENTS_LIMIT = 256
_TEXT_LIMIT = 1024


class Place:
    """Where a connection leads, and how its statements are recorded.

    Attributes:
        pairs: Attributes that all operations of the connection share.
        patches: What is undone when the connection shall be silent; None when the
            driver's own functions are patched and go silent by themselves.
    """

    __slots__ = ("_known", "pairs", "patches")

    def __init__(
        self,
        system: str,
        *,
        namespace: object = None,
        host: object = None,
        port: object = None,
        patches: "Patches | None" = None,
    ) -> None:
        """Describe a connection.

        Args:
            system: ``db.system.name``, such as ``postgresql``.
            namespace: Name of the database, if known.
            host: Name or address of the server, if there is one.
            port: Its port.
            patches: See the class.

        """
        self.patches = patches
        pairs: Pairs = (("db.system.name", system),)
        if namespace or namespace == 0:
            pairs = (*pairs, ("db.namespace", _NAMESPACES.bounded(str(namespace))))
        if isinstance(host, str) and host:
            pairs = (*pairs, ("server.address", _HOSTS.bounded(host)))
            number = str(port)
            if number.isascii() and number.isdecimal():
                pairs = (*pairs, ("server.port", int(number)))
        self.pairs = pairs
        self._known: dict[str, Pairs] = {}

    @property
    def is_silent(self) -> bool:
        """Whether the library was put back since the connection was opened."""
        return self.patches is not None and not self.patches.active

    def of_statement(self, statement: object) -> Pairs:
        """The attributes of one SQL *statement*, remembered for the next time."""
        if not isinstance(statement, str):
            return self._summary(statement)
        known = self._known.get(statement)
        if known is None:
            known = self._summary(statement)
            if len(statement) <= _TEXT_LIMIT:
                if len(self._known) >= _STATEMENTS_LIMIT:
                    self._known.clear()
                self._known[statement] = known
        return known

    def _summary(self, statement: object) -> Pairs:
        if not isinstance(statement, str | bytes):
            return (*self.pairs, ("db.operation.name", "_OTHER"))
        operation, collection = summarize(statement)
        pairs = (*self.pairs, ("db.operation.name", operation))
        if collection:
            bounded = _COLLECTIONS.bounded(collection)
            return (*pairs, ("db.collection.name", bounded))
        return pairs

    def of_command(self, operation: str) -> Pairs:
        """The attributes of an operation that has a name of its own."""
        return (*self.pairs, ("db.operation.name", operation))


def execution(
    place: "Place | None",
    args: "tuple[Any, ...]",
    kwargs: "dict[str, Any]",
) -> "Operation | Uncounted":
    """Start timing ``cursor.execute`` or one of its sisters; never raises.

    Args:
        place: Where the cursor's connection leads; None for one of our own.
        args: Positional arguments; the first is the statement.
        kwargs: The statement is the first of them when there are no positional ones.

    Returns:
        A context manager: the operation, or a stand-in when it is counted elsewhere.

    """
    layer = None if place is None or place.is_silent else enter(DATABASE)
    if place is None or layer is None:
        return UNCOUNTED
    pairs = place.pairs
    try:
        statement = args[0] if args else next(iter(kwargs.values()), "")
        pairs = place.of_statement(statement)
    except Exception as error:
        told("database", error)
    return Operation(layer, _DURATIONS, pairs, "database")


def command(place: "Place | None", operation: str) -> "Operation | Uncounted":
    """Start timing an operation that has a name of its own; never raises."""
    layer = None if place is None or place.is_silent else enter(DATABASE)
    if place is None or layer is None:
        return UNCOUNTED
    return Operation(layer, _DURATIONS, place.of_command(operation), "database")
