"""Rows that are there already are written over: one statement for each family.

PostgreSQL and SQLite have ``ON CONFLICT``, MySQL and MariaDB ``ON DUPLICATE KEY``. Any
other database deletes the rows with the same keys first, in the same transaction.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlalchemy as sa


def upsert(
    connection: "sa.Connection", table: "sa.Table", rows: "Sequence[dict[str, object]]"
) -> None:
    """Write *rows*; what has one of their keys already becomes them.

    Args:
        connection: In a transaction; the caller commits.
        table: Has a primary key.
        rows: Each with all columns of the table.

    """
    family = connection.dialect.name
    if family in {"postgresql", "sqlite"}:
        statement = _on_conflict(table, family)
    elif family in {"mysql", "mariadb"}:
        statement = _on_duplicate(table)
    else:
        connection.execute(_delete(table), _keys_of(table, rows))
        statement = table.insert()
    connection.execute(statement, list(rows))


def _others(table: "sa.Table") -> "list[str]":
    return [column.name for column in table.c if not column.primary_key]


def _on_conflict(table: "sa.Table", family: str) -> "sa.Insert":
    from sqlalchemy.dialects import postgresql, sqlite

    if family == "postgresql":
        insert = postgresql.insert(table)
        return insert.on_conflict_do_update(
            index_elements=list(table.primary_key),
            set_={name: insert.excluded[name] for name in _others(table)},
        )
    other = sqlite.insert(table)
    return other.on_conflict_do_update(
        index_elements=list(table.primary_key),
        set_={name: other.excluded[name] for name in _others(table)},
    )


def _on_duplicate(table: "sa.Table") -> "sa.Insert":
    from sqlalchemy.dialects import mysql

    insert = mysql.insert(table)
    return insert.on_duplicate_key_update(
        {name: insert.inserted[name] for name in _others(table)}
    )


def _delete(table: "sa.Table") -> "sa.Delete":
    import sqlalchemy as sa

    return table.delete().where(
        *(column == sa.bindparam(f"k_{column.name}") for column in table.primary_key)
    )


def _keys_of(
    table: "sa.Table", rows: "Sequence[dict[str, object]]"
) -> "list[dict[str, object]]":
    names = [column.name for column in table.primary_key]
    return [{f"k_{name}": row[name] for name in names} for row in rows]
