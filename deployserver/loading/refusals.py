"""What is said of lines that were refused: the first of them at once, and all of them in a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from deployserver.errors import DeployServerError, InvalidValue
from deployserver.loading.batches import Refused
from deployserver.loading.records import Reasons, Records

TOLD = 10
"""How many are told at once."""

_COMMENT = b"# line "


class Refusals:
    """Tells the first refused lines, and writes all of them to a file, from which they can be loaded once mended.

    ``written`` is how much has been written, in bytes.
    """

    def __init__(self, records: Records, file: Path | None, tell: Callable[[str], None]) -> None:
        self._records = records
        self._path = file
        self._file: BinaryIO | None = None
        self._tell = tell
        self._told = 0
        self.written = 0

    def open(self, written: int, *, resumed: bool) -> None:
        """Open the file, which must not be there yet, or have what was ``written`` before; what is after it goes.

        Raises InvalidValue.
        """
        if self._path is None:
            return
        head = self._records.head
        try:
            if resumed and self._path.exists():
                self._file = self._path.open("r+b")
                if not self._is_ours(self._file.read(len(head or _COMMENT)), head or _COMMENT):
                    raise InvalidValue(f"{self._path} is there already, and is not of the load that goes on.")
                self.written = min(written, self._path.stat().st_size)
                self._file.truncate(self.written)
                self._file.seek(self.written)
            else:
                self._file = self._path.open("xb")
        except FileExistsError:
            raise InvalidValue(f"{self._path} is there already; choose another name.") from None
        except OSError as error:
            raise InvalidValue(f"{self._path} cannot be written: {error.strerror or error}.") from error

    def close(self) -> None:
        """Close the file; one in which nothing was written is removed."""
        if self._file is not None:
            self._file.close()
            if not self.written and self._path is not None:
                self._path.unlink(missing_ok=True)

    def add(self, refused: Sequence[Refused], after: int) -> None:
        """Take note of lines, durably; what the file has ``after`` so many bytes was not stored, and goes.

        Raises DeployServerError if the file cannot be written.
        """
        try:
            self._add(refused, after)
        except OSError as error:
            raise DeployServerError(f"{self._path} cannot be written: {error.strerror or error}.") from error

    def _add(self, refused: Sequence[Refused], after: int) -> None:
        if self._file is not None and self.written != after:
            self._file.seek(after)
            self._file.truncate()
            self.written = after
        for number, line, reasons in refused:
            words = f"line {number}: {describe(reasons)}"
            if self._told < TOLD:
                self._tell(words)
            self._told += 1
            if self._file is not None:
                if not self.written:
                    self.written = self._file.write(self._records.head)
                self.written += self._file.write(self._records.refused(line, words))
        if refused and self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())

    @staticmethod
    def _is_ours(start: bytes, ours: bytes) -> bool:
        return ours.startswith(start)


def describe(reasons: Reasons) -> str:
    """Return reasons in one line."""
    return "; ".join(f"{name}: {' '.join(messages)}" for name, messages in reasons.items())
