"""Who is calling where no body says so: whoever only reads."""

from __future__ import annotations

from aiohttp import hdrs, web

from deployserver.api import keys
from deployserver.api.credentials import find_credential

SAFE_METHODS = frozenset((hdrs.METH_GET, hdrs.METH_HEAD))
"""Methods that change nothing."""


async def identify_visitor(request: web.Request) -> None:
    """Find the caller, by a credential in the URL or a header. Raises InvalidCredential, TooManyFailures."""
    credential = find_credential(request, None)
    request[keys.CALLER] = await request.app[keys.AUTHENTICATOR].identify(credential, request[keys.ADDRESS])
