"""``/deployments`` and ``/deployments/{id}``: the history, and one record of it."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from deployserver.api import keys
from deployserver.api.cursors import decode_cursor, encode_cursor
from deployserver.history import HistoryPage
from deployserver.pages.asking import HistoryPageQuery, PageQuestion, ask, links_of
from deployserver.pages.filters import HISTORY_FILTERS, beyond_form, chosen, form_fields
from deployserver.pages.first_run import example_feed
from deployserver.pages.rendering import render
from deployserver.queries import Query

PATH = "/deployments"
_API = "/api/deployments"


async def show_history(request: web.Request) -> web.Response:
    """Show some records, newest first, with the filters and the part of them that the address asks for."""
    question = ask(request, HistoryPageQuery)
    view = request.app[keys.VIEWING].view(request[keys.CALLER])
    page = await _page(request, question)
    feeds = [feed.name for feed in view.feeds.values()]
    return render(
        request,
        "history.html",
        deployments=page.deployments,
        fields=form_fields(HISTORY_FILTERS, question.given, feeds),
        keep=beyond_form(HISTORY_FILTERS, question.given),
        chosen=chosen(HISTORY_FILTERS, question.given, links_of(request), PATH),
        feed=example_feed(view),
        **_ways(request, question, page),
    )


async def show_record(request: web.Request) -> web.Response:
    """Show one record, and what was on its installation before and after it."""
    ask(request, Query)
    placed = await request.app[keys.HISTORY].placed(request[keys.CALLER], int(request.match_info["id"]))
    return render(request, "record.html", placed=placed)


async def _page(request: web.Request, question: PageQuestion) -> HistoryPage:
    history, caller, limit = request.app[keys.HISTORY], request[keys.CALLER], question.query["limit"]
    after: Any = decode_cursor("newer", question.query["newer"], (int, int))
    if after is not None:
        return await history.newer(caller, question.asked, after, limit)
    before: Any = decode_cursor("history", question.query["cursor"], (int, int))
    return await history.page(caller, question.asked, before, limit)


def _ways(request: web.Request, question: PageQuestion, page: HistoryPage) -> dict[str, Any]:
    """Return the addresses of the pages around this one, and of the same records in other formats."""
    links = links_of(request)
    state = {name: texts for name, texts in question.given.items() if name not in ("cursor", "newer")}
    filters = {name: texts for name, texts in state.items() if name != "limit"}
    ways: dict[str, Any] = {
        "newer": page.newer and links.url(PATH, state, newer=encode_cursor("newer", page.newer)),
        "older": page.next and links.url(PATH, state, cursor=encode_cursor("history", page.next)),
        "newest": links.url(PATH, state) if page.newer or question.query["cursor"] else None,
        "everything": links.url(_API, filters, format="csv") if page.next or page.newer else None,
    }
    if page.deployments:
        # Begin with the first that is shown, so that what arrives in the meantime does not move the rest.
        first = page.deployments[0]
        shown = {
            **filters,
            "limit": len(page.deployments),
            "cursor": encode_cursor("history", (first.row.date, first.id + 1)),
        }
        ways |= {name: links.url(_API, shown, format=name) for name in ("csv", "json")}
    return ways
