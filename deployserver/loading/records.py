"""From lines to records that are still to be checked: NDJSON, a JSON object a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from deployserver.errors import InvalidRequest
from deployserver.loading.lines import Lines
from deployserver.loading.properties import read_object

Reasons = Mapping[str, list[str]]
"""Messages by the name of what is wrong: a property, or ``line`` for the line as a whole."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
COMMENT = b"#"


class Found(NamedTuple):
    """A record: the number of its first line, the line as it is, and its properties or why it has none.

    ``line`` is empty where it is too long to be kept.
    """

    number: int
    line: bytes
    values: Mapping[str, Any]
    reasons: Reasons | None = None


class Records(Protocol):
    """A format."""

    name: str
    lines: Lines

    @property
    def head(self) -> bytes:
        """What a file of refused lines must begin with to be read as this one."""

    def refused(self, line: bytes, reasons: str) -> bytes:
        """Return a line that was refused as a file says it and why, from which it can be loaded when it is mended."""

    def __iter__(self) -> Iterator[Found]:
        """Yield the records; blank lines are passed over. ``lines`` is always where the next one begins."""


class ObjectRecords:
    """NDJSON: an object a line. Lines that begin with ``#`` are comments."""

    name = "ndjson"
    head = b""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines

    def refused(self, line: bytes, reasons: str) -> bytes:
        """Return a comment with the reasons, and below it the line."""
        return b"# %s\n%s\n" % (reasons.encode("utf-8", "replace"), line) if line else b"# %s\n" % reasons.encode()

    def __iter__(self) -> Iterator[Found]:
        lines, limit = self.lines, self.lines.limit
        for line in lines:
            number = lines.number
            if number == 1:
                line = line.removeprefix(BYTE_ORDER_MARK)
            line = line.rstrip(b"\r\n")
            if not line or line.startswith(COMMENT) or line.isspace():
                continue
            if len(line) > limit:
                yield too_long(number, limit)
                continue
            try:
                yield Found(number, line, read_object(decoded(line)))
            except InvalidRequest as error:
                yield Found(number, line, {}, error.errors)


def too_long(number: int, limit: int) -> Found:
    """Return what stands for a line that is too long."""
    return Found(number, b"", {}, {"line": [f"is longer than {limit} bytes, which [limits] body_bytes allows."]})


def decoded(line: bytes) -> str:
    """Return the text of a line. Raises InvalidRequest for what is no UTF-8."""
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        byte = line[error.start]
        raise InvalidRequest({"line": [f"is not UTF-8: it has the byte {byte:#04x} at {error.start + 1}."]}) from None
