"""What the double notes of bytes that are no valid HTTP, and so belong to no world: the one at the root gets them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web

from deployserver.api.protocol import Protocol

_KEPT = 64 * 1024

Note = Callable[[bytes, web.BaseRequest, web.StreamResponse], None]
"""What to do with bytes that were no valid HTTP, given what there is of a request, and the answer."""


class Front(web.Server):
    """Answers requests with ``handler``, and lets ``note`` know of what is none."""

    def __init__(self, handler: Any, note: Note, **options: Any) -> None:
        super().__init__(handler, **options)
        self.note = note
        self.open: set[asyncio.Transport] = set()

    async def drop(self) -> None:
        """Drop the connections that are still there: those closed, but with an answer that nobody takes, would stay."""
        for transport in self.open:
            transport.abort()
        await asyncio.sleep(0)  # in the next round of the loop each learns that it is lost


class NotingProtocol(Protocol):
    """The service's protocol, which keeps what may turn out to be no valid HTTP, and is not of a body."""

    __slots__ = ("_connection", "_unread")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection."""
        self._unread = b""
        self._connection = transport
        if isinstance(self._manager, Front) and isinstance(transport, asyncio.Transport):
            self._manager.open.add(transport)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget a connection that has ended."""
        if isinstance(self._manager, Front) and isinstance(self._connection, asyncio.Transport):
            self._manager.open.discard(self._connection)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what arrived, and remember it until it has turned out to be a request."""
        waiting, body = len(self._messages), self._last_body
        is_of_body = body is not None and not body.is_eof()
        self._unread = data if is_of_body else (self._unread + data)[-_KEPT:]
        super().data_received(data)
        if hasattr(self._messages[-1][0], "method") if len(self._messages) > waiting else is_of_body:
            self._unread = b""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer as the service does, and note what the client had sent."""
        response = super().handle_error(request, status, exc, message)
        if status < 500 and isinstance(self._manager, Front):
            self._manager.note(self._unread, request, response)
        return response
