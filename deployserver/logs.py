"""Logs to standard error: for people on a terminal, one JSON object a line elsewhere.

What a line says of a request is chosen field by field, so that no key, password or body gets into it: the path is
logged without its query, which may hold a key.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
import time
from contextlib import suppress
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import Any, TextIO

from deployserver.settings import LoggingSettings

FLUSH_SECONDS = 0.05
"""How long a line below warning may wait for others, to be written with them."""

ANSWERED = "deployserver.requests.answered"
"""The logger whose level decides whether there is a line for every answered request."""

_encode = json.JSONEncoder(separators=(",", ":"), default=str).encode
_quoted = lru_cache(maxsize=1024)(encode_basestring_ascii)
_NO_LINES = dict.fromkeys((*range(32), 127, *range(128, 160)), " ")


def configure_logging(settings: LoggingSettings, handler: BatchingHandler | None = None) -> None:
    """Send what this process logs to ``handler`` (standard error's) as the settings say."""
    handler = handler or BatchingHandler(sys.stderr)
    as_text = settings.format == "text" or (settings.format == "auto" and handler.stream.isatty())
    handler.setFormatter(TextFormatter() if as_text else JsonFormatter())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(settings.level.upper())
    # At their debug level these repeat every statement and every byte that is sent.
    for chatty in ("aiosqlite", "asyncio", "aiohttp.server"):
        logging.getLogger(chatty).setLevel(logging.INFO)


class RequestLog:
    """Writes a line for every answered request: at info, or at error if the server failed.

    It goes past the logging module, which takes longer over such a line than all that is checked in the request.
    Without ``configure_logging`` it writes nothing.
    """

    def __init__(self) -> None:
        handlers = (handler for handler in logging.getLogger().handlers if isinstance(handler, BatchingHandler))
        self._handler = next(handlers, None)
        self._as_text = self._handler is not None and isinstance(self._handler.formatter, TextFormatter)
        self._least = logging.getLogger(ANSWERED).getEffectiveLevel()

    def write(
        self, request_id: str, method: str, path: str, status: int, seconds: float, caller: str, address: str
    ) -> None:
        """Log one answered request."""
        level = logging.ERROR if status >= 500 else logging.INFO
        if self._handler is None or level < self._least:
            return
        now = time.time()
        when = f"{_second(int(now))}.{int(now % 1 * 1000):03}Z"
        name = "error" if level == logging.ERROR else "info"
        if self._as_text:
            line = f"{method} {path} {status} {seconds * 1000:.1f} ms, {caller} from {address}, {request_id}"
            line = f"{when} {name:7} {line.translate(_NO_LINES)}"
        else:
            line = (
                f'{{"time":"{when}","level":"{name}","logger":"deployserver.requests","request_id":"{request_id}",'
                f'"method":{_quoted(method)},"path":{_quoted(path)},"status":{status},'
                f'"duration_ms":{seconds * 1000:.3f},"caller":{_quoted(caller)},"address":{_quoted(address)}}}'
            )
        self._handler.add(line, level)


class BatchingHandler(logging.StreamHandler[TextIO]):
    """Writes lines that come close together with one call; warnings and errors, and what waits before them, at once."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._lines: list[str] = []
        self._scheduled = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, or keep it for a moment while an event loop is running."""
        try:
            self.add(self.format(record), record.levelno)
        except Exception:  # noqa: BLE001 - logging's own rule: a line that cannot be written must not stop the work
            self.handleError(record)

    def add(self, line: str, level: int) -> None:
        """Write a line, or keep it for a moment."""
        self._lines.append(line)
        if level >= logging.WARNING or not (self._scheduled or self._schedule()):
            self.flush()

    def _schedule(self) -> bool:
        if threading.current_thread() is not threading.main_thread():
            return False
        try:
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)
        except RuntimeError:  # no loop is running, so nobody would flush
            return False
        self._scheduled = True
        return True

    def flush(self) -> None:
        """Write what waits; a full disk or a closed pipe costs these lines, and no request."""
        with self.lock or threading.RLock(), suppress(OSError, ValueError):
            self._scheduled = False
            lines, self._lines = self._lines, []
            if lines:
                self.stream.write("\n".join(lines) + "\n")
            super().flush()


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _encode(line)


class TextFormatter(logging.Formatter):
    """One line a record for people; an exception follows on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        line = f"{_time(record)} {record.levelname.lower():7} {record.getMessage().translate(_NO_LINES)}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _time(record: logging.LogRecord) -> str:
    return f"{_second(int(record.created))}.{int(record.msecs):03}Z"


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
