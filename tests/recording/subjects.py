# ruff: noqa: A002, PLR0917 - odd names are what is tested
"""Callables for the transparency table; each line is probed and compared with bare."""

import functools

import probekit


def plain(a, b=2):
    """A docstring."""
    return a, b


def positional_only(a, b=1, /, c=2):
    return a, b, c


def keyword_only(*, a, b=2):
    return a, b


def everything(a, b=1, /, c=2, *rest, d, e=5, **others):
    return a, b, c, rest, d, e, others


def annotated(a: int, b: "list[str]" = ()) -> "dict[str, int]":
    return {"a": a, "b": len(b)}


def our_names(_pk_f, _pk_t0=1, _pk__r=2, *_pk_clock, _pk=3):
    return _pk_f, _pk_t0, _pk__r, _pk_clock, _pk


def builtin_names(BaseException, Exception=1, len=2, self=3, wrapper=4, float=5):
    return BaseException, Exception, len, self, wrapper, float


def mutable_default(a=[]):  # noqa: B006
    return a


async def coroutine(a, b=2):
    return a, b


def generator(a, b=2):
    got = yield a
    return got, b


async def async_generator(a, b=2):
    yield a
    yield b


a_lambda = lambda a, b=2: (a, b)  # noqa: E731
partial = functools.partial(plain, b=7)


@functools.lru_cache
def cached(a, b=2):
    return a, b


def over(wrapped):
    @functools.wraps(wrapped)
    def inner(*args, **kwargs):
        return wrapped(*args, **kwargs)

    return inner


decorated = over(plain)


class CallableObject:
    def __init__(self):
        self.factor = 3

    def __call__(self, a, b=2):
        return a * self.factor, b

    def helper(self):
        return self.factor


callable_object = CallableObject()


@probekit.probe
def pickled(a, b=2):
    """Pickled by reference."""
    return a, b


@probekit.probe
async def pickled_coroutine():
    return 1


class Pickled:
    @probekit.probe
    def method(self):
        return "method"

    @staticmethod
    @probekit.probe
    def static():
        return "static"
