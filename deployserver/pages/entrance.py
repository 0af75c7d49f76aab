"""What every page has in common before and after its own handler, and the way to the sign-in page."""

from __future__ import annotations

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from yarl import URL

from deployserver.api import keys
from deployserver.api.body import read_form
from deployserver.api.same_origin import require_same_origin
from deployserver.api.session_cookie import clear_session_cookie, session_token
from deployserver.api.visitors import SAFE_METHODS, identify_visitor
from deployserver.errors import NotPermitted
from deployserver.pages.error_page import error_page
from deployserver.pages.local_path import without_base

SIGN_IN = "/sign-in"


def entrance(handler: Handler, *, public: bool) -> Handler:
    """Return a page's handler as it is to be served.

    What may change something must come from one of our own pages, and finds its form in ``keys.FORM``. Unless the page
    is ``public``, ``keys.CALLER`` says who is calling, and ``keys.SESSION`` is there if they are signed in; the cookie
    of a session that has ended is cleared. Who has not signed in and may not do what the handler does is asked to sign
    in. What else goes wrong is said with a page. No cache keeps a page.
    """

    async def enter(request: web.Request) -> web.StreamResponse:
        request[keys.ERROR_PAGE] = error_page
        if request.method not in SAFE_METHODS:
            require_same_origin(request)
            request[keys.FORM] = await read_form(request, request.app[keys.SETTINGS].limits.body_timeout)
        if not public:
            await identify_visitor(request)
        try:
            response = await handler(request)
        except NotPermitted:
            if not request[keys.CALLER].is_anonymous:
                raise
            response = _redirection(to_sign_in(request))
        except web.HTTPRedirection as redirect:
            response = _redirection(redirect)
        response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
        caller = request.get(keys.CALLER)
        if caller is not None and caller.is_anonymous and session_token(request) is not None:
            clear_session_cookie(request, response)
        return response

    return enter


def to_sign_in(request: web.Request) -> web.HTTPSeeOther:
    """Return what a page raises for a caller who has to sign in first; they come back to it afterwards."""
    base = request.app[keys.SETTINGS].server.base_path
    query = {"next": without_base(request.path_qs, base)} if request.method in SAFE_METHODS else {}
    return web.HTTPSeeOther(URL.build(path=base + SIGN_IN, query=query))


def _redirection(redirect: web.HTTPRedirection) -> web.Response:
    """Return an answer; aiohttp would not have the exception as one."""
    return web.Response(status=redirect.status, headers={hdrs.LOCATION: redirect.headers[hdrs.LOCATION]})
