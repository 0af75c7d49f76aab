"""What is said about one route, and what many routes have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from marshmallow import Schema

from deployserver.description.answers import ProblemSchema

Content = Mapping[str, Any]
"""OpenAPI's media type objects, by media type."""


class Answer(NamedTuple):
    """What one status means, what the body then holds, and which headers come with it (names of ``HEADERS``)."""

    description: str
    content: Content = MappingProxyType({})
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """What is said about one route. An answer is an ``Answer``, or the name of one in ``COMMON_ANSWERS``."""

    id: str
    tag: str
    summary: str
    description: str
    answers: Mapping[int, Answer | str]
    query: type[Schema] | None = None
    parameters: tuple[Mapping[str, Any], ...] = ()
    body: Content | None = None
    security: tuple[str, ...] = field(default=())
    """Names of ``SECURITY``, any of which will do, or none: Anonymous may be let in too. Empty: nobody is asked."""
    page: bool = False
    """Whether it is a page, where errors are pages too, unless the client prefers JSON."""


HTML: Content = {"text/html": {"schema": {"type": "string"}}}

READERS = ("ApiKey", "ApiKeyInQuery", "Basic", "Session")
RECORDERS = ("ApiKey", "ApiKeyInQuery", "Basic")

SECURITY: Mapping[str, Mapping[str, str]] = {
    "ApiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-ApiKey",
        "description": "An API key of any kind; or `user:password`, unless that is switched off.",
    },
    "ApiKeyInQuery": {
        "type": "apiKey",
        "in": "query",
        "name": "key",
        "description": "The same in the URL, for clients that cannot send a header. URLs end up in logs and histories.",
    },
    "Basic": {
        "type": "http",
        "scheme": "basic",
        "description": "The user `api` with an API key as the password; or a user's own name and password.",
    },
    "Session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "deployserver_session",
        "description": "The session of who is signed in at `/sign-in`. Counts for GET and HEAD only.",
    },
}

HEADERS: Mapping[str, Mapping[str, Any]] = {
    "X-Request-Id": {
        "description": "The id that the request brought, or one of ours; the server's log has it too.",
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "Seconds after which it may be tried again.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "Allow": {"description": "The methods that there are.", "schema": {"type": "string", "examples": ["POST"]}},
    "ETag": {
        "description": "Stands for this answer; send it back in `If-None-Match`. Left out where the answer depends on "
        "the time of the question (`since=7d`).",
        "schema": {"type": "string", "examples": ['W/"5b0e3a7c9d1f2b4e6a8c0d2f"']},
    },
    "Cache-Control": {"description": "Whether and where the answer may be kept.", "schema": {"type": "string"}},
    "Vary": {"description": "What the answer depends on besides the URL.", "schema": {"type": "string"}},
    "Link": {
        "description": 'Where the next page is, with `rel="next"`; not there on the last one.',
        "schema": {
            "type": "string",
            "examples": ['<http://127.0.0.1:8624/api/deployments?limit=50&cursor=WyJoaXN0b3J5IiwxLDFd>; rel="next"'],
        },
    },
    "X-Total-Count": {
        "description": "How many items there are on all pages, if `count=true` asked for it.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "Location": {"description": "Where to go on, below this server.", "schema": {"type": "string"}},
    "Set-Cookie": {
        "description": "The session's cookie, or the end of it: HttpOnly, SameSite=Lax, and Secure over TLS.",
        "schema": {"type": "string"},
    },
}


def problem(
    description: str,
    title: str,
    status: int,
    errors: Mapping[str, list[str]] | str,
    headers: tuple[str, ...] = (),
) -> Answer:
    """Return the answer to something that went wrong; ``errors``, by field or as one text, are the example."""
    if isinstance(errors, str):
        detail, more = errors, {}
    else:
        detail = "\n".join(f"{name} {message}" for name, messages in errors.items() for message in messages)
        more = {"errors": errors}
    example = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    return Answer(
        description,
        {
            "text/plain": {"schema": {"type": "string"}, "example": f"{detail}\n"},
            "application/problem+json": {"schema": ProblemSchema, "example": example},
        },
        headers,
    )


COMMON_ANSWERS: Mapping[str, Answer] = {
    "Malformed": problem(
        "The request is no HTTP, or its request line or a header is too long.",
        "Bad Request",
        400,
        "The request is not valid HTTP, or its request line or a header is too long.",
    ),
    "InvalidQuery": problem(
        "A parameter that is not known, or has a value that it cannot have; each of them is named.",
        "Invalid or missing data",
        400,
        {"limit": ["must be a whole number from 1 to 1000."]},
    ),
    "Forbidden": problem(
        "No key where one is needed; a key that is wrong, expired or revoked; a caller who lacks the privilege. The "
        "text says which.",
        "Forbidden",
        403,
        "An API key is needed to view deployments; send it in the X-ApiKey header.",
    ),
    "NothingThere": problem("Nothing has this name.", "Not Found", 404, "There is nothing at /static/nothing.css."),
    "NotAcceptable": problem(
        "The Accept header names none of the formats that there are.",
        "Not acceptable",
        406,
        "The Accept header names none of application/json, application/x-ndjson, text/csv; add ?format= to choose one.",
    ),
    "BodyTooLarge": problem(
        "The body, once decompressed, is larger than `[limits] body_bytes`.",
        "Body too large",
        413,
        "The body is larger than the limit of 1048576 bytes.",
    ),
    "TooManyFailures": problem(
        "Too many wrong credentials came from this address.",
        "Too many failed attempts",
        429,
        "Too many wrong credentials came from this address. Try again in 300 seconds.",
        ("Retry-After",),
    ),
    "Unexpected": problem(
        "Something unexpected went wrong. The server's log has more under the request id.",
        "Internal error",
        500,
        "Something unexpected went wrong. The server's log has more under 5c0ffee1-2a.",
    ),
    "Unavailable": problem(
        "The database is unavailable now.",
        "Store unavailable",
        503,
        "The database is unavailable.",
        ("Retry-After",),
    ),
    "NotModified": Answer(
        "The client has it: the ETag that it sent in `If-None-Match` still stands.", {}, ("ETag", "Cache-Control")
    ),
}

IF_NONE_MATCH: Mapping[str, Any] = {
    "name": "If-None-Match",
    "in": "header",
    "description": "the ETag of an answer that the client has; if nothing has changed since, it gets a 304",
    "schema": {"type": "string", "examples": ['W/"5b0e3a7c9d1f2b4e6a8c0d2f"']},
}
