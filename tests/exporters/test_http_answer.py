"""What statuses and waits mean."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probekit.exporters.transport.answer import Answer, retry_after_s, verdict_on


@pytest.mark.row("N3")
@pytest.mark.parametrize(
    "text, wait_s",
    [
        ("120", 120.0),
        ("0", 0.0),
        ("-5", 0.0),
        ("1.5", 1.5),
        ("315360000", 3600.0),
        ("inf", 3600.0),
        ("nan", None),
        ("", None),
        ("soon", None),
        ("Thu, 01 Jan 1970 00:20:00 GMT", 200.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 3600.0),
        ("Fri, 99 Jan 2100 00:00:00 GMT", None),
    ],
)
def test_a_wait_is_honoured_up_to_an_hour_and_garbage_ignored(text, wait_s):
    assert wait_s == retry_after_s(text, 1000.0)


@pytest.mark.row("N3")
@settings(max_examples=80)
@given(st.text(max_size=30) | st.floats().map(str) | st.integers().map(str))
def test_no_text_makes_a_wait_longer_than_an_hour_or_negative(text):
    wait_s = retry_after_s(text, 0.0)

    assert wait_s is None or (0.0 <= wait_s <= 3600.0 and not math.isnan(wait_s))


@settings(max_examples=60)
@given(st.integers(100, 999))
def test_only_2xx_is_accepted(status):
    assert (200 <= status < 300) == (verdict_on(status) == "accepted")


def test_words_are_one_short_printable_line():
    answer = Answer(400, body=b"a\r\n b\x1b[31m\xff " + b"c" * 1000)

    assert answer.words().isprintable()
    assert answer.words().startswith("a b [31m")
    assert len(answer.words()) <= 200
