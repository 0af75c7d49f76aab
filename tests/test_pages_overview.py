"""The overview: what it counts, for whom, how long it keeps that, and what it shows before the first deployment."""

from __future__ import annotations

import asyncio
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from conftest import FEED, KEY, RECORD, Service, StartService
from html_pages import Page, get_page
from waiting import until

from deployserver import overview
from deployserver.api_keys import create_key
from deployserver.errors import StoreUnavailable
from deployserver.feeds import add_feed
from deployserver.live_access import LiveAccess
from deployserver.models import ANONYMOUS, VIEW_FEED, Caller
from deployserver.overview import Overview
from deployserver.privileges import add_privilege
from deployserver.viewing import Viewing

pytestmark = pytest.mark.every_engine

HOUR = 3_600_000_000
DAY = 24 * HOUR
NOW = 1_618_308_000_000_000  # Tuesday, 2021-04-13T10:00:00Z
EVIL = """<script>alert("1")</script>'&"""
SYSTEM_KEY = "system-key-0123456789abcdef"
EVERYTHING = {"X-ApiKey": SYSTEM_KEY}


@pytest.fixture
async def site(start: StartService) -> Service:
    """A server on 2021-04-13 where Anonymous may view one feed of two."""
    service = await start(clock=lambda: NOW, security_lockout_failures=0)
    await prepare(service)
    return service


async def prepare(service: Service) -> None:
    await add_privilege(service.admin, ANONYMOUS, VIEW_FEED, FEED, granted=True)
    await add_feed(service.admin, "hidden-feed")
    await create_key(service.admin, "system", value=SYSTEM_KEY)

    async def is_known() -> bool:
        seen = await service.request("GET", "/", headers=EVERYTHING)
        return seen.status == (await service.request("GET", "/")).status == 200

    await until(is_known)


async def record(service: Service, ago: int = 0, **properties: Any) -> None:
    date = {"Date": f"/Date({(NOW - ago) // 1000})/"}
    key = SYSTEM_KEY if "FeedName" in properties else KEY
    answer = await service.post(RECORD | date | properties, key=key)
    assert answer.status == 200, answer.text


def tiles(page: Page) -> dict[str, tuple[str, str]]:
    """Return the value and the note of each, by its label."""
    found = re.findall(
        r'<dt>([^<]*)</dt>\s*<dd class="tile-value">(?:<a[^>]*>)?([^<]*).*?<dd class="tile-note">([^<]*)',
        page.text,
        re.DOTALL,
    )
    return {label: (value, note) for label, value, note in found}


def part(page: Page, id_: str) -> str:
    """Return the words of a section, each blank once."""
    source = page.text.partition(f'id="{id_}"')[2].partition(">")[2].partition("</section>")[0]
    return " ".join(re.sub("<[^>]*>", " ", source).split())


async def test_before_the_first_deployment_it_says_how_to_record_one_here(start: StartService) -> None:
    service = await start(server_base_path="/proget", server_trusted_proxies="127.0.0.1")
    await prepare(service)
    await add_feed(service.admin, "another-feed")
    proxied = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "deployments.example"}
    page = await get_page(service, "/proget/", headers=proxied)
    assert "-Uri 'https://deployments.example/proget/api/package-deployment/'" in page.words
    assert f"FeedName = '{FEED}'" in page.words and f"FeedName={FEED}" in page.words
    assert "'X-ApiKey' = 'YOUR-KEY'" in page.words
    assert 'data-events-url="/proget/api/deployments/events?last_event_id=0"' in page.text
    assert tiles(page) == {}
    outside = [address for _, address in page.links if not address.startswith(("/proget/", "#"))]
    assert outside == []


async def test_it_counts_deployments_by_time_and_by_day(site: Service) -> None:
    for ago in (0, HOUR, 23 * HOUR, 25 * HOUR, 3 * DAY, 6 * DAY, 8 * DAY, 29 * DAY, 31 * DAY):
        await record(site, ago)
    page = await get_page(site, "/")
    shown = tiles(page)
    assert shown["Deployments, last 24 hours"] == ("3", "2 more than the day before")
    assert shown["Deployments, last 7 days"] == ("6", "1 a day")
    assert "8 deployments in all" in part(page, "per-day")
    numbers = page.text.partition('class="numbers"')[2].partition("</table>")[0]
    days = dict(re.findall(r'<th scope="row">(?:<a[^>]*>)?([\d-]+).*?<td class="number">(\d+)</td>', numbers))
    assert len(days) == 30
    assert {day: count for day, count in days.items() if count != "0"} == {
        "2021-04-13": "2",
        "2021-04-12": "2",
        "2021-04-10": "1",
        "2021-04-07": "1",
        "2021-04-05": "1",
        "2021-03-15": "1",
    }
    history = await get_page(site, page.to("2021-04-12"))
    assert len(history.rows) == 2


async def test_it_shows_the_latest_and_where_the_next_come_from(site: Service) -> None:
    for number in range(14):
        await record(site, (20 - number) * HOUR, Version=f"1.{number}")
    page = await get_page(site, "/")
    assert [row["Version"] for row in page.rows] == [f"1.{number}" for number in range(13, 1, -1)]
    found = re.search(r'data-events-url="([^"]*)" data-keep="12"', page.text)
    assert found
    url = urlsplit(found[1])
    assert (url.path, parse_qs(url.query)) == ("/api/deployments/events", {"last_event_id": ["14"]})
    assert page.to("All deployments") == "/deployments"
    assert (await get_page(site, "/", headers={"Accept": "text/html"})).status == 200
    await get_page(site, "/?feed=a", status=400)


async def test_the_busiest_are_linked_to_what_was_counted(site: Service) -> None:
    for number in range(9):
        await record(site, number * HOUR, Target=f"web0{number % 3 % 2}", PackageName="left-pad*", Application="Octo")
    await record(site, PackageName="other", Target="WEB00")
    await record(site, 8 * DAY, PackageName="earlier")
    page = await get_page(site, "/")
    assert part(page, "busiest-package") == "Packages left-pad* 9 deployments other 1 deployment"
    assert part(page, "busiest-target") == "Targets web00 7 deployments web01 3 deployments"
    assert part(page, "busiest-application") == "Applications Octo 9 deployments ProfitCalc 1 deployment"
    assert [address for _, address in page.links].count("/deployments?package=left-pad%2A%2A&since=7d") == 2
    assert page.to("7 deployments") == "/deployments?target=web00&since=7d"
    assert page.to("web01") == "/target?target=web01"


async def test_what_is_new_is_what_was_never_deployed_before_yesterday(site: Service) -> None:
    for ago in (3 * DAY, HOUR):
        await record(site, ago, PackageName="old", Target="web-old", Version="1")
    await record(site, 30 * HOUR, PackageName="of-yesterday", Target="web-old", Version="1")
    await record(site, 2 * HOUR, PackageName="OLD", Target="WEB-OLD", Version="2")
    await record(site, HOUR, PackageName="young", Target="web-young", Version="1")
    page = await get_page(site, "/")
    shown = tiles(page)
    assert shown["New packages"] == ("1", "in 24 hours, as many as the day before")
    assert shown["New versions"] == ("2", "in 24 hours, 1 more than the day before")
    assert shown["New targets"] == ("1", "in 24 hours, 1 more than the day before")
    assert part(page, "new-package") == "Packages 1 young 1 hour ago : the first deployment"
    assert part(page, "new-version").startswith("Versions 2 young 1 1 hour ago")
    assert "OLD 2 2 hours ago" in part(page, "new-version")
    assert part(page, "new-target") == "Targets 1 web-young 1 hour ago : the first deployment"


async def test_a_quiet_time_is_said_to_be_one(site: Service) -> None:
    await record(site, 40 * DAY)
    page = await get_page(site, "/")
    assert len(page.rows) == 1
    assert tiles(page)["Deployments, last 24 hours"] == ("0", "as many as the day before")
    assert "No deployments in this time." in part(page, "busiest-package")
    assert "None since this time yesterday." in part(page, "new-target")


async def test_nothing_of_a_record_is_markup(site: Service) -> None:
    names = ("Application", "Description", "Target", "PackageName", "Version", "GroupName", "UserName")
    await record(site, **dict.fromkeys(names, EVIL))
    page = await get_page(site, "/")
    assert page.words.count(EVIL) > 6
    assert "<script>" not in page.text


async def test_nothing_of_a_feed_that_may_not_be_viewed_is_shown_or_counted(site: Service) -> None:
    hidden = {"PackageName": "hidden-1", "Target": "hidden-2", "Version": "hidden-3", "Application": "hidden-4"}
    await record(site, FeedName="hidden-feed", UserName="hidden-5", **hidden)
    page = await get_page(site, "/")
    assert "No deployments yet" in page.words and "hidden-" not in page.text
    await record(site)
    await record(site, FeedName="hidden-feed", Target="localhost", PackageName="Newtonsoft.Json")
    page = await get_page(site, "/")
    assert "hidden-" not in page.text
    assert [value for value, _ in tiles(page).values()] == ["1", "1", "1", "1", "1"]
    page = await get_page(site, "/", headers=EVERYTHING)
    assert [value for value, _ in tiles(page).values()] == ["3", "3", "3", "3", "2"]


async def test_who_may_view_nothing_is_asked_to_sign_in(service: Service) -> None:
    answer = await service.request("GET", "/")
    assert (answer.status, answer.headers["Location"]) == (303, "/sign-in?next=/")


# How long counts are kept


def _caller(access: LiveAccess) -> Caller:
    key = access.current.key(SYSTEM_KEY)
    assert key is not None
    return access.current.key_caller(key)


async def test_what_takes_long_to_count_is_kept_for_a_while(site: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    time, seconds = 0.0, 0.2
    count = overview._counted

    async def slowly(*arguments: Any) -> Any:
        nonlocal time
        time += seconds
        return await count(*arguments)

    monkeypatch.setattr(overview, "_counted", slowly)
    anonymous = Caller(ANONYMOUS, ANONYMOUS)
    async with LiveAccess(site.store) as access:
        everybody = _caller(access)
        kept = Overview(Viewing(access, site.store, lambda: NOW), lambda: NOW, lambda: time)

        async def counted(caller: Caller) -> int:
            return (await kept.summary(caller)).last_day

        async def is_now(number: int) -> bool:
            return await counted(anonymous) == number

        assert await counted(anonymous) == 0
        await record(site)
        time += 19.9
        assert await counted(anonymous) == 0
        assert await counted(everybody) == 1  # who may view other feeds has other counts
        time += 0.2
        # Whoever asks while it is counted anew gets what there was, so that nobody waits.
        assert await asyncio.gather(*(counted(anonymous) for _ in range(5))) == [0] * 5
        await until(lambda: is_now(1))
        await record(site)
        seconds, time = 10, time + 21
        assert await counted(anonymous) == 1
        await until(lambda: is_now(2))
        await record(site)
        time += 59
        assert await counted(anonymous) == 2
        time += 600  # that is too old to be shown
        assert await counted(anonymous) == 3
        await record(site)
        seconds, time = 0.01, time + 601
        assert await counted(anonymous) == 4
        await record(site)
        assert await counted(anonymous) == 5  # what is fast is counted each time


async def test_a_failure_is_not_kept(site: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    await record(site)

    async def failing(*_: Any) -> Any:
        raise StoreUnavailable("The records cannot be read.")

    with monkeypatch.context() as patched:
        patched.setattr(overview, "_counted", failing)
        page = await get_page(site, "/", status=503)
        assert "The records cannot be read." in page.words and page.to("Try again") == "/"
    assert tiles(await get_page(site, "/"))["Deployments, last 24 hours"][0] == "1"


async def test_no_more_counts_are_kept_than_there_is_room_for(site: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "_MOST_KEPT", 1)
    async with LiveAccess(site.store) as access:
        everybody = _caller(access)
        kept = Overview(Viewing(access, site.store, lambda: NOW), lambda: NOW)
        for caller in (Caller(ANONYMOUS, ANONYMOUS), everybody, everybody):
            await kept.summary(caller)
            assert len(kept._kept) == 1
