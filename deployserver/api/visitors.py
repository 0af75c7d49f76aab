"""Who is calling where no body says so: to read, or from one of our own pages."""

from __future__ import annotations

from aiohttp import hdrs, web

from deployserver.api import keys
from deployserver.api.credentials import find_credential
from deployserver.api.session_cookie import session_token

SAFE_METHODS = frozenset((hdrs.METH_GET, hdrs.METH_HEAD))
"""Methods that change nothing: what a foreign page makes a browser send with one does no harm."""


async def identify_visitor(request: web.Request) -> None:
    """Find the caller, by a credential in the URL or a header if there is one, else by the cookie of a session.

    The cookie travels with whatever any page makes the browser send: call this only for ``SAFE_METHODS``, or after
    ``require_same_origin``. A session that has ended leaves the caller Anonymous. Raises InvalidCredential,
    TooManyFailures, StoreUnavailable.
    """
    credential = find_credential(request, None)
    if credential is None and (token := session_token(request)) is not None:
        session = await request.app[keys.SESSIONS].find(token)
        if session is not None:
            request[keys.SESSION] = session
            request[keys.CALLER] = session.caller
            return
    request[keys.CALLER] = await request.app[keys.AUTHENTICATOR].identify(credential, request[keys.ADDRESS])


async def is_still_signed_in(request: web.Request) -> bool:
    """Tell whether the session that a long request began with goes on; a request without one needs none."""
    if keys.SESSION not in request:
        return True
    token = session_token(request)
    return token is not None and await request.app[keys.SESSIONS].find(token) is not None
