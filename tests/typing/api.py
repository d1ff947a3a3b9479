"""Never run: mypy and pyright read it, and every form must keep its exact type."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

import probekit


@probekit.probe
def plain(a: int, b: str = "") -> float:
    return a + len(b)


@probekit.probe(name="x", attributes={"team": "a"}, error_if=lambda r: r is None)
def named(a: int, *, key: bytes = b"") -> "str | None":
    return str(a) if key else None


@probekit.probe
async def coroutine(a: int) -> str:
    return str(a)


@probekit.probe(span=True)
async def coroutine_with_span(a: int) -> str:
    return str(a)


@probekit.probe
def generator(a: int) -> Generator[int, str, bytes]:
    got = yield a
    return got.encode()


@probekit.probe
async def async_generator(a: int) -> AsyncGenerator[int, str]:
    yield a


@probekit.probe
class Cart:
    def __init__(self, owner: str) -> None:
        self.owner = owner

    @probekit.probe
    def add(self, thing: str, amount: int = 1) -> int:
        return len(thing) * amount

    @classmethod
    @probekit.probe
    def make(cls, owner: str) -> "Cart":
        return cls(owner)

    @staticmethod
    @probekit.probe
    def double(a: int) -> int:
        return 2 * a

    @property
    @probekit.probe
    def size(self) -> int:
        return 0


@probekit.probe(name="shop")
class Named:
    def run(self) -> int:
        return 1


plain_form: Callable[[int, str], float] = plain
plain_result: float = plain(1, b="x")
named_result: "str | None" = named(1, key=b"x")
coroutine_form: Callable[[int], Awaitable[str]] = coroutine
generator_form: Callable[[int], Generator[int, str, bytes]] = generator
async_generator_form: Callable[[int], AsyncGenerator[int, str]] = async_generator
cart: Cart = Cart.make("Ann")
cart_class: type[Cart] = Cart
added: int = cart.add("book", amount=2)
doubled: int = Cart.double(2)
size: int = cart.size
ran: int = Named().run()

plain("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
plain(1, c=2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
wrong: str = plain(1)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
cart.add(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def awaited() -> None:
    text: str = await coroutine(1)
    more: str = await coroutine_with_span(1)
    async for number in async_generator(1):
        whole: int = number
        del whole
    async with probekit.timer("render", attributes={"page": "cart"}):
        pass
    del text, more


@probekit.timer("render")
def render(page: str) -> bytes:
    return page.encode()


rendered: bytes = render("cart")

orders = probekit.counter("shop.orders", unit="{order}", description="Orders placed.")
orders.add(1, {"plan": "pro", "items": [1, 2], "gift": True})
orders.bind({"plan": "pro"}).add(1)
orders.bind().add()
probekit.up_down_counter("shop.carts", ends_with_process=True).bind().add(-1)
probekit.gauge("queue.depth").set(1.5)
probekit.gauge("queue.depth").bind({"queue": "a"}).set(2)
probekit.histogram("cart.value", "EUR").record(42.5, {"plan": "pro"})
probekit.histogram("cart.value").bind().record(1)
probekit.count("shop.orders", plan="pro")
probekit.count("shop.orders", 2)
probekit.event("order.refunded", {"order.id": "A1"}, durable=True, severity=9, body="")
probekit.record_exception(ValueError("x"), attributes={"order.id": "A1"})
orders.add("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

with probekit.timer("block") as running:
    del running
with probekit.suppress():
    pass


@probekit.probe.count
def counted(a: int, *, b: str = "") -> float:
    return a + len(b)


@probekit.probe.count(name="shop.lookup", attributes={"team": "a"})
async def counted_later(a: int) -> str:
    return str(a)


class Counted:
    @classmethod
    @probekit.probe.count
    def make(cls, owner: str) -> "Counted":
        del owner
        return cls()

    @probekit.probe.count
    def size(self) -> int:
        return 0


@probekit.probe.count
def counted_each(a: int) -> Generator[int, str, bytes]:
    got = yield a
    return got.encode()


counted_form: Callable[[int], float] = counted
counted_result: float = counted(1, b="x")
counted_later_form: Callable[[int], Awaitable[str]] = counted_later
counted_size: int = Counted.make("Ann").size()
counted_each_form: Callable[[int], Generator[int, str, bytes]] = counted_each
counted("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
probekit.probe.count(span=True)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


@probekit.observe
def depth(observer: object) -> None:
    del observer


observing: Callable[[object], None] = depth
version: str = probekit.__version__
errors: "type[Exception]" = probekit.ConfigError


@probekit.job("nightly")
def nightly(a: int) -> str:
    return str(a)


@probekit.job("hourly", attributes={"region": "eu"})
async def hourly(a: int) -> bytes:
    return bytes(a)


nightly_keeps_its_type: Callable[[int], str] = nightly
hourly_keeps_its_type: Callable[[int], Awaitable[bytes]] = hourly


@probekit.probe
class Basket:
    def add(self, item: str) -> int:
        return len(item)

    @classmethod
    def empty(cls) -> "Basket":
        return cls()


basket_is_a_class: "type[Basket]" = Basket
its_methods_keep_their_type: int = Basket.empty().add("x")

probekit.instrument(
    "shop.*",
    "other",
    exclude=["shop.vendor.*"],
    min_duration_s=0.5,
    properties=True,
    dunders=False,
)
probekit.uninstrument()
