"""What stands between the client and the application: it notes what arrives and is answered, and commits the faults."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler

from deployserver.api import keys
from deployserver.api.body import RAW_BODY
from deployserver.clock import Clock
from deployserver.double.faults.effects import act
from deployserver.double.faults.fault import ActiveFault, Faults, Stage, is_control
from deployserver.double.journal import Answer, Headers, Journal, ReceivedRequest
from deployserver.double.targets import below
from deployserver.errors import Refused

_BODY_SECONDS = 0.2
_RECEIVED = web.RequestKey("received", ReceivedRequest)
_FAULT = web.RequestKey("fault", ActiveFault)
_READ = web.RequestKey("read", bool)


class Interference:
    """Notes each request in ``journal``, and lets ``faults`` act on it; ``base`` is the path that a world is below.

    One fault acts on a request at most. What it does ends when ``ended`` is set.
    """

    def __init__(self, journal: Journal, faults: Faults, clock: Clock, base: str, ended: asyncio.Event) -> None:
        self._journal = journal
        self._faults = faults
        self._clock = clock
        self._base = base
        self._ended = ended

    def note(self, data: bytes, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Note what was no valid HTTP, and how it was answered."""
        noted = ReceivedRequest(self._journal.next_number(), self._clock(), "", "", (), request.remote or "")
        noted.body, noted.answer = data, _answer(response)
        self._journal.add(noted)

    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request with what ``handler``, all of the application, says to it, or a fault does."""
        target = below(self._base, request)
        if is_control(target):
            return await handler(request)
        received = request[_RECEIVED] = self._received(request, target)
        self._journal.add(received)
        response = await self._acted(request, "unread", None)
        if response is None:
            response = await handler(request)
        if _READ not in request:
            # Something was wrong with it, and no handler has seen it. Whoever stands in for the server has come first.
            self._note_reading(request)
            instead = await self._acted(request, "read", None)
            response = response if instead is None else instead
        if keys.REFUSED in request:
            received.refusal = _reason(request[keys.REFUSED])
        if RAW_BODY not in request:
            received.body = await _unread(request, 0 if _FAULT in request else _BODY_SECONDS)
        if _FAULT not in request or not request[_FAULT].fault.is_silent:
            received.answer = _answer(response)
            received.deployment_id = _deployment_id(received, received.answer)
        if response.prepared:
            return response  # it was streamed, and has been sent: no fault can do anything about it
        instead = await self._acted(request, "stored", response)
        if instead is not None:
            if request[_FAULT].fault.do == "answer":  # all others act on the server's own answer on its way
                received.answer = _answer(instead)
            response = instead
        return response

    async def handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request that has been read with what the handler of its route says to it, or a fault does."""
        self._note_reading(request)
        response = await self._acted(request, "read", None)
        return await handler(request) if response is None else response

    async def _acted(
        self, request: web.Request, stage: Stage, response: web.StreamResponse | None
    ) -> web.StreamResponse | None:
        """Let the fault act whose turn it is, and return what is to be answered instead; None if nothing is."""
        if _FAULT in request or self._ended.is_set():
            return None  # after the end, the faults there are may be those of another server in its place
        received = request[_RECEIVED]
        fault = self._faults.choose(stage, received, response.status if response is not None else None)
        if fault is None:
            return None
        request[_FAULT] = fault
        received.fault = str(fault)
        return await act(request, fault, received, response, self._ended)

    def _note_reading(self, request: web.Request) -> None:
        request[_READ] = True
        received = request[_RECEIVED]
        received.body = request.get(RAW_BODY, b"")
        if keys.FIELDS in request:
            received.fields = request[keys.FIELDS].values
        caller = request.get(keys.CALLER)
        if caller is not None:
            received.caller = caller.recorded_by
            received.key_id = caller.key.id if caller.key else None
            received.key_name = caller.key.name if caller.key else ""
            received.user_name = caller.user.name if caller.user else ""

    def _received(self, request: web.Request, target: str) -> ReceivedRequest:
        headers = [(_text(name), _text(value)) for name, value in request.raw_headers]
        version = (request.version.major, request.version.minor)
        line = f"{request.method} {request.raw_path} HTTP/{version[0]}.{version[1]}".encode("utf-8", "surrogateescape")
        fields = (b": ".join(field) for field in request.raw_headers)
        return ReceivedRequest(
            self._journal.next_number(),
            self._clock(),
            request.method,
            target,
            headers,
            request.remote or "",
            version,
            b"\r\n".join((line, *fields, b"", b"")),
        )


INTERFERENCE = web.AppKey("interference", Interference)


@web.middleware
async def interfere(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Stand before all that an application does with a request."""
    return await request.app[INTERFERENCE].answer(request, handler)


def interfered(handler: Handler) -> Handler:
    """Return a handler that can be kept from its work once the request has been read, and the caller is known."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return await request.app[INTERFERENCE].handle(request, handler)

    return handle


async def _unread(request: web.Request, seconds: float) -> bytes:
    """Return the body of a request that is answered without a look at it, such as one to a wrong path.

    It is waited for so many seconds, as many clients send it apart from the head; empty if it is not complete then.
    """
    content = request.content
    if not content.is_eof() and seconds:
        with suppress(OSError, aiohttp.ClientPayloadError, aiohttp.http.HttpProcessingError, web.RequestPayloadError):
            async with asyncio.timeout(seconds):
                await content.wait_eof()
    return content.read_nowait() if content.is_eof() and content.exception() is None else b""


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _answer(response: web.StreamResponse) -> Answer:
    headers: Headers = [(str(name), value) for name, value in response.headers.items()]
    body = response.body if isinstance(response, web.Response) else None
    return Answer(response.status, headers, bytes(body) if isinstance(body, bytes | bytearray) else None)


def _deployment_id(received: ReceivedRequest, answer: Answer) -> int | None:
    if not received.records or answer.status != 200 or not answer.body:
        return None
    id_: int = json.loads(answer.body)["Id"]
    return id_


def _reason(error: Refused) -> str:
    """Say why somebody was refused, as the audit has it."""
    if error.subject:
        return f"{error.actor} may not record in feed {error.subject} ({error.reason})"
    return error.reason if error.actor == "unknown" else f"{error.actor}: {error.reason}"
