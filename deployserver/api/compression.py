"""Bodies that travel compressed (RFC 9110, 8.4.1): gzip and deflate.

aiohttp can do it, but takes a gzip body that has been cut off for a whole one.
"""

from __future__ import annotations

import zlib

from deployserver.errors import BodyTooLarge, MalformedBody

_GZIP = 16 + zlib.MAX_WBITS
_MOST_MEMBERS = 100


def decompressed(body: bytes, encoding: str, limit: int) -> bytes:
    """Return ``body`` without the content encoding it came in.

    Raises BodyTooLarge for more than ``limit`` bytes, and MalformedBody for what is not what ``encoding`` says.
    """
    name = encoding.strip().lower()
    if name == "identity" or not body:
        return body
    if name in ("gzip", "x-gzip"):
        return _inflated(body, _GZIP, limit)
    if name == "deflate":
        # Some clients leave out the zlib header, which says "method 8" in its first four bits.
        return _inflated(body, zlib.MAX_WBITS if body[0] & 0x0F == 8 else -zlib.MAX_WBITS, limit)
    raise MalformedBody(f"The content encoding '{encoding}' is not known here; send gzip, deflate or none.")


def _inflated(body: bytes, window: int, limit: int) -> bytes:
    inflated = b""
    for _ in range(_MOST_MEMBERS if window == _GZIP else 1):
        stream = zlib.decompressobj(window)
        try:
            inflated += stream.decompress(body, limit + 1 - len(inflated))
        except zlib.error:
            raise MalformedBody("The body is not compressed as its content encoding says.") from None
        if len(inflated) > limit:
            raise BodyTooLarge(limit)
        if not stream.eof:
            raise MalformedBody("The compressed body ends too early; it may have been cut off.")
        body = stream.unused_data
        if not body:
            return inflated
    raise MalformedBody("The body goes on after its compressed data.")
