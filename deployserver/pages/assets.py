"""The static files of the pages, read once and served from memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from importlib import resources
from types import MappingProxyType

from aiohttp import hdrs, web

from deployserver.pages.links import Links

_TYPES = MappingProxyType(
    {
        "app.js": "text/javascript; charset=utf-8",
        "favicon.svg": "image/svg+xml",
        "style.css": "text/css; charset=utf-8",
    }
)
"""The files there are, with their content types; nothing else is served, whatever lies in the folder."""

_FOREVER = "public, max-age=31536000, immutable"
_ASK_AGAIN = "public, no-cache"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file; ``version`` is the beginning of its content's hash."""

    body: bytes = field(repr=False)
    content_type: str
    version: str


class Assets:
    """All files of the pages, by name."""

    def __init__(self) -> None:
        folder = resources.files(__package__) / "static"
        self._assets = {name: _asset((folder / name).read_bytes(), _TYPES[name]) for name in _TYPES}

    def get(self, name: str) -> Asset | None:
        """Return a file, or None where there is none."""
        return self._assets.get(name)

    def url(self, links: Links, name: str) -> str:
        """Return the address of a file as it is now, which a browser never needs to ask for again."""
        return links.url(f"/static/{name}", v=self._assets[name].version)


ASSETS = web.AppKey("assets", Assets)


async def static_asset(request: web.Request) -> web.Response:
    """Answer ``GET /static/{name}``: for good under the address with the right hash, else to be asked for again."""
    asset = request.app[ASSETS].get(request.match_info["name"])
    if asset is None:
        raise web.HTTPNotFound
    headers = {
        hdrs.ETAG: f'"{asset.version}"',
        # A server that is being replaced may be asked for what it has not got: that must not be kept under the address.
        hdrs.CACHE_CONTROL: _FOREVER if request.query.get("v") == asset.version else _ASK_AGAIN,
        "X-Content-Type-Options": "nosniff",
    }
    if any(tag.value in (asset.version, "*") for tag in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    return web.Response(body=asset.body, headers={**headers, hdrs.CONTENT_TYPE: asset.content_type})


def _asset(body: bytes, content_type: str) -> Asset:
    return Asset(body, content_type, hashlib.sha256(body).hexdigest()[:20])
