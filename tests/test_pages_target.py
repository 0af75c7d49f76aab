"""The page of a target: what runs there, since when and by whom, and what it keeps to itself."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from conftest import FEED, RECORD, Service
from html_pages import Page, get_page
from test_pages_package import EVIL, let_everybody_view, record
from waiting import until

from deployserver import timelines
from deployserver.api_keys import create_key
from deployserver.feeds import add_feed
from deployserver.models import ANONYMOUS, VIEW_FEED
from deployserver.pages import target as target_page
from deployserver.pages import ways
from deployserver.privileges import add_privilege

pytestmark = pytest.mark.every_engine

WEB = "/target?target=web"


@pytest.fixture
async def site(service: Service) -> Service:
    await let_everybody_view(service)
    return service


async def deploy(service: Service, package: str, version: str, date: str, target: str = "web") -> int:
    return await record(service, PackageName=package, Version=version, Date=date, Target=target)


def running(page: Page, since: str = "Since") -> dict[str, str]:
    return {row["Package"]: row["Version"] for row in page.rows if since in row and "Description" not in row}


def history(page: Page) -> list[tuple[str, str]]:
    return [(row["Package"], row["Version"]) for row in page.rows if "Deployed" in row]


async def test_it_says_what_runs_there_since_when_by_whom_and_how_far_that_is_behind(site: Service) -> None:
    await deploy(site, "App", "1.0", "2021-04-01T10:00:00Z")
    await deploy(site, "Lib", "9.0", "2021-04-02")
    await deploy(site, "App", "1.1", "2021-04-03")
    await deploy(site, "Lib", "10.0", "2021-04-04", target="other")
    page = await get_page(site, "/target/?target=WEB")
    assert "<h1>web</h1>" in page.text
    assert running(page) == {"App": "1.1newest", "Lib": "9.01 behind"}
    app, _ = (row for row in page.rows if "Since" in row)
    assert app["Since"].startswith("2021-04-03 00:00 UTC")
    assert (app["Application"], app["User"], app["Feed"]) == ("ProfitCalc", "ci", FEED)
    assert history(page) == [("App", "1.1"), ("Lib", "9.0"), ("App", "1.0")]
    assert "Timeline: Timeline. 3 deployments in 2 rows." in page.text
    assert "Bar chart: Deployments per week." in page.text


async def test_it_shows_how_it_was_at_a_time_and_leads_to_what_has_changed_since(site: Service) -> None:
    await deploy(site, "App", "1.0", "2021-04-01")
    await deploy(site, "App", "2.0", "2021-04-03")
    await deploy(site, "Lib", "1.0", "2021-04-04")
    page = await get_page(site, f"{WEB}&as_of=2021-04-03T12:00:00Z&package=a*")
    assert running(page) == {"App": "2.0"}
    assert history(page) == [("App", "2.0"), ("App", "1.0")]
    assert page.values("as_of") == ["2021-04-03T12:00:00Z"]
    assert page.to("go back to now") == f"{WEB}&package=a%2A"
    compared = await get_page(site, page.to("Compare it with now"))
    assert [row["Package"] for row in compared.rows] == ["Lib", "App"]
    for text, address in page.links:
        if text in ("CSV", "JSON"):
            answer = await site.request("GET", address)
            assert "2.0" in answer.text and "Lib" not in answer.text
    before = await get_page(site, f"{WEB}&as_of=2021-03-01")
    assert "Nothing ran there then" in before.words


async def test_filters_stay_in_the_address_from_page_to_page(site: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "RUNNING", 2)
    monkeypatch.setattr(ways, "RECORDS", 2)
    for number in range(5):
        await deploy(site, f"App{number}", "1.0", f"2021-04-0{number + 1}")
    await deploy(site, "Lib", "1.0", "2021-04-09")
    first = await get_page(site, f"{WEB}&package=app*&user=CI")
    assert list(running(first)) == ["App0", "App1"]
    assert [name for name, _ in history(first)] == ["App4", "App3"]
    second = await get_page(site, first.to("Next →"))
    assert list(running(second)) == ["App2", "App3"]
    older = await get_page(site, second.to("Older →"))
    assert [name for name, _ in history(older)] == ["App2", "App1"]
    for page in (first, second, older):
        assert (page.values("package"), page.values("user")) == (["app*"], ["CI"])
        assert "2 packages of 5" in page.words


async def test_a_timeline_of_much_shows_what_changed_last_and_says_so(
    site: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timelines, "MOST_RECORDS", 4)
    monkeypatch.setattr(target_page, "MOST_LANES", 2)
    for number in range(5):
        await deploy(site, f"App{number % 3}", f"{number}.0", f"2021-04-0{number + 1}")
    page = await get_page(site, WEB)
    assert "the 2 packages that changed last, from the last 4 deployments" in page.words
    assert "Timeline: Timeline. 3 deployments in 2 rows." in page.text


async def test_a_target_is_one_whatever_stands_at_the_end_of_its_name(site: Service) -> None:
    await deploy(site, "App", "1.0", "2021-04-01", target="web*")
    await deploy(site, "App", "2.0", "2021-04-01", target="web2")
    page = await get_page(site, f"/target?{urlencode({'target': 'web*'})}")
    assert running(page) == {"App": "1.01 behind"}
    assert (await get_page(site, WEB, status=404)).status == 404


async def test_hostile_names_are_only_names(site: Service) -> None:
    names = ("GroupName", "PackageName", "Target", "Application", "UserName", "Description", "Version")
    await record(site, **dict.fromkeys(names, EVIL))
    for query in ({"target": EVIL}, {"target": EVIL, "package": EVIL, "as_of": "1s"}):
        page = await get_page(site, f"/target?{urlencode(query)}")
        assert "<script>" not in page.text.replace('<script src="', "")
    unknown = await get_page(site, f"/target?{urlencode({'target': EVIL + 'x'})}", status=404)
    assert "<script>" not in unknown.text.replace('<script src="', "")


async def test_nothing_of_a_feed_that_may_not_be_viewed_shows_and_whoever_may_sees_it(site: Service) -> None:
    await add_feed(site.admin, "secret")
    await create_key(site.admin, "system", scopes=["full-control"], value="system-key-0123456789", name="all")
    headers = {"X-ApiKey": "system-key-0123456789"}

    async def is_recorded() -> bool:
        secret = RECORD | {"FeedName": "secret", "PackageName": "Hidden", "Target": "web", "Version": "6.6.6"}
        return (await site.post(secret, key="system-key-0123456789")).status == 200

    await until(is_recorded)
    await get_page(site, WEB, status=404)
    await deploy(site, "App", "1.0", "2021-04-01")
    for path in (WEB, f"{WEB}&feed=secret", "/matrix", "/compare?left=web&right=other", f"{WEB}&as_of=1s"):
        page = await get_page(site, path)
        assert "Hidden" not in page.text and "6.6.6" not in page.text
    page = await get_page(site, WEB, headers=headers)
    assert running(page) == {"App": "1.0newest", "Hidden": "6.6.6newest"}
    await add_privilege(site.admin, ANONYMOUS, VIEW_FEED, "secret", granted=True)


async def test_an_address_without_a_target_or_with_a_wrong_date_says_so(site: Service) -> None:
    assert "target is needed" in (await get_page(site, "/target", status=400)).words
    await deploy(site, "App", "1.0", "2021-04-01")
    wrong = await get_page(site, f"{WEB}&as_of=yesterday", status=400)
    assert wrong.to("Leave out what is wrong") == WEB
