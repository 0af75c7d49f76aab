"""A request that is asked again is answered as the first time, though the router is not asked again."""

from __future__ import annotations

import asyncio
import re

import pytest
from conftest import KEY, PATH, RECORD, Service
from test_connections import FORM, head

LINES = [
    f"{method} {path}".encode()
    for method in ("GET", "HEAD", "POST", "PUT", "OPTIONS")
    for path in (
        PATH,
        PATH.rstrip("/"),
        PATH.upper(),
        PATH.replace("-", "%2D"),
        f"{PATH}?key=x",
        f"{PATH}/",
        "//api/package-deployment/",
        "http://elsewhere/api/package-deployment/",
        "/health/live",
        "/HEALTH/live",
        "/health/live/",
        "/health/live?format=text",
        "/api/deployments/1",
        "/nowhere",
        "/",
    )
]


def without_what_changes(answer: bytes) -> bytes:
    """Return an answer without the time and its own ids."""
    return re.sub(rb'(Date: |st-Id: |Date":"|edAt":"|{"Id":|s under )[^\r",]*', rb"\1", answer)


async def whole_answer(service: Service, request: bytes) -> bytes:
    """Return all that is sent until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


async def test_the_second_answer_is_the_first(service: Service) -> None:
    for line in LINES:
        request = line + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        first, *others = [without_what_changes(await whole_answer(service, request)) for _ in range(3)]
        assert first.startswith(b"HTTP/1."), line
        assert others == [first, first], line


@pytest.mark.parametrize(
    "more", [[], [b"Expect: 100-continue"], [b"Expect: more"], [b"Expect:"], [b"Connection: close"]]
)
async def test_the_second_record_is_answered_as_the_first(service: Service, more: list[bytes]) -> None:
    """With one that asks first whether to send its body, for which the router has a word of its own."""
    await service.raw(head(len(FORM)) + FORM)
    first, *others = [without_what_changes(await service.raw(head(len(FORM), *more) + FORM)) for _ in range(3)]
    assert b" 200 OK" in first
    assert (b"100 Continue" in first) == (more == [b"Expect: 100-continue"])
    assert others == [first, first]
    assert len(await service.rows()) == 4


async def test_one_path_is_several_routes(service: Service) -> None:
    """What is remembered of one method says nothing of another."""
    for _ in range(2):
        assert (await service.post(RECORD, key=KEY)).status == 200
        assert (await service.request("GET", PATH)).status == 405
        assert (await service.request("HEAD", "/health/live")).body == b""
        assert (await service.request("GET", "/health/live")).text == "OK\n"
        assert (await service.request("POST", "/health/live")).status == 405
