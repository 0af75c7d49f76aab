"""The page of a package: its versions, where they run and ran, and what it keeps to itself."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from conftest import FEED, KEY, RECORD, Service, StartService
from html_pages import Page, get_page
from waiting import until

from deployserver import rollouts
from deployserver.feeds import add_feed
from deployserver.models import ANONYMOUS, VIEW_FEED
from deployserver.pages import ways
from deployserver.privileges import add_privilege

pytestmark = pytest.mark.every_engine

EVIL = """<script>alert("1")</script>'&*"""
PACKAGE = f"/package?feed={FEED}&package=Newtonsoft.Json"


async def let_everybody_view(service: Service, feed: str = FEED) -> None:
    await add_privilege(service.admin, ANONYMOUS, VIEW_FEED, feed, granted=True)

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


async def roll_out(service: Service) -> None:
    """Let four targets come to versions that look newest in the order of their texts, but are not."""
    for day, (target, version) in enumerate(
        [("web1", "9.0"), ("web2", "9.0"), ("db1", "9.0"), ("web1", "10.0"), ("web2", "10.0"), ("old", "2.0")]
    ):
        await record(service, Target=target, Version=version, Date=f"2021-04-{day + 1:02}")


def running(page: Page) -> dict[str, str]:
    return {row["Target"]: row["Version"] for row in page.rows if "Since" in row}


def history(page: Page) -> list[tuple[str, str]]:
    return [(row["Target"], row["Version"]) for row in page.rows if "Deployed" in row]


async def test_it_says_what_runs_where_and_how_far_that_is_behind(site: Service) -> None:
    await roll_out(site)
    page = await get_page(site, PACKAGE)
    assert page.title.startswith("Newtonsoft.Json")
    assert running(page) == {"db1": "9.01 behind", "old": "2.02 behind", "web1": "10.0newest", "web2": "10.0newest"}
    assert history(page)[:2] == [("old", "2.0"), ("web2", "10.0")]
    assert "on 2 of 4 targets" in page.words
    versions = page.text.partition("Versions that run now")[2]
    assert versions.index(">10.0<") < versions.index(">9.0<") < versions.index(">2.0<")
    assert "Line chart: Rollout of the newest versions. Targets at the end: 10.0: 2, 9.0: 1, 2.0: 1" in page.text
    assert "Deployments per week: " in page.text


async def test_names_are_found_in_any_letter_case_and_written_as_they_were_recorded(site: Service) -> None:
    await record(site)
    page = await get_page(site, f"/Package/?feed={FEED.lower()}&package=NEWTONSOFT.json")
    assert "<h1>Newtonsoft.Json</h1>" in page.text


async def test_a_package_without_a_group_is_not_its_namesake_with_one(site: Service) -> None:
    await record(site, Version="1.0", Target="without")
    await record(site, Version="2.0", Target="with", GroupName="acme")
    await record(site, Version="3.0", Target="longer", PackageName="Newtonsoft.Json.Schema")
    without = await get_page(site, PACKAGE)
    assert running(without) == {"without": "1.0newest"}
    assert history(without) == [("without", "1.0")]
    grouped = await get_page(site, f"{PACKAGE}&group=ACME")
    assert "<h1>acme/Newtonsoft.Json</h1>" in grouped.text
    assert running(grouped) == {"with": "2.0newest"}
    for page in (without, grouped):
        for link in {address for text, address in page.links if text in ("CSV", "JSON")}:
            assert len((await site.request("GET", link)).text.strip().splitlines()) == 1 + ("csv" in link)


async def test_filters_are_in_the_address_and_narrow_down_tables_and_pictures(site: Service) -> None:
    await roll_out(site)
    page = await get_page(site, f"{PACKAGE}&target=web*&target=db1&application=profitcalc&since=2021-04-03")
    assert running(page) == {"db1": "9.01 behind", "web1": "10.0newest", "web2": "10.0newest"}
    assert history(page) == [("web2", "10.0"), ("web1", "10.0"), ("db1", "9.0")]
    searched = await get_page(site, page.to("Search it"))
    assert [(row["Target"], row["Version"]) for row in searched.rows] == history(page)
    assert page.values("target") == ["web*", "db1"]
    assert page.values("package") == ["Newtonsoft.Json"] and page.values("since") == ["2021-04-03"]
    assert "Versions that run now on the targets that match" in page.words
    without = page.to("Target web* ×(remove this filter)")
    assert "target=db1" in without and "since=2021-04-03" in without and "package=Newtonsoft.Json" in without


async def test_the_link_of_a_version_shows_where_it_runs_and_ran(site: Service) -> None:
    await roll_out(site)
    page = await get_page(site, (await get_page(site, PACKAGE)).to("9.0"))
    assert running(page) == {"db1": "9.01 behind"}
    assert history(page) == [("db1", "9.0"), ("web2", "9.0"), ("web1", "9.0")]
    assert "Targets at the end: 9.0: 1" in page.text
    gone = await get_page(site, f"{PACKAGE}&version=1.0")
    assert "Nothing that runs now matches" in gone.words and "No deployment matches" in gone.words
    assert gone.to("Show all targets").startswith("/package?")


async def test_the_files_are_exactly_what_is_shown(site: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "RUNNING", 3)
    for number in range(7):
        await record(site, Target=f"web{number}", Version=f"1.{number}", Date=f"2021-04-0{number + 1}")
    await record(site, Target="other")
    first = await get_page(site, f"{PACKAGE}&target=web*")
    assert "3 targets of 7" in first.words
    second = await get_page(site, first.to("Next →"))
    assert list(running(first) | running(second)) == [f"web{number}" for number in range(6)]
    assert second.to("First") == "/package?feed=DefaultNuGet&package=Newtonsoft.Json&target=web%2A#now"
    for page in (first, second):
        files = dict.fromkeys(address for text, address in page.links if text in ("CSV", "JSON"))
        for address in files:
            answer = await site.request("GET", address)
            lines = answer.text.splitlines()[1:]
            names = [item["Target"] for item in answer.json] if "json" in address else [x.split(",")[5] for x in lines]
            assert names == (list(running(page)) if "/current" in address else [name for name, _ in history(page)])
    everything = {address for text, address in second.links if text.startswith("All as CSV")}
    assert len((await site.request("GET", everything.pop())).text.splitlines()) == 1 + 7


async def test_the_history_goes_on_in_both_directions_and_keeps_the_filters(
    site: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ways, "RECORDS", 2)
    for number in range(5):
        await record(site, Version=str(number), Date=f"2021-04-0{number + 1}")
    first = await get_page(site, f"{PACKAGE}&target=local*")
    second = await get_page(site, first.to("Older →"))
    assert [version for _, version in history(first) + history(second)] == ["4", "3", "2", "1"]
    assert history(await get_page(site, second.to("← Newer"))) == history(first)
    assert second.values("target") == ["local*"]


async def test_only_the_newest_records_of_a_great_many_make_the_picture_and_it_says_so(
    site: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollouts, "MOST_RECORDS", 3)
    monkeypatch.setattr(rollouts, "MOST_POINTS", 2)
    await roll_out(site)
    page = await get_page(site, PACKAGE)
    assert "from the last 3 deployments" in page.words
    assert "Targets at the end: 10.0: 2, 9.0: 1, 2.0: 1" in page.text


async def test_what_is_no_version_of_its_type_is_unknown(site: Service) -> None:
    await record(site, Target="a", Version="nightly")
    alone = await get_page(site, PACKAGE)
    assert running(alone) == {"a": "nightlynewest"}
    await record(site, Target="b", Version="1.0")
    assert running(await get_page(site, PACKAGE)) == {"a": "nightlyunknown", "b": "1.0newest"}
    await record(site, Target="b", Version="weekly")
    page = await get_page(site, PACKAGE)
    assert running(page) == {"a": "nightlyunknown", "b": "weeklyunknown"}
    assert "no version that nuget packages have" in page.words


async def test_hostile_names_are_only_names(site: Service) -> None:
    names = ("GroupName", "PackageName", "Target", "Application", "UserName", "Description", "Version")
    await record(site, **dict.fromkeys(names, EVIL), Url="https://evil.example/?a='&b")
    page = await get_page(site, f"/package?{urlencode({'feed': FEED, 'group': EVIL, 'package': EVIL})}")
    assert "<script>" not in page.text.replace('<script src="', "")
    assert list(running(page)) == [EVIL]
    again = await get_page(site, page.leads_to("/package")[0])
    assert again.status == 200
    assert ("evil.example/?a='&b", "https://evil.example/?a='&b") in page.links
    assert 'rel="noopener noreferrer"' in page.text


async def test_an_unknown_package_and_one_in_a_feed_that_may_not_be_viewed_look_the_same(site: Service) -> None:
    await add_feed(site.admin, "secret")
    await add_privilege(site.admin, ANONYMOUS, "Feeds_DownloadPackage", "secret", granted=True)

    async def is_recorded() -> bool:
        return (await site.post(RECORD | {"FeedName": "secret", "Version": "6.6.6"}, key=None)).status == 200

    await until(is_recorded)
    hidden = await get_page(site, "/package?feed=secret&package=Newtonsoft.Json", status=404)
    unknown = await get_page(site, "/package?feed=nowhere&package=Newtonsoft.Json", status=404)
    assert hidden.text.replace("secret", "nowhere") == unknown.text
    assert "No deployment of this package" in unknown.words and "FeedName=nowhere" in unknown.words


async def test_an_address_without_a_package_says_what_is_missing(site: Service) -> None:
    page = await get_page(site, "/package?group=acme", status=400)
    assert "feed is needed" in page.words and "package is needed" in page.words


async def test_whoever_may_view_nothing_is_asked_to_sign_in(service: Service) -> None:
    for path in (PACKAGE, "/target?target=a", "/matrix", "/compare"):
        answer = await service.request("GET", path)
        assert answer.status == 303
        assert answer.headers["Location"].startswith("/sign-in?next=/")


async def test_all_addresses_are_below_the_base_path(start: StartService) -> None:
    service = await start(server_base_path="/proget")
    await let_everybody_view(service)
    await record(service)
    for path in (PACKAGE, "/target?target=localhost", "/matrix", "/compare?left=localhost&right=other"):
        page = await get_page(service, f"/proget{path}")
        assert {address for _, address in page.links if not address.startswith(("/proget/", "#"))} == set()
        assert 'action="/proget/' in page.text and 'action="/package' not in page.text
