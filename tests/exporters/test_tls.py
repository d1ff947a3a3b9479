"""TLS: verified or nothing."""

import ssl
from pathlib import Path

import pytest

from probekit.errors import ConfigError, Forbidden, RetryLater
from probekit.exporters import build
from probekit.exporters.otlp.answers import PROTOBUF
from probekit.exporters.registry import BUILTIN
from probekit.exporters.transport.tls import tls_from
from probekit.exporters.urls import Target
from probekit.testing import HttpReceiver, Reply, TcpReceiver
from probekit.testing.contract import sample_batch

CERTIFICATES = Path(__file__).parent / "certificates"


def server(name="server", *, client_ca=None, old=False):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / f"{name}.pem", CERTIFICATES / f"{name}.key")
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(CERTIFICATES / client_ca)
    return context


def otlp(context):
    return HttpReceiver(reply=Reply(headers={"Content-Type": PROTOBUF}), tls=context)


def url(receiver, query=""):
    ca = CERTIFICATES / "ca.pem"
    return f"otlp+https://127.0.0.1:{receiver.port}?timeout_s=2&ca={ca}{query}"


def send(text):
    exporter = build(text)
    try:
        exporter.send(sample_batch())
    finally:
        exporter.close()


def test_a_certificate_of_our_own_authority_is_enough():
    with otlp(server()) as receiver:
        send(url(receiver))

    assert 3 == len(receiver.requests)
    assert 1 == receiver.connections


def test_json_lines_travel_over_tls():
    with TcpReceiver(tls=server()) as receiver:
        exporter = build(
            f"tcp://localhost:{receiver.port}?tls=1&ca={CERTIFICATES / 'ca.pem'}"
        )
        exporter.send(sample_batch())
        exporter.send(sample_batch())

        assert 16 == len(receiver.wait_for_lines(16))
        assert 1 == receiver.connections
        exporter.close()


@pytest.mark.row("S1")
@pytest.mark.parametrize("name", ["expired", "elsewhere"])
def test_a_certificate_that_does_not_fit_is_refused_and_the_data_kept(name):
    with otlp(server(name)) as receiver, pytest.raises(Forbidden, match="certificate"):
        send(url(receiver))

    assert [] == receiver.requests


def test_an_authority_we_do_not_know_is_refused():
    text = f"?timeout_s=2&ca={CERTIFICATES / 'stranger.pem'}"
    with otlp(server()) as receiver, pytest.raises(Forbidden, match="certificate"):
        send(f"otlp://127.0.0.1:{receiver.port}{text}&tls=1")

    assert [] == receiver.requests


def test_another_name_may_be_expected():
    with otlp(server("elsewhere")) as receiver:
        send(url(receiver, "&server_name=elsewhere.example"))

    assert 3 == len(receiver.requests)


def test_a_client_certificate_is_shown_when_asked_for():
    pair = f"&cert={CERTIFICATES / 'client.pem'}&key={CERTIFICATES / 'client.key'}"
    with otlp(server(client_ca="ca.pem")) as receiver:
        send(url(receiver, pair))

    assert 3 == len(receiver.requests)


def test_a_missing_client_certificate_keeps_the_data():
    with (
        otlp(server(client_ca="ca.pem")) as receiver,
        pytest.raises((Forbidden, RetryLater)),
    ):
        send(url(receiver))

    assert [] == receiver.requests


SWITCHES = [
    "verify=0", "insecure=1", "tls_verify=0", "ssl_verify=false", "check_hostname=0",
    "skip_verify=1", "tls_insecure_skip_verify=true", "cert_reqs=none",
]  # fmt: skip


@pytest.mark.parametrize("scheme", sorted(set(BUILTIN) - {"sql+"}))
def test_no_url_can_switch_verification_off(scheme):
    """Whatever such a switch is called elsewhere, here it is an unknown option."""
    place = "127.0.0.1:9/metrics" if scheme == "prometheus" else "127.0.0.1:9/place"
    place = "/tmp/x" if scheme in {"file", "nagios"} else place
    for switch in SWITCHES:
        name = switch.partition("=")[0]
        with pytest.raises(ConfigError, match=name):
            build(f"{scheme}://{place}?{switch}")


def test_whatever_a_url_says_the_chain_and_the_name_are_verified():
    """Also with files of one's own."""
    pair = f"&cert={CERTIFICATES / 'client.pem'}&key={CERTIFICATES / 'client.key'}"
    target = Target.parse(
        f"x://h:1?tls=1&ca={CERTIFICATES / 'ca.pem'}{pair}&server_name=n"
    )
    made = tls_from(target.options(), default=False)

    assert ssl.CERT_REQUIRED == made.context.verify_mode
    assert made.context.check_hostname
    assert made.context.minimum_version >= ssl.TLSVersion.TLSv1_2


@pytest.mark.row("S1")
def test_there_is_no_fallback_to_plain_text():
    with HttpReceiver() as receiver, pytest.raises(RetryLater):
        send(url(receiver).replace("timeout_s=2", "timeout_s=0.1"))

    assert [] == receiver.requests
