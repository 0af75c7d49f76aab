"""How a process is told to stop, and to stop at once."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable

_log = logging.getLogger(__name__)


def with_signals(stop: asyncio.Event, at_once: Callable[[], None] = lambda: None) -> None:
    """Let SIGTERM and Ctrl-C (on Windows Ctrl-Break too) set ``stop``; a second one ends the process at once.

    Just before that, ``at_once`` is called.
    """
    loop = asyncio.get_running_loop()

    def told_to_stop(number: int) -> None:
        if stop.is_set():
            _log.warning("told to stop again: ending at once")
            at_once()
            logging.shutdown()
            os._exit(128 + number)  # an ordinary exit would wait for clients and threads; what was answered is stored
        stop.set()

    numbers = [signal.SIGTERM, signal.SIGINT]
    if sys.platform == "win32":
        numbers.append(signal.SIGBREAK)
    for number in numbers:
        try:
            loop.add_signal_handler(number, told_to_stop, number)
        except NotImplementedError:  # Windows' event loop
            signal.signal(number, lambda number, _: loop.call_soon_threadsafe(told_to_stop, number))
