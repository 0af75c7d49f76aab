"""Ports for programs that must be told theirs before they start."""

from __future__ import annotations

import random
import socket


def free_port(count: int = 1) -> int:
    """Return the first of so many ports in a row that nobody has, and that no system gives to clients.

    A port that the system chose would be given to somebody else's connection as soon as it is free.
    """
    while True:
        port = random.randrange(15_000, 30_000)
        try:
            for number in range(count):
                socket.create_server(("127.0.0.1", port + number)).close()
        except OSError:
            continue
        return port
