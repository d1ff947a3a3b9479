"""Laws of the kill switch: the same calls, and nothing happens."""

import inspect
import subprocess
import sys

import pytest

import probekit
from probekit.recording import instruments, silent

FUNCTIONS = sorted(probekit._SILENCED)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_silent_call_takes_what_the_other_takes(name):
    """Same parameters, same defaults."""

    def parameters(function):
        found = inspect.signature(function).parameters.values()
        return [(each.name, each.kind, each.default) for each in found]

    other = parameters(getattr(probekit, name))

    assert other == parameters(getattr(silent, name))


@pytest.mark.parametrize("kind", ["Counter", "UpDownCounter", "Gauge", "Histogram"])
def test_every_public_method_of_an_instrument_is_there(kind):
    """Bound or not."""
    public = {name for name in dir(getattr(instruments, kind)) if name[0] != "_"}
    methods = {name for name in public if callable(getattr(silent.SILENT, name, None))}

    assert public - methods <= {"handle", "kind", "name", "unit", "description"}
    assert methods


async def _block():
    async with probekit_silent_timer():
        return 1


def probekit_silent_timer():
    return silent.timer("t", attributes={"a": 1})


def test_blocks_let_everything_pass():
    """Exceptions, and functions as they are."""
    with pytest.raises(ZeroDivisionError), silent.timer("t"):
        _ = 1 / 0
    coroutine = _block()
    with pytest.raises(StopIteration) as ended:
        coroutine.send(None)

    assert 1 == ended.value.value
    assert silent.job("j")(_block) is _block


@pytest.mark.e2e
@pytest.mark.parametrize(
    "value, home", [("1", "silent"), ("true", "silent"), ("0", "instruments")]
)
def test_the_environment_decides_at_the_first_use(value, home):
    """And nothing is recorded either way that should not be."""
    program = """if True:
        import probekit
        from probekit.recording.registry import REGISTRY
        probekit.count("a", b=1)
        print(probekit.count.__module__, bool(REGISTRY.drain()))
        """
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True, text=True, check=True, timeout=40,
        env={"PROBEKIT_DISABLE": value},
    )  # fmt: skip
    module, recorded = done.stdout.split()

    assert f"probekit.recording.{home}" == module
    assert str(home == "instruments") == recorded
