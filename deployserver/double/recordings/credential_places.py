"""Where in a request a credential stands, or something that was meant as one: the target, the headers and the body."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from deployserver.api.multipart import parts
from deployserver.double.recordings.body import BodyText
from deployserver.errors import MalformedBody


class Place(NamedTuple):
    """A credential from ``start`` to ``end`` of a text.

    ``counts`` says that the server looks for one there; ``bare`` that quotes have to be put around what stands for it.
    """

    start: int
    end: int
    secret: str
    counts: bool
    bare: bool = False


_NOT_ALPHANUMERIC = re.compile(r"[^a-z0-9]")
_MEANT_AS_KEY = frozenset(
    ("key", "apikey", "xapikey", "accesskey", "token", "accesstoken", "secret", "password", "passwd", "authorization")
)
_SECRET_HEADER = re.compile(r"api[-_]?key|token|secret|passw|^authorization$|credential", re.IGNORECASE)
_SCHEMES = frozenset(("basic", "bearer", "digest", "negotiate", "ntlm", "token", "apikey"))
_STRING = r'"(?P<{}>[^"\\]*(?:\\.[^"\\]*)*)(?:"|\\?\Z)'
_MEMBER = re.compile(rf"{_STRING.format('name')}(?:\s*:\s*(?:{_STRING.format('text')}|(?P<bare>[\w.+-]+)))?", re.DOTALL)
_LOOKS_LIKE = re.compile(
    r"(?:\b|_)(?:key|token|secret|password)\b[\"'\\]*\s*[:=>]\s*[\"'\\]*(?P<text>[^\s\"'\\,}&<]+)", re.IGNORECASE
)
"""What is left of it where quotes got lost on the way, or where it is XML."""


def in_target(target: str) -> list[Place]:
    """Return the credentials in a request target."""
    start = target.find("?") + 1
    return list(_in_pairs(target, start, "utf-8", "key")) if start else []


def in_header(name: str, value: str) -> list[Place]:
    """Return the credential in the value of a header; of Basic authentication, decoded and with the user's name."""
    if not value.strip() or not _SECRET_HEADER.search(name):
        return []
    start = len(value) - len(value.lstrip())
    if name.lower() != "authorization":
        return [Place(start, len(value), value.strip(), name.lower() == "x-apikey")]
    scheme = value.split(maxsplit=1)[0]
    if scheme.lower() not in _SCHEMES or scheme == value.strip():
        return [Place(start, len(value), value.strip(), False)]
    start = value.index(scheme) + len(scheme)
    start += len(value[start:]) - len(value[start:].lstrip())
    decoded = basic_decoded(value[start:]) if scheme.lower() == "basic" else None
    secret = value[start:].strip() if decoded is None else decoded
    return [Place(start, len(value), secret, decoded is not None)]


def basic_decoded(value: str) -> str | None:
    """Return the user's name and the password of Basic authentication, with a colon between; None if it is none."""
    try:
        decoded = base64.b64decode(value.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    return _decoded(decoded)


def in_body(body: BodyText) -> list[Place]:
    """Return the credentials in a body that is not compressed."""
    if body.kind == "multipart":
        return list(_in_parts(body))
    found = _in_json(body.text) if body.kind == "json" else _in_pairs(body.text, 0, body.encoding, "key")
    places = list(found)
    if not body.is_sound:
        places += [Place(*like.span("text"), like["text"], False) for like in _LOOKS_LIKE.finditer(body.text)]
        places = list(_without_overlaps(places))
    return places


def _without_overlaps(places: list[Place]) -> Iterator[Place]:
    """Yield places in their order; of two that overlap, the one that begins first and is the longer."""
    end = 0
    for place in sorted(places, key=lambda place: (place.start, -place.end)):
        if place.start >= end:
            yield place
            end = place.end


def _in_pairs(text: str, start: int, encoding: str, name: str) -> Iterator[Place]:
    for pair in text[start:].split("&"):
        escaped, equals, value = pair.partition("=")  # by hand: a pattern would take the square of the time
        found, secret = (_unescaped(part, encoding).strip() for part in (escaped, value))
        end = start + len(pair)
        if equals and secret and _is_meant(found):
            yield Place(end - len(value), end, secret, found.lower() == name)
        start = end + 1


def _in_json(text: str) -> Iterator[Place]:
    """Yield what stands in the members of objects, also where the JSON is broken."""
    for member in _MEMBER.finditer(text):
        name = _json_text(member["name"])
        if not _is_meant(name):
            continue
        counts = name.strip().lower() == "api_key"
        if member["text"] is not None and (secret := _json_text(member["text"]).strip()):
            yield Place(member.start("text"), member.end("text"), secret, counts)
        elif member["bare"] not in (None, "null", "true", "false"):
            yield Place(member.start("bare"), member.end("bare"), member["bare"], counts, bare=True)


def _in_parts(body: BodyText) -> Iterator[Place]:
    """Yield what stands in the parts of a multipart form, also in one that has been cut off."""
    boundary = body.boundary
    assert boundary is not None
    delimiter = re.compile(r"(?:^|\r?\n)--" + re.escape(boundary) + r"(?:--)?[ \t]*(?:\r?\n|$)")
    starts = list(delimiter.finditer(body.text))
    for at, found in enumerate(starts):
        start, end = found.end(), starts[at + 1].start() if at + 1 < len(starts) else len(body.text)
        part = body.text[start:end].encode(body.encoding)
        try:
            (field,) = parts(b"--x\r\n" + part + b"\r\n--x--", "x")
        except (MalformedBody, ValueError):  # no part, or not what a part of it may be
            continue
        secret = _decoded(field.value).strip()
        if secret and _is_meant(field.name):
            yield Place(end - len(field.value.decode(body.encoding)), end, secret, field.name.strip().lower() == "key")


def _is_meant(name: str) -> bool:
    return _NOT_ALPHANUMERIC.sub("", name.lower()) in _MEANT_AS_KEY


def _unescaped(text: str, encoding: str) -> str:
    return _decoded(unquote_to_bytes(text.replace("+", " ").encode(encoding, "surrogatepass")))


def _json_text(escaped: str) -> str:
    try:
        text = json.loads(f'"{escaped}"', strict=False)
    except ValueError:
        return escaped
    return str(text)


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")
