"""Answers to questions: JSON, NDJSON or CSV, in pages or as one stream of everything."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import logging
import socket
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import urlencode

from aiohttp import hdrs, web

from deployserver.api import keys
from deployserver.api.accept import accepted_quality
from deployserver.api.responses import begin
from deployserver.errors import DeployServerError, NotAcceptable
from deployserver.formulas import shielded

_log = logging.getLogger("deployserver.requests")

Item = TypeVar("Item")

TOTAL_COUNT = "X-Total-Count"

MEDIA_TYPES = {
    "json": ("application/json",),
    "ndjson": ("application/x-ndjson", "application/ndjson", "application/jsonl"),
    "csv": ("text/csv",),
}
_CONTENT_TYPES = {
    "json": "application/json; charset=utf-8",
    "ndjson": "application/x-ndjson; charset=utf-8",
    "csv": "text/csv; charset=utf-8; header=present",
}

_RESET_AT_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, for no time


class Table(NamedTuple, Generic[Item]):
    """How items of one kind are written."""

    columns: Sequence[str]
    to_json: Callable[[Item], str]
    to_cells: Callable[[Item], Sequence[Any]]


class Page(NamedTuple, Generic[Item]):
    """Items, the cursor of those that follow, if any, and how many there are altogether if that was asked for."""

    items: Sequence[Item]
    next: str | None = None
    total: int | None = None


def choose_format(request: web.Request, wanted: str | None) -> str:
    """Return the format that ``?format=`` or the Accept header asks for. Raises NotAcceptable."""
    if wanted is not None:
        return wanted
    accept = ", ".join(request.headers.getall(hdrs.ACCEPT, ()))
    qualities = {
        name: max(accepted_quality(accept, media_type) for media_type in types) for name, types in MEDIA_TYPES.items()
    }
    best = max(qualities, key=lambda name: qualities[name])
    if not qualities[best]:
        raise NotAcceptable([media_type for types in MEDIA_TYPES.values() for media_type in types[:1]])
    return best


def page_response(request: web.Request, format_: str, table: Table[Item], page: Page[Item]) -> web.Response:
    """Answer with one page; ``Link`` says where the next one is, by the URL that the client used."""
    if format_ == "json":
        body = f"[{','.join(map(table.to_json, page.items))}]"
    else:
        body = _head(format_, table) + _rows(format_, table, page.items)
    response = web.Response(body=body.encode(), headers={hdrs.CONTENT_TYPE: _CONTENT_TYPES[format_]})
    if page.next is not None:
        response.headers[hdrs.LINK] = f'<{_next_url(request, page.next)}>; rel="next"'
    if page.total is not None:
        response.headers[TOTAL_COUNT] = str(page.total)
    return response


async def stream_response(
    request: web.Request,
    format_: str,
    table: Table[Item],
    parts: AsyncIterator[Sequence[Item]],
    headers: dict[str, str],
) -> web.StreamResponse:
    """Answer with everything, a part at a time; if that fails on the way, the client sees that it is not the end."""
    first = await anext(parts, ())
    response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: _CONTENT_TYPES[format_], **headers})
    if not await begin(request, response):
        return response
    try:
        await response.write((_head(format_, table) + _rows(format_, table, first)).encode())
        async for items in parts:
            await response.write(_rows(format_, table, items).encode())
        await response.write_eof()
    except ConnectionError:
        pass  # the client has heard enough
    except DeployServerError as error:
        _log.error("an answer was broken off: %s", error.__cause__ or error)
        abort(request)
    except Exception:  # noqa: BLE001 - the answer has begun, and must not end as if it were whole
        _log.exception("an answer was broken off")
        abort(request)
    return response


def abort(request: web.BaseRequest) -> None:
    """Reset the connection so that the client cannot take what it has got for all.

    To a client that speaks HTTP/1.0, as nginx does unless it is told otherwise, an orderly close would be the end.
    """
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        transport.abort()


def entity_tag(*parts: object) -> str:
    """Return a weak ETag that is another whenever one of ``parts`` is."""
    return f'W/"{hashlib.blake2b(repr(parts).encode(), digest_size=12).hexdigest()}"'


def is_known(request: web.Request, tag: str) -> bool:
    """Tell whether the client has what ``tag`` stands for (RFC 9110, 13.1.2)."""
    known = request.headers.get(hdrs.IF_NONE_MATCH)
    if known is None:
        return False
    return known.strip() == "*" or tag.removeprefix("W/") in {
        one.strip().removeprefix("W/") for one in known.split(",")
    }


def _next_url(request: web.Request, cursor: str) -> str:
    query = [(name, value) for name, value in request.query.items() if name.lower() != "cursor"]
    public = request.app[keys.PROXIES].public_url(request)
    base = request.app[keys.SETTINGS].server.base_path
    path = request.rel_url.raw_path
    if base and not path.lower().startswith(f"{base.lower()}/"):
        path = base + path
    return f"{public}{path}?{urlencode([*query, ('cursor', cursor)])}"


def _head(format_: str, table: Table[Any]) -> str:
    return _csv([table.columns]) if format_ == "csv" else ""


def _rows(format_: str, table: Table[Item], items: Sequence[Item]) -> str:
    if format_ == "csv":
        return _csv([[shielded(cell) for cell in table.to_cells(item)] for item in items])
    return "".join([f"{table.to_json(item)}\n" for item in items])


def _csv(rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def to_json(value: Any) -> str:
    """Return a value as JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
