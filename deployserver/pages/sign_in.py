"""``/sign-in`` and ``/sign-out``."""

from __future__ import annotations

from html import escape

from aiohttp import hdrs, web
from yarl import URL

from deployserver.api import keys
from deployserver.api.session_cookie import clear_session_cookie, session_token, set_session_cookie
from deployserver.authentication import Credential
from deployserver.errors import Refused, TooManyFailures
from deployserver.pages.entrance import SIGN_IN
from deployserver.pages.local_path import local_path


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
    base = _base(request)
    text = _TEMPLATE.format(
        action=escape(base + SIGN_IN),
        next=escape(local_path(asked, base)),
        user=escape(user),
        alert=f'<p role="alert">{escape(message)}</p>' if message else "",
    )
    return web.Response(text=text, status=status, content_type="text/html", headers=_HEADERS)


_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    # Not no-referrer: with that, browsers send "Origin: null" with the form, which is nobody's.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}

# Two forms, so that what a browser fills into the one is not sent with the other.
_TEMPLATE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Sign in – deployserver</title>
<h1>Sign in</h1>
{alert}
<form method="post" action="{action}">
<input type="hidden" name="next" value="{next}">
<p><label>User name <input name="user" value="{user}" autocomplete="username" autocapitalize="none" required></label>
<p><label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<p><button>Sign in</button>
</form>
<form method="post" action="{action}">
<input type="hidden" name="next" value="{next}">
<p><label>API key <input name="key" type="password" autocomplete="off" required></label>
<p><button>Sign in with the key</button>
</form>
"""
