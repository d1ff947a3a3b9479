"""What a statement does, and to which table: two words of it, never a value.

A reader, not a parser: it looks at the first 4,096 characters, steps over comments
and literals, and gives up rather than guess. Linear in the length of the text. What is
not a known verb is ``_OTHER``, so that a text that is no SQL cannot leak its words.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

_READ_LIMIT = 4096
_CACHED_LIMIT = 2048
_NAME_LIMIT = 100
OTHER = "_OTHER"


def _words(text: str) -> "frozenset[str]":
    return frozenset(text.split())


_VERBS = _words(
    """
    ABORT ALTER ANALYZE ATTACH BEGIN CALL CHECKPOINT CLOSE CLUSTER COMMENT
    COMMIT COPY CREATE DEALLOCATE DECLARE DELETE DESC DESCRIBE DETACH DISCARD DO
    DROP END EXEC EXECUTE EXPLAIN FETCH FLUSH GRANT HANDLER IMPORT INSERT KILL
    LISTEN LOAD LOCK MERGE MOVE NOTIFY OPTIMIZE PRAGMA PREPARE REFRESH REINDEX
    RELEASE REPLACE RESET REVOKE ROLLBACK SAVEPOINT SELECT SET SHOW START TABLE
    TRUNCATE UNLISTEN UNLOCK UPDATE UPSERT USE VACUUM VALUES WITH
    """,
)
_MAIN_VERBS = frozenset(["SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE"])
# Words between a verb and its table.
_FILLERS = _words(
    """
    INTO ONLY TABLE IF NOT EXISTS OR IGNORE REPLACE ROLLBACK ABORT FAIL
    LOW_PRIORITY HIGH_PRIORITY DELAYED QUICK TEMP TEMPORARY UNLOGGED VIRTUAL
    GLOBAL LOCAL ALL FROM LATERAL OVERWRITE CONCURRENTLY
    """,
)
_DIRECT = frozenset(["INSERT", "REPLACE", "UPDATE", "MERGE", "UPSERT", "TRUNCATE"])
_DEFINING = frozenset(["CREATE", "DROP", "ALTER", "LOCK"])

_TOKENS = re.compile(
    r"""
      --[^\n]* | \#(?![>#-])[^\n]* | /\*.*?(?:\*/|\Z)             # comments
    | (?P<literal> '(?:[^'\\]|''|\\.)*(?:'|\Z)           # texts
        | \$(?P<tag>[A-Za-z_]*)\$.*?(?:\$(?P=tag)\$|\Z)
        | \d[\w.]* )
    | (?P<quoted> "(?:[^"]|"")*" | `[^`]*` | \[[^\]\d][^\]]{0,128}\] )
    | (?P<word> [^\W\d][\w$]* )
    | (?P<mark> \S )
    """,
    re.VERBOSE | re.DOTALL,
)

_ESCAPED_QUOTE = re.compile(r"""\\['"]""")


class Summary(NamedTuple):
    """What a statement does.

    Attributes:
        operation: Its verb in upper case, or ``_OTHER``.
        collection: Its first table, with its schema if that was written; or empty.
    """

    operation: str
    collection: str


class _Token(NamedTuple):
    kind: str
    text: str  # words in upper case
    written: str


def summarize(statement: "str | bytes") -> Summary:
    """Return verb and first table of an SQL *statement*.

    Args:
        statement: One statement, or several: the first one counts.

    Threads:
        Any; the summaries of the last 512 short statements are kept.

    Example:
        >>> summarize("SELECT name FROM shop.users WHERE card = '4111'")
        Summary(operation='SELECT', collection='shop.users')
        >>> summarize("WITH old AS (SELECT 1) INSERT INTO archive SELECT * FROM old")
        Summary(operation='INSERT', collection='archive')
        >>> summarize("hunter2 is my password")
        Summary(operation='_OTHER', collection='')

    """
    if isinstance(statement, bytes):
        statement = statement[:_READ_LIMIT].decode("utf-8", "replace")
    if len(statement) <= _CACHED_LIMIT:
        return _cached(statement)
    return _summary(statement[:_READ_LIMIT])


def _summary(statement: str) -> Summary:
    # Whether a backslash escapes a quote depends on the server; a wrong guess would
    # read the inside of a literal as SQL. Nothing behind one is read.
    tokens = list(_tokens(_ESCAPED_QUOTE.split(statement, 1)[0]))
    verb, start = _first_verb(tokens)
    aliases: set[str] = set()
    if verb == "WITH":
        verb, start, aliases = _behind_with(tokens, start)
    if verb in _DIRECT:
        return Summary(verb, _table_at(tokens, start + 1))
    if verb in _DEFINING:
        return Summary(verb, _defined(tokens, start + 1))
    if verb in {"SELECT", "DELETE"}:
        behind = _after_from(tokens[start:], aliases)
        return Summary(verb, behind or _after_from(tokens, aliases))
    if verb == "COPY":
        return Summary(verb, _table_at(tokens, start + 1))
    return Summary(verb, "")


_cached = lru_cache(maxsize=512)(_summary)


def _tokens(statement: str) -> "Iterator[_Token]":
    for found in _TOKENS.finditer(statement):
        kind = found.lastgroup
        if kind is None:
            continue  # a comment
        if kind == "tag":
            kind = "literal"
        text = found[0]
        yield _Token(kind, text.upper() if kind == "word" else text, text)
        if kind == "mark" and found[0] == ";":
            return


def _first_verb(tokens: "list[_Token]") -> "tuple[str, int]":
    for index, token in enumerate(tokens):
        if token.text == "(":
            continue
        if token.kind == "word" and token.text in _VERBS:
            return token.text, index
        break
    return OTHER, 0


def _behind_with(
    tokens: "list[_Token]",
    start: int,
) -> "tuple[str, int, set[str]]":
    """The verb behind the common table expressions, and their names."""
    depth = 0
    names: set[str] = set()
    for index in range(start + 1, len(tokens)):
        token = tokens[index]
        if token.text == "(":
            depth += 1
        elif token.text == ")":
            depth -= 1
        elif depth == 0 and token.kind == "word" and token.text in _MAIN_VERBS:
            return token.text, index, names
        elif depth == 0 and token.kind in {"word", "quoted"}:
            names.add(_bare(token).upper())
    return "WITH", start, names


def _after_from(tokens: "list[_Token]", aliases: "set[str]") -> str:
    """The first table behind a FROM that belongs to a SELECT or DELETE."""
    selecting = [False]
    for index, token in enumerate(tokens):
        if token.text == "(":
            selecting.append(False)
        elif token.text == ")" and len(selecting) > 1:
            selecting.pop()
        elif token.kind == "word" and token.text in {"SELECT", "DELETE"}:
            selecting[-1] = True
        elif token.text == "FROM" and selecting[-1]:  # not EXTRACT(YEAR FROM x)
            if index and tokens[index - 1].text == "DISTINCT":
                continue  # IS DISTINCT FROM
            name = _table_at(tokens, index + 1)
            if name and name.upper() not in aliases:
                return name
    return ""


def _defined(tokens: "list[_Token]", start: int) -> str:
    """The table that a CREATE, DROP, ALTER or LOCK is about; of an index, its own."""
    for index in range(start, min(start + 12, len(tokens))):
        text = tokens[index].text
        if tokens[index].kind != "word":
            return ""
        if text in {"TABLE", "VIEW"}:
            return _table_at(tokens, index + 1)
        if text == "INDEX":
            return _indexed(tokens, index + 1)
    return ""


def _indexed(tokens: "list[_Token]", start: int) -> str:
    for index in range(start, min(start + 10, len(tokens))):
        if tokens[index].text == "ON":
            return _table_at(tokens, index + 1)
    return ""


def _table_at(tokens: "list[_Token]", start: int) -> str:
    """The name at *start*, with its schema; empty when there is none."""
    index = start
    while index < len(tokens) and tokens[index].text in _FILLERS:
        index += 1
    parts: list[str] = []
    while index < len(tokens) and tokens[index].kind in {"word", "quoted"}:
        parts.append(_bare(tokens[index]))
        if index + 1 < len(tokens) and tokens[index + 1].text == ".":
            index += 2
            continue
        if index + 1 < len(tokens) and _is_call(tokens, index, start):
            return ""
        break
    if parts and parts[-1].upper() in {"SELECT", "VALUES", "DEFAULT", "SET", "WHERE"}:
        return ""
    return ".".join(parts)[:_NAME_LIMIT]


def _is_call(tokens: "list[_Token]", index: int, start: int) -> bool:
    """Whether a parenthesis makes the name a function's: behind FROM, not INTO."""
    return tokens[index + 1].text == "(" and tokens[start - 1].text == "FROM"


def _bare(token: _Token) -> str:
    if token.kind == "quoted":
        return token.text[1:-1].replace('""', '"')
    return token.written
