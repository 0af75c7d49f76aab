"""A command that is run beside the double, for as long as it lasts: a test suite in any language."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Mapping, Sequence

from deployserver.errors import InvalidValue

_GRACE_SECONDS = 5.0
"""Ctrl-C reaches the command as well: it gets the time to end in its own way before it is told to, and then once more
before it is made to."""


async def run_beside(command: Sequence[str], environment: Mapping[str, str | None], stop: asyncio.Event) -> int:
    """Run a command until it ends, or is ended because ``stop`` is set.

    ``environment`` is what it has besides ours; None is for what it must not have. Returns its exit code, as a shell
    has it: 128 and the number of the signal if one ended it. Raises InvalidValue if it cannot be started.
    """
    # Windows finds no npm.cmd by the name of npm by itself.
    program = shutil.which(command[0]) or command[0]
    own = {name: value for name, value in {**os.environ, **environment}.items() if value is not None}
    try:
        process = await asyncio.create_subprocess_exec(program, *command[1:], env=own)
    except OSError as error:
        raise InvalidValue(f"{command[0]} cannot be run: {error.strerror}.") from None
    ended, stopped = asyncio.create_task(process.wait()), asyncio.create_task(stop.wait())
    await asyncio.wait((ended, stopped), return_when=asyncio.FIRST_COMPLETED)
    if stopped.done():
        for end in (process.terminate, process.kill):
            await asyncio.wait((ended,), timeout=_GRACE_SECONDS)
            if process.returncode is None:
                end()
    stopped.cancel()
    code = await ended
    return code if code >= 0 else 128 - code
