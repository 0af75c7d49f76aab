"""What one of several processes writes to the standard error that it shares with the others."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress

from deployserver.logs import BatchingHandler, TextFormatter

_ATOMIC = 4096
"""Bytes that Linux writes to a pipe in one piece (PIPE_BUF), whoever else writes to it; POSIX promises 512."""

_TIME = len("2021-04-13T10:00:00.000Z")


class WorkerHandler(BatchingHandler):
    """Writes lines with the worker's number in them, and only whole ones, in pieces that no other process cuts."""

    def __init__(self, worker: int) -> None:
        super().__init__(sys.stderr)
        self._worker = worker

    def add(self, line: str, level: int) -> None:
        """Write a line, or keep it for a moment."""
        if isinstance(self.formatter, TextFormatter):
            numbered = f"{line[:_TIME]} [{self._worker}]{line[_TIME:]}"
        else:
            numbered = f'{line[:-1]},"worker":{self._worker}}}'
        super().add(numbered, level)

    def flush(self) -> None:
        """Write what waits; a full disk or a closed pipe costs these lines, and no request."""
        with self.lock or threading.RLock(), suppress(OSError, ValueError):
            self._scheduled = False
            lines, self._lines = self._lines, []
            piece = b""
            for line in lines:
                encoded = f"{line}\n".encode(errors="backslashreplace")
                if piece and len(piece) + len(encoded) > _ATOMIC:
                    self._write(piece)
                    piece = b""
                piece += encoded
            self._write(piece)

    def _write(self, piece: bytes) -> None:
        while piece:
            piece = piece[os.write(self.stream.fileno(), piece) :]
