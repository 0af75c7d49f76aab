"""Where clients put their credential.

A key of ours in ``X-ApiKey``, ``?key=`` or the body goes before ``Authorization``, which a reverse proxy may have
set for its own purposes.
"""

from __future__ import annotations

import base64
import binascii

from aiohttp import hdrs, web

from deployserver.authentication import Credential
from deployserver.errors import InvalidCredential

_QUERY_NAME = "key"


def find_credential(request: web.Request, body_key: str | None) -> Credential | None:
    """Return the credential of a request, or None where there is none; a blank one is none.

    Raises InvalidCredential for an Authorization header that cannot be understood.
    """
    if (key := request.headers.get("X-ApiKey", "").strip()) or (request.query_string and (key := _query_key(request))):
        return Credential(_text(key))
    if body_key is not None:
        return Credential(_text(body_key.strip()))
    authorization = request.headers.get(hdrs.AUTHORIZATION)
    return _from_authorization(authorization) if authorization else None


def _text(value: str) -> str:
    """Return a key without surrogates, which no key has.

    aiohttp makes them of header bytes that are not UTF-8; those are Latin-1, as .NET Framework sends a password.
    """
    if value.isascii():
        return value
    try:
        data = value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return value.encode("utf-8", "replace").decode()
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def asked_parameters(request: web.Request) -> dict[str, list[str]]:
    """Return the values of each parameter of a query, as they were given, without the credential that may be there."""
    given: dict[str, list[str]] = {}
    for name, value in request.query.items():
        if name.lower() != _QUERY_NAME:
            given.setdefault(name, []).append(value)
    return given


def _query_key(request: web.Request) -> str:
    return next((value.strip() for name, value in request.query.items() if name.lower() == _QUERY_NAME), "")


def _from_authorization(header: str) -> Credential:
    scheme, _, value = header.strip().partition(" ")
    if scheme.lower() != "basic":
        raise InvalidCredential(
            "The Authorization header must be Basic, with the user api and the key as the password; "
            "better, send the key in the X-ApiKey header.",
            actor="unknown",
        )
    try:
        decoded = base64.b64decode(value.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidCredential(
            "The Authorization header is not valid Basic authentication.", actor="unknown"
        ) from None
    try:
        text = decoded.decode()
    except UnicodeDecodeError:
        text = decoded.decode("latin-1")
    user, _, password = text.partition(":")
    return Credential.from_basic(user, password)
