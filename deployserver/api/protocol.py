"""What is answered, and logged, when the bytes that arrive are not HTTP."""

from __future__ import annotations

import asyncio
import logging

from aiohttp import StreamReader, hdrs, web

from deployserver.api.responses import SERVER, problem_response, status_phrase

_log = logging.getLogger("deployserver.requests")


FIRST_REQUEST_SECONDS = 30.0
"""How long a new connection may take to send its first request, body not included."""


class Protocol(web.RequestHandler):
    """aiohttp's protocol, with its answer to malformed HTTP put in our words.

    aiohttp repeats the bytes it could not read, in its answer and in its log; they may hold a key.
    """

    __slots__ = ("_first_request", "_last_body")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection, and drop it again if no request comes: aiohttp would wait for ever."""
        super().connection_made(transport)
        self._last_body: StreamReader | None = None
        self._first_request = self._loop.call_later(FIRST_REQUEST_SECONDS, self._drop_if_silent)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget a connection that has ended: the timer would keep it, with its buffers, until it runs out."""
        self._first_request.cancel()
        super().connection_lost(exc)

    def _drop_if_silent(self) -> None:
        if self._request_count == 0:
            self.force_close()

    def eof_received(self) -> bool | None:  # type: ignore[override]  # asyncio lets it say: do not close
        """Answer a client that has sent all of its request and closed its side: asyncio would close ours too."""
        idle = self._waiter is not None and not self._messages
        if idle or self._last_body is None or not self._last_body.is_eof() or self.ssl_context is not None:
            return None
        self._close = True  # close() would cancel a request that has not been started
        return True

    def data_received(self, data: bytes) -> None:
        """Take what arrived; a body ends where its chunks break.

        aiohttp queues an error to be answered after the request, and lets the request wait for the rest of its body.
        """
        waiting, body = len(self._messages), self._last_body
        super().data_received(data)
        if len(self._messages) > waiting:
            if body is not None and not body.is_eof():
                body.set_exception(web.RequestPayloadError("broken chunks"))
                body.feed_eof()
            self._last_body = self._messages[-1][1]

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Go on reading where it was paused.

        aiohttp asks for it with every body that ends or is taken, and then parses nothing and resumes nothing.
        """
        if self._reading_paused or self._buffer_paused or self._messages:
            super().resume_reading(resume_parser)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what aiohttp could not make a request of, or could not hand to the application."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has been started already")
        if status >= 500:
            _log.error("answering a request from %s failed", request.remote, exc_info=exc)
            detail = "Something unexpected went wrong."
        else:
            _log.warning("malformed HTTP from %s: %s", request.remote, type(exc).__name__)
            detail = "The request is not valid HTTP, or its request line or a header is too long."
        response = problem_response(request, status, status_phrase(status), detail)
        response.headers[hdrs.SERVER] = SERVER
        response.force_close()
        return response
