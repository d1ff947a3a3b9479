"""Texts for a terminal: tables, sizes, ages; inert whatever the data holds."""

from collections.abc import Iterable, Sequence

import click

_KIB = 1024
_CELL_LIMIT = 120
# Below so many seconds, in a unit of so many seconds, written so.
_AGES = (
    (10.0, 1.0, "{:.1f} s"),
    (120.0, 1.0, "{:.0f} s"),
    (7_200.0, 60.0, "{:.0f} min"),
    (172_800.0, 3_600.0, "{:.1f} h"),
)
_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def inert(text: str) -> str:
    r"""Make every sign that is not printable visible: no text moves the cursor.

    Example:
        >>> print(inert("a\x1b[2Jb\n"))
        a\x1b[2Jb\n

    """
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode()
        for sign in text
    )


def mark(level: str) -> str:
    """``ok``, ``warn`` or ``fail`` in its colour, five wide."""
    return click.style(f"{level:<5}", fg=_COLOURS[level], bold=level == "fail")


def heading(text: str) -> str:
    """Bold."""
    return click.style(text, bold=True)


def table(
    headers: "Sequence[str]", rows: "Iterable[Sequence[object]]"
) -> "Iterable[str]":
    """Lines of a table; columns of numbers stand right.

    Args:
        headers: One for each column.
        rows: As long as *headers*; numbers get separators of thousands, None is empty.

    """
    cells = [[_cell(value) for value in row] for row in rows]
    rights = [
        bool(cells)
        and all(row[column][1] or not row[column][0] for row in cells)
        and any(row[column][1] for row in cells)
        for column in range(len(headers))
    ]
    widths = [
        max([len(header), *(len(row[column][0]) for row in cells)])
        for column, header in enumerate(headers)
    ]
    yield heading(_line([inert(header) for header in headers], widths, rights))
    for row in cells:
        yield _line([text for text, _ in row], widths, rights)


def _line(
    texts: "Sequence[str]", widths: "Sequence[int]", rights: "Sequence[bool]"
) -> str:
    padded = (
        text.rjust(width) if right else text.ljust(width)
        for text, width, right in zip(texts, widths, rights, strict=True)
    )
    return "  ".join(padded).rstrip()


def _cell(value: object) -> "tuple[str, bool]":
    """A cell's text, and whether it is a number."""
    if value is None:
        return "", False
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        text = f"<{len(value)} bytes>" if isinstance(value, bytes) else str(value)
        shown = inert(text)
        return shown if len(shown) <= _CELL_LIMIT else shown[:_CELL_LIMIT] + "…", False
    return (f"{value:,}" if isinstance(value, int) else f"{value:.6g}"), True


def size(count_bytes: int) -> str:
    """A size for people.

    Example:
        >>> size(532), size(3 << 20)
        ('532 B', '3.0 MiB')

    """
    amount = float(count_bytes)
    for unit in ("B", "KiB", "MiB"):
        if amount < _KIB:
            return f"{count_bytes} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= _KIB
    return f"{amount:.1f} GiB"


def age(seconds: "float | None") -> str:
    """A duration for people.

    Example:
        >>> age(0.24), age(75), age(7300), age(None)
        ('0.2 s', '75 s', '2.0 h', 'never')

    """
    if seconds is None:
        return "never"
    for below_s, unit_s, form in _AGES:
        if seconds < below_s:
            return form.format(seconds / unit_s)
    return f"{seconds / 86_400:.1f} d"
