import importlib.util
import logging
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probekit.scrub import REDACTED, Scrubber
from probekit.scrub.rules import TEXT_LIMIT
from probekit.scrub.scrubber import FAILED

_spec = importlib.util.spec_from_file_location(
    "planted", Path(__file__).with_name("planted.py")
)
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
PLANTED = _module.PLANTED

HARMLESS = [
    "order A1 cannot be found in the shop",
    "author: Smith, authority=local",
    "tokenizer=bpe, token_count=17, secretary: Ann",
    "KeyError: 'plan'",
    "basic functionality is missing; bearer of news",
    "12:30:45.123 took 1700000000123456789 ns",
    "https://shop.example/orders?page=2&sort=price",
    "ratio=0.4111111111111111",
    "4111111111111112 is not a card",
    "d41d8cd98f00b204e9800998ecf8427e",
    'File "shop/cart.py", line 12, in add',
    "x -> y: a.b.c(d=1, e='f')",
    "the password is required",
    "password_attempts=3 session.count=2",
    "2026-11-24 19:03:05 POST /pay 500",
    "",
]


@pytest.mark.parametrize("secret, text", PLANTED)
def test_a_planted_secret_is_not_found_again(secret, text):
    """Sixty forms, as programs write them."""
    cleaned = Scrubber().text(text)

    assert secret not in cleaned
    assert cleaned != text


@pytest.mark.parametrize("text", HARMLESS)
def test_a_harmless_text_passes_unchanged(text):
    """The very object: nothing was built."""
    assert Scrubber().text(text) is text


@settings(max_examples=60)
@given(
    st.sampled_from(PLANTED),
    st.text(alphabet="abc xyz\n.,éß(", max_size=40),
    st.text(alphabet="abc xyz\n.,éß)", max_size=40),
)
def test_a_secret_is_found_in_any_company(planted, before, after):
    """What stands around it, a line or a blank apart, does not hide it."""
    secret, text = planted

    assert secret not in Scrubber().text(f"{before}\n{text}\n{after}")
    assert secret not in Scrubber().text(f"{before} {text} {after}")


@settings(max_examples=100)
@given(st.lists(st.sampled_from([t for _, t in PLANTED] + HARMLESS), max_size=4))
def test_cleaning_twice_is_cleaning_once(texts):
    """A clean text stays as it is, in both strengths."""
    for scrubber in (Scrubber(), Scrubber(high_security=True)):
        once = scrubber.text("\n".join(texts))

        assert once == scrubber.text(once)


@settings(max_examples=100)
@given(st.text(max_size=200))
def test_any_text_is_answered_with_a_text(text):
    """Surrogates, control characters, half-open quotes: never an exception."""
    for scrubber in (Scrubber(), Scrubber(high_security=True)):
        assert scrubber.text(text) != FAILED
        assert scrubber.url(text) != FAILED


HOSTILE = [
    "a", "1", "1-", "eyJ", "eyJ.", "a@", "://a:", "a=", "password=", '"', '\\"', " -a ",
    "-----BEGIN PRIVATE KEY-----", "bearer ", "-", "a.", "<a>", "4111 ", "key-", "[",
    "'a',", "sk-", "\n", "A", "://", "cookie:", "x\\", "password '", "a-", "eyJaaaaa.",
]  # fmt: skip


@pytest.mark.timeout(15)
@pytest.mark.parametrize("piece", HOSTILE)
def test_no_text_makes_the_work_grow_with_its_square(piece):
    """A square would take minutes for a text of full size, and run into the limit."""
    text = (piece * TEXT_LIMIT)[:TEXT_LIMIT]

    assert FAILED != Scrubber(high_security=True).text(text)


def test_a_huge_text_is_cut_and_no_half_secret_stays():
    """The word at the cut is dropped whole."""
    text = "x " * (TEXT_LIMIT // 2 - 4) + "ghp_" + "a" * 60
    cleaned = Scrubber().text(text)

    assert len(cleaned) < TEXT_LIMIT + 60
    assert "ghp_" not in cleaned
    assert "characters cut off" in cleaned


def test_attributes_are_judged_by_name_and_by_value():
    """Types stay; numbers under a secret name go; booleans say nothing."""
    given_ = {
        "http.request.header.authorization": "Bearer x",
        "db.password": "geheim",
        "pin": 1234,
        "password": True,
        "code.function.name": "shop.auth.login",
        "author": "Smith",
        "order.id": 4111,
        "ratio": 0.5,
        "tags": ("a", "mail ann@example.org"),
        "list": ["b", 1],
        "url.full": "https://u:p@h/x?q=1",
    }

    assert {
        "http.request.header.authorization": REDACTED,
        "db.password": REDACTED,
        "pin": REDACTED,
        "password": True,
        "code.function.name": "shop.auth.login",
        "author": "Smith",
        "order.id": 4111,
        "ratio": 0.5,
        "tags": ("a", f"mail {REDACTED}"),
        "list": ["b", 1],
        "url.full": "https://h/x?q=REDACTED",
    } == Scrubber().attributes(given_)


def test_own_names_are_denied_in_any_spelling():
    """badge_number is BadgeNumber is badge-number."""
    scrubber = Scrubber(deny_names=["badge_number"])

    assert f"BadgeNumber={REDACTED}" == scrubber.text("BadgeNumber=17")
    assert {"badge-number": REDACTED} == scrubber.attributes({"badge-number": 17})
    assert "badge=17" == scrubber.text("badge=17")


def test_own_scrubbers_run_after_the_built_in_ones():
    """They see what is left."""
    seen = []

    def shout(text):
        seen.append(text)
        return text.upper()

    assert "PASSWORD=[REDACTED]" == Scrubber(extra=[shout]).text("password=x1")
    assert [f"password={REDACTED}"] == seen


@pytest.mark.parametrize("broken", [lambda text: text[10_000], lambda text: None])
def test_a_failing_scrubber_costs_the_text_and_not_the_application(broken, caplog):
    """A placeholder is kept, and one line is told."""
    from probekit import notice

    notice._last_told_s.clear()
    with caplog.at_level(logging.WARNING, "probekit"):
        assert FAILED == Scrubber(extra=[broken]).text("anything")
    assert 1 == len(caplog.records)


def test_high_security_cannot_be_switched_off():
    """Neither by enabled=False nor by a scrubber that puts things back."""
    scrubber = Scrubber(
        enabled=False,
        high_security=True,
        extra=[lambda text: text + " password=back1"],
    )
    cleaned = scrubber.text("user 'ann' has 123456789 and token=abc1")

    assert "ann" not in cleaned
    assert "123456789" not in cleaned
    assert "abc1" not in cleaned
    assert "back1" not in cleaned


def test_switched_off_means_as_it_was():
    """The user's own decision, where high security does not forbid it."""
    scrubber = Scrubber(enabled=False)

    assert "password=x" == scrubber.text("password=x")
    assert {"password": "x"} == scrubber.attributes({"password": "x"})
    assert "http://a:b@h?x=1" == scrubber.url("http://a:b@h?x=1")
