"""``GET /api/deployments/events``: what is recorded, as it is recorded (server-sent events, WHATWG HTML 9.2)."""

from __future__ import annotations

import logging
import re

from aiohttp import hdrs, web

from deployserver import queries
from deployserver.api import keys
from deployserver.api.formats import abort
from deployserver.api.reading import ask
from deployserver.api.responses import begin
from deployserver.api.visitors import is_still_signed_in
from deployserver.errors import DeployServerError, InvalidRequest
from deployserver.schemas import deployment_json

_log = logging.getLogger("deployserver.requests")

HEARTBEAT_SECONDS = 15.0
"""How long a stream may be silent: proxies give up on one that says nothing (nginx: after 60 seconds)."""

_HEADERS = {
    hdrs.CONTENT_TYPE: "text/event-stream; charset=utf-8",
    hdrs.CACHE_CONTROL: "no-store",
    "X-Accel-Buffering": "no",  # nginx would collect events before it passes them on
}
_BEGIN = b"retry: 3000\n\n"


async def follow_deployments(request: web.Request) -> web.StreamResponse:
    """Answer with an event for each record, for as long as the client listens."""
    question = ask(request, queries.EventsQuery)
    live = request.app[keys.LIVE]
    after = _last_seen(request, question.query["last_event_id"])
    request.app[keys.VIEWING].view(request[keys.CALLER])
    if after is None:
        after = await live.newest_id()
    response = web.StreamResponse(headers=_HEADERS)
    if not await begin(request, response):
        return response
    seen = after
    try:
        await response.write(_BEGIN)
        async for news in live.follow(request[keys.CALLER], question.asked, after, HEARTBEAT_SECONDS):
            if not await is_still_signed_in(request):
                break
            events = [
                f"id: {deployment.id}\nevent: deployment\ndata: {deployment_json(deployment)}\n\n"
                for deployment in news.deployments
            ]
            if not events:
                # The id moves on without an event, so that a client that returns does not make us look again.
                events = [f"id: {news.until}\n: nothing for you\n\n" if news.until > seen else ": still here\n\n"]
            seen = news.until
            await response.write("".join(events).encode())
        await response.write_eof()
    except ConnectionError:
        pass  # the client has gone
    except DeployServerError as error:
        _log.warning("a stream of events ended: %s", error.__cause__ or error)
        abort(request)
    except Exception:  # noqa: BLE001 - the answer has begun, so nothing else can be said
        _log.exception("a stream of events ended")
        abort(request)
    return response


def _last_seen(request: web.Request, given: int | None) -> int | None:
    header = request.headers.get("Last-Event-ID", "").strip()
    if not header:
        return given
    if not re.fullmatch(r"[0-9]{1,19}", header) or int(header) >= 2**63:
        raise InvalidRequest({"Last-Event-ID": ["must be the id of an event, a whole number."]})
    return int(header)
