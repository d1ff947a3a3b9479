import pytest

from probekit.scrub import Scrubber, is_secret_name, redacted


@pytest.mark.parametrize(
    "url, shown",
    [
        ("tcp://user:geheim@h:99999", "tcp://h:99999"),
        ("tcp://user:ge/h?e#im@h:1", "tcp://h:1"),
        ("otlp://h:4318?header.x-api-key=abc&gzip=1",
         "otlp://h:4318?header.x-api-key=REDACTED&gzip=1"),
        ("statsd://h:8125?tags=dogstatsd", "statsd://h:8125?tags=dogstatsd"),
        ("kafka://a:1,b:2/topic", "kafka://a:1,b:2/topic"),
        ("console:", "console:"),
        ("no url at all", "no url at all"),
        ("sql+postgresql://u:p@db/x", "sql+postgresql://db/x"),
    ],
)  # fmt: skip
def test_an_address_in_a_message_has_no_secret(url, shown):
    """User, password and secret values go; what helps to find the mistake stays."""
    assert shown == redacted(url)


def test_a_long_address_is_shortened():
    """A message stays readable."""
    assert len(redacted("tcp://" + "h" * 5000)) < 310


@pytest.mark.parametrize(
    "url, kept",
    [
        ("https://u:p@shop.example/a/b?x=1&y=2#top",
         "https://shop.example/a/b?x=REDACTED&y=REDACTED"),
        ("https://shop.example/a?secretvalue", "https://shop.example/a?REDACTED"),
        ("https://shop.example/a?x=", "https://shop.example/a?x="),
        ("/orders/7", "/orders/7"),
    ],
)  # fmt: skip
def test_a_recorded_address_keeps_names_and_no_values(url, kept):
    """Query values are somebody's data until proved otherwise."""
    assert kept == Scrubber().url(url)


@pytest.mark.parametrize(
    "name",
    ["password", "PASSWORD", "dbPassword", "db_password", "pgpassword", "user.passwd",
     "api_key", "apiKey", "X-API-Key", "apikey", "access_token", "accessToken", "auth",
     "authorization",
     "http.request.header.cookie", "session_id", "sessionid", "private",
     "private_key", "client-secret", "AWS_SECRET_ACCESS_KEY", "credentials", "pin",
     "card_number", "X-Amz-Security-Token", "2fa_token", "secret1"],
)  # fmt: skip
def test_a_secret_name_is_known_in_all_spellings(name):
    """Parts of names, whatever joins them."""
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    ["author", "authority", "tokenizer", "secretary", "keyboard", "passenger", "pinned",
     "cookiecutter", "token_count", "session.duration", "password_policy", "compass",
     "key", "keys", "monkey", "class", "signal", "design", "pass_rate", "", "7", "_"],
)  # fmt: skip
def test_a_harmless_name_is_not_taken_for_a_secret(name):
    """Letters in a row are not a part of a name."""
    assert not is_secret_name(name)
