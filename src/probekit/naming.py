"""The rules for names of metrics and attributes, and nothing about backends.

A name is checked once, at decoration or when an instrument is made, and refused
there with a text that says which rule it breaks; recording never checks again.
"""

from probekit.errors import BadName

NAME_LIMIT = 200
VALUE_LIMIT = 4096


def checked_name(name: object, what: str = "metric name") -> str:
    """Return *name* if it may be stored and sent, else raise.

    A name is text of 1 to 200 printable characters without white space at either
    end. Letters of any script are allowed: each encoding translates for its backend.

    Args:
        name: What the user gave.
        what: The words for it in an error, such as ``"metric name"``.

    Returns:
        The same text.

    Raises:
        BadName: It is not text, empty, too long, or holds control characters.

    Example:
        >>> checked_name("shop.orders")
        'shop.orders'

    """
    if not isinstance(name, str):
        raise BadName(f"{what} must be text, got {type(name).__name__}")
    if not name or name != name.strip():
        raise BadName(f"{what} {name!r} is empty or has white space at an end")
    if len(name) > NAME_LIMIT:
        raise BadName(f"{what} {name[:40]!r}… has {len(name)} characters, limit 200")
    if not name.isprintable():
        raise BadName(f"{what} {name!r} holds characters that cannot be printed")
    return name
