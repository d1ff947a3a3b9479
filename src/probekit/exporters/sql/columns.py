"""The columns of each table, in types that every database has an equal of."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlalchemy as sa


def meta() -> "list[sa.Column[Any]]":
    """What holds for all tables."""
    import sqlalchemy as sa

    return [_key("name", sa.String(32)), _column("value", sa.String(64))]


def series() -> "list[sa.Column[Any]]":
    """One row for each series."""
    import sqlalchemy as sa

    return [
        _key("series_key", sa.String(32)),
        *(_column(name, _text()) for name in ("service", "host", "name")),
        _column("kind", sa.String(16)),
        _column("unit", _text()),
        _column("description", _text()),
        _column("attributes", _json()),
        _column("resource", _json()),
        _column("last_seen_unix_ns", sa.BigInteger()),
    ]


def points() -> "list[sa.Column[Any]]":
    """One row for each series and window."""
    import sqlalchemy as sa

    numbers = ("value", "total", "sum", "min", "max", "p50", "p90", "p95", "p99")
    return [
        _key("buffer_id", sa.String(32)),
        _key("window_id", sa.BigInteger()),
        _key("series_key", sa.String(32)),
        _column("time", _moment()),
        _column("start_unix_ns", sa.BigInteger()),
        _column("end_unix_ns", sa.BigInteger()),
        _column("count", sa.BigInteger()),
        *(_column(name, sa.Double(), empty=True) for name in numbers),
        _column("buckets", _json(), empty=True),
    ]


def events() -> "list[sa.Column[Any]]":
    """One row for each event."""
    import sqlalchemy as sa

    return [
        *_numbered(),
        _column("name", _text()),
        _column("severity", sa.String(16)),
        _column("body", _text()),
        _column("trace_id", sa.String(32)),
        _column("span_id", sa.String(16)),
        _column("attributes", _json()),
    ]


def spans() -> "list[sa.Column[Any]]":
    """One row for each span."""
    import sqlalchemy as sa

    return [
        *_numbered(),
        _column("name", _text()),
        _column("kind", sa.String(16)),
        _column("duration_s", sa.Double()),
        _column("status", sa.String(16)),
        _column("status_message", _text()),
        _column("trace_id", sa.String(32)),
        _column("span_id", sa.String(16)),
        _column("parent_span_id", sa.String(16)),
        _column("attributes", _json()),
        _column("events", _json()),
        _column("links", _json()),
    ]


def _numbered() -> "list[sa.Column[Any]]":
    import sqlalchemy as sa

    return [
        _key("buffer_id", sa.String(32)),
        _key("number", sa.BigInteger()),
        _column("time", _moment()),
        _column("time_unix_ns", sa.BigInteger()),
        _column("service", _text()),
        _column("host", _text()),
    ]


def _key(name: str, kind: "sa.types.TypeEngine[Any]") -> "sa.Column[Any]":
    import sqlalchemy as sa

    return sa.Column(name, kind, primary_key=True, autoincrement=False)


def _column(
    name: str, kind: "sa.types.TypeEngine[Any]", *, empty: bool = False
) -> "sa.Column[Any]":
    import sqlalchemy as sa

    return sa.Column(name, kind, nullable=empty)


def _text() -> "sa.types.TypeEngine[Any]":
    import sqlalchemy as sa
    from sqlalchemy.dialects import mysql

    return sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")


def _json() -> "sa.types.TypeEngine[Any]":
    """JSON where the database has it; the engine is told to take our text as it is."""
    import sqlalchemy as sa
    from sqlalchemy.dialects import mysql, postgresql

    return (
        sa.Text()
        .with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
        .with_variant(mysql.JSON(none_as_null=True), "mysql", "mariadb")
    )


def _moment() -> "sa.types.TypeEngine[Any]":
    import sqlalchemy as sa
    from sqlalchemy.dialects import mysql

    return sa.DateTime(timezone=True).with_variant(
        mysql.DATETIME(fsp=6), "mysql", "mariadb"
    )
