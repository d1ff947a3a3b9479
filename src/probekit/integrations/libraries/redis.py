"""redis-py, sync and async, single server and cluster: commands and pipelines."""

import re
from types import ModuleType
from typing import Any

from probekit.integrations.libraries.database import Place, command
from probekit.integrations.libraries.figures import Names, told
from probekit.integrations.libraries.operation import Operation, Uncounted
from probekit.integrations.libraries.patching import Patches
from probekit.integrations.libraries.subclass import PLACE, place_of
from probekit.passing import let_pass

_COMMAND = re.compile(r"[A-Z][A-Z0-9._-]{0,39}")
_COMMANDS = Names(300)
_UNKNOWN = Place("redis")


def patch(patches: Patches, module: ModuleType) -> None:
    """Patch ``redis.client``, ``.cluster`` or their asyncio twins."""
    waits = ".asyncio." in module.__name__
    one = _one_async if waits else _one
    many = _many_async if waits else _many
    for name in ("Redis", "RedisCluster"):
        kind = getattr(module, name, None)
        # The cluster's modules import Redis as well; its own module patches that.
        if kind is not None and kind.__module__ == module.__name__:
            patches.wrap(kind, "execute_command", one)
    for name in ("Pipeline", "ClusterPipeline"):
        kind = getattr(module, name, None)
        if kind is not None and kind.__module__ == module.__name__:
            patches.wrap(kind, "execute", many)
            if "immediate_execute_command" in vars(kind):
                patches.wrap(kind, "immediate_execute_command", one)


def _one(wrapped: Any, client: Any, args: Any, kwargs: Any) -> Any:
    with _begin(client, args):
        return wrapped(*args, **kwargs)


async def _one_async(wrapped: Any, client: Any, args: Any, kwargs: Any) -> Any:
    with _begin(client, args):
        return await wrapped(*args, **kwargs)


def _many(wrapped: Any, pipeline: Any, args: Any, kwargs: Any) -> Any:
    if not _waiting(pipeline):
        return wrapped(*args, **kwargs)
    with command(_place(pipeline), _batch(pipeline)):
        return wrapped(*args, **kwargs)


async def _many_async(wrapped: Any, pipeline: Any, args: Any, kwargs: Any) -> Any:
    if not _waiting(pipeline):
        return await wrapped(*args, **kwargs)
    with command(_place(pipeline), _batch(pipeline)):
        return await wrapped(*args, **kwargs)


def _begin(client: Any, args: Any) -> "Operation | Uncounted":
    return command(_place(client), _name(args[0] if args else ""))


def _name(asked: object) -> str:
    """The command's word; what does not look like one is not repeated.

    Example:
        >>> _name("get"), _name("CLIENT LIST"), _name(b"JSON.GET"), _name("my secret!")
        ('GET', 'CLIENT', 'JSON.GET', 'MY')

    """
    text = asked.decode("latin-1") if isinstance(asked, bytes) else asked
    if not isinstance(text, str):
        return "_OTHER"
    word = text[:80].partition(" ")[0].upper()
    return _COMMANDS.bounded(word) if _COMMAND.fullmatch(word) else "_OTHER"


def _waiting(pipeline: Any) -> bool:
    """Whether commands wait in *pipeline*; an empty one asks no server."""
    try:
        return len(pipeline) > 0
    except Exception as error:  # a pipeline of another kind: time it
        let_pass(error)
        return True


def _batch(pipeline: Any) -> str:
    names = ("explicit_transaction", "transaction", "is_transaction")
    found = (getattr(pipeline, name, False) for name in names)
    return "MULTI" if any(value is True for value in found) else "PIPELINE"


def _place(client: Any) -> Place:
    try:
        pool = getattr(client, "connection_pool", None)
        if pool is None:
            return _UNKNOWN  # a cluster: each command has a server of its own
        place = place_of(pool)
        if place is None:
            facts = pool.connection_kwargs
            place = Place(
                "redis",
                namespace=facts.get("db", 0) or 0,
                host=facts.get("host") or facts.get("path") or "localhost",
                port=facts.get("port") or (None if "path" in facts else 6379),
            )
            setattr(pool, PLACE, place)
        return place
    except Exception as error:
        told("redis", error)
        return _UNKNOWN
