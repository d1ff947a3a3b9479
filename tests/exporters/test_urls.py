"""URLs of exporters: read once, and never shown with a secret."""

import contextlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from probekit.errors import ConfigError
from probekit.exporters.urls import Target, redacted


@pytest.mark.parametrize(
    "url, hosts, path",
    [
        ("otlp://h", (("h", None),), ""),
        ("otlp://h:4318/base/", (("h", 4318),), "/base/"),
        ("tcp://a:1,b:2,[::1]:3", (("a", 1), ("b", 2), ("[::1]", 3)), ""),
        ("file:///var/log/a%20b", (), "/var/log/a b"),
        ("file:relative/x", (), "relative/x"),
        ("console:", (), ""),
        ("file:///weird@name", (), "/weird@name"),
    ],
)
def test_hosts_and_paths_are_read(url, hosts, path):
    target = Target.parse(url)

    assert (hosts, path) == (target.hosts, target.path)


def test_userinfo_and_query_are_decoded_and_hidden():
    target = Target.parse("otlp://us%40er:p%2Fw@h:1?token=a+b%20c&tls=1")

    assert ("us@er", "p/w") == (target.user, target.password)
    assert {"token": "a+b c", "tls": "1"} == dict(target.query)
    assert "p/w" not in repr(target)
    assert "a+b" not in repr(target)
    assert "otlp://h:1" == str(target)


@pytest.mark.parametrize(
    "url",
    [
        "tcp://user:geheim@h:99999",
        "tcp://user:ge/geheim@h:1",
        "tcp://user:ge?geheim@h:1",
        "tcp://user:ge#geheim@h:1",
        "tcp://user:geheim@:1",
        "tcp://user:geheim@h:1?a",
        "tcp://user:geheim@h:1?a=1&a=2",
        "tcp://user:geheim@h:x",
        "tcp:user:geheim@h",
    ],
)
def test_no_error_shows_userinfo(url):
    try:
        target = Target.parse(url)
    except ConfigError as error:
        shown = str(error)
    else:
        shown = str(target) + repr(target)

    assert "geheim" not in shown


@pytest.mark.parametrize("port", ["0", "65536", "99999", "x", "-1", "1x", "²"])
def test_a_port_is_a_number_from_1_to_65535(port):
    with pytest.raises(ConfigError, match=rf"{port}.*1 to 65535"):
        Target.parse(f"tcp://h:{port}")


def test_an_address_needs_a_host_and_a_port():
    assert (("::1", 8125),) == Target.parse("statsd://[::1]").addresses(8125)
    with pytest.raises(ConfigError, match="no port for 'h'"):
        Target.parse("tcp://h").addresses(None)
    with pytest.raises(ConfigError, match="names no host"):
        Target.parse("tcp:").addresses(1)


@settings(max_examples=60)
@given(st.text(max_size=40))
@example("tcp://a@b@c:1")
def test_any_text_is_read_or_refused_with_an_error_of_ours(text):
    with contextlib.suppress(ConfigError):
        Target.parse(text)

    assert "?" not in redacted(f"x://h/{text}?secret")


SAFE = st.text("abcXYZ019._~-", min_size=1, max_size=12)


@settings(max_examples=40)
@given(SAFE, st.integers(1, 65535), SAFE, SAFE)
def test_what_was_written_is_what_is_read(host, port, user, value):
    target = Target.parse(f"x://{user}:{value}@{host}:{port}/p?k={value}")

    assert ((host, port),) == target.hosts
    assert (user, value, {"k": value}) == (
        target.user,
        target.password,
        dict(target.query),
    )


def test_options_are_read_by_type_and_unknown_ones_refused():
    options = Target.parse("x://h?a=1.5&b=off&c=3&d=0.1,2&e=two").options()

    assert 1.5 == options.seconds("a", 1.0)
    assert options.flag("b", default=True) is False
    assert 3 == options.integer("c", 1, low=0, high=9)
    assert (0.1, 2.0) == options.numbers("d", ())
    with pytest.raises(ConfigError, match=r"'e'; allowed: a, b, c, d"):
        options.finish()
    assert "two" == options.choice("e", ("one", "two"), "one")
    options.finish()


@pytest.mark.parametrize(
    "read, words",
    [
        (lambda o: o.seconds("v", 1.0), ["v='zz'", "seconds from"]),
        (lambda o: o.flag("v", default=True), ["v='zz'", "1 or 0"]),
        (lambda o: o.integer("v", 1, low=0, high=9), ["v='zz'", "from 0 to 9"]),
        (lambda o: o.numbers("v", ()), ["v='zz'", "rising"]),
        (lambda o: o.choice("v", ("a", "b"), "a"), ["v='zz'", "a, b"]),
        (lambda o: o.words("v", ("a", "b"), ()), ["v='zz'", "a, b"]),
    ],
)
def test_a_wrong_value_is_named_with_its_rule(read, words):
    with pytest.raises(ConfigError) as caught:
        read(Target.parse("otlp://user:geheim@h:1?v=zz").options())

    assert all(word in str(caught.value) for word in ["otlp://h:1", *words])
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("text", ["nan", "inf", "0", "-1", "1e9"])
def test_seconds_outside_their_range_are_refused(text):
    with pytest.raises(ConfigError, match="v="):
        Target.parse(f"x://h?v={text}").options().seconds("v", 1.0)
