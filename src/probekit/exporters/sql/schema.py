"""The tables, and how a database gets from one version of them to the next.

A row of ``meta`` holds the version. A step is applied in a transaction with the row
that says so, once; databases that take no table back (MySQL) are safe because every
step can be repeated.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from probekit.errors import Forbidden
from probekit.exporters.sql import columns

if TYPE_CHECKING:
    import sqlalchemy as sa

DEFAULT_PREFIX = "probekit_"
# Serialises the first start of many applications on PostgreSQL; "probekit" in ASCII.
_LOCK = 0x70726F62656B6974


class Tables:
    """The tables of one prefix.

    Args:
        prefix: Put before every table's name.
    """

    def __init__(self, prefix: str = DEFAULT_PREFIX) -> None:
        """Describe the tables; touches no database."""
        import sqlalchemy as sa

        self.prefix = prefix
        self.metadata = sa.MetaData()
        self.meta = self._table("meta", columns.meta())
        self.series = self._table("series", columns.series())
        self.points = self._table("points", columns.points())
        self.events = self._table("events", columns.events())
        self.spans = self._table("spans", columns.spans())

    def _table(self, name: str, held: "Sequence[sa.Column[Any]]") -> "sa.Table":
        import sqlalchemy as sa

        table = sa.Table(
            self.prefix + name,
            self.metadata,
            *held,
            mysql_charset="utf8mb4",
            mysql_collate="utf8mb4_bin",
            mariadb_charset="utf8mb4",
            mariadb_collate="utf8mb4_bin",
        )
        for column in ("end_unix_ns", "time_unix_ns"):
            if column in table.c:
                sa.Index(f"{self.prefix}{name}_{column}", table.c[column])
        if name == "points":
            wanted = table.c["series_key"], table.c["end_unix_ns"]
            sa.Index(f"{self.prefix}{name}_of_series", *wanted)
        return table


Step = Callable[["sa.Connection", Tables], None]


def create_tables(connection: "sa.Connection", tables: Tables) -> None:
    """Version 1: all tables, and the view that joins points with their series."""
    import sqlalchemy as sa

    tables.metadata.create_all(connection, checkfirst=True)
    view = f"{tables.prefix}metrics"
    if view not in sa.inspect(connection).get_view_names():
        joined = sa.select(
            tables.points.c.time,
            *(tables.series.c[name] for name in _OF_SERIES),
            *(c for c in tables.points.c if c.name not in {"time", "series_key"}),
        ).join_from(
            tables.points,
            tables.series,
            tables.points.c.series_key == tables.series.c.series_key,
        )
        select = joined.compile(
            dialect=connection.dialect, compile_kwargs={"literal_binds": True}
        )
        connection.exec_driver_sql(f"CREATE VIEW {view} AS {select}")


#: Version n is reached by the n-th step. Append only.
STEPS: "list[Step]" = [create_tables]


def prepare(
    connection: "sa.Connection", tables: Tables, *, create: bool = True
) -> None:
    """Bring the database to our version, within the connection's transaction.

    Args:
        connection: Has begun a transaction; the caller commits.
        tables: Of which prefix.
        create: False to change nothing and only look.

    Raises:
        Forbidden: The tables are newer than ours, or older and we may not change them.

    """
    import sqlalchemy as sa

    found = version_of(connection, tables)
    if found == len(STEPS):
        return
    if found > len(STEPS):
        raise Forbidden(
            f"the tables {tables.prefix}* are of version {found}, this probekit knows "
            f"up to {len(STEPS)}: update it, or give it a prefix of its own",
        )
    if not create:
        raise Forbidden(
            f"the tables {tables.prefix}* are of version {found}, "
            f"{len(STEPS)} is wanted, and create=0 forbids to change them",
        )
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        found = version_of(connection, tables)
    for number, step in enumerate(STEPS[found:], start=found + 1):
        step(connection, tables)
        connection.execute(tables.meta.delete().where(tables.meta.c.name == "version"))
        row = {"name": "version", "value": str(number)}
        connection.execute(tables.meta.insert().values(row))


def version_of(connection: "sa.Connection", tables: Tables) -> int:
    """The version that the database says it has; 0 where there are no tables."""
    import sqlalchemy as sa

    if not sa.inspect(connection).has_table(tables.meta.name):
        return 0
    wanted = sa.select(tables.meta.c.value).where(tables.meta.c.name == "version")
    told = connection.execute(wanted).scalar()
    return int(told) if told is not None else 0


_OF_SERIES = ("service", "host", "name", "kind", "unit", "attributes")
