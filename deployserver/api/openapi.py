"""``GET /api/openapi.json``: what the API can do, for programs."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterable
from typing import Any

from aiohttp import hdrs, web

from deployserver.api import keys
from deployserver.api.formats import is_known

_SERVER = "https://deployserver.invalid"
"""Stands in the text for the address of the server, which is another one for each who asks by another name."""


class Description:
    """The OpenAPI description of routes, given as (method, path); made once, when it is first asked for."""

    def __init__(self, routes: Iterable[tuple[str, str]]) -> None:
        self._routes = tuple(routes)
        self._document: dict[str, Any] = {}
        self._text = ""

    async def document(self) -> dict[str, Any]:
        """Return the description of a server somewhere."""
        if not self._document:
            self._document = await asyncio.to_thread(self._describe)
        return self._document

    async def text(self, server: str) -> str:
        """Return the description of the server at a URL, as JSON."""
        if not self._text:
            self._text = json.dumps(await self.document(), ensure_ascii=False, separators=(",", ":"))
        return self._text.replace(json.dumps(_SERVER), json.dumps(server, ensure_ascii=False))

    def _describe(self) -> dict[str, Any]:
        # Takes longer to import than the rest of the server, and few ever ask.
        from deployserver.description.document import describe

        return describe(self._routes, _SERVER)


DESCRIPTION = web.AppKey("description", Description)


async def openapi_json(request: web.Request) -> web.Response:
    """Answer with the description of the server as the client reached it."""
    server = request.app[keys.PROXIES].public_url(request) + request.app[keys.SETTINGS].server.base_path
    body = (await request.app[DESCRIPTION].text(server)).encode("utf-8", "replace")
    tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers = {hdrs.ETAG: tag, hdrs.CACHE_CONTROL: "public, no-cache"}
    if is_known(request, tag):
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, headers={**headers, hdrs.CONTENT_TYPE: "application/json; charset=utf-8"})
