"""TLS settings of an exporter's URL: always verified, own authority and certificate.

There is no switch to turn verification off, and no fallback to plain text.
"""

import ssl
from dataclasses import dataclass

from probekit.exporters.options import Options


@dataclass(frozen=True, slots=True)
class Tls:
    """How to speak TLS with one far side.

    Attributes:
        context: Verifies chain and host name; TLS 1.2 at least.
        server_name: Name to verify instead of the URL's host; empty for that one.
    """

    context: ssl.SSLContext
    server_name: str = ""


def tls_from(options: Options, *, default: bool) -> "Tls | None":
    """Read ``tls``, ``ca``, ``cert``, ``key`` and ``server_name``.

    Args:
        options: The query's reader.
        default: Whether TLS is on when ``tls`` is not given.

    Returns:
        None for plain text.

    Raises:
        ConfigError: A file cannot be used, or a file is given while TLS is off.

    """
    wanted = options.flag("tls", default=default)
    authority, certificate = options.text("ca"), options.text("cert")
    key, server_name = options.text("key"), options.text("server_name")
    if not wanted:
        for name, value in (("ca", authority), ("cert", certificate), ("key", key)):
            if value:
                raise options.refuse(name, "is given but TLS is off; add tls=1")
        return None
    if key and not certificate:
        raise options.refuse("key", "is given without cert")
    try:
        context = ssl.create_default_context(cafile=authority or None)
    except (OSError, ValueError):
        raise options.refuse("ca", f"{authority!r} is no readable PEM file") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate:
        try:
            # A key with a passphrase would ask on the terminal; it gets none.
            context.load_cert_chain(certificate, key or None, password=_no_passphrase)
        except (OSError, ValueError):
            raise options.refuse(
                "cert",
                f"{certificate!r} and its key are no readable PEM files that match",
            ) from None
    return Tls(context, server_name)


def _no_passphrase() -> str:
    return ""
