"""What an exporter's cursor is called.

The name must be the same after every restart and in every process of a buffer, or the
same data is delivered again; and it must hold no secret. Hence scheme, hosts and path,
without credentials and query.
"""

from collections.abc import Sequence

from probekit.ports import Exporter
from probekit.scrub import redacted


def cursor_names(specs: "Sequence[str | Exporter]") -> "list[str]":
    """A name for each exporter, in their order; equal ones are numbered.

    Args:
        specs: As given to ``configure``: URLs or objects. An object is named by its
            attribute ``name``, if that is text, else by its class.

    Example:
        >>> cursor_names(["tcp://u:p@h:1?token=x", "tcp://h:1", "console:"])
        ['tcp://h:1', 'tcp://h:1#2', 'console:']

    """
    names: list[str] = []
    for spec in specs:
        base = redacted(spec).partition("?")[0] if isinstance(spec, str) else _own(spec)
        same = sum(name == base or name.startswith(f"{base}#") for name in names)
        names.append(f"{base}#{same + 1}" if same else base)
    return names


def label(name: str) -> str:
    """The short word for a cursor's thread: its scheme.

    Example:
        >>> label("otlp://h:4318"), label("Memory")
        ('otlp', 'memory')

    """
    return name.partition(":")[0].lower()


def _own(exporter: Exporter) -> str:
    name = getattr(exporter, "name", None)
    kind = type(exporter)
    if isinstance(name, str) and name.isprintable() and name:
        return name[:200]
    return f"{kind.__module__}.{kind.__qualname__}"
