"""Turns at writing, for processes that write to one file.

SQLite's own lock is what keeps them apart, but it is no queue: who finds it taken sleeps, and tries again up to 0.1 s
later, when it may be taken again. Here the kernel wakes the next one at once. What is locked (flock) is the directory:
that leaves nothing behind, and what a process that has been killed held is free again. Where there is no such lock,
or somebody holds it for too long, writers go on without: they lose time, and nothing else.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import ParamSpec, TypeVar

if sys.platform != "win32":
    import fcntl

P = ParamSpec("P")
T = TypeVar("T")

PATIENCE_SECONDS = 1.0
"""How long a turn is waited for; a commit takes milliseconds."""


class Turns:
    """The turns of this process at writing to the file at ``path``; only one thread at a time may take them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._directory: int | None = None
        self._waiter: _Waiter | None = None
        self._held: int | None = None

    def open(self) -> None:
        """Take part, if that is possible."""
        if sys.platform != "win32":
            with suppress(OSError):
                self._directory = _opened(self._path)

    def close(self) -> None:
        """Take part no more."""
        self.give()
        if self._waiter is not None:
            self._waiter.close()
            self._waiter = None
        if self._directory is not None:
            os.close(self._directory)
            self._directory = None

    def during(self, work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """Do something when it is this process's turn; all others wait meanwhile."""
        self.take()
        try:
            return work(*arguments, **options)
        finally:
            self.give()

    def take(self) -> None:
        """Wait until it is this process's turn, or until that takes too long."""
        if self._directory is None or self._held is not None or sys.platform == "win32":
            return
        try:
            fcntl.flock(self._directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._held = self._directory
        except BlockingIOError:
            with suppress(OSError, RuntimeError):  # no more files, or threads, are to be had
                self._waiter = self._waiter or _Waiter(self._path)
                self._held = self._waiter.wait(PATIENCE_SECONDS)
        except OSError:  # this file system has no such locks
            pass

    def give(self) -> None:
        """Let others have their turn."""
        if self._held is not None and sys.platform != "win32":
            fcntl.flock(self._held, fcntl.LOCK_UN)
            self._held = None


class _Waiter:
    """A thread that waits for the lock: that cannot be given up, so whoever may have to give up must not do it."""

    def __init__(self, path: Path) -> None:
        self._own = _opened(path)
        self._changed = threading.Condition()
        self._asked = False
        self._wanted = False
        self._got = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="turns", daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> int | None:
        """Wait for the lock, and return what holds it; None if it took too long, or the last time still does."""
        with self._changed:
            if self._asked:
                return None
            self._asked = self._wanted = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._got, seconds)
            got, self._got, self._wanted = self._got, False, False
            return self._own if got else None

    def close(self) -> None:
        """End the thread, unless it waits: then it ends when that is over."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            waits = self._asked
        if not waits:
            self._thread.join()

    def _run(self) -> None:
        while self._wait_until_asked():
            if sys.platform != "win32":
                fcntl.flock(self._own, fcntl.LOCK_EX)
            with self._changed:
                self._asked = False
                self._got = self._wanted
                if not self._wanted and sys.platform != "win32":
                    fcntl.flock(self._own, fcntl.LOCK_UN)
                self._changed.notify_all()
        os.close(self._own)

    def _wait_until_asked(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._asked or self._closed)
            return self._asked


def _opened(path: Path) -> int:
    return os.open(path.resolve().parent, os.O_RDONLY)
