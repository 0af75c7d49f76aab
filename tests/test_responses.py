"""What is written out past aiohttp is, to the byte, what aiohttp would have sent."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import hdrs, web

from deployserver.api.request_ids import HEADER
from deployserver.api.responses import SentAtOnce


def usual(kind: type[web.Response], body: bytes = b'{"Id":1}', status: int = 200) -> web.Response:
    """Return an answer such as the product gives, of either kind."""
    response = kind(body=body, status=status, headers={hdrs.CONTENT_TYPE: "application/json; charset=utf-8"})
    response.headers[HEADER] = "ab-1"
    response.headers[hdrs.SERVER] = "deployserver"
    return response


def closing(kind: type[web.Response]) -> web.Response:
    response = usual(kind)
    response.force_close()
    return response


def with_a_cookie(kind: type[web.Response]) -> web.Response:
    response = usual(kind)
    response.set_cookie("a", "b")
    return response


def with_another_header(kind: type[web.Response]) -> web.Response:
    response = usual(kind)
    response.headers[hdrs.RETRY_AFTER] = "1"
    return response


def with_headers_in_another_order(kind: type[web.Response]) -> web.Response:
    response = usual(kind)
    response.headers[hdrs.CONTENT_TYPE] = response.headers.pop(hdrs.CONTENT_TYPE)
    return response


def compressed(kind: type[web.Response]) -> web.Response:
    response = usual(kind, b"x" * 1000)
    response.enable_compression()
    return response


ANSWERS: dict[str, Callable[[type[web.Response]], web.Response]] = {
    "usual": usual,
    "long": lambda kind: usual(kind, b"x" * 300_000),
    "empty": lambda kind: usual(kind, b""),
    "error": lambda kind: usual(kind, status=500),
    "created": lambda kind: usual(kind, status=201),
    "without content": lambda kind: usual(kind, b"", 204),
    "closing": closing,
    "with a cookie": with_a_cookie,
    "with another header": with_another_header,
    "with headers in another order": with_headers_in_another_order,
    "compressed": compressed,
    "bare": lambda kind: kind(body=b"x"),
}
REQUESTS = {
    "GET": b"GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n",
    "POST": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx",
    "HEAD": b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
    "PUT": b"PUT / HTTP/1.1\r\nHost: x\r\n\r\n",
    "close": b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "1.0": b"GET / HTTP/1.0\r\n\r\n",
    "1.0 kept": b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
}


@asynccontextmanager
async def serving(
    answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Give a connection to a server of aiohttp's own."""
    server = web.Server(answer)
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    try:
        reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname()[:2])
        yield reader, writer
        writer.close()
        await writer.wait_closed()
    finally:
        listener.close()
        await server.shutdown(1)


async def sent(response: Callable[[], web.Response], request: bytes) -> bytes:
    """Return all that a server sends to a request and one more that ends the connection, without the time."""

    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return response()

    async with serving(answer) as (reader, writer):
        writer.write(request + REQUESTS["close"])
        data = await asyncio.wait_for(reader.read(), 10)
    return re.sub(rb"Date: [^\r]*", b"Date: now", data)


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_what_is_sent_is_what_aiohttp_sends(
    answer: Callable[[type[web.Response]], web.Response], request_: bytes
) -> None:
    by_aiohttp = await sent(lambda: answer(web.Response), request_)
    assert by_aiohttp.startswith(b"HTTP/1.")
    assert await sent(lambda: answer(SentAtOnce), request_) == by_aiohttp


async def test_a_client_that_does_not_read_waits_for_its_next_answers() -> None:
    """The answers to all that it has asked would fill the memory."""
    asked, answered = 60, 0

    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        nonlocal answered
        answered += 1
        return usual(SentAtOnce, b"x" * 1_000_000)

    async with serving(answer) as (reader, writer):
        writer.write(REQUESTS["GET"] * asked + REQUESTS["close"])
        for _ in range(1000):  # rounds of the loop, in which nobody reads
            await asyncio.sleep(0)
        assert 0 < answered < asked
        data = await asyncio.wait_for(reader.read(), 10)
        assert data.count(b"HTTP/1.1 200 OK\r\n") == answered == asked + 1
