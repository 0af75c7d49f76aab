"""Whether a request comes from one of our own pages, which the browser says and no page can make it lie about.

See the Fetch Metadata and Fetch standards; a token in each form would say no more, and every form could forget it.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from deployserver.api import keys
from deployserver.api.session_cookie import session_token
from deployserver.errors import ForeignOrigin

_PORTS = {"http": 80, "https": 443}


class _Origin(NamedTuple):
    scheme: str
    host: str
    port: int


def require_same_origin(request: web.Request) -> None:
    """Raise ForeignOrigin unless the request comes from one of our pages, or from no page at all.

    The first of these that is there decides: ``Sec-Fetch-Site``, which browsers send to TLS and loopback addresses;
    ``Origin``; ``Referer``. All of today's browsers send one of them with every POST. Without any it is a script, or
    a browser from before 2020, and let in only if it brings nothing that a browser adds by itself.
    """
    headers = request.headers
    if (site := headers.get("Sec-Fetch-Site")) is not None:
        ours = site.strip().lower() in ("same-origin", "none")  # none: not a page, but the person at the browser
    elif (url := headers.get(hdrs.ORIGIN, headers.get(hdrs.REFERER))) is not None:
        origin = _origin(url)
        ours = origin is not None and origin == _origin(request.app[keys.PROXIES].public_url(request))
    else:
        ours = session_token(request) is None and hdrs.AUTHORIZATION not in headers
    if not ours:
        raise ForeignOrigin


def _origin(url: str) -> _Origin | None:
    """Return the origin of a URL; None for one that has none, such as ``null``."""
    try:
        parts = urlsplit(url.strip())
        scheme, port = parts.scheme, parts.port
    except ValueError:
        return None
    if not parts.hostname or scheme not in _PORTS:
        return None
    return _Origin(scheme, parts.hostname, port if port is not None else _PORTS[scheme])
