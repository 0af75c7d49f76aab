"""``/``: what goes on."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from deployserver.api import keys
from deployserver.filters import exactly
from deployserver.frequency import PeriodCount
from deployserver.overview import Busy, Summary
from deployserver.pages.asking import ask, links_of
from deployserver.pages.charts import Bar, bar_chart, sparkline
from deployserver.pages.first_run import example_feed
from deployserver.pages.links import Links
from deployserver.pages.rendering import render
from deployserver.pages.texts import thousands
from deployserver.queries import Query
from deployserver.viewing import Asked

_LATEST = 12
_SPARK_DAYS = 14

_BUSIEST: dict[Busy, str] = {"package": "Packages", "target": "Targets", "application": "Applications"}


async def show_overview(request: web.Request) -> web.Response:
    """Show the latest deployments, which go on arriving, and counts of them."""
    ask(request, Query)
    app, caller, links = request.app, request[keys.CALLER], links_of(request)
    newest = await app[keys.LIVE].newest_id()  # before the records, so that none is missed between them and the events
    page = await app[keys.HISTORY].page(caller, Asked(), None, _LATEST)
    context: dict[str, Any] = {}
    if page.deployments:
        context = _counts(links, await app[keys.OVERVIEW].summary(caller))
    return render(
        request,
        "overview.html",
        deployments=page.deployments,
        latest=_LATEST,
        events_url=links.url("/api/deployments/events", last_event_id=newest),
        feed=example_feed(app[keys.VIEWING].view(caller)),
        **context,
    )


def _counts(links: Links, summary: Summary) -> dict[str, Any]:
    days = summary.days
    return {
        "counted_at": summary.at,
        "tiles": _tiles(links, summary),
        "chart": bar_chart(f"Deployments per day, last {len(days)} days (UTC)", [_bar(links, day) for day in days]),
        "busiest": [
            (
                kind,
                heading,
                [
                    _ranked(links, kind, name, count, summary.busiest[kind][0][1])
                    for name, count in summary.busiest[kind]
                ],
            )
            for kind, heading in _BUSIEST.items()
        ],
        "new": summary.new,
        "at_least": summary.at_least,
    }


def _tiles(links: Links, summary: Summary) -> list[dict[str, Any]]:
    spark = sparkline([day.deployments for day in summary.days[-_SPARK_DAYS:]])
    more = "+" if summary.at_least else ""
    return [
        {
            "label": "Deployments, last 24 hours",
            "value": summary.last_day,
            "note": _compared(summary.last_day, summary.day_before),
            "url": links.url("/deployments", since="24h"),
        },
        {
            "label": "Deployments, last 7 days",
            "value": summary.last_week,
            "note": f"{thousands(round(summary.last_week / 7))} a day",
            "url": links.url("/deployments", since="7d"),
            "chart": spark,
        },
        *(
            {
                "label": f"New {kind}s",
                "value": f"{thousands(new.total)}{more}",
                "note": f"in 24 hours, {_compared(new.total, new.day_before)}",
                "url": f"#new-{kind}" if new.total else None,
            }
            for kind, new in summary.new.items()
        ),
    ]


def _compared(count: int, before: int) -> str:
    if count == before:
        return "as many as the day before"
    return f"{thousands(abs(count - before))} {'more' if count > before else 'fewer'} than the day before"


def _bar(links: Links, day: PeriodCount) -> Bar:
    text = day.first.isoformat()
    return Bar(
        f"{day.first.day} {day.first:%b}",
        day.deployments,
        text,
        shaded=day.first.weekday() >= 5,
        url=links.url("/deployments", since=text, until=f"{text}T23:59:59.999999Z") if day.deployments else None,
    )


def _ranked(links: Links, kind: Busy, name: str, count: int, most: int) -> dict[str, Any]:
    history = links.url("/deployments", {kind: exactly(name)}, since="7d")
    return {
        "name": name,
        "count": count,
        "share": 100 * count / most,
        "url": links.target_url(name) if kind == "target" else history,
        "history": history,
    }
