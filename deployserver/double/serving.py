"""The double as a process of its own, which does not outlive whoever needs it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from deployserver.double.worlds import Worlds
from deployserver.signals import with_signals

_LOOK_SECONDS = 0.5

Ready = Callable[[str, asyncio.Event], Awaitable[int]]
"""What to do between beginning and end: it is given the URL, and returns the exit code, soon after the event is set."""


async def serve(worlds: Worlds, ready: Ready, is_needed: Callable[[], bool]) -> int:
    """Serve until ``ready``, which is called once connections are accepted, has returned, and return what it does.

    Its event is set by a signal, and when ``is_needed``, which is asked twice a second, says that it is not any more.
    Raises ConfigurationError, InvalidRequest.
    """
    stop = asyncio.Event()
    with_signals(stop)
    async with worlds.serving() as url:
        doing = asyncio.ensure_future(ready(url, stop))
        while not doing.done():
            await asyncio.wait((doing,), timeout=_LOOK_SECONDS)
            if not is_needed():
                stop.set()
        return await doing
