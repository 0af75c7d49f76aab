"""Static files, read once and served from memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType

from aiohttp import hdrs, web

from deployserver.pages.links import Links

_TYPES = MappingProxyType(
    {
        "app.js": "text/javascript; charset=utf-8",
        "documentation.css": "text/css; charset=utf-8",
        "documentation.js": "text/javascript; charset=utf-8",
        "favicon.svg": "image/svg+xml",
        "style.css": "text/css; charset=utf-8",
    }
)
"""The pages' own files."""

_FOREVER = "public, max-age=31536000, immutable"
_ASK_AGAIN = "public, no-cache"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file; ``version`` is the beginning of its content's hash."""

    body: bytes = field(repr=False)
    content_type: str
    version: str


class Assets:
    """The files of a folder that are served below ``path``, by name; read when the first of them is asked for.

    ``types`` has the files that there are, with their content types: nothing else is served, whatever is in the folder.
    """

    def __init__(
        self,
        path: str = "/static",
        folder: Traversable | Path | None = None,
        types: Mapping[str, str] = _TYPES,
    ) -> None:
        self._path = path
        self._folder = folder or resources.files(__package__) / "static"
        self._types = types

    @cached_property
    def _assets(self) -> dict[str, Asset]:
        return {name: _asset((self._folder / name).read_bytes(), type_) for name, type_ in self._types.items()}

    def get(self, name: str) -> Asset | None:
        """Return a file, or None where there is none."""
        return self._assets.get(name)

    def url(self, links: Links, name: str) -> str:
        """Return the address of a file as it is now, which a browser never needs to ask for again."""
        return links.url(f"{self._path}/{name}", v=self._assets[name].version)


ASSETS = web.AppKey("assets", Assets)


async def static_asset(request: web.Request) -> web.Response:
    """Answer ``GET /static/{name}``."""
    return asset_response(request, request.app[ASSETS])


def asset_response(request: web.Request, assets: Assets) -> web.Response:
    """Answer with the file of the route's name: for good under the address with its hash, else to be asked for again.

    Raises HTTPNotFound.
    """
    asset = assets.get(request.match_info["name"])
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
