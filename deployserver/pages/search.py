"""``/search``: what has the words of one box in its name."""

from __future__ import annotations

from aiohttp import web

from deployserver.api import keys
from deployserver.filters import exactly
from deployserver.pages.asking import SearchQuery, ask, links_of
from deployserver.pages.links import Links
from deployserver.pages.rendering import render
from deployserver.search import MOST_COUNTED, Kind, Match

_MOST_SHOWN = 8

_HEADINGS: dict[Kind, str] = {
    "package": "Packages",
    "target": "Targets",
    "version": "Versions",
    "application": "Applications",
    "user": "Users",
    "group": "Groups",
    "feed": "Feeds",
}


async def show_matches(request: web.Request) -> web.Response:
    """Show the best matches of each kind, and the way to the deployments that have the words anywhere."""
    words = ask(request, SearchQuery).query["q"]
    found = await request.app[keys.SEARCH].find(request[keys.CALLER], words, _MOST_SHOWN)
    links = links_of(request)
    kinds = [
        {
            "id": matches.kind,
            "heading": _HEADINGS[matches.kind],
            "count": f"{MOST_COUNTED}+" if matches.total > MOST_COUNTED else str(matches.total),
            "more": matches.total - len(matches.best),
            "matches": [(match, _address(links, matches.kind, match)) for match in matches.best],
        }
        for matches in found
    ]
    return render(request, "search.html", text=" ".join(words), words=words, kinds=kinds)


def _address(links: Links, kind: Kind, match: Match) -> str:
    if kind == "package":
        return links.package_url(match.feed_name or "", match.group_name, match.name)
    if kind == "target":
        return links.target_url(match.name)
    return links.url("/deployments", {kind: exactly(match.name)})
