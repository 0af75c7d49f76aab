"""The history and the record as pages: what they show, where they lead, and what they keep to themselves."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import FEED, KEY, RECORD, Service, StartService
from html_pages import Page, get_page
from waiting import until

from deployserver.api_keys import create_key
from deployserver.feeds import add_feed
from deployserver.models import ANONYMOUS, VIEW_FEED
from deployserver.privileges import add_privilege

pytestmark = pytest.mark.every_engine

EVIL = """<script>alert("1")</script>'&"""
SYSTEM_KEY = "system-key-0123456789abcdef"


async def let_everybody_view(service: Service) -> None:
    await add_privilege(service.admin, ANONYMOUS, VIEW_FEED, FEED, granted=True)

    async def is_seen() -> bool:
        return (await service.request("GET", "/deployments")).status == 200

    await until(is_seen)


@pytest.fixture
async def site(service: Service) -> Service:
    await let_everybody_view(service)
    return service


async def record(service: Service, key: str = KEY, **properties: Any) -> int:
    answer = await service.post(RECORD | properties, key=key)
    assert answer.status == 200, answer.text
    return int(answer.json["Id"])


def shown(page: Page, column: str = "Version") -> list[str]:
    return [row[column] for row in page.rows]


async def test_without_records_the_history_says_how_to_make_one_here(site: Service) -> None:
    page = await get_page(site, "/deployments")
    assert "No deployments yet" in page.words
    assert f"Invoke-RestMethod -Method Post -Uri '{site.url}/api/package-deployment/'" in page.words
    assert f"FeedName={FEED}" in page.words and "X-ApiKey: YOUR-KEY" in page.words


async def test_the_history_is_paged_in_both_directions_while_records_arrive(site: Service) -> None:
    for number in range(11):
        await record(site, Version=str(number), Date=f"2021-04-13T10:{number // 2:02}:00Z")
    first = await get_page(site, "/deployments?limit=3&target=localhost")
    assert shown(first) == ["10", "9", "8"]
    assert not [text for text, _ in first.links if "Newer" in text or "Newest" in text]
    await record(site, Version="11")
    second = await get_page(site, first.to("Older →"))
    third = await get_page(site, second.to("Older →"))
    assert (shown(second), shown(third)) == (["7", "6", "5"], ["4", "3", "2"])
    last = await get_page(site, third.to("Older →"))
    assert shown(last) == ["1", "0"]
    assert not [text for text, _ in last.links if "Older" in text]
    back = await get_page(site, last.to("← Newer"))
    assert shown(back) == ["4", "3", "2"]
    back = await get_page(site, back.to("← Newer"))
    assert shown(back) == ["7", "6", "5"]
    assert shown(await get_page(site, back.to("Older →"))) == ["4", "3", "2"]
    back = await get_page(site, back.to("← Newer"))
    assert shown(back) == ["10", "9", "8"]
    back = await get_page(site, back.to("← Newer"))
    assert shown(back) == ["11", "10", "9"]  # not one alone
    assert shown(await get_page(site, last.to("Newest"))) == ["11", "10", "9"]
    for page in (first, second, last):
        assert page.values("target") == ["localhost"]
        assert page.values("limit") == ["3"]


async def test_the_files_hold_exactly_what_is_shown_also_later(site: Service) -> None:
    for number in range(8):
        await record(site, Version=str(number), Target=f"web{number % 2}", Date="2021-04-13")
    second = await get_page(site, (await get_page(site, "/deployments?limit=3")).to("Older →"))
    filtered = await get_page(site, "/deployments?target=WEB1&target=other*&limit=2")
    await record(site, Target="web1")
    for page in (second, filtered):
        answer = await site.request("GET", page.to("JSON"))
        assert [item["Version"] for item in answer.json] == shown(page)
        answer = await site.request("GET", page.to("CSV"))
        assert answer.headers["Content-Type"].startswith("text/csv")
        assert [line.split(",")[4] for line in answer.text.splitlines()[1:]] == shown(page)
    everything = await site.request("GET", filtered.to("All as CSV"))
    assert len(everything.text.splitlines()) == 1 + 5
    assert "All as CSV" not in (await get_page(site, "/deployments?target=web0")).words


async def test_every_filter_is_in_the_form_and_can_be_taken_away(site: Service) -> None:
    await record(site, GroupName="acme", Date="2021-04-13")
    query = (
        "q=deployed&package=newton*&version=12*&target=local*&Application=ProfitCalc&user=*&feed=default*&group=acme"
        "&since=2021-04-01&until=1d"
    )
    page = await get_page(site, f"/deployments?{query}&target=other&ungrouped=true&limit=20")
    assert shown(page) == ["12.0.3"]
    for pair in query.split("&"):
        name, value = pair.split("=")
        assert page.values(name.lower())[-1 if name == "q" else 0] == value
    assert page.values("target") == ["local*", "other"]
    assert page.values("ungrouped") == ["true"] and page.values("limit") == ["20"]
    assert page.text.count("remove this filter") == 12
    without = page.to("Target other ×(remove this filter)")
    assert "target=local%2A" in without and "other" not in without and "limit=20" in without
    assert page.to("Clear all") == "/deployments"
    assert '<option value="DefaultNuGet">' in page.text


async def test_where_nothing_matches_filters_are_offered_to_be_taken_away(site: Service) -> None:
    await record(site)
    page = await get_page(site, "/deployments?target=nowhere&package=newtonsoft.json")
    assert page.rows == [] and "No deployment matches" in page.words
    assert shown(await get_page(site, page.to("Target nowhere ×(remove this filter)"))) == ["12.0.3"]
    assert page.to("Show all deployments") == "/deployments"
    one = await get_page(site, "/deployments?limit=1")
    await record(site)
    emptied = (await get_page(site, "/deployments?limit=1")).to("Older →")
    beyond = await get_page(site, emptied + "&until=2000-01-01")
    assert "There are no older deployments" in beyond.words
    assert beyond.to("Go to the newest") == "/deployments?limit=1&until=2000-01-01"
    assert one.rows


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("since=yesterday", "since"),
        ("since=2021-02-01&until=2021-01-01", "is later than until."),
        ("feeds=a", "is no parameter here."),
        ("cursor=x", "is not one that the Link header"),
        ("newer=x", "is not one that the Link header"),
        ("limit=0", "must be a whole number from 1 to 1000."),
        ("format=csv", "is no parameter here."),
    ],
)
async def test_a_wrong_filter_is_a_page_that_says_which(site: Service, query: str, said: str) -> None:
    page = await get_page(site, f"/deployments?{query}&target=a", status=400)
    assert said in page.words
    assert page.to("Leave out what is wrong").startswith("/deployments?")
    assert "target=a" in page.to("Leave out what is wrong")


async def test_nothing_of_a_record_is_markup(site: Service) -> None:
    names = ("Application", "Description", "Target", "PackageName", "Version", "GroupName", "UserName")
    id_ = await record(site, Url="http://h/'&b", **dict.fromkeys(names, EVIL))
    await record(site, **dict.fromkeys(names, EVIL))
    for path in ("/deployments", f"/deployments/{id_}"):
        page = await get_page(site, path)
        assert EVIL in page.words
        assert "<script>" not in page.text
    page = await get_page(site, "/deployments", params={"target": EVIL, "package": "a" + EVIL})
    assert "<script>" not in page.text and page.values("target") == [EVIL]


# One record


async def test_a_record_shows_every_field_and_who_really_recorded_it(site: Service) -> None:
    await create_key(site.admin, "system", value=SYSTEM_KEY, name="octopus")

    async def is_known() -> bool:
        return (await site.request("GET", "/deployments", headers={"X-ApiKey": SYSTEM_KEY})).status == 200

    await until(is_known)
    properties = {
        "GroupName": "acme",
        "UserName": "alice*",
        "Url": "https://build.example/47?a=b&c",
        "Date": "2021-04-13T10:00:00Z",
        "Description": "one\ntwo",
    }
    id_ = await record(site, key=SYSTEM_KEY, **properties)
    page = await get_page(site, f"/deployments/{id_}")
    for text in ("acme", "alice*", "API key 2 (octopus)", "2021-04-13 10:00 UTC", "one\ntwo", "ProfitCalc", FEED):
        assert text in page.words
    assert '<a id="link" href="https://build.example/47?a=b&amp;c" rel="noopener noreferrer">' in page.text
    assert page.to("Newtonsoft.Json") == f"/package?feed={FEED}&group=acme&package=Newtonsoft.Json"
    assert f"/package?feed={FEED}&group=acme&package=Newtonsoft.Json&version=12.0.3" in page.leads_to("/package")
    assert page.to("localhost") == "/target?target=localhost"
    assert page.to("ProfitCalc") == "/deployments?application=ProfitCalc"
    assert page.to("JSON") == f"/api/deployments/{id_}"
    other = await record(site, UserName="alice*b")
    by_alice = await get_page(site, page.to("alice*"))
    assert page.leads_to("/deployments") and [row["User"] for row in by_alice.rows] == ["alice*"]
    there = await get_page(site, page.to("All deployments of this package there"))
    assert len(there.rows) == 1
    ungrouped = await get_page(site, f"/deployments/{other}")
    there = await get_page(site, ungrouped.to("All deployments of this package there"))
    assert [row["User"] for row in there.rows] == ["alice*b"]


async def test_a_record_says_what_it_replaced_and_what_has_replaced_it(site: Service) -> None:
    first = await record(site, Version="1", Date="2021-04-10")
    await record(site, Version="elsewhere", Target="web02", Date="2021-04-10")
    third = await record(site, Version="3", Date="2021-04-12", PackageName="NEWTONSOFT.JSON")
    second = await record(site, Version="2", Date="2021-04-11", Target="LOCALHOST")  # later than it happened
    again = await record(site, Version="3", Date="2021-04-13")

    def steps(page: Page) -> str:
        return " ".join(page.words.partition("All deployments of this package there")[2].split())

    page = await get_page(site, f"/deployments/{first}")
    assert "this was the first deployment" in steps(page) and "Replaced by 2 " in steps(page)
    assert "Current" not in page.words and "Replaced Version 2 came" in " ".join(page.words.split())
    assert f"/deployments/{second}" in page.leads_to(f"/deployments/{second}")
    page = await get_page(site, f"/deployments/{second}")
    assert "Replaced 1 " in steps(page) and "Replaced by 3 " in steps(page)
    assert "recorded by API key 1 (ci)" in steps(page)
    assert "Now it is 3" in steps(page) and page.leads_to(f"/deployments/{again}")
    page = await get_page(site, f"/deployments/{third}")
    assert "Deployed again 3 " in steps(page)
    page = await get_page(site, f"/deployments/{again}")
    assert "Deployed before 3 " in steps(page) and "this is what runs there now" in steps(page)
    assert "Current" in page.words


async def test_a_record_that_is_not_there_is_a_page_of_404(site: Service) -> None:
    for id_ in ("1", "9999999999999999999"):
        page = await get_page(site, f"/deployments/{id_}", status=404)
        assert f"There is no deployment {id_}." in page.words
    await record(site)
    page = await get_page(site, "/deployments/1?feed=a", status=400)


# Who may see what


async def test_nothing_of_a_feed_that_may_not_be_viewed_is_on_any_page(site: Service) -> None:
    await add_feed(site.admin, "hidden-feed")
    await create_key(site.admin, "system", value=SYSTEM_KEY)

    async def is_known() -> bool:
        answer = await site.post(RECORD | {"FeedName": "hidden-feed", "Target": "hidden-target"}, key=SYSTEM_KEY)
        return answer.status == 200

    await until(is_known)
    hidden = int((await site.rows("SELECT max(id) AS id FROM deployments"))[0]["id"])
    await record(site)
    for path in (
        "/deployments",
        "/deployments?target=hidden*",
        "/deployments?q=hidden",
        "/deployments?feed=hidden-feed",
    ):
        page = await get_page(site, path)
        assert "hidden-" not in page.text.replace("hidden-feed</option", "").replace(path, "") or "?" in path
        assert "hidden-target" not in page.words and "hidden-feed" not in str(page.rows)
        assert '<option value="hidden-feed">' not in page.text
    page = await get_page(site, f"/deployments/{hidden}", status=404)
    assert "hidden-" not in page.text
    page = await get_page(site, f"/deployments/{hidden}", headers={"X-ApiKey": SYSTEM_KEY})
    assert "hidden-target" in page.words


async def test_links_have_the_base_path(start: StartService) -> None:
    service = await start(server_base_path="/proget")
    await let_everybody_view(service)
    for version in ("1", "2", "3"):
        id_ = await record(service, Version=version)
    for path in ("/proget/deployments?limit=1&target=localhost", f"/proget/deployments/{id_ - 1}"):
        page = await get_page(service, path)
        outside = [address for _, address in page.links if not address.startswith(("/proget/", "#"))]
        assert outside == []
    answer = await service.request("GET", (await get_page(service, "/proget/deployments?limit=1")).to("JSON"))
    assert [item["Version"] for item in answer.json] == ["3"]


async def test_a_key_in_the_address_lets_in_and_is_not_passed_on(service: Service) -> None:
    for version in ("1", "2"):
        await record(service, Version=version)
    page = await get_page(service, f"/deployments?KEY={KEY}&limit=1&target=localhost")
    assert shown(page) == ["2"] and "Signed in as ci" in page.words
    assert KEY not in page.text
