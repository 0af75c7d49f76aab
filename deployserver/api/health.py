"""``GET /health`` as ProGet's own tools read it, and ``GET /health/live``."""

from __future__ import annotations

import json

from aiohttp import web

from deployserver.api import keys
from deployserver.api.responses import json_response, text_response
from deployserver.health import ERROR, OK, is_well


async def health(request: web.Request) -> web.Response:
    """Answer 200 if the service can do its job, else 500; with ``?format=text`` just the word."""
    report = await request.app[keys.HEALTH].check()
    well = is_well(report)
    status = 200 if well else 500
    if request.query.get("format", "").lower() == "text":
        return text_response(OK if well else ERROR, status)
    return json_response(json.dumps(report), status)


async def live(_: web.Request) -> web.Response:
    """Answer that the process is alive, without asking the database."""
    return text_response(OK)
