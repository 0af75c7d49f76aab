"""Answers: records as JSON, and errors as text that even old PowerShell shows, as problem details, or as a page."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import HttpVersion11

from deployserver.api import keys
from deployserver.api.accept import wants_json
from deployserver.api.request_ids import HEADER
from deployserver.errors import (
    DeployServerError,
    ExpectationFailed,
    InvalidRequest,
    StoreUnavailable,
    TooManyFailures,
)

SERVER = "deployserver"

# PowerShell up to 7.3 strips what looks like a tag from an error's text.
_NO_TAGS = str.maketrans("<>", "‹›")
_JSON_HEADERS = {hdrs.CONTENT_TYPE: "application/json; charset=utf-8"}
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class SentAtOnce(web.Response):
    """An answer with bytes for a body, whose head is written out where it is the usual one.

    What is sent is what aiohttp sends, which takes three times as long over it.
    """

    _sent = False

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send all of it, or leave it to aiohttp: what is not HTTP/1.1, ends a connection or has other headers."""
        headers, body = self._headers, self._body
        if not (
            request.version == HttpVersion11
            and request.keep_alive
            and request.method in _ANSWERED_WITH_BODY
            and self._status == 200
            and self._keep_alive is None
            and isinstance(body, bytes)
            and [*headers] == _USUAL_HEADERS
            and not (self._sent or self._compression or self._cookies or self._chunked)
        ):
            return None if self._sent else await super().prepare(request)
        content_type, request_id, server = headers.values()
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nX-Request-Id: {request_id}\r\nServer: {server}\r\n"
            f"Content-Length: {len(body)}\r\nDate: {rfc822_formatted_time()}\r\n\r\n"
        )
        self._sent = True
        writer = request.writer
        await writer.write(head.encode() + body)
        await writer.drain()
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """End the answer."""
        if not self._sent:
            await super().write_eof(data)

    @property
    def prepared(self) -> bool:
        """Whether it has been sent, or begun to be."""
        return self._sent or super().prepared

    @property
    def keep_alive(self) -> bool | None:
        """Whether the connection stays open; None before that is known."""
        return True if self._sent else super().keep_alive


_ANSWERED_WITH_BODY = frozenset((hdrs.METH_GET, hdrs.METH_POST))
_USUAL_HEADERS: list[str] = [hdrs.CONTENT_TYPE, HEADER, hdrs.SERVER]


def json_response(text: str, status: int = 200) -> web.Response:
    """Answer with JSON that has been encoded."""
    return SentAtOnce(body=text.encode(), status=status, headers=_JSON_HEADERS)


async def begin(request: web.Request, response: web.StreamResponse) -> bool:
    """Send the headers of an answer that goes on for a while; False if nothing is to follow them."""
    response.headers[HEADER] = request[keys.REQUEST_ID]
    response.headers[hdrs.SERVER] = SERVER
    await response.prepare(request)
    return request.method != hdrs.METH_HEAD


def text_response(text: str, status: int = 200) -> web.Response:
    """Answer with one line of plain text, without ``<`` and ``>``."""
    # Bytes of a header that are no text, and which an error repeats, must not turn it into another error.
    body = (text.translate(_NO_TAGS) + "\n").encode("utf-8", "replace")
    return web.Response(body=body, status=status, content_type="text/plain", charset="utf-8")


def error_response(request: web.BaseRequest, error: DeployServerError) -> web.Response:
    """Answer with what went wrong: plain text, or RFC 9457 problem details if ``Accept`` prefers JSON."""
    response = problem_response(request, error.status, error.title, _text(error), getattr(error, "errors", None))
    if isinstance(error, (StoreUnavailable, TooManyFailures)):
        response.headers[hdrs.RETRY_AFTER] = str(error.retry_after)
    return response


def problem_response(
    request: web.BaseRequest, status: int, title: str, detail: str, errors: dict[str, list[str]] | None = None
) -> web.Response:
    """Answer with an error of a status, on pages with a page; ``errors`` maps field names to messages."""
    if not wants_json(request.headers.get(hdrs.ACCEPT, "")):
        if isinstance(request, web.Request) and keys.ERROR_PAGE in request:
            return request[keys.ERROR_PAGE](request, status, title, detail, errors)
        return text_response(detail, status)
    problem: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    if errors is not None:
        problem["errors"] = errors
    return web.Response(
        body=_encode(problem).encode("utf-8", "replace"),
        status=status,
        headers={hdrs.CONTENT_TYPE: "application/problem+json; charset=utf-8"},
    )


def unexpected_response(request: web.BaseRequest, request_id: str) -> web.Response:
    """Answer 500, and say nothing but under which id the log has more."""
    return problem_response(
        request,
        500,
        "Internal error",
        f"Something unexpected went wrong. The server's log has more under {request_id}.",
    )


def _text(error: DeployServerError) -> str:
    if isinstance(error, ExpectationFailed):
        return str(error)  # lines of its own, in which what clients sent has been made printable
    if not isinstance(error, InvalidRequest):
        return printable(str(error))
    return "\n".join(
        f"{'' if name == 'body' else name + ' '}{message}"
        for name, messages in error.errors.items()
        for message in messages
    )


def printable(text: str) -> str:
    """Return a text that is safe to print, however long or strange the name it repeats."""
    text = "".join(character if character.isprintable() else "�" for character in text)
    return text if len(text) <= 500 else f"{text[:400]} … {text[-50:]}"


def status_phrase(status: int) -> str:
    """Return the standard phrase of a status, such as ``Not Found``."""
    return HTTPStatus(status).phrase
