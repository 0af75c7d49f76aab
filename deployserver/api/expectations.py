"""``Expect: 100-continue``: the client asks before it sends the body."""

from __future__ import annotations

from aiohttp import hdrs, web
from aiohttp.http import HttpVersion11


async def ask_for_body(request: web.Request) -> None:
    """Ask for the body, unless it is going to be refused for its size; other expectations are ignored.

    Ignoring what is not understood is what RFC 9110 (10.1.1) allows, and no deployment is lost for it.
    """
    if request.version != HttpVersion11 or request.headers.get(hdrs.EXPECT, "").lower() != "100-continue":
        return
    if (request.content_length or 0) > request.client_max_size:
        return
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    # What was written must not count as the start of the answer, or errors could not be answered any more.
    request.writer.output_size = 0
