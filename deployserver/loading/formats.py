"""Which format a file is in, by what it begins with."""

from __future__ import annotations

import codecs

from deployserver.errors import InvalidValue
from deployserver.loading.lines import Lines
from deployserver.loading.records import BYTE_ORDER_MARK, COMMENT, ObjectRecords, Records
from deployserver.loading.source import Source
from deployserver.loading.table import TableRecords

FORMATS = ("ndjson", "csv")

_OTHER_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def open_records(lines: Lines, source: Source, format_: str | None) -> Records:
    """Return the records of a file that has been read nothing of, in the format that is given or that it has.

    Raises InvalidValue for what is neither.
    """
    start = source.peek()
    if start.startswith(_OTHER_MARKS):
        raise InvalidValue(f"{source.name} is UTF-16; save it as UTF-8.")
    start = start.removeprefix(BYTE_ORDER_MARK).lstrip()
    if b"\0" in start.partition(b"\n")[0]:
        raise InvalidValue(f"{source.name} is no text: it has NUL bytes.")
    if start.startswith(b"["):
        raise InvalidValue(
            f"{source.name} begins like a JSON array; what can be loaded has an object on each line (NDJSON), as "
            "GET /api/deployments?format=ndjson gives it, or is CSV."
        )
    if format_ is None:
        format_ = "ndjson" if start.startswith((b"{", COMMENT)) or not start else "csv"
    try:
        return ObjectRecords(lines) if format_ == "ndjson" else TableRecords(lines)
    except InvalidValue as error:
        raise InvalidValue(f"{source.name}: {error}") from None
