"""``/matrix``: packages by targets, and how far each is behind."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from deployserver.api import keys
from deployserver.api.cursors import decode_cursor, encode_cursor
from deployserver.matrix import From, Window
from deployserver.pages.asking import PageQuestion, ask, links_of, place
from deployserver.pages.filters import Filter, beyond_form, chosen, form_fields
from deployserver.pages.links import Links
from deployserver.pages.rendering import render
from deployserver.parameters import Choice
from deployserver.queries import Query, filter_parameter
from deployserver.schemas import NAME_LENGTH
from deployserver.storage.spread import PackageKey

PATH = "/matrix"

FILTERS = (
    Filter("package", "Package", "Any; or Acme.*"),
    Filter("target", "Target", "Any; or web-*"),
    Filter("group", "Group"),
    Filter("feed", "Feed"),
    Filter("drift", "Drift"),
)
_CURSORS = ("rows", "columns")


class MatrixQuery(Query):
    """``/matrix``: the API's filters, and which window of what they let through."""

    package = filter_parameter("package")
    target = filter_parameter("target")
    group = filter_parameter("group")
    feed = filter_parameter("feed")
    drift = Choice(("only",), load_default=None, metadata={"description": "only packages that are behind somewhere"})
    rows = place("packages", 2 * NAME_LENGTH)
    columns = place("targets", 2 * NAME_LENGTH)


async def show_matrix(request: web.Request) -> web.Response:
    """Show a window of the matrix."""
    question = ask(request, MatrixQuery)
    view = request.app[keys.VIEWING].view(request[keys.CALLER])
    window = await request.app[keys.MATRIX].window(
        request[keys.CALLER],
        question.asked,
        _rows_from(question.query["rows"]),
        _columns_from(question.query["columns"]),
        only_drifting=question.query["drift"] == "only",
    )
    given = {name: texts for name, texts in question.given.items() if name not in _CURSORS}
    fields = form_fields(FILTERS, given, [feed.name for feed in view.feeds.values()])
    fields[-1]["options"] = [("", "Any"), ("only", "Only drifting")]
    return render(
        request,
        "matrix.html",
        window=window,
        fields=fields,
        keep=beyond_form(FILTERS, given),
        chosen=chosen(FILTERS, given, links_of(request), PATH),
        **_ways(links_of(request), question, given, window),
    )


def _rows_from(cursor: str | None) -> From | None:
    found = decode_cursor("rows", cursor, (bool, str, int, str), "rows")
    return From(PackageKey(*found[1:]), found[0]) if found else None


def _columns_from(cursor: str | None) -> From | None:
    found = decode_cursor("columns", cursor, (bool, str), "columns")
    return From(found[1], found[0]) if found else None


def _ways(links: Links, question: PageQuestion, given: dict[str, list[str]], window: Window) -> dict[str, Any]:
    """Return the addresses of the windows around this one; other rows begin with their first column."""
    rows = {"rows": question.query["rows"]}
    before, after = window.row_ends
    left, right = window.column_ends
    api = {name: texts for name, texts in given.items() if name != "drift"}
    start = _rows_from(question.query["rows"])
    ways = {
        "first_rows": links.url(PATH, given) if question.query["rows"] else None,
        "rows_before": before and links.url(PATH, given, rows=encode_cursor("rows", (True, *before))),
        "rows_after": after and links.url(PATH, given, rows=encode_cursor("rows", (False, *after))),
        "first_columns": links.url(PATH, given, **rows) if question.query["columns"] else None,
        "columns_before": left and links.url(PATH, {**given, **rows}, columns=encode_cursor("columns", (True, left))),
        "columns_after": right and links.url(PATH, {**given, **rows}, columns=encode_cursor("columns", (False, right))),
        "everything": links.url("/api/deployments/current", api, format="csv"),
    }
    return {**ways, "go_on": ways["rows_before" if start and start.backwards else "rows_after"]}
