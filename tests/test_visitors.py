"""Requests that only read: who is calling is found without their body."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web
from conftest import KEY, Service

from deployserver.api import keys
from deployserver.app import ROUTES, Route


async def who(request: web.Request) -> web.Response:
    """Tell who is calling."""
    return web.json_response({"caller": request[keys.CALLER].recorded_by})


@pytest.fixture(autouse=True)
def _more_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add what more of the API will be."""
    monkeypatch.setattr("deployserver.app.ROUTES", (*ROUTES, Route("GET", "/api/who", who)))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_who_only_reads_needs_no_body(service: Service, method: str) -> None:
    """Clients put the content type on everything they send."""
    headers = {"X-ApiKey": KEY, "Content-Type": "application/json"}
    assert (await service.request(method, "/api/who", headers=headers)).status == 200
    assert (await service.request(method, "/api/who", headers=headers | {"X-ApiKey": "wrong"})).status == 403


@pytest.mark.parametrize("way", [{"X-ApiKey": KEY}, {"Authorization": "Basic YXBpOmFiYzEyMzQ1"}])
async def test_the_credential_is_in_a_header_or_the_url(service: Service, way: dict[str, str]) -> None:
    assert (await service.request("GET", "/api/who", headers=way)).json == {"caller": "API key 1 (ci)"}
    assert (await service.request("GET", f"/api/who?key={KEY}")).json == {"caller": "API key 1 (ci)"}
    assert (await service.request("GET", "/api/who")).json == {"caller": "Anonymous"}


@pytest.mark.parametrize("body", [b'{"API_Key": "wrong"}', b"{broken", b"x" * 100_000])
async def test_a_body_that_comes_all_the_same_is_let_pass(service: Service, body: bytes) -> None:
    """It must not be taken for the next request on the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    head = b"GET /api/who HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    try:
        for _ in range(2):
            writer.write(head % len(body) + body)
            await writer.drain()
            answer = await asyncio.wait_for(reader.readuntil(b"}"), 10)
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {"caller": "Anonymous"}
    finally:
        writer.close()
