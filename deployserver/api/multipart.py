"""multipart/form-data, as curl -F and PowerShell -Form send it (RFC 7578)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.errors import MessageError
from email.parser import HeaderParser
from typing import NamedTuple

from deployserver.errors import MalformedBody

_MOST_PARTS = 100  # the API has eleven fields
_LONGEST_HEADERS = 1024  # in bytes; what the email package does with them takes time that grows with their square
_HEADERS = HeaderParser()
_END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")


class Part(NamedTuple):
    """One field: its name, its bytes, and the charset that its own header names."""

    name: str
    value: bytes
    charset: str | None


def parts(body: bytes, boundary: str) -> Iterator[Part]:
    """Yield the fields of a body; line ends may be CRLF or LF. Raises MalformedBody."""
    delimiter = re.compile(
        rb"(?:^|\r?\n)--" + re.escape(boundary.encode("utf-8", "surrogateescape")) + rb"(--)?[ \t]*(?:\r?\n|$)"
    )
    found = delimiter.search(body)
    if found is None:
        raise MalformedBody("The multipart body does not hold the boundary that the content type names.")
    for _ in range(_MOST_PARTS):
        if found[1]:
            return
        start = found.end()
        found = delimiter.search(body, start)
        if found is None:
            raise MalformedBody("The multipart body ends before its closing boundary; it may have been cut off.")
        yield _part(body[start : found.start()])
    raise MalformedBody(f"The multipart body has more than {_MOST_PARTS} parts.")


def _part(data: bytes) -> Part:
    headers, value = _split(data)
    try:
        message = _HEADERS.parsestr(headers.decode("latin-1"))
        name = message.get_param("name", header="content-disposition")
        charset = message.get_param("charset")
    except (MessageError, ValueError, LookupError):
        raise MalformedBody("A part of the multipart body has headers that cannot be read.") from None
    if not isinstance(name, str) or not name:
        raise MalformedBody("A part of the multipart body has no name in its Content-Disposition.")
    return Part(name, value, charset.strip().lower() or None if isinstance(charset, str) else None)


def _split(data: bytes) -> tuple[bytes, bytes]:
    end = _END_OF_HEADERS.search(data)
    if end is None:
        raise MalformedBody("A part of the multipart body has no blank line after its headers.")
    if end.start() > _LONGEST_HEADERS:
        raise MalformedBody(f"A part of the multipart body has headers of more than {_LONGEST_HEADERS} bytes.")
    return data[: end.start()], data[end.end() :]
