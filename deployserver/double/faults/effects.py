"""What a fault does to a request: another answer, a long wait, or something unkind to the connection."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from http import HTTPStatus

import aiohttp
from aiohttp import hdrs, web
from aiohttp.helpers import rfc822_formatted_time

from deployserver.api import keys
from deployserver.api.formats import abort
from deployserver.api.request_ids import HEADER, RequestIds
from deployserver.api.responses import SERVER, error_response, printable, problem_response, unexpected_response
from deployserver.double.faults.fault import ActiveFault, Fault
from deployserver.double.faults.schema import RETRY_AFTER
from deployserver.double.journal import ReceivedRequest
from deployserver.errors import (
    DeployServerError,
    FeedNotFound,
    InvalidRequest,
    NotPermitted,
    StoreUnavailable,
    TooManyFailures,
)

GARBAGE = b"\x00\x16\x03\xff is no HTTP\r\n\r\n"
"""What comes in the place of an answer: a line that no version of HTTP begins with."""

_POLL_SECONDS = 0.05
_WITHOUT_BODY = (204, 304)
_LINGER_SECONDS = 2.0  # as long as servers usually go on reading what they will not answer

_ids = RequestIds()


async def act(
    request: web.Request,
    active: ActiveFault,
    received: ReceivedRequest,
    response: web.StreamResponse | None,
    ended: asyncio.Event,
) -> web.StreamResponse | None:
    """Wait as long as the fault says, then do what it says; return what is to be given to aiohttp.

    ``response`` is the server's own answer, of which nothing has been sent, at the stage ``stored``. None comes back
    where a fault was a delay before there is an answer, and the request is to go on. Waiting ends when ``ended`` is set
    or the client is gone.
    """
    fault = active.fault
    await _wait(request, active.draw_delay(), ended)
    if fault.do == "delay":
        return response
    if fault.do == "answer":
        return fault_response(request, fault, received)
    if fault.do in ("cut", "dribble"):
        body = _body(response)
        if not isinstance(response, web.Response) or body is None:
            return response
        if fault.do == "cut":
            _cut(request, fault, response, body)
        else:
            await _dribble(request, fault, response, body, ended)
    elif fault.do == "reset":
        abort(request)
    elif fault.do == "garbage":
        _send(request, GARBAGE)
    elif fault.do == "hang":
        await _wait(request, math.inf, ended, or_heard_out=True)
    await _close(request)
    # It cannot be sent any more, and aiohttp drops the connection and all that was asked on it.
    return web.Response()


def fault_response(request: web.Request, fault: Fault, received: ReceivedRequest) -> web.Response:
    """Return the answer of a fault that answers: what the service itself would say with that status."""
    status = fault.status or 500
    request_id = request.get(keys.REQUEST_ID) or _ids.take(request.headers.get(HEADER))
    error = _error(fault, received)
    if fault.text is not None:
        title = error.title if error is not None else _phrase(status)
        errors = {"body": [fault.text]} if isinstance(error, InvalidRequest) else None
        response = problem_response(request, status, title, fault.text, errors)
    elif error is not None:
        response = error_response(request, error)
    elif status == 500:
        response = unexpected_response(request, request_id)
    elif status == 404:
        response = problem_response(request, 404, _phrase(404), printable(f"There is nothing at {received.path}."))
    else:
        response = problem_response(request, status, _phrase(status), f"{_phrase(status)}.")
    if fault.retry_after is not None:
        response.headers[hdrs.RETRY_AFTER] = str(fault.retry_after)
    response.headers[HEADER] = request_id
    response.headers[hdrs.SERVER] = SERVER
    if not request.content.is_eof():
        response.force_close()  # what comes next on the connection may be the rest of this body
    return response


def _error(fault: Fault, received: ReceivedRequest) -> DeployServerError | None:
    """Return the service's own error with a status, if it has one that fits the request."""
    feed = received.fields.get("FeedName")
    if fault.status == 400:
        return InvalidRequest({"Version": ["is required."]})
    if fault.status == 403:
        return NotPermitted("The API key may not record deployments here.", actor=received.caller or "unknown")
    if fault.status == 404 and isinstance(feed, str):
        return FeedNotFound(feed.strip())
    if fault.status == 429:
        return TooManyFailures(RETRY_AFTER[429] if fault.retry_after is None else fault.retry_after)
    return StoreUnavailable() if fault.status == 503 else None


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"Status {status}"


def _is_gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _has_closed_its_side(request: web.Request) -> bool:
    """Tell whether the client said that nothing follows; one that has given up looks the same."""
    return bool(request.protocol._close)


async def _wait(request: web.Request, seconds: float, ended: asyncio.Event, *, or_heard_out: bool = False) -> None:
    """Wait until the time is over, ``ended`` is set or the client is gone; ``or_heard_out``: or has closed its side."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while (left := end - loop.time()) > 0 and not ended.is_set() and not _is_gone(request):
        if or_heard_out and _has_closed_its_side(request):
            return
        await asyncio.sleep(min(left, _POLL_SECONDS))


def _cut(request: web.Request, fault: Fault, response: web.Response, body: bytes) -> None:
    """Send the head, which says the full length, and a part of the body."""
    length = len(body) // 2 if fault.bytes is None else fault.bytes
    _send(request, _head(request, response, body) + _sent(request, response, body)[:length])


async def _dribble(
    request: web.Request, fault: Fault, response: web.Response, body: bytes, ended: asyncio.Event
) -> None:
    """Send all of the answer in small parts, and let the client know that the connection ends with it."""
    answer = _head(request, response, body, last=True) + _sent(request, response, body)
    size = fault.bytes or 1
    for start in range(0, len(answer), size):
        if start:
            await _wait(request, fault.seconds or 0, ended)
        if ended.is_set() or _is_gone(request):
            return
        _send(request, answer[start : start + size])


def _body(response: web.StreamResponse | None) -> bytes | None:
    """Return the body of an answer, None if it is not at hand."""
    body = response.body if isinstance(response, web.Response) else None
    if body is None:
        return b""
    return bytes(body) if isinstance(body, (bytes, bytearray)) else None


def _head(request: web.Request, response: web.Response, body: bytes, *, last: bool = False) -> bytes:
    """Return the head as aiohttp would send it, which has no way to send that and then not the body it announces."""
    headers = response.headers.copy()
    for cookie in response.cookies.values():
        headers.add(hdrs.SET_COOKIE, cookie.OutputString())
    if response.status not in _WITHOUT_BODY and (body or request.method != hdrs.METH_HEAD):
        headers.setdefault(hdrs.CONTENT_LENGTH, str(len(body)))
    headers.setdefault(hdrs.DATE, rfc822_formatted_time())
    keep_alive = request.keep_alive if response.keep_alive is None else response.keep_alive
    if last or not keep_alive:
        headers[hdrs.CONNECTION] = "close"
    version = request.version
    lines = [f"HTTP/{version.major}.{version.minor} {response.status} {response.reason}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def _sent(request: web.Request, response: web.Response, body: bytes) -> bytes:
    """Return what is sent of a body: nothing in answer to HEAD."""
    return b"" if request.method == hdrs.METH_HEAD or response.status in _WITHOUT_BODY else body


def _send(request: web.Request, data: bytes) -> None:
    """Send bytes past aiohttp, which must not be given the connection again after it."""
    if request.transport is not None and not request.transport.is_closing():
        request.transport.write(data)


async def _close(request: web.Request) -> None:
    """Close the connection in an orderly way.

    A connection that is closed while the client still sends is reset by the system. So the rest of the body is taken
    for a while, after the client has been told that nothing comes.
    """
    transport = request.transport
    if transport is None or transport.is_closing():
        return
    if not request.content.is_eof() and transport.can_write_eof():
        transport.write_eof()
        with suppress(OSError, aiohttp.ClientPayloadError, aiohttp.http.HttpProcessingError, web.RequestPayloadError):
            async with asyncio.timeout(_LINGER_SECONDS):
                while not request.content.is_eof():
                    await request.content.readany()
    transport.close()
