"""The libraries that probekit knows: a table, and nothing that imports any of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec

from probekit.errors import ConfigError

_ROOM = "probekit.integrations.libraries."


@dataclass(frozen=True, slots=True)
class Library:
    """One library.

    Attributes:
        name: How users choose it.
        awaits: Modules; each is handed to the room's ``patch`` once it is imported.
        room: Our module with ``patch(patches, module)``.
    """

    name: str
    awaits: "tuple[str, ...]"
    room: str

    @property
    def is_installed(self) -> bool:
        """Whether it can be imported here; imports nothing."""
        try:
            return find_spec(self.awaits[0].partition(".")[0]) is not None
        except (ImportError, ValueError):
            return False


def _library(name: str, *awaits: str, room: str = "") -> Library:
    return Library(name, awaits or (name,), _ROOM + (room or name))


LIBRARIES = {
    library.name: library
    for library in (
        _library("requests", "requests.sessions"),
        _library("httpx"),
        _library("urllib3", "urllib3.poolmanager", "urllib3.connectionpool"),
        _library("urllib", "urllib.request"),
        _library("aiohttp", "aiohttp.client"),
        _library("sqlite3", "sqlite3.dbapi2"),
        _library("psycopg"),
        _library("psycopg2"),
        _library("pymysql", "pymysql.cursors"),
        _library("sqlalchemy"),
        _library(
            "redis",
            "redis.client",
            "redis.cluster",
            "redis.asyncio.client",
            "redis.asyncio.cluster",
        ),
        _library("celery", "celery.signals", "celery.app.base"),
        _library("flask", "flask.app"),
        _library("django", "django.core.handlers.base"),
        _library("starlette", "starlette.applications", "fastapi.applications"),
        _library("quart", "quart.app", room="asgi"),
        _library("litestar", "litestar.app", room="asgi"),
        _library("logging"),
        _library("concurrent.futures", "concurrent.futures.thread", room="futures"),
        _library("threading"),
        _library("asyncio", "asyncio.base_events", "asyncio.runners"),
        _library("unhandled", "sys", "threading"),
    )
}


def names_of(value: "str | Iterable[str]", setting: str) -> "tuple[str, ...]":
    """Return the names in *value*, a name or several.

    Raises:
        ConfigError: It is neither text nor an iterable of texts.

    """
    names = (value,) if isinstance(value, str) else tuple(value)
    for name in names:
        if not isinstance(name, str):
            raise ConfigError(f"{setting} holds {name!r}; library names are text")
    return names


def unknown(name: str, others: "Iterable[str]", setting: str) -> ConfigError:
    """The error for a *name* that is in no table."""
    near = get_close_matches(name, [*LIBRARIES, *others], n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    known = ", ".join(sorted(LIBRARIES))
    return ConfigError(f"{setting}: unknown library {name!r}{hint} (known: {known})")
