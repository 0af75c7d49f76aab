"""What is said about the web pages."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from marshmallow import Schema

from deployserver.description.operations import HTML, READERS, Answer, Operation, problem
from deployserver.pages.asking import HistoryPageQuery, SearchQuery
from deployserver.pages.compare import CompareQuery
from deployserver.pages.matrix import MatrixQuery
from deployserver.pages.package import PackageQuery
from deployserver.pages.target import TargetQuery
from deployserver.queries import Query

_SHOWN: Mapping[int, Answer | str] = {
    200: Answer("The page.", HTML),
    303: Answer("Nobody is signed in, and Anonymous may not see it; go to the form to sign in.", {}, ("Location",)),
    403: "Forbidden",
    429: "TooManyFailures",
    503: "Unavailable",
}


def _page(
    id: str,
    summary: str,
    description: str,
    query: type[Schema] | None,
    *parameters: Mapping[str, Any],
    tag: str = "Pages",
    **more: Answer | str,
) -> Operation:
    """Return a page to look at; ``more`` are answers by status, such as ``_404``."""
    answers = {**_SHOWN, **({400: "InvalidQuery"} if query else {}), **{int(key[1:]): one for key, one in more.items()}}
    return Operation(id, tag, summary, description, answers, query, parameters, security=READERS, page=True)


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
_FOREIGN = problem(
    "It was not sent from one of our own pages. Or what was entered is wrong, expired or revoked: the form again.",
    "Forbidden",
    403,
    "This may only be sent from this server's own pages.",
)
_NEXT = {
    "name": "next",
    "in": "query",
    "description": "the path to go to afterwards",
    "schema": {"type": "string", "examples": ["/deployments"]},
}
_ID = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "the record's `Id`",
    "schema": {"type": "integer", "examples": [1]},
}

_NO_SUCH = problem(
    "There is nothing of that name, or nothing that the caller may see.", "Not found", 404, "There is no such package."
)

OPERATIONS = MappingProxyType(
    {
        ("GET", "/"): _page(
            "showOverview",
            "What goes on",
            "The latest deployments, which go on arriving, and counts of them.",
            Query,
        ),
        ("GET", "/deployments"): _page(
            "showHistory",
            "The history",
            "Newest first, with the filters of the API in its address; new deployments appear by themselves.",
            HistoryPageQuery,
        ),
        ("GET", "/deployments/{id}"): _page(
            "showRecord",
            "One record, with what it replaced and what has replaced it",
            "Everything that is known about a deployment.",
            Query,
            _ID,
            _404=problem(
                "There is no such record, or none that the caller may see.",
                "Not found",
                404,
                "There is no deployment 77.",
            ),
        ),
        ("GET", "/package"): _page(
            "showPackage",
            "One package",
            "Which targets run which version of it now, how its newest versions were rolled out, and its history.",
            PackageQuery,
            _404=_NO_SUCH,
        ),
        ("GET", "/target"): _page(
            "showTarget",
            "One target",
            "What runs there now, or ran there at a time, since when, by whom and with which application.",
            TargetQuery,
            _404=_NO_SUCH,
        ),
        ("GET", "/matrix"): _page(
            "showMatrix",
            "Packages by targets",
            "A window of both: which version runs where, and how far it is behind the newest.",
            MatrixQuery,
        ),
        ("GET", "/compare"): _page(
            "showComparison",
            "How two targets differ, or one target at two times",
            "What differs comes first.",
            CompareQuery,
            _404=_NO_SUCH,
        ),
        ("GET", "/search"): _page(
            "showMatches",
            "What has some words in its name",
            "Packages, targets, versions, applications, users, groups and feeds, the best matches of each.",
            SearchQuery,
        ),
        ("GET", "/api/docs"): _page(
            "showDocumentation",
            "This description as a page, to read and to try out",
            "Everything that a route takes and answers. With scripts, calls can be made from it.",
            None,
            tag="Documentation",
        ),
        ("GET", "/sign-in"): Operation(
            id="showSignIn",
            tag="Pages",
            summary="The form to sign in to the web pages",
            description="A user's name and password, or an API key of any kind.",
            parameters=(_NEXT,),
            answers={200: Answer("The form.", HTML)},
            page=True,
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
                400: problem(
                    "Nothing to sign in with: the form again. Or a body that is no form.",
                    "Invalid or missing data",
                    400,
                    "A body of type application/json cannot be read.",
                ),
                403: _FOREIGN,
                413: "BodyTooLarge",
                429: "TooManyFailures",
                503: "Unavailable",
            },
            page=True,
        ),
        ("POST", "/sign-out"): Operation(
            id="signOut",
            tag="Pages",
            summary="End the session",
            description="Must come from one of our own pages, like the sign-in.",
            answers={
                200: _FOLLOWED,
                303: Answer("Signed out; go to the form to sign in.", {}, ("Location", "Set-Cookie")),
                403: _FOREIGN,
                413: "BodyTooLarge",
                503: "Unavailable",
            },
            page=True,
        ),
    }
)
