"""The bytes of a file or pipe, decompressed, and what they are known again by."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from deployserver.errors import InvalidValue

STANDARD_INPUT = "-"
BEGINNING = 1 << 20
"""Bytes that a pipe is known again by."""

_AT_ONCE = 1 << 18
_PEEKED = 4096
_GZIP = b"\x1f\x8b"


class Source:
    """A file, or a pipe (``-`` is standard input), as a stream of what is in it; gzip is known by its first bytes.

    Everything raises InvalidValue for what cannot be read, or is broken.
    """

    def __init__(self, path: str) -> None:
        self.name = "standard input" if path == STANDARD_INPUT else path
        with self.explained():
            self._raw = _open(path)
            status = os.fstat(self._raw.fileno())
            self.is_file = stat.S_ISREG(status.st_mode)
            self.size = status.st_size if self.is_file else None
            """Bytes of the file as it lies there, None for a pipe."""
            self._counted = _Counted(self._raw)
            self.stream = self._decompressed()

    def close(self) -> None:
        """Let go of it."""
        self._raw.close()

    @property
    def taken(self) -> int:
        """How many bytes, as they lie there, have been read."""
        return self._counted.taken

    def digest(self, progress: Callable[[int], None]) -> Content:
        """Read all of a file, and go back to its beginning; ``progress`` is told how many bytes, as they lie there."""
        length, digest = 0, hashlib.sha256()
        with self.explained():
            while part := self.stream.read(_AT_ONCE):
                length += len(part)
                digest.update(part)
                progress(self.taken)
            self._raw.seek(0)
            self._counted = _Counted(self._raw)
            self.stream = self._decompressed()
        return Content(digest.hexdigest(), length)

    def beginning(self) -> Content:
        """Return the digest of the first ``BEGINNING`` bytes, which are still to be read afterwards."""
        with self.explained():
            beginning = _read(self.stream, BEGINNING)
        self.stream = io.BufferedReader(_Prefixed(beginning, self.stream), _AT_ONCE)
        return Content(hashlib.sha256(beginning).hexdigest(), len(beginning))

    def peek(self) -> bytes:
        """Return what comes next, which is still to be read: the first line, or some thousand bytes of it."""
        start = b""
        with self.explained():
            while len(start) < _PEEKED and b"\n" not in start:
                part = cast(io.BufferedReader, self.stream).read1(_PEEKED)
                if not part:
                    break
                start += part
        self.stream = io.BufferedReader(_Prefixed(start, self.stream), _AT_ONCE)
        return start

    def skip(self, position: int, keep: Callable[[bytes], object]) -> int:
        """Go forward by ``position`` bytes, all of which ``keep`` is given, and return how many there were."""
        left = position
        with self.explained():
            while left and (part := self.stream.read(min(left, _AT_ONCE))):
                left -= len(part)
                keep(part)
        return position - left

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Say what cannot be read, and why."""
        try:
            yield
        except EOFError:
            raise InvalidValue(f"{self.name} cannot be read: it is gzip that has been cut off.") from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise InvalidValue(f"{self.name} cannot be read: it is gzip that is broken ({error}).") from error
        except OSError as error:
            raise InvalidValue(f"{self.name} cannot be read: {error.strerror or error}.") from error

    def _decompressed(self) -> BinaryIO:
        buffered = io.BufferedReader(self._counted, _AT_ONCE)
        start = _read(buffered, len(_GZIP))
        whole = io.BufferedReader(_Prefixed(start, buffered), _AT_ONCE)
        if start != _GZIP:
            return whole
        return io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=whole, mode="rb")), _AT_ONCE)


class Content(NamedTuple):
    """The SHA-256 of some bytes, and how many they are."""

    digest: str
    length: int


class _Counted(io.RawIOBase):
    """A stream, and how many bytes have been read of it."""

    def __init__(self, raw: io.FileIO) -> None:
        self._raw = raw
        self.taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override]
        count = self._raw.readinto(buffer)
        self.taken += count or 0
        return count


class _Prefixed(io.RawIOBase):
    """What has been read of a stream already, and then the rest of it."""

    def __init__(self, start: bytes, rest: BinaryIO) -> None:
        self._start = start
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        part = self._start[: len(buffer)]
        if part:
            self._start = self._start[len(part) :]
        else:
            part = self._rest.read1(len(buffer))  # type: ignore[attr-defined]
        buffer[: len(part)] = part
        return len(part)


def _open(path: str) -> io.FileIO:
    if path == STANDARD_INPUT:  # not by sys.stdin's own buffer, which a thread might hold when the program ends
        return io.FileIO(sys.stdin.fileno(), closefd=False)
    if Path(path).is_dir():
        raise InvalidValue(f"{path} is a directory; name a file in it.")
    return io.FileIO(path)


def _read(stream: BinaryIO, size: int) -> bytes:
    """Return so many bytes, or as many as there are."""
    parts: list[bytes] = []
    while size and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
