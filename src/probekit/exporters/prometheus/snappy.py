"""Snappy's block format with literals only: valid everywhere, compresses nothing; pure.

Remote write demands the format; a compressor in Python would cost more than the bytes
it saves on a local network.
"""

from probekit.exporters.otlp.protobuf import varint

_CHUNK_BYTES = 1 << 16
_IN_TAG = 60  # longest literal, less one, whose length stands in its tag


def packed(content: bytes) -> bytes:
    """*content* as a snappy block.

    Example:
        >>> packed(b"abc").hex()
        '0308616263'

    """
    parts = [varint(len(content))]
    for start in range(0, len(content), _CHUNK_BYTES):
        chunk = content[start : start + _CHUNK_BYTES]
        last = len(chunk) - 1
        if last < _IN_TAG:
            parts.append(bytes((last << 2,)))
        elif last < 1 << 8:
            parts.append(bytes((60 << 2, last)))
        else:
            parts.append(bytes((61 << 2, last & 0xFF, last >> 8)))
        parts.append(chunk)
    return b"".join(parts)
