"""What a connection does when a request on it goes wrong: it can be used again, or it is closed."""

from __future__ import annotations

import asyncio
import gc

import pytest
from conftest import KEY, PATH, Service, StartService, read_answer

from deployserver.api.protocol import Protocol

FORM = b"FeedName=DefaultNuGet&Application=a&Description=d&Target=t&PackageName=p&Version=1"


def head(length: int, *more: bytes) -> bytes:
    """Return the head of a post with a body of ``length`` bytes."""
    lines = (f"POST {PATH} HTTP/1.1".encode(), b"Host: x", f"X-ApiKey: {KEY}".encode(), *more)
    return b"\r\n".join((*lines, f"Content-Length: {length}".encode(), b"", b""))


async def test_a_client_that_closes_its_side_hears_the_answer(service: Service) -> None:
    """As ``nc -N`` does. A client that hears nothing sends again, and the record is there twice."""
    answer = await service.raw(head(len(FORM)) + FORM, half_close=True)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert len(await service.rows()) == 1


async def test_a_body_cut_off_by_its_sender_is_not_recorded(service: Service) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(head(len(FORM)) + FORM[:-5])
    writer.write_eof()
    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()
    assert await service.rows() == []


async def test_a_body_refused_before_it_is_sent_closes_the_connection(service: Service) -> None:
    """The client may leave the body out, and then nobody could tell the next request from it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(head(3_000_000, b"Expect: 100-continue"))
    answer = await read_answer(reader)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer.lower()
    writer.close()


async def test_a_body_that_comes_too_late_closes_the_connection(start: StartService) -> None:
    service = await start(limits_body_timeout=1)
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(head(len(FORM)) + FORM[:-20])
    answer = await read_answer(reader)
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
    assert b"did not arrive within 1 seconds" in answer
    assert b"connection: close" in answer.lower()
    writer.close()


async def test_a_refused_request_leaves_the_connection_usable(service: Service) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    for body, status in ((b"Version=1", b"400"), (FORM.replace(b"DefaultNuGet", b"x"), b"404"), (FORM, b"200")):
        writer.write(head(len(body)) + body)
        assert (await read_answer(reader)).split()[1] == status
    writer.close()


async def test_headers_that_take_long_to_read_are_refused(service: Service) -> None:
    """The email package takes time that grows with the square of a header's length, and would stop everybody."""
    semicolons = ";" * 100_000
    part = f'--b\r\nContent-Disposition: form-data; name="{semicolons}\r\n\r\nx\r\n--b--\r\n'
    answer = await service.post(part.encode(), headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert (answer.status, "has headers of more than 1024 bytes" in answer.text) == (400, True)
    answer = await service.post(FORM, headers={"Content-Type": f'text/plain; charset="{semicolons[:6000]}'})
    assert (answer.status, "The content type has more than 512 characters" in answer.text) == (400, True)


async def test_a_connection_that_never_sends_a_request_is_dropped(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployserver.api.protocol.FIRST_REQUEST_SECONDS", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(b"POST / HT")
    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()


async def test_a_connection_that_has_been_closed_is_not_kept(service: Service) -> None:
    for _ in range(10):
        _, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.close()
        await writer.wait_closed()
    await asyncio.sleep(0.05)  # the server has to see it too
    gc.collect()
    assert not any(isinstance(kept, Protocol) for kept in gc.get_objects())


async def test_requests_that_come_all_at_once_are_all_answered(service: Service) -> None:
    """More than aiohttp takes at a time: it stops reading, and must go on, also after bodies it has had to wait for."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    one, count = head(len(FORM)) + FORM, 100
    large = FORM.replace(b"Description=d", b"Description=d&more=" + b"d" * 900_000)  # more than is read ahead
    sent = (one[:-5], one[-5:] + one * count, one[:-5], one[-5:] + head(len(large)) + large + one * count)
    for part in sent:
        writer.write(part)
        await asyncio.sleep(0.02)
    for _ in range(2 * count + 3):
        assert (await read_answer(reader)).startswith(b"HTTP/1.1 200 ")
    writer.close()
