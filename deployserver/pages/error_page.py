"""What went wrong, as a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus

from aiohttp import web

from deployserver.api import keys
from deployserver.api.visitors import SAFE_METHODS
from deployserver.errors import NotFound
from deployserver.pages.links import Links
from deployserver.pages.local_path import without_base
from deployserver.pages.rendering import render

_HEADINGS = {
    HTTPStatus.BAD_REQUEST: "This address asks for something that cannot be shown",
    HTTPStatus.FORBIDDEN: "You may not see this",
    HTTPStatus.NOT_FOUND: "There is nothing here",
    HTTPStatus.SERVICE_UNAVAILABLE: "Not available at the moment",
}


def error_page(
    request: web.Request, status: int, title: str, detail: str, errors: Mapping[str, Sequence[str]] | None
) -> web.Response:
    """Answer with a page that says what went wrong, and leads to where it may go better."""
    reading = request.method in SAFE_METHODS
    return render(
        request,
        "error.html",
        status=status,
        status_code=status,
        heading=_HEADINGS.get(HTTPStatus(status), title) if reading else title,
        detail=detail,
        errors=errors or {},
        actions=[*(_ways_on(request, status, errors or {}) if reading else ()), ("Go to the overview", _home(request))],
    )


async def no_such_page(request: web.Request) -> web.Response:
    """Tell somebody with a browser that there is no page at the address. Raises NotFound."""
    raise NotFound(f"There is no page at {request.path}.")


def _ways_on(request: web.Request, status: int, errors: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    """Yield what to try next, as texts and addresses."""
    base = request.app[keys.SETTINGS].server.base_path
    links, path = Links(base), without_base(request.path, base)
    query = {name: request.query.getall(name) for name in request.query}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        yield "Try again", links.url(path, query)
    elif status == HTTPStatus.FORBIDDEN:
        yield "Sign in as somebody else", links.url("/sign-in", next=links.url(path, query))
    elif errors:
        wrong = {name.lower() for name in errors}
        rest = {name: values for name, values in query.items() if name.lower() not in wrong}
        yield "Leave out what is wrong", links.url(path, rest)


def _home(request: web.Request) -> str:
    return Links(request.app[keys.SETTINGS].server.base_path).url("/")
