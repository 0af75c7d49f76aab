"""Search: what is found, in which order, by whom, and what the page makes of it."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from conftest import FEED, KEY, RECORD, Service, StartService
from html_pages import Page, get_page
from waiting import until

from deployserver.api_keys import create_key
from deployserver.feeds import add_feed, remove_feed
from deployserver.models import ANONYMOUS, VIEW_FEED
from deployserver.privileges import add_privilege
from deployserver.storage import search

pytestmark = pytest.mark.every_engine

EVIL = """<script>alert("1")</script>'&"""
SYSTEM_KEY = "system-key-0123456789abcdef"
EVERYTHING = {"X-ApiKey": SYSTEM_KEY}


@pytest.fixture
async def site(service: Service) -> Service:
    """A server where Anonymous may view one feed of two."""
    await add_privilege(service.admin, ANONYMOUS, VIEW_FEED, FEED, granted=True)
    await add_feed(service.admin, "hidden-feed")
    await create_key(service.admin, "system", value=SYSTEM_KEY)

    async def is_known() -> bool:
        seen = await service.request("GET", "/search", headers=EVERYTHING)
        return seen.status == (await service.request("GET", "/search")).status == 200

    await until(is_known)
    return service


async def record(service: Service, **properties: Any) -> None:
    answer = await service.post(RECORD | properties, key=SYSTEM_KEY if "FeedName" in properties else KEY)
    assert answer.status == 200, answer.text


async def indexed(service: Service) -> None:
    async def is_done() -> bool:
        rows = await service.rows("SELECT deployment_id = (SELECT max(id) FROM deployments) AS done FROM indexed")
        return bool(rows[0]["done"])

    await until(is_done)


def found(page: Page) -> dict[str, list[str]]:
    """Return the names that were found, by kind."""
    names: dict[str, list[str]] = {}
    for part in page.text.split('id="found-')[1:]:
        kind, _, rest = part.partition('"')
        items = rest.partition("</ul>")[0].split("<li>")[1:]
        names[kind] = [html.unescape(re.sub("<[^>]*>", "", item)).strip() for item in items]
    return names


async def test_every_kind_of_name_is_found_by_any_part_of_it(site: Service) -> None:
    names = {
        "PackageName": "AbcPackage",
        "Target": "abc-target",
        "Version": "1.0-ABC",
        "Application": "Abc",
        "UserName": "xabc",
        "GroupName": "abcs",
    }
    await record(site, **names)
    await record(site, PackageName="other", Target="other", Version="2", Application="other", UserName="other")
    for _ in range(2):  # before and after the records are indexed
        page = await get_page(site, "/search?q=aBC")
        assert found(page) == {
            "package": ["abcs/AbcPackage in DefaultNuGet"],
            "target": ["abc-target"],
            "version": ["1.0-ABC"],
            "application": ["Abc"],
            "user": ["xabc"],
            "group": ["abcs"],
        }
        await indexed(site)
    links = [address for _, address in page.links]
    assert f"/package?feed={FEED}&group=abcs&package=AbcPackage" in links
    assert "/target?target=abc-target" in links
    for filter_ in ("version=1.0-ABC", "application=Abc", "user=xabc", "group=abcs"):
        history = await get_page(site, links[links.index(f"/deployments?{filter_}")])
        assert len(history.rows) == 1
    assert page.to("Deployments with these words") == "/deployments?q=aBC"
    assert "<mark>Abc</mark>Package" in page.text and "1.0-<mark>ABC</mark>" in page.text
    assert found(await get_page(site, "/search?q=default")) == {"feed": [FEED]}


async def test_the_best_matches_come_first_and_all_words_must_be_there(site: Service) -> None:
    for target in ("my-web", "web-02", "a web", "WEB", "web-1", "Web", "xwebx", "db"):
        await record(site, Target=target)
    page = await get_page(site, "/search?q=web")
    assert found(page)["target"] == ["WEB", "web-1", "web-02", "a web", "xwebx", "my-web"]
    assert found(await get_page(site, "/search?q=%20web%20%20A%20"))["target"] == ["a web"]
    assert found(await get_page(site, "/search?q=web+02"))["target"] == ["web-02"]


async def test_a_few_of_each_kind_are_shown_and_the_rest_counted(site: Service) -> None:
    for number in range(12):
        await record(site, Target=f"web-{number:02}")
    page = await get_page(site, "/search?q=web")
    assert found(page)["target"] == [f"web-{number:02}" for number in range(8)]
    assert '<span class="pill">12</span>' in page.text
    assert page.to("More in the history") == "/deployments?q=web"


async def test_nothing_found_leads_to_the_history_and_nothing_asked_to_nothing(site: Service) -> None:
    page = await get_page(site, "/search?q=no%22such")
    assert 'No name has “no"such” in it' in page.words
    assert page.to("Search the history") == "/deployments?q=no%22such"
    for query in ("", "?q=", "?q=%20"):
        page = await get_page(site, f"/search{query}")
        assert found(page) == {} and "by any part of their names" in page.words
    page = await get_page(site, f"/search?q={'+'.join('abcdefghijk')}", status=400)
    assert "has more than ten words." in page.words
    await get_page(site, "/search?query=a", status=400)


async def test_names_are_no_patterns_and_no_markup(site: Service) -> None:
    names = ("Application", "Target", "PackageName", "Version", "GroupName", "UserName")
    await record(site, **dict.fromkeys(names, EVIL))
    await record(site, **dict.fromkeys(names, "100%_*"))
    page = await get_page(site, "/search", params={"q": EVIL})
    assert "<script>" not in page.text and EVIL in page.words
    assert len(found(await get_page(site, "/search?q=script"))["target"]) == 1
    for text in ("%25_", "_*", "*"):
        page = await get_page(site, f"/search?q={text}")
        assert found(page)["target"] == ["100%_*"]
    of_version = next(address for _, address in page.links if address.startswith("/deployments?version"))
    history = await get_page(site, of_version)
    assert len(history.rows) == 1
    assert found(await get_page(site, "/search?q=%25%25")) == {}


# Who may find what


async def test_names_of_records_that_may_not_be_viewed_are_not_found(site: Service) -> None:
    hidden = {
        "PackageName": "hidden-package", "Target": "hidden-target", "Version": "hidden-1", "Application": "hidden-app",
        "UserName": "hidden-user", "GroupName": "hidden-group",
    }  # fmt: skip  # side by side
    await record(site, FeedName="hidden-feed", **hidden)
    # What both feeds have is found, and in the visible feed only.
    await record(site, FeedName="hidden-feed", PackageName="both-package", Target="both-target", Version="both-1")
    await record(site, PackageName="Both-Package", Target="Both-Target", Version="Both-1")
    for _ in range(2):
        page = await get_page(site, "/search?q=hidden")
        assert found(page) == {}
        assert "hidden-" not in page.text
        page = await get_page(site, "/search?q=both")
        assert found(page) == {
            "package": ["Both-Package in DefaultNuGet"],
            "target": ["Both-Target"],
            "version": ["Both-1"],
        }
        everything = found(await get_page(site, "/search?q=hidden", headers=EVERYTHING))
        assert sorted(everything) == ["application", "feed", "group", "package", "target", "user", "version"]
        both = found(await get_page(site, "/search?q=both", headers=EVERYTHING))
        assert both["package"] == ["Both-Package in DefaultNuGet", "both-package in hidden-feed"]
        assert both["target"] == ["both-target"]
        await indexed(site)


async def test_names_of_a_removed_feed_are_not_found(site: Service) -> None:
    await record(site, FeedName="hidden-feed", Target="gone-target", Version="gone-1", UserName="gone-user")
    await indexed(site)
    await remove_feed(site.admin, "hidden-feed", force=True)

    async def is_gone() -> bool:
        return found(await get_page(site, "/search?q=gone", headers=EVERYTHING)) == {}

    await until(is_gone)


async def test_what_is_hidden_does_not_count_as_a_match(site: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of very many matches only the best are looked at, whether they may be seen."""
    monkeypatch.setattr(search, "CANDIDATES", 3)
    for number in range(3):
        await record(site, FeedName="hidden-feed", Target=f"web-{number}")
    await record(site, Target="web-9")
    assert "target" not in found(await get_page(site, "/search?q=web"))
    assert found(await get_page(site, "/search?q=web-9"))["target"] == ["web-9"]


async def test_who_may_view_nothing_is_asked_to_sign_in(start: StartService) -> None:
    service = await start(server_base_path="/proget")
    answer = await service.request("GET", "/proget/search?q=a%20b")
    assert (answer.status, answer.headers["Location"]) == (303, "/proget/sign-in?next=/search?q%3Da%2520b")
