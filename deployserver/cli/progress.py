"""How far something has come: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TextIO

_BAR_SECONDS = 0.1
_LINE_SECONDS = 10.0
_BAR_WIDTH = 16


class Progress:
    """Shows how much is done, how fast, and how long the rest will take, on standard error; ``noun`` is what counts."""

    def __init__(self, noun: str, stream: TextIO | None = None) -> None:
        self._noun = noun
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._what = ""
        self._began = self._shown = 0.0
        self._before = 0
        self._width = 0

    def show(self, what: str, done: int, total: int | None, count: int) -> None:
        """Show that ``done`` of ``total`` (None: not known) has been done, which are ``count`` of the noun."""
        now = time.monotonic()
        if what != self._what:
            self.clear()
            self._what, self._began, self._shown, self._before = what, now, now, done
        if now - self._shown < (_BAR_SECONDS if self._terminal else _LINE_SECONDS):
            return
        self._shown = now
        line = self._line(done, total, count, now - self._began)
        if self._terminal:
            columns = shutil.get_terminal_size().columns
            self._stream.write(f"\r{line[: columns - 1].ljust(self._width)}")
            self._width = min(len(line), columns - 1)
        else:
            self._stream.write(f"{line}\n")
        self._stream.flush()

    def tell(self, sentence: str) -> None:
        """Write a sentence above what is shown."""
        self.clear()
        self._stream.write(f"{sentence}\n")
        self._stream.flush()

    def clear(self) -> None:
        """Remove the bar."""
        if self._width:
            self._stream.write(f"\r{' ' * self._width}\r")
            self._stream.flush()
            self._width = 0

    def _line(self, done: int, total: int | None, count: int, seconds: float) -> str:
        parts = [self._what]
        if total:
            share = min(done / total, 1.0)
            if self._terminal:
                full = round(share * _BAR_WIDTH)
                parts.append(f"[{'#' * full}{'.' * (_BAR_WIDTH - full)}]")
            parts.append(f"{share:4.0%}")
        if count:
            parts.append(f"{count:,} {self._noun}, {count / seconds:,.0f} a second")
        if total and done > self._before:
            left = (total - done) * seconds / (done - self._before)
            parts.append(f"{_duration(left)} left")
        return "  ".join(parts)


def _duration(seconds: float) -> str:
    whole = round(max(seconds, 0))
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
