"""From bytes to text when the sender's word on the encoding cannot be trusted.

Windows PowerShell 5.1, and PowerShell up to 7.3, send Latin-1 without saying so or while saying UTF-8; Apache
HttpClient 4 percent-encodes Latin-1. So a declared charset counts only if the bytes agree with it.
"""

from __future__ import annotations

import codecs
from encodings import normalize_encoding
from encodings.aliases import aliases
from functools import lru_cache

from deployserver.errors import MalformedBody

# Longest first: the mark of UTF-32 begins with that of UTF-16.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Browsers read Latin-1 as its superset too (WHATWG Encoding Standard); the bytes between are control characters.
_SUPERSETS = {"latin_1": "cp1252"}
# Python has codecs besides that are no charsets (punycode takes seconds over a large body), and it would never forget
# a name that it was asked for.
_CHARSETS = frozenset({*aliases, *aliases.values(), "cp720", "cp737", "cp874", "koi8_u", "utf_8_sig"})


def decode(data: bytes, charset: str | None) -> str:
    """Decode by the declared ``charset`` if the bytes agree, else as UTF-8 if they agree, else as Windows-1252.

    Raises MalformedBody for bytes that are none of these.
    """
    if data.isascii() and (charset is None or charset in _ASCII_COMPATIBLE):
        return data.decode("ascii")
    for encoding in (known_charset(charset), "utf-8", "cp1252"):
        if encoding is not None:
            try:
                return data.decode(encoding)
            except (UnicodeError, LookupError):  # the latter for base64 and its like, which are codecs of no text
                continue
    raise MalformedBody("The text is neither in the declared charset nor in UTF-8 or Windows-1252; send UTF-8.")


def without_byte_order_mark(data: bytes) -> bytes:
    """Return ``data`` as UTF-8 without a mark if it starts with a byte order mark, else as it is.

    Raises MalformedBody if the rest is not what the mark says.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            try:
                return data.decode(encoding).encode()
            except UnicodeError:
                raise MalformedBody(
                    f"The body starts with the byte order mark of {encoding.upper()} but is not."
                ) from None
    return data


@lru_cache(maxsize=64)
def known_charset(charset: str | None) -> str | None:
    """Return the codec of a charset that somebody declared; None for what is no charset."""
    name = normalize_encoding(charset or "").lower()
    if name not in _CHARSETS:
        return None
    name = aliases.get(name, name)
    return _SUPERSETS.get(name, name)


_ASCII_COMPATIBLE = frozenset({"utf-8", "utf8", "iso-8859-1", "windows-1252", "us-ascii"})
