"""Lines of a stream, none of which takes more memory than it may."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from deployserver.loading.source import Source


class Lines:
    """The lines of ``source`` from where it is, with their line breaks.

    Of a line that is longer than ``limit``, no more is given than shows that it is. ``end`` is where to stop, in bytes
    from the beginning. ``position`` and ``number`` are where the next line begins, and how many were before it.
    """

    def __init__(self, source: Source, limit: int, end: int | None = None) -> None:
        self.limit = limit
        self.position = 0
        self.number = 0
        self._source = source
        self._end = end
        self._hash = hashlib.sha256() if end is None else None

    @property
    def is_whole(self) -> bool:
        """Whether the end is known; else there may be more of it the next time."""
        return self._end is not None

    @property
    def digest(self) -> str:
        """The digest of all that is before the position; empty where the end is known, and with it the whole."""
        return self._hash.hexdigest() if self._hash is not None else ""

    def skip(self, position: int, number: int) -> bool:
        """Go forward to a position, and the number of lines that are before it; False if there is not so much."""
        missing = position - self.position
        keep = self._hash.update if self._hash is not None else len
        there = self._source.skip(missing, keep) == missing
        self.position, self.number = position, number
        return there

    def __iter__(self) -> Iterator[bytes]:
        readline = self._source.stream.readline
        most = self.limit + 2  # with its line break
        update = self._hash.update if self._hash is not None else None
        with self._source.explained():
            while line := readline(most if self._end is None else min(most, self._end - self.position)):
                self.position += len(line)
                self.number += 1
                if update is not None:
                    update(line)
                if len(line) == most and not line.endswith(b"\n"):
                    self._skip_line()
                yield line

    def _skip_line(self) -> None:
        part = b"-"
        while part and not part.endswith(b"\n"):
            most = 1 << 16
            part = self._source.stream.readline(most if self._end is None else min(most, self._end - self.position))
            self.position += len(part)
            if self._hash is not None:
                self._hash.update(part)
