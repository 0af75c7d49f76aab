"""``/sign-in`` and ``/sign-out``."""

from __future__ import annotations

from aiohttp import hdrs, web
from yarl import URL

from deployserver.api import keys
from deployserver.api.session_cookie import clear_session_cookie, session_token, set_session_cookie
from deployserver.authentication import Credential
from deployserver.errors import Refused, TooManyFailures
from deployserver.pages.entrance import SIGN_IN
from deployserver.pages.local_path import local_path
from deployserver.pages.rendering import render


async def sign_in_form(request: web.Request) -> web.Response:
    """Show the form; ``?next=`` is the path to come back to."""
    return _page(request, 200, request.query.get("next", ""))


async def sign_in(request: web.Request) -> web.Response:
    """Sign in with the name and password, or the key, of the form, and go to ``next``; or show the form again."""
    form = request[keys.FORM]
    user, asked = form.get("user", "").strip(), form.get("next", "")
    credential = _credential(user, form.get("password", ""), form.get("key", "").strip())
    if credential is None:
        return _page(request, 400, asked, user, "Enter a user name and its password, or an API key.")
    address = request[keys.ADDRESS]
    try:
        begun = await request.app[keys.SESSIONS].begin(credential, address, session_token(request))
    except Refused as error:
        request.app[keys.REFUSALS].add(error, address)
        page = _page(request, error.status, asked, user, str(error))
        if isinstance(error, TooManyFailures):
            page.headers[hdrs.RETRY_AFTER] = str(error.retry_after)
        return page
    request[keys.SESSION], request[keys.CALLER] = begun.session, begun.session.caller
    response = _see(request, local_path(asked, _base(request)))
    set_session_cookie(request, response, begun.token)
    return response


async def sign_out(request: web.Request) -> web.Response:
    """End the session, here and on every other server."""
    if (token := session_token(request)) is not None:
        await request.app[keys.SESSIONS].end(token, request[keys.ADDRESS])
    response = _see(request, SIGN_IN)
    clear_session_cookie(request, response)
    return response


def _credential(user: str, password: str, key: str) -> Credential | None:
    if key:  # it was put there on purpose; browsers fill in names and passwords by themselves
        return Credential(key)
    return Credential.from_basic(user, password) if user and password else None


def _base(request: web.Request) -> str:
    return request.app[keys.SETTINGS].server.base_path


def _see(request: web.Request, path: str) -> web.Response:
    return web.Response(status=303, headers={hdrs.LOCATION: str(URL(_base(request) + path))})


def _page(request: web.Request, status: int, asked: str, user: str = "", message: str = "") -> web.Response:
    goal = local_path(asked, _base(request))
    return render(request, "sign_in.html", status=status, next=goal, user=user, message=message)
