"""From lines to records that are still to be checked: CSV with a header."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from deployserver.errors import InvalidRequest, InvalidValue
from deployserver.formulas import unshielded
from deployserver.loading.lines import Lines
from deployserver.loading.properties import property_of
from deployserver.loading.records import BYTE_ORDER_MARK, Found, decoded, too_long
from deployserver.schemas import REQUIRED

DELIMITERS = ",;\t"


class TableRecords:
    """CSV as RFC 4180 has it, separated by what separates the names in its header: comma, semicolon or tab."""

    name = "csv"

    def __init__(self, lines: Lines) -> None:
        """Read the header. Raises InvalidValue if it is none."""
        self.lines = lines
        first = next(iter(lines), b"").removeprefix(BYTE_ORDER_MARK)
        if len(first.rstrip(b"\r\n")) > lines.limit:
            raise InvalidValue("The first line is no header of a CSV file: it is too long.")
        try:
            header = decoded(first)
        except InvalidRequest as error:
            raise InvalidValue(f"The first line is no header of a CSV file: it {error.errors['line'][0]}") from None
        self._header = first.rstrip(b"\r\n")
        names, self._delimiter = max(
            ((_names(header, delimiter), delimiter) for delimiter in DELIMITERS),
            key=lambda found: sum(property_of(name) is not None for name in found[0]),
        )
        self._properties = [property_of(name) for name in names]
        known = [name for name in self._properties if name is not None]
        if missing := [name for name in REQUIRED if name not in known]:
            raise InvalidValue(
                f"The first line is no header of a CSV file, or lacks the column{'s' if len(missing) > 1 else ''} "
                f"{', '.join(missing)}. It names the properties as the API does."
            )
        if twice := [name for name in dict.fromkeys(known) if known.count(name) > 1]:
            raise InvalidValue(f"The header has more than one column {twice[0]}.")

    @property
    def head(self) -> bytes:
        """The header, with one column more."""
        return b"Refused%s%s\n" % (self._delimiter.encode(), self._header)

    def refused(self, line: bytes, reasons: str) -> bytes:
        """Return the line with the reasons before it; the columns after them stay where they are."""
        cell = '"{}"'.format(reasons.replace('"', '""'))
        return b"%s%s%s\n" % (cell.encode("utf-8", "replace"), self._delimiter.encode(), line)

    def __iter__(self) -> Iterator[Found]:
        text = _Text(self.lines)
        rows = csv.reader(text, delimiter=self._delimiter, strict=True)
        while True:
            text.begin()
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield self._broken(text, f"is no CSV: {error}.")
            except InvalidRequest as error:
                yield self._broken(text, *error.errors["line"])
            else:
                if row:
                    yield self._found(row, text)

    def _found(self, row: list[str], text: _Text) -> Found:
        if len(row) != len(self._properties):
            return self._broken(text, f"has {len(row)} cells; the header has {len(self._properties)}.")
        values = {
            name: unshielded(cell) if cell[0] == "'" else cell
            for name, cell in zip(self._properties, row, strict=True)
            if cell and name is not None
        }
        return Found(text.first, text.taken(), values)

    def _broken(self, text: _Text, reason: str) -> Found:
        last = self.lines.number
        if last > text.first:
            reason = f"{reason} It goes to line {last}; perhaps a quotation mark is not closed."
        return Found(text.first, text.taken(), {}, {"line": [reason]})


class _Text:
    """What the reader of CSV takes: lines as texts, and which of them the record at hand is made of."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._iterator = iter(lines)
        self._parts: list[bytes] = []
        self._length = 0
        self.first = 0

    def begin(self) -> None:
        """Begin a record."""
        self._parts, self._length = [], 0
        self.first = self._lines.number + 1

    def taken(self) -> bytes:
        """Return the lines of the record; nothing if they are too long to be kept."""
        return b"".join(self._parts).rstrip(b"\r\n") if self._length <= self._lines.limit + 2 else b""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._iterator)
        self._length += len(line)
        self._parts.append(line)
        if self._length > self._lines.limit and len(b"".join(self._parts).rstrip(b"\r\n")) > self._lines.limit:
            self._length = self._lines.limit + 3
            raise InvalidRequest(too_long(self.first, self._lines.limit).reasons or {})
        return decoded(line)


def _names(header: str, delimiter: str) -> Sequence[str]:
    try:
        return next(csv.reader(io.StringIO(header), delimiter=delimiter), [])
    except csv.Error:
        return []
