"""``/package``: one package, its versions, and where they run and ran."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from deployserver.api import keys
from deployserver.errors import InvalidRequest
from deployserver.packages import Package
from deployserver.pages.asking import PageQuestion, ask, links_of, one_name, place
from deployserver.pages.charts import Point, Rollout, VersionCount, rollout_chart, sparkline, version_chart
from deployserver.pages.filters import Filter, beyond_form, chosen, form_fields
from deployserver.pages.rendering import render
from deployserver.pages.rollout_chart import MOST
from deployserver.pages.texts import plural
from deployserver.pages.times import DAY
from deployserver.pages.ways import (
    api_package,
    read_records,
    read_running,
    ways_of_records,
    ways_of_running,
    without_cursors,
)
from deployserver.queries import Query, asked, filter_parameter
from deployserver.schemas import NAME_LENGTH
from deployserver.spread import Spread
from deployserver.viewing import Asked

PATH = "/package"
WEEKS = 12

FILTERS = (
    Filter("target", "Target"),
    Filter("version", "Version"),
    Filter("application", "Application"),
    Filter("user", "User"),
    Filter("since", "From", "7d or a date"),
    Filter("until", "Until", "24h or a date"),
)
_PLACE = ("feed", "group", "package")


class PackageQuery(Query):
    """``/package``: feed, group and package are names and not patterns; the others are the API's filters."""

    feed = one_name("the feed's name")
    group = one_name("the package's group")
    package = one_name("the package's name")
    target = filter_parameter("target")
    version = filter_parameter("version")
    application = filter_parameter("application")
    user = filter_parameter("user")
    since = filter_parameter("since")
    until = filter_parameter("until")
    cursor = place("older records")
    newer = place("newer records")
    runs = place("what runs", 3 * NAME_LENGTH)


async def show_package(request: web.Request) -> web.Response:
    """Show which versions of a package run where, how they came there, and its history."""
    question = ask(request, PackageQuery)
    package = _package(question)
    latest = await request.app[keys.HISTORY].page(request[keys.CALLER], package.asked(), None, 1, count=True)
    if not latest.deployments:
        return render(request, "package_unknown.html", status=404, package=package)
    newest = latest.deployments[0]
    package = Package(newest.feed_name, newest.row.group_name, newest.row.package_name)
    spread = await request.app[keys.SPREADS].of(request[keys.CALLER], package, question.query["target"])
    return render(
        request,
        "package.html",
        package=package,
        feed_type=request.app[keys.VIEWING].view(request[keys.CALLER]).feeds[newest.row.feed_id].type,
        spread=spread,
        latest=newest,
        total=latest.total,
        **_filters(request, question),
        **await _tables(request, question, package, spread),
        **await _pictures(request, question, package, spread),
    )


def _package(question: PageQuestion) -> Package:
    feed, group, name = (question.query[part] for part in _PLACE)
    missing = [part for part in ("feed", "package") if not question.query[part]]
    if missing:
        raise InvalidRequest({part: ["is needed, to say which package."] for part in missing})
    return Package(feed, group, name)


def _filters(request: web.Request, question: PageQuestion) -> dict[str, Any]:
    given = without_cursors(question.given)
    return {
        "fields": form_fields(FILTERS, given),
        "keep": beyond_form(FILTERS, given),
        "chosen": chosen(FILTERS, given, links_of(request), PATH),
    }


def _asked(question: PageQuestion, package: Package) -> Asked:
    query = {name: value for name, value in question.query.items() if name not in _PLACE}
    return package.asked(asked(query, question.now))


async def _tables(request: web.Request, question: PageQuestion, package: Package, spread: Spread) -> dict[str, Any]:
    wanted = _asked(question, package)
    running = await read_running(request, question, wanted, None)
    records = await read_records(request, question, wanted)
    state = without_cursors(question.given)
    filters = {name: texts for name, texts in state.items() if name not in _PLACE}
    api = {**api_package(package), **filters}
    return {
        "running": running,
        "running_ways": ways_of_running(request, PATH, question, api, running),
        "standings": {
            deployment.id: spread.standings.get(deployment.row.version) for deployment in running.deployments
        },
        "records": records.deployments,
        "history": links_of(request).url("/deployments", api),
        "records_ways": ways_of_records(links_of(request), PATH, state, api, records),
    }


async def _pictures(request: web.Request, question: PageQuestion, package: Package, spread: Spread) -> dict[str, Any]:
    links = links_of(request)
    recent = package.asked(Asked(since=question.now - (WEEKS - 1) * 7 * DAY, until=question.now))
    weeks = await request.app[keys.FREQUENCY].per(request[keys.CALLER], recent, "week")
    where = " on the targets that match" if question.query["target"] else ""
    return {
        "versions": version_chart(
            f"Versions that run now{where}",
            [
                VersionCount(one.version, one.targets, one.standing.level, links.version_url(*package, one.version))
                for one in spread.versions
            ],
        ),
        "rollout": await _rollout(request, question, package, where),
        "weeks": sum(week.deployments for week in weeks),
        "frequency": sparkline([week.deployments for week in weeks], period="week"),
    }


async def _rollout(request: web.Request, question: PageQuestion, package: Package, where: str) -> Any:
    query = question.query
    rollout = await request.app[keys.ROLLOUTS].of(
        request[keys.CALLER], package, query["target"], query["version"], MOST
    )
    heading = f"Rollout of the newest versions{where}"
    if rollout is None:
        return rollout_chart(heading, [], question.now, question.now)
    lines = [Rollout(one.version, [Point(point.at, point.targets) for point in one.points]) for one in rollout.versions]
    until = max(question.now, *(line.points[-1].at for line in lines), rollout.since + 1)
    note = "" if rollout.complete else f"from the last {plural(rollout.records, 'deployment')}"
    return rollout_chart(heading, lines, rollout.since, until, note=note)
