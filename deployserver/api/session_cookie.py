"""The cookie that carries a session's token, and nothing else.

It has no Domain, so that only this host gets it back. SameSite is Lax and not Strict: who follows a link from a chat or
a mail would be signed out with Strict, and what Lax lets through are navigations with GET, which change nothing. The
prefix ``__Host-`` would keep neighbours in the same domain from planting a cookie, but asks for TLS and the path ``/``,
and the server also works without them; what a neighbour can plant is a session of their own.
"""

from __future__ import annotations

from aiohttp import web

from deployserver.api import keys

COOKIE = "deployserver_session"


def session_token(request: web.Request) -> str | None:
    """Return the token that the request carries."""
    return request.cookies.get(COOKIE) or None


def set_session_cookie(request: web.Request, response: web.StreamResponse, token: str) -> None:
    """Let the browser keep a token for as long as a session may last; over TLS only, if that is how it reached us."""
    response.set_cookie(
        COOKIE,
        token,
        max_age=request.app[keys.SETTINGS].security.session_hours * 3600,
        path=_path(request),
        secure=_is_secure(request),
        httponly=True,
        samesite="Lax",
    )


def clear_session_cookie(request: web.Request, response: web.StreamResponse) -> None:
    """Let the browser forget the token."""
    response.del_cookie(COOKIE, path=_path(request), secure=_is_secure(request), httponly=True, samesite="Lax")


def _path(request: web.Request) -> str:
    return request.app[keys.SETTINGS].server.base_path or "/"


def _is_secure(request: web.Request) -> bool:
    return request.app[keys.PROXIES].public_url(request).startswith("https:")
