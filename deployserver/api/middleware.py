"""What every request passes: an id, a log line, the way from errors to answers, and who is calling."""

from __future__ import annotations

import logging
import time

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from deployserver.api import keys
from deployserver.api.body import read_fields
from deployserver.api.credentials import find_credential
from deployserver.api.formats import abort
from deployserver.api.request_ids import HEADER
from deployserver.api.responses import (
    SERVER,
    error_response,
    printable,
    problem_response,
    status_phrase,
    unexpected_response,
)
from deployserver.api.visitors import SAFE_METHODS, identify_visitor
from deployserver.errors import DeployServerError, Refused, StoreInDoubt, StoreUnavailable

_log = logging.getLogger("deployserver.requests")


@web.middleware
async def request_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request an id, find out who is calling, turn errors into answers, and log it.

    Routes in ``PUBLIC`` need nobody, or find out by themselves. It is one middleware because aiohttp takes 3 of
    70 microseconds for another.
    """
    started = time.perf_counter()
    app = request.app
    request_id = request[keys.REQUEST_ID] = app[keys.REQUEST_IDS].take(request.headers.get(HEADER))
    address = request[keys.ADDRESS] = app[keys.PROXIES].client_address(request)
    try:
        if request.match_info.http_exception is not None:
            handler = app[keys.NO_SUCH_PAGE] if _is_lost(request) else handler
        elif handler not in app[keys.PUBLIC]:
            await _authenticate(request, app)
        response = await handler(request)
    except DeployServerError as error:
        if isinstance(error, Refused):
            request[keys.REFUSED] = error
            app[keys.REFUSALS].add(error, address)
        if error.status >= 500 and not isinstance(error, StoreUnavailable):
            response = _unexpected(request, request_id)
        else:
            response = error_response(request, error)
            if isinstance(error, StoreInDoubt):
                abort(request)  # not to be told that it was not stored, as every 503 says
            elif not request.content.is_eof():
                # What comes next on the connection is the rest of this body, if the client still sends it, or another
                # request: only the client knows.
                response.force_close()
    except web.HTTPException as error:
        response = _http_error(request, error)
    except Exception:  # noqa: BLE001 - nothing of the inside may reach the client, all of it must reach the log
        response = _unexpected(request, request_id)
    headers = response.headers
    headers[HEADER] = request_id
    headers[hdrs.SERVER] = SERVER
    caller = request.get(keys.CALLER)
    app[keys.REQUEST_LOG].write(
        request_id,
        request.method,
        request.rel_url.raw_path,
        response.status,
        time.perf_counter() - started,
        caller.recorded_by if caller else "unknown",
        address,
    )
    return response


async def _authenticate(request: web.Request, app: web.Application) -> None:
    """Find out who is calling. The body comes first, because the credential may be in it.

    Who only reads needs no body, and it is not looked at. A cookie counts for them alone: a foreign page can make a
    browser send a deployment, and the cookie with it.
    """
    if request.method in SAFE_METHODS:
        await identify_visitor(request)
        return
    fields = request[keys.FIELDS] = await read_fields(request, app[keys.SETTINGS].limits.body_timeout)
    credential = find_credential(request, fields.key)
    request[keys.CALLER] = await app[keys.AUTHENTICATOR].identify(credential, request[keys.ADDRESS])


def _is_lost(request: web.Request) -> bool:
    """Tell whether somebody with a browser asks for a page that does not exist."""
    nothing = isinstance(request.match_info.http_exception, web.HTTPNotFound)
    by_browser = "text/html" in request.headers.get(hdrs.ACCEPT, "") and request.method in SAFE_METHODS
    return nothing and by_browser and "/api/" not in request.path.lower()


def _unexpected(request: web.Request, request_id: str) -> web.Response:
    _log.exception("request %s failed unexpectedly", request_id)
    return unexpected_response(request, request_id)


def _http_error(request: web.Request, error: web.HTTPException) -> web.StreamResponse:
    """Answer in our own words; aiohttp's 404 and 405 come here."""
    if error.status < 400:
        return error
    public_url = request.app[keys.PROXIES].public_url(request)
    post_to = f"{public_url}{request.app[keys.SETTINGS].server.base_path}/api/package-deployment/"
    advised = request.app[keys.ADVICE](request, error) if keys.ADVICE in request.app else None
    instead = advised or f"Deployments are recorded with POST {post_to}"
    detail = status_phrase(error.status) + "."
    if error.status == 404:
        detail = f"There is nothing at {request.path}. {instead}"
    elif isinstance(error, web.HTTPMethodNotAllowed):
        detail = f"{request.method} is not allowed here. {instead}"
    response = problem_response(request, error.status, status_phrase(error.status), printable(detail))
    if allow := error.headers.get(hdrs.ALLOW):
        response.headers[hdrs.ALLOW] = allow
    return response
