"""The address of a server: what is wrong with one, and how several processes come to share one."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from deployserver.errors import ConfigurationError
from deployserver.settings import ServerSettings

ADVICE = "Choose another with --host and --port, or in [server]."

UNUSABLE = (OSError, OverflowError, UnicodeError)
"""What comes of an address that cannot be had."""


def cannot_listen(server: ServerSettings, error: BaseException, advice: str = ADVICE) -> ConfigurationError:
    """Return the error that says why the address of ``server`` cannot be had, and ends with ``advice``."""
    taken = "Is another server running there? " if getattr(error, "errno", None) == errno.EADDRINUSE else ""
    return ConfigurationError(
        f"Cannot listen on {server.host} port {server.port}: {getattr(error, 'strerror', None) or error}. "
        f"{taken}{advice}"
    )


def require_sharing(server: ServerSettings) -> None:
    """Raise ConfigurationError if there are to be several workers where they could not share a port."""
    if server.workers > 1 and (sys.platform == "win32" or not hasattr(socket, "SO_REUSEPORT")):
        raise ConfigurationError(
            f"[server] workers is {server.workers}, but on this system several processes cannot listen on one port "
            "(it has no SO_REUSEPORT). Set workers = 1, or run several servers, each with a port of its own and all "
            "with the same database, behind a reverse proxy."
        )


@contextmanager
def reserved(server: ServerSettings) -> Iterator[int]:
    """Keep the address of ``server`` for processes that share it with SO_REUSEPORT, and give its port.

    No connection arrives here: nothing is listened to. Raises ConfigurationError if the address cannot be had, also
    where another server has it that would share it.
    """
    with ExitStack() as stack:
        try:
            port = server.port
            found = socket.getaddrinfo(server.host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            for family, _, protocol, _, address in dict.fromkeys(found):
                own = (address[0], port, *address[2:])
                if port:
                    _bound(family, protocol, own, share=False).close()
                port = stack.enter_context(_bound(family, protocol, own, share=True)).getsockname()[1]
        except UNUSABLE as error:
            raise cannot_listen(server, error) from error
        yield port


def _bound(family: int, protocol: int, address: tuple[str | int, ...], *, share: bool) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM, protocol)
    try:
        # As asyncio does it. What has been closed a moment ago is no other server.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)
    except BaseException:
        bound.close()
        raise
    return bound
