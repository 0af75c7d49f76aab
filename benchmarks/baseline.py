"""The servers ``bare`` and ``schema``: what aiohttp itself takes, without and with the product's check of the form."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any, cast

from aiohttp import web

from deployserver.schemas import load_submission


async def bare(request: web.Request) -> web.Response:
    """Read the form and answer a small JSON."""
    await request.post()
    return web.json_response({"ok": True})


async def schema(request: web.Request) -> web.Response:
    """The same, with the fields checked in between."""
    load_submission(cast("dict[str, Any]", await request.post()))
    return web.json_response({"ok": True})


def event_loop() -> asyncio.AbstractEventLoop:
    """Return the kind of event loop that the product takes: uvloop's if it is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("handler", choices=("bare", "schema"))
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    app = web.Application()
    app.router.add_post("/api/package-deployment/", {"bare": bare, "schema": schema}[arguments.handler])
    web.run_app(app, host="127.0.0.1", port=arguments.port, access_log=None, print=None, loop=event_loop())


if __name__ == "__main__":
    main()
