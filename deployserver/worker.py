"""One of several processes that serve on one port: what ``supervisor.py`` starts, and what tells it apart.

Its standard input is a socket to the supervisor. The settings come first. Then nothing more comes: when it ends,
because the supervisor says so or is not there any more, the worker finishes what is under way and ends too.
"""

from __future__ import annotations

import asyncio
import json
import pickle
import signal
import socket
import sys
from contextlib import suppress

from aiohttp import web

from deployserver.app import create_app
from deployserver.errors import ConfigurationError, DeployServerError
from deployserver.logs import configure_logging
from deployserver.server import listening, run_in_loop
from deployserver.settings import Settings
from deployserver.worker_logs import WorkerHandler


def main() -> int:
    """Serve until told to stop, and return the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the supervisor
    with socket.socket(fileno=sys.stdin.fileno()) as supervisor:
        try:
            with supervisor.makefile("rb") as file:
                settings: Settings = pickle.load(file)  # noqa: S301 - from the supervisor, and from nobody else
        except EOFError:
            return 0
        number = int(sys.argv[1])
        configure_logging(settings.logging, WorkerHandler(number))
        app = create_app(settings, deputy=number > 1)
        try:
            run_in_loop(_serve(app, settings, supervisor))
        except DeployServerError as error:
            _say(supervisor, error=str(error), configuration=isinstance(error, ConfigurationError))
            return 1
    return 0


async def _serve(app: web.Application, settings: Settings, supervisor: socket.socket) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def told_to_stop() -> None:
        loop.remove_reader(supervisor)
        stop.set()

    loop.add_reader(supervisor, told_to_stop)
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    async with listening(app, settings, share_port=True) as url:
        _say(supervisor, url=url)
        await stop.wait()
    loop.remove_reader(supervisor)


def _say(supervisor: socket.socket, **message: object) -> None:
    with suppress(OSError):  # nobody is there to be told
        supervisor.sendall(json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
