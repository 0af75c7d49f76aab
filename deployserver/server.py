"""Runs the application: event loop, sockets, TLS, and an end that loses nothing."""

from __future__ import annotations

import asyncio
import gc
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

from aiohttp import web

from deployserver.addresses import ADVICE, UNUSABLE, cannot_listen
from deployserver.api import keys
from deployserver.api.formats import abort
from deployserver.api.protocol import Protocol
from deployserver.api.shortcut import add_shortcuts
from deployserver.app import create_app
from deployserver.errors import ConfigurationError
from deployserver.settings import ServerSettings, Settings
from deployserver.signals import with_signals

_log = logging.getLogger(__name__)

KEEPALIVE_SECONDS = 75.0
"""How long a connection may be idle; longer than reverse proxies keep theirs (nginx: 60)."""

_PROTOCOL_OPTIONS: dict[str, Any] = {
    "access_log": None,
    "auto_decompress": False,
    "keepalive_timeout": KEEPALIVE_SECONDS,
}


@asynccontextmanager
async def listening(app: web.Application, settings: Settings, *, share_port: bool = False) -> AsyncIterator[str]:
    """Serve ``app`` while the block runs and give the URL it is reached at, with the port that was really taken.

    With ``share_port``, other processes that say so may listen on the same port, each for its share of the connections.

    At the end no connection is accepted any more, requests under way are answered (up to ``shutdown_timeout``), what
    is queued is written, and the database is closed. Raises ConfigurationError if the address or TLS cannot be used.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=settings.server.shutdown_timeout)
    await runner.setup()
    try:
        assert runner.server is not None
        add_shortcuts(runner.server, app)
        async with accepting(runner.server, settings, app[keys.STOPPING].set, share_port=share_port) as url:
            yield url
    finally:
        await runner.cleanup()


@asynccontextmanager
async def accepting(
    manager: web.Server,
    settings: Settings,
    stop: Callable[[], None],
    protocol: type[Protocol] = Protocol,
    *,
    advice: str = ADVICE,
    share_port: bool = False,
) -> AsyncIterator[str]:
    """Accept connections for ``manager`` while the block runs, and give the URL as ``listening`` does.

    At the end ``stop`` is called, and the requests under way are answered. Raises ConfigurationError, which ends with
    ``advice`` where the address cannot be had.
    """
    server = settings.server
    tls = tls_context(settings)
    loop = asyncio.get_running_loop()
    try:
        listener = await loop.create_server(
            partial(protocol, manager, loop=loop, **_PROTOCOL_OPTIONS),
            server.host,
            server.port,
            ssl=tls,
            backlog=1024,
            reuse_port=share_port or None,
        )
    except UNUSABLE as error:
        raise cannot_listen(server, error, advice) from error
    try:
        port = listener.sockets[0].getsockname()[1]
        yield _url(server, port, tls is not None)
    finally:
        stop()
        listener.close()
        await _finish(manager, server.shutdown_timeout)


async def _finish(manager: web.Server, seconds: float) -> None:
    """Let the requests under way be answered, and break off those that take longer.

    aiohttp's own way to stop waits for them too, but does not take the rest of their bodies.
    """
    under_way = [(connection, connection._current_request) for connection in manager.connections]

    def unfinished() -> list[tuple[web.RequestHandler, web.BaseRequest]]:
        return [(one, request) for one, request in under_way if request is not None and one._current_request is request]

    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while unfinished():  # noqa: ASYNC110 - aiohttp has no event for it
                await asyncio.sleep(0.01)
    for connection, request in unfinished():
        abort(request)  # an answer that its client does not read would never be sent
        connection.force_close()


async def serve(settings: Settings, ready: Callable[[str], None]) -> None:
    """Serve until the process is told to stop; ``ready`` is called with the URL once connections are accepted."""
    stop = asyncio.Event()
    with_signals(stop)
    async with listening(create_app(settings), settings) as url:
        _log.info("listening on %s", url)
        ready(url)
        await stop.wait()
        _log.info("stopping: finishing requests under way and writing what is queued")
    _log.info("stopped")


def run(settings: Settings, ready: Callable[[str], None]) -> None:
    """Run ``serve``."""
    run_in_loop(serve(settings, ready))


def run_in_loop(work: Coroutine[Any, Any, None]) -> None:
    """Do ``work`` on the fastest event loop there is: uvloop if it is installed, else asyncio's own."""
    # What is there at the start stays, so it need not be looked at again; and requests leave so little behind that
    # looking for cycles every few hundred allocations, Python's default, finds nothing.
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(work)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # type: ignore[import-not-found,unused-ignore]  # an extra, and not for Windows
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """Return what TLS needs, or None without it. Raises ConfigurationError for a certificate that cannot be used."""
    certificate, key = settings.server.tls_certificate, settings.server.tls_key
    if certificate is None or key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(
            settings.path(certificate),
            settings.path(key),
            password="",  # an encrypted key is an error, not a question to a terminal that a service does not have
        )
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"[server] tls_certificate and tls_key ({certificate}, {key}) cannot be used: {error}"
        ) from error
    return context


def _url(server: ServerSettings, port: int, tls: bool) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(server.host, server.host)  # noqa: S104 - read, not bound
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    return f"{'https' if tls else 'http'}://{host}:{port}{server.base_path}"
