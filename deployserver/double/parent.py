"""Whether the process that started this one is still there."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable


def watch_parent() -> Callable[[], bool]:
    """Return a function that tells whether the process that is the parent now still runs.

    One that has ended before is not missed: whose parent is the first process may have been started by it.
    """
    parent = os.getppid()
    if sys.platform == "win32":
        return _watch_on_windows(parent)
    # Whoever takes in orphans, the first process or a reaper, is another one.
    return lambda: os.getppid() == parent


if sys.platform == "win32":

    def _watch_on_windows(parent: int) -> Callable[[], bool]:
        """Hold on to the process itself: its number may be given to another one when it has ended."""
        import ctypes
        from ctypes import wintypes

        synchronize, wait_timeout = 0x00100000, 0x00000102  # of the Windows API: OpenProcess, WaitForSingleObject
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.OpenProcess.argtypes = [wintypes.DWORD, wintypes.BOOL, wintypes.DWORD]
        kernel.OpenProcess.restype = wintypes.HANDLE
        kernel.WaitForSingleObject.argtypes = [wintypes.HANDLE, wintypes.DWORD]
        kernel.WaitForSingleObject.restype = wintypes.DWORD
        handle = kernel.OpenProcess(synchronize, False, parent)
        if not handle:
            return lambda: True  # it may not be looked at, so it is not known to have ended
        return lambda: bool(kernel.WaitForSingleObject(handle, 0) == wait_timeout)
