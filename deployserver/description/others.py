"""What is said about the routes that are not about deployments: health, the description itself, and web pages."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from deployserver.description.answers import HealthSchema
from deployserver.description.operations import HTML, IF_NONE_MATCH, Answer, Operation, problem

_HEALTH: dict[str, Any] = {
    "applicationName": "deployserver",
    "databaseStatus": "OK",
    "databaseStatusDetails": None,
    "versionNumber": "0.1.0",
    "releaseNumber": "0.1.0",
    "licenseStatus": "OK",
    "licenseStatusDetail": None,
    "serviceStatus": "OK",
    "serviceStatusDetail": None,
    "replicationStatus": {
        "serverStatus": None,
        "serverError": None,
        "clientStatus": None,
        "clientError": None,
        "incoming": [],
        "outgoing": [],
    },
    "extensionsInstalled": {},
}


def _health_content(word: str, **changes: str) -> dict[str, Any]:
    return {
        "application/json": {"schema": HealthSchema, "example": {**_HEALTH, **changes}},
        "text/plain": {"schema": {"type": "string"}, "example": f"{word}\n"},
    }


def _health(id: str) -> Operation:
    unwell = _health_content("Error", databaseStatus="Error", databaseStatusDetails="The database cannot be written.")
    unwell["application/problem+json"] = problem("", "Internal error", 500, "").content["application/problem+json"]
    return Operation(
        id=id,
        tag="Health",
        summary="Whether the server can do its job",
        description=(
            "As ProGet's health API says it. After a failed write the database counts as well again when a write has "
            "succeeded."
        ),
        parameters=(
            {
                "name": "format",
                "in": "query",
                "description": "`text` for just the word, `OK` or `Error`",
                "schema": {"type": "string", "examples": ["text"]},
            },
        ),
        answers={
            200: Answer("Every status is `OK`.", _health_content("OK")),
            500: Answer("A status is `Error`.", unwell),
        },
    )


def _file(id: str, summary: str, example: str) -> Operation:
    return Operation(
        id=id,
        tag="Pages",
        summary=summary,
        description="Kept for good under the address that names its content (`?v=`), else asked for again.",
        parameters=(
            {
                "name": "name",
                "in": "path",
                "required": True,
                "description": "the file's name",
                "schema": {"type": "string", "examples": [example]},
            },
            {
                "name": "v",
                "in": "query",
                "description": "the beginning of the hash of its content",
                "schema": {"type": "string"},
            },
            IF_NONE_MATCH,
        ),
        answers={
            200: Answer(
                "The file.",
                {
                    media_type: {"schema": {"type": "string"}}
                    for media_type in ("text/javascript", "text/css", "image/svg+xml")
                },
                ("ETag", "Cache-Control"),
            ),
            304: "NotModified",
            404: "NothingThere",
        },
    )


def _with_page(answer: Answer) -> Answer:
    """Return an answer that may also be a page."""
    return answer._replace(content={**HTML, **answer.content})


_FORM = ("application/x-www-form-urlencoded", "multipart/form-data")
_SIGN_IN = {
    "schema": {
        "type": "object",
        "description": "`user` and `password`, or `key`; fields that are not known are ignored",
        "properties": {
            "user": {"type": "string", "description": "a user's name, or `api`"},
            "password": {"type": "string", "format": "password", "description": "the password, or with `api` a key"},
            "key": {"type": "string", "format": "password", "description": "an API key of any kind"},
            "next": {"type": "string", "description": "the path to go to afterwards", "examples": ["/deployments"]},
        },
    },
    "example": {"user": "alice", "password": "correct horse battery staple", "next": "/"},
}
_FOLLOWED = Answer("What a client gets that follows the 303 by itself.", HTML)
_WRONG_KEY = _with_page(
    problem(
        "What was entered is wrong, expired or revoked: the form again. Or it was not sent from one of our own pages.",
        "Forbidden",
        403,
        "This may only be sent from this server's own pages.",
    )
)

OPERATIONS = MappingProxyType(
    {
        ("GET", "/health"): _health("getHealth"),
        ("GET", "/health/json"): _health("getHealthJson"),
        ("GET", "/health/live"): Operation(
            id="getLiveness",
            tag="Health",
            summary="Whether the process is alive",
            description="Does not ask the database.",
            answers={200: Answer("It is.", {"text/plain": {"schema": {"type": "string"}, "example": "OK\n"}})},
        ),
        ("GET", "/api/openapi.json"): Operation(
            id="getDescription",
            tag="Documentation",
            summary="This description",
            description="OpenAPI 3.1. `servers` names the address by which the client reached the server.",
            parameters=(IF_NONE_MATCH,),
            answers={
                200: Answer(
                    "The description.", {"application/json": {"schema": {"type": "object"}}}, ("ETag", "Cache-Control")
                ),
                304: "NotModified",
            },
        ),
        ("GET", "/api/docs"): Operation(
            id="showDocumentation",
            tag="Documentation",
            summary="This description as a page, to read and to try out",
            description="Everything that a route takes and answers. With scripts, calls can be made from it.",
            security=("Session",),
            answers={
                200: Answer("The page.", HTML),
                403: "Forbidden",
                429: "TooManyFailures",
                503: "Unavailable",
            },
        ),
        ("GET", "/api/docs/{name}"): _file(
            "getDocumentationFile", "A file of that page's scripts and styles", "swagger_style.css"
        ),
        ("GET", "/static/{name}"): _file(
            "getStaticFile", "A file of the pages' scripts, styles and pictures", "style.css"
        ),
        ("GET", "/sign-in"): Operation(
            id="showSignIn",
            tag="Pages",
            summary="The form to sign in to the web pages",
            description="A user's name and password, or an API key of any kind.",
            parameters=(
                {
                    "name": "next",
                    "in": "query",
                    "description": "the path to go to afterwards",
                    "schema": {"type": "string", "examples": ["/deployments"]},
                },
            ),
            answers={200: Answer("The form.", HTML)},
        ),
        ("POST", "/sign-in"): Operation(
            id="signIn",
            tag="Pages",
            summary="Begin a session",
            description="Must come from one of our own pages, by `Sec-Fetch-Site`, `Origin` or `Referer`.",
            body=dict.fromkeys(_FORM, _SIGN_IN),
            answers={
                200: _FOLLOWED,
                303: Answer("Signed in; go to `next`, or to `/`.", {}, ("Location", "Set-Cookie")),
                400: _with_page(
                    problem(
                        "Nothing to sign in with: the form again. Or a body that is no form.",
                        "Invalid or missing data",
                        400,
                        "A body of type application/json cannot be read.",
                    )
                ),
                403: _WRONG_KEY,
                413: "BodyTooLarge",
                429: Answer(
                    "Too many wrong credentials came from this address: the form again.", HTML, ("Retry-After",)
                ),
                503: "Unavailable",
            },
        ),
        ("POST", "/sign-out"): Operation(
            id="signOut",
            tag="Pages",
            summary="End the session",
            description="Must come from one of our own pages, like the sign-in.",
            answers={
                200: _FOLLOWED,
                303: Answer("Signed out; go to the form to sign in.", {}, ("Location", "Set-Cookie")),
                403: _WRONG_KEY,
                413: "BodyTooLarge",
                503: "Unavailable",
            },
        ),
    }
)
