"""Takes OTLP messages to a Redis stream; needs ``redis``.

An entry has the fields ``key``, ``signal``, ``content_type`` and ``body``. The server
remembers each key for some time and adds no entry for one that comes again.
"""

from typing import Any

from probekit.errors import ExportError, Forbidden, TooLarge
from probekit.exporters.brokers.exporter import Broker, timeout_from
from probekit.exporters.brokers.messages import CONTENT_TYPE, Message
from probekit.exporters.brokers.publisher import (
    client,
    first_that_answers,
    name_in,
    secrets_of,
)
from probekit.exporters.brokers.refusals import Verdicts, as_export_error, of_words
from probekit.exporters.options import Options
from probekit.exporters.transport.tls import Tls, tls_from
from probekit.exporters.urls import Target

DEFAULT_PORT = 6379
_LONGEST_MEMORY_S = 7 * 86400
# The entry first: a mark without its entry would be a loss, the other way round is
# at worst a repetition. KEYS: stream, mark. ARGV: memory in seconds, length, fields.
ADD_ONCE = """\
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
local trim = ARGV[2] ~= '0' and {'MAXLEN', '~', ARGV[2]} or {}
local command = {'XADD', KEYS[1]}
for _, word in ipairs(trim) do command[#command + 1] = word end
command[#command + 1] = '*'
for i = 3, #ARGV do command[#command + 1] = ARGV[i] end
redis.call(unpack(command))
redis.call('SET', KEYS[2], '1', 'EX', ARGV[1])
return 1
"""
VERDICTS: Verdicts = {
    "AuthenticationError": Forbidden,
    "AuthenticationWrongNumberOfArgsError": Forbidden,
    "AuthorizationError": Forbidden,
    "MovedError": Forbidden,  # a node of a cluster that does not hold the stream
    "NoPermissionError": Forbidden,
    "ResponseError": of_words(
        {
            "invalid bulk length": TooLarge,
            "WRONGTYPE": Forbidden,
            "NOPERM": Forbidden,
            "unknown command": Forbidden,
            "DB index": Forbidden,
        }
    ),
}


class RedisStream:
    """Publishes to one stream.

    Args:
        target: ``redis://user:password@host:6379/STREAM?maxlen=100000&db=0``.
        options: The query's reader.
        timeout_s: For connecting to one host, seconds.
    """

    def __init__(self, target: Target, options: Options, timeout_s: float) -> None:
        """Open nothing yet; raise ConfigError for a target that cannot be used."""
        self._target = target
        self._stream = name_in(target)
        self._addresses = list(target.addresses(DEFAULT_PORT))
        self._timeout_s = timeout_s
        self._db = options.integer("db", 0, low=0, high=1_000_000)
        self._maxlen = options.integer("maxlen", 0, low=0, high=2**53)
        self.remembers_s = options.integer(
            "remember_s", 86400, low=0, high=_LONGEST_MEMORY_S
        )
        self._tls = tls_from(options, default=False)
        if self._tls is not None and self._tls.server_name:
            raise options.refuse("server_name", "is not for redis")
        self._client: Any = None

    def load(self) -> None:
        """Import the client."""
        shown = str(self._target)
        self._redis = client("redis.asyncio", "redis", shown)
        self._connection = _connection(self._redis, self._tls)
        # Repeating is the courier's decision, and it knows the key.
        backoff = client("redis.backoff", "redis", shown).NoBackoff()
        self._retry = client("redis.asyncio.retry", "redis", shown).Retry(backoff, 0)

    async def is_alive(self) -> bool:
        """True: the client's pool looks at a connection before it lends it."""
        return True

    async def open(self) -> None:
        """Connect to the first host that answers."""
        await first_that_answers(self._addresses, self._open, self._timeout_s)

    async def _open(self, host: str, port: int) -> None:
        pool = self._redis.ConnectionPool(
            connection_class=self._connection,
            host=host,
            port=port,
            db=self._db,
            username=self._target.user or None,
            password=self._target.password or None,
            socket_connect_timeout=self._timeout_s,
            retry=self._retry,
        )
        made = self._redis.Redis.from_pool(pool)
        try:
            await made.ping()
        except BaseException:
            await made.aclose()
            raise
        self._client = made

    async def publish(self, message: Message) -> None:
        """Add an entry; return when the server has it."""
        stream = message.place(self._stream)
        fields = {
            "key": message.key,
            "signal": message.kind,
            "content_type": CONTENT_TYPE,
            "body": message.body,
        }
        if self.remembers_s:
            words = [word for pair in fields.items() for word in pair]
            keys = stream, mark_of(stream, message.key)
            limits = self.remembers_s, self._maxlen
            await self._client.eval(ADD_ONCE, len(keys), *keys, *limits, *words)
        else:
            await self._client.xadd(stream, fields, maxlen=self._maxlen or None)

    async def close(self) -> None:
        """Close the connection."""
        made, self._client = self._client, None
        if made is not None:
            await made.aclose()

    def translate(self, error: Exception) -> ExportError:
        """What the client's *error* means; see :data:`VERDICTS`."""
        secrets = secrets_of(self._target)
        return as_export_error(error, VERDICTS, str(self._target), secrets)


def mark_of(stream: str, key: str) -> str:
    """The name under which the server remembers *key*; in the stream's own slot.

    Example:
        >>> mark_of("telemetry", "k"), mark_of("{a}:telemetry", "k")
        ('{telemetry}:seen:k', '{a}:telemetry:seen:k')

    """
    return f"{stream if '{' in stream else f'{{{stream}}}'}:seen:{key}"


def from_target(target: Target) -> Broker:
    """Build from ``redis://host:6379/STREAM``."""
    options = target.options()
    timeout_s = timeout_from(options)
    stream = RedisStream(target, options, min(timeout_s, 3.0))
    return Broker(
        target,
        options,
        stream,
        timeout_s=timeout_s,
        idempotent=stream.remembers_s > 0,
    )


def _connection(library: Any, tls: "Tls | None") -> Any:
    """The client's class of connections: plain, or verified as our URL says."""
    if tls is None:
        return library.Connection
    context = tls.context

    class Verified(library.SSLConnection):  # type: ignore[misc]
        def __init__(self, **wanted: Any) -> None:
            super().__init__(**wanted)
            # Its own context would trust the system's authorities besides ours.
            self.ssl_context.context = context

    return Verified
