"""From the bytes of a request to its fields, by content type, and by what the bytes are where the type is wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator
from email.message import Message
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

import aiohttp
from aiohttp import hdrs, web
from multidict import MultiDict

from deployserver.api.compression import decompressed
from deployserver.api.encodings import decode, without_byte_order_mark
from deployserver.api.multipart import parts
from deployserver.errors import BodyTooLarge, InvalidRequest, MalformedBody
from deployserver.schemas import PROPERTIES

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
MULTIPART = "multipart/form-data"

RAW_BODY = web.RequestKey("raw_body", bytes)
"""The bytes of a body, with its transfer coding removed and its content coding kept, once they have been read."""

_EXPECTED = f"Send {FORM}, {JSON} or {MULTIPART}."
LONGEST_CONTENT_TYPE = 512  # what the email package does with it takes time that grows with its square
_WHITE_SPACE = b" \t\r\n"

_PROPERTY_BY_NAME = {name: name for name in PROPERTIES} | {name.lower(): name for name in PROPERTIES}


class ContentType(NamedTuple):
    """What a Content-Type header says."""

    media_type: str
    charset: str | None
    boundary: str | None


class Fields(NamedTuple):
    """What a body holds: property values by the API's own names, and the API key if it carries one."""

    values: dict[str, Any]
    key: str | None


async def read_fields(request: web.Request, timeout: float) -> Fields:  # noqa: ASYNC109 - only slow bodies are timed
    """Read the body of a request.

    Raises MalformedBody, InvalidRequest for fields that contradict each other, and BodyTooLarge. ``timeout`` is how
    many seconds the body may take to arrive.
    """
    body = await _read(request, timeout)
    return parse_fields(body, _content_type(request))


async def read_form(request: web.Request, timeout: float) -> MultiDict[str]:  # noqa: ASYNC109 - see read_fields
    """Read the body of a request that one of our own pages sent: all its fields, by their names as written.

    Raises MalformedBody, also for what is no form, and BodyTooLarge.
    """
    body = await _read(request, timeout)
    if not body:  # a form without fields, whatever its type
        return MultiDict()
    media_type, charset, boundary = parse_content_type(_content_type(request))
    if media_type == MULTIPART:
        return MultiDict(_part_pairs(body, boundary))
    if media_type in (FORM, ""):
        return MultiDict(_form_pairs(body, charset))
    raise MalformedBody(f"A body of type {media_type} cannot be read. Send {FORM} or {MULTIPART}.")


def parse_fields(body: bytes, content_type: str) -> Fields:
    """Return the fields of a body; see ``read_fields``."""
    media_type, charset, boundary = parse_content_type(content_type)
    if media_type == MULTIPART:
        return _fields(_part_pairs(body, boundary), "key")
    if body[:1] in _MARKS_START and (unmarked := without_byte_order_mark(body)) is not body:
        body, charset = unmarked, None
    is_json = body[:1] in _JSON_STARTS and body.lstrip(_WHITE_SPACE).startswith(b"{")
    if media_type == JSON or (is_json and media_type in (FORM, "text/plain", "")):
        return _json_fields(body, charset)
    if media_type in (FORM, ""):
        return _fields(_form_pairs(body, charset), "key")
    raise MalformedBody(f"A body of type {media_type} cannot be read. {_EXPECTED}")


_JSON_STARTS = frozenset((b"{", b" ", b"\t", b"\r", b"\n"))
_MARKS_START = frozenset((b"\xef", b"\xff", b"\xfe", b"\x00"))


@lru_cache(maxsize=256)
def parse_content_type(header: str) -> ContentType:
    """Return what a Content-Type header says; parameters that make no sense are left out."""
    message = Message()
    # What it may hold is ASCII; the email package fails on some of the rest.
    message["Content-Type"] = header.encode("ascii", "replace").decode().replace("\r", " ").replace("\n", " ")
    media_type = header.partition(";")[0].strip().lower()
    charset = message.get_param("charset")
    boundary = message.get_boundary()
    return ContentType(
        media_type, charset.strip().lower() or None if isinstance(charset, str) else None, boundary or None
    )


async def _read(request: web.Request, timeout: float) -> bytes:  # noqa: ASYNC109 - see read_fields
    limit = request.client_max_size
    if request.content.is_eof() and request.content.exception() is None:  # it came with the headers, as most do
        body = request.content.read_nowait()
    elif (request.content_length or 0) > limit:
        raise BodyTooLarge(limit)
    else:
        body = await _read_slowly(request, timeout)
    request[RAW_BODY] = body
    if len(body) > limit:
        raise BodyTooLarge(limit)
    if encoding := request.headers.get(hdrs.CONTENT_ENCODING):
        return decompressed(body, encoding, limit)
    return body


async def _read_slowly(request: web.Request, timeout: float) -> bytes:  # noqa: ASYNC109 - see read_fields
    try:
        async with asyncio.timeout(timeout):
            return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise BodyTooLarge(request.client_max_size) from None
    except TimeoutError:
        raise MalformedBody(f"The body did not arrive within {timeout:g} seconds.") from None
    except (aiohttp.ClientPayloadError, aiohttp.http.HttpProcessingError, web.RequestPayloadError) as error:
        # The library's own words may hold bytes of the request.
        raise MalformedBody("The body cannot be read: its chunks are broken.") from error
    except OSError as error:
        raise MalformedBody("The connection was closed before the body was complete.") from error


def _content_type(request: web.Request) -> str:
    content_type = request.headers.get(hdrs.CONTENT_TYPE, "")
    if len(content_type) > LONGEST_CONTENT_TYPE:
        raise MalformedBody(f"The content type has more than {LONGEST_CONTENT_TYPE} characters.")
    return content_type


def _part_pairs(body: bytes, boundary: str | None) -> Iterator[tuple[str, str]]:
    """Yield names and values of a multipart form."""
    if boundary is None:
        raise MalformedBody(f"The content type is {MULTIPART} but names no boundary.")
    for name, value, charset in parts(body, boundary):
        yield name, decode(value, charset)


def _form_pairs(body: bytes, charset: str | None) -> Iterator[tuple[str, str]]:
    """Yield names and values of a urlencoded form; raw blanks and raw non-ASCII bytes are let through."""
    if b"\x00" in body:
        raise MalformedBody(f"The body holds NUL bytes and is no form. {_EXPECTED}")
    escaped = b"%" in body or b"+" in body or not body.isascii()
    for pair in body.decode("latin-1").split("&"):
        name, equals, value = pair.partition("=")
        if equals or name.strip():
            if escaped:
                name, value = _form_text(name, charset), _form_text(value, charset)
            yield name, value


def _form_text(escaped: str, charset: str | None) -> str:
    """Undo the escaping of a name or value; ``escaped`` has a character for each byte."""
    if "+" in escaped:
        escaped = escaped.replace("+", " ")
    if "%" in escaped:
        return decode(unquote_to_bytes(escaped.encode("latin-1")), charset)
    return escaped if escaped.isascii() else decode(escaped.encode("latin-1"), charset)


def _json_fields(body: bytes, charset: str | None) -> Fields:
    if not body.strip():
        raise MalformedBody("The body is empty; send a JSON object with the properties of the deployment.")
    try:
        pairs = _JSON_DECODER.decode(decode(body, charset))
        if not isinstance(pairs, _Pairs):
            raise MalformedBody("The JSON must be one object with the properties of the deployment.")
        return _fields(((name, _plain(value)) for name, value in pairs), "api_key")
    except RecursionError:
        raise MalformedBody("The JSON is nested too deeply.") from None
    except ValueError as error:
        raise MalformedBody(f"The body is not valid JSON: {error}") from None


class _Pairs(list[tuple[str, Any]]):
    """The members of a JSON object, those of the same name too."""


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


# Numbers become the text they were written as: 12.0 is a version, and not the version 12.
_JSON_DECODER = json.JSONDecoder(object_pairs_hook=_Pairs, parse_int=str, parse_float=str, parse_constant=_no_constant)


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, _Pairs) else value


def _fields(pairs: Iterable[tuple[str, Any]], key_name: str) -> Fields:
    """Sort names, in any letter case, into properties and the key; those of neither are ignored."""
    values: dict[str, Any] = {}
    contradicting: dict[str, list[str]] = {}
    for name, value in pairs:
        known = _PROPERTY_BY_NAME.get(name)
        if known is None:
            lowered = name.strip().lower()
            known = key_name if lowered == key_name else _PROPERTY_BY_NAME.get(lowered)
            if known is None:
                continue
        if known in values and values[known] != value:
            contradicting[known] = ["is given more than once, with different values."]
        values[known] = value
    if contradicting:
        raise InvalidRequest(contradicting)
    key = values.pop(key_name, None)
    if key is not None and not isinstance(key, str):
        raise InvalidRequest({"API_Key": ["must be a text."]})
    return Fields(values, key if key and key.strip() else None)
