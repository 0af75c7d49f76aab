"""From a template and what it shows to an answer."""

from __future__ import annotations

from typing import Any

import aiohttp_jinja2
from aiohttp import web

from deployserver.api import keys
from deployserver.clock import Clock
from deployserver.pages.assets import ASSETS, Assets
from deployserver.pages.environment import OPTIONS, furnish
from deployserver.pages.headers import PAGE_HEADERS
from deployserver.pages.links import Links


def set_up_pages(app: web.Application, base_path: str, clock: Clock) -> None:
    """Prepare an application for ``render`` and ``static_asset``."""
    app[ASSETS] = Assets()
    # No context processors: they would be a middleware that every recording passes as well.
    environment = aiohttp_jinja2.setup(app, default_helpers=False, **OPTIONS)
    furnish(environment, Links(base_path), app[ASSETS], clock)


def render(request: web.Request, template: str, *, status: int = 200, **context: Any) -> web.Response:
    """Answer with a page, its security headers, and what every template sees besides ``context``.

    That is ``path`` (without the base path), ``query`` (name to list of values), ``viewer`` (the name of who is signed
    in, or None), ``public_url`` (as the client reached the server, with the base path) and ``request_id``.
    """
    app = request.app
    base_path = app[keys.SETTINGS].server.base_path
    caller = request.get(keys.CALLER)
    text = aiohttp_jinja2.render_string(
        template,
        request,
        {
            "path": _below(base_path, request.path),
            "query": {name: request.query.getall(name) for name in request.query},
            "viewer": caller.name if caller is not None and (caller.user or caller.key) else None,
            "public_url": app[keys.PROXIES].public_url(request) + base_path,
            "request_id": request.get(keys.REQUEST_ID, ""),
            **context,
        },
    )
    return web.Response(text=text, status=status, content_type="text/html", charset="utf-8", headers=PAGE_HEADERS)


def _below(base_path: str, path: str) -> str:
    """Return a path without the base path, which routes match in any letter case, and without a last slash."""
    if base_path and (path.casefold() + "/").startswith(base_path.casefold() + "/"):
        path = path[len(base_path) :]
    return "/" + path.strip("/")
