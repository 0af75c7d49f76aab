"""``/target``: one target, what runs there now or ran there at a time, and how it came there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from aiohttp import web
from markupsafe import Markup

from deployserver.api import keys
from deployserver.drift import Standing
from deployserver.errors import InvalidRequest
from deployserver.filters import exactly
from deployserver.models import Deployment
from deployserver.pages.asking import PageQuestion, ask, links_of, one_name, place
from deployserver.pages.charts import Bar, Event, Lane, bar_chart, timeline_chart
from deployserver.pages.filters import Filter, beyond_form, chosen, form_fields
from deployserver.pages.rendering import render
from deployserver.pages.texts import plural
from deployserver.pages.times import DAY
from deployserver.pages.ways import (
    read_records,
    read_running,
    ways_of_records,
    ways_of_running,
    without_cursors,
)
from deployserver.parameters import Date
from deployserver.queries import MOMENT, Query, asked, at, filter_parameter
from deployserver.schemas import NAME_LENGTH
from deployserver.viewing import Asked

PATH = "/target"
WEEKS = 26
MOST_LANES = 12
"""So many packages the timeline shows."""

FILTERS = (
    Filter("as_of", "As of", "7d or a date"),
    Filter("package", "Package"),
    Filter("group", "Group"),
    Filter("feed", "Feed"),
    Filter("version", "Version"),
    Filter("application", "Application"),
    Filter("user", "User"),
)


class TargetQuery(Query):
    """``/target``: target is a name and not a pattern; the others are the API's filters."""

    target = one_name("the target")
    as_of = Date(metadata={"description": f"what ran there at {MOMENT}"})
    package = filter_parameter("package")
    group = filter_parameter("group")
    feed = filter_parameter("feed")
    version = filter_parameter("version")
    application = filter_parameter("application")
    user = filter_parameter("user")
    cursor = place("older records")
    newer = place("newer records")
    runs = place("what runs", 3 * NAME_LENGTH)


async def show_target(request: web.Request) -> web.Response:
    """Show what runs on a target, since when, and who did it; and what ran there before."""
    question = ask(request, TargetQuery)
    if not question.query["target"]:
        raise InvalidRequest({"target": ["is needed, to say which target."]})
    everything = Asked(targets=(exactly(question.query["target"]),))
    latest = await request.app[keys.HISTORY].page(request[keys.CALLER], everything, None, 1, count=True)
    if not latest.deployments:
        return render(request, "target_unknown.html", status=404, target=question.query["target"])
    target = latest.deployments[0].row.target
    return render(
        request,
        "target.html",
        target=target,
        latest=latest.deployments[0],
        total=latest.total,
        as_of=at(question.query["as_of"], question.now),
        as_of_given=next(iter(question.given.get("as_of", ())), None),
        **_filters(request, question),
        **await _tables(request, question, target),
        frequency=await _frequency(request, question, everything),
    )


def _filters(request: web.Request, question: PageQuestion) -> dict[str, Any]:
    given = without_cursors(question.given)
    feeds = [feed.name for feed in request.app[keys.VIEWING].view(request[keys.CALLER]).feeds.values()]
    return {
        "fields": form_fields(FILTERS, given, feeds),
        "keep": beyond_form(FILTERS, given),
        "chosen": chosen(FILTERS, given, links_of(request), PATH),
    }


async def _tables(request: web.Request, question: PageQuestion, target: str) -> dict[str, Any]:
    as_of = at(question.query["as_of"], question.now)
    wanted = replace(asked({**question.query, "target": (exactly(target),)}, question.now), until=None)
    until = replace(wanted, until=as_of)
    running = await read_running(request, question, wanted, as_of)
    records = await read_records(request, question, until)
    state = without_cursors(question.given)
    api = {**state, "target": exactly(target), "as_of": None}
    moment = state.get("as_of")
    # What stands behind now may have been the newest then.
    standings = {} if as_of is not None else await _standings(request, running.deployments)
    return {
        "running": running,
        "running_ways": ways_of_running(request, PATH, question, {**api, "as_of": moment}, running),
        "standings": standings,
        "records": records.deployments,
        "records_ways": ways_of_records(links_of(request), PATH, state, {**api, "until": moment}, records),
        "timeline": await _timeline(request, until, question.now if as_of is None else as_of),
    }


async def _standings(request: web.Request, deployments: Sequence[Deployment]) -> dict[int, Standing]:
    return await request.app[keys.DRIFT].standings(request[keys.CALLER], deployments)


async def _timeline(request: web.Request, wanted: Asked, until: int) -> Markup:
    """Return a picture of the packages that changed last, as far back as the newest records go."""
    timeline = await request.app[keys.TIMELINES].of(request[keys.CALLER], wanted, MOST_LANES)
    links = links_of(request)
    lanes = [
        Lane(lane.package, [Event(step.date, step.version, links.record_url(step.id)) for step in lane.steps])
        for lane in timeline.lanes
    ]
    since = min((lane.events[0].at for lane in lanes), default=until)
    notes = [f"the {plural(len(lanes), 'package')} that changed last"] if timeline.packages > len(lanes) else []
    if not timeline.complete:
        notes.append(f"from the last {plural(timeline.records, 'deployment')}")
    return timeline_chart("Timeline", lanes, since, max(until, since + 1), note=", ".join(notes) or None)


async def _frequency(request: web.Request, question: PageQuestion, everything: Asked) -> Markup:
    since = question.now - (WEEKS - 1) * 7 * DAY
    recent = replace(everything, since=since, until=question.now)
    weeks = await request.app[keys.FREQUENCY].per(request[keys.CALLER], recent, "week")
    bars = [Bar(week.label[5:], week.deployments, f"{week.label}, from {week.first}") for week in weeks]
    return bar_chart("Deployments per week", bars, period="Week")
