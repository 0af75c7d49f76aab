"""The page that compares: two targets, or one at two times."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from conftest import Service
from html_pages import Page, get_page
from test_pages_package import EVIL, let_everybody_view, record

from deployserver.pages import compare

pytestmark = pytest.mark.every_engine

BOTH = "/compare?left=prod&right=staging"


@pytest.fixture
async def site(service: Service) -> Service:
    await let_everybody_view(service)
    return service


async def differ(service: Service) -> None:
    """Let prod and staging run what is the same, what differs, and what only one of them has."""
    for target, package, version, date in (
        ("prod", "Alike", "1.0", "2021-04-01"), ("staging", "Alike", "1.0", "2021-04-01"),
        ("prod", "Behind", "9.0", "2021-04-01"), ("staging", "Behind", "10.0", "2021-04-02"),
        ("prod", "Left", "1.0", "2021-04-01"), ("staging", "Right", "1.0", "2021-04-02"),
        ("prod", "Early", "1.0", "2021-03-01"), ("prod", "Early", "2.0", "2021-04-03"),
    ):  # fmt: skip  # a deployment each
        await record(service, Target=target, PackageName=package, Version=version, Date=date)


def kinds(page: Page) -> list[tuple[str, str]]:
    return [(row["Package"], row["Difference"]) for row in page.rows]


async def test_what_differs_comes_first(site: Service) -> None:
    await differ(site)
    page = await get_page(site, BOTH)
    assert kinds(page) == [
        ("Behind", "≠ different"), ("Early", "← only left"), ("Left", "← only left"), ("Right", "→ only right"),
        ("Alike", "= same"),
    ]  # fmt: skip  # as they are shown
    behind = page.rows[0]
    assert behind["Left"].startswith("9.01 behind") and behind["Right"].startswith("10.0newest")
    assert page.rows[1]["Right"] == "not there"
    assert page.to("Only left 2").endswith("&difference=only-left")


async def test_one_kind_can_be_chosen_and_filters_stay(site: Service) -> None:
    await differ(site)
    page = await get_page(site, f"{BOTH}&package=l*&package=e*&package=a*")
    page = await get_page(site, page.to("Only left 2"))
    assert kinds(page) == [("Early", "← only left"), ("Left", "← only left")]
    assert page.values("package")[:1] == ["l*"] and page.values("left") == ["prod", "prod"]
    none = await get_page(site, page.to("Different 0"))
    assert "No package is in this group" in none.words
    assert "difference" not in none.to("Show all kinds")


async def test_the_files_are_what_is_shown(site: Service) -> None:
    await differ(site)
    for query in ("", "&difference=different", "&package=e*", "&right_as_of=2021-04-01", "&left_as_of=2021-03-15"):
        page = await get_page(site, f"{BOTH}{query}")
        found = (await site.request("GET", page.to("JSON"))).json
        assert sorted(item["PackageName"] for item in found) == sorted(row["Package"] for row in page.rows)
        lines = (await site.request("GET", page.to("CSV"))).text.splitlines()
        assert len(lines) == 1 + len(found)


async def test_one_target_is_compared_with_how_it_was(site: Service) -> None:
    await differ(site)
    page = await get_page(site, "/compare?left=prod&left_as_of=2021-03-15")
    assert kinds(page)[0] == ("Early", "≠ different")
    assert page.rows[0]["Left"].startswith("1.0") and "newest" not in page.rows[0]["Left"]
    assert page.rows[0]["Right"].startswith("2.0newest")
    assert page.values("right") == ["prod"]
    found = (await site.request("GET", page.to("JSON"))).json
    assert {item["PackageName"] for item in found} == {row["Package"] for row in page.rows}
    swapped = await get_page(site, page.to("Swap sides"))
    assert swapped.rows[0]["Right"].startswith("1.0") and swapped.rows[0]["Left"].startswith("2.0")


async def test_the_sides_are_swapped_with_all_that_is_asked(site: Service) -> None:
    await differ(site)
    page = await get_page(site, f"{BOTH}&difference=only-left&package=l*")
    swapped = await get_page(site, page.to("Swap sides"))
    assert kinds(swapped) == [("Left", "→ only right")]


async def test_until_there_is_something_to_compare_the_form_says_what_is_missing(site: Service) -> None:
    await differ(site)
    assert "Name two targets" in (await get_page(site, "/compare")).words
    same = await get_page(site, "/compare?left=prod&right=PROD&left_as_of=&right_as_of=")
    assert "Both sides are the same" in same.words
    assert (await get_page(site, same.to("Compare prod with how it was seven days ago"))).status == 200
    assert "Neither side runs anything" in (await get_page(site, "/compare?left=x&right=y")).words
    assert "No package matches" in (await get_page(site, f"{BOTH}&package=zzz")).words


async def test_many_differences_are_shown_a_part_at_a_time(site: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "AT_ONCE", 2)
    await differ(site)
    first = await get_page(site, BOTH)
    second = await get_page(site, first.to("Next →"))
    third = await get_page(site, second.to("Next →"))
    assert [row["Package"] for page in (first, second, third) for row in page.rows] == [
        "Behind", "Early", "Left", "Right", "Alike",
    ]  # fmt: skip  # as they are shown
    assert third.to("First") == BOTH


async def test_targets_are_names_and_hostile_ones_only_names(site: Service) -> None:
    await record(site, Target=EVIL, PackageName=EVIL, GroupName=EVIL, Version=EVIL)
    await record(site, Target="web*", Version="1.0")
    await record(site, Target="web1", Version="2.0")
    page = await get_page(site, f"/compare?{urlencode({'left': EVIL, 'right': 'web*'})}")
    assert "<script>" not in page.text.replace('<script src="', "")
    assert [row["Difference"] for row in page.rows] == ["← only left", "→ only right"]
    assert page.rows[1]["Right"].startswith("1.0")
    assert len((await site.request("GET", page.to("JSON"))).json) == 2
