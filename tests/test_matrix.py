"""The matrix as a page: a window of it, where it leads, and what it keeps to itself."""

from __future__ import annotations

import re

import pytest
from conftest import KEY, Service
from html_pages import Page, get_page
from test_pages_package import EVIL, let_everybody_view, record

from deployserver import matrix

pytestmark = pytest.mark.every_engine


@pytest.fixture
async def site(service: Service) -> Service:
    await let_everybody_view(service)
    return service


def table(page: Page) -> dict[str, list[str]]:
    """Return the cells of each row, by its package: the summary first, then what runs on each target."""
    body = page.text.partition("<tbody>")[2].partition("</tbody>")[0]
    rows = {}
    for row in body.split("<tr>")[1:]:
        heading, *cells = re.split(r"<td[^>]*>", row)
        texts = [" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in (heading, *cells)]
        rows[texts[0].removesuffix(" DefaultNuGet")] = texts[1:]
    return rows


def targets(page: Page) -> list[str]:
    head = page.text.partition("<thead>")[2].partition("</thead>")[0]
    return re.findall(r'title="([^"]*)"', head)


async def fill(service: Service, packages: int, on: int) -> None:
    for number in range(packages):
        for target in range(on):
            await record(
                service, PackageName=f"App{number}", Target=f"web{target}", Version=f"{number}.{10 - target}",
            )  # fmt: skip  # one record


async def test_a_cell_is_what_runs_and_says_how_far_it_is_behind_in_words(site: Service) -> None:
    await record(site, PackageName="App", Target="web1", Version="9.0")
    await record(site, PackageName="App", Target="web2", Version="10.0")
    await record(site, PackageName="App", Target="web3", Version="nightly")
    id_ = await record(site, PackageName="lib", GroupName="acme", Target="WEB2", Version="1.0")
    page = await get_page(site, "/matrix")
    assert targets(page) == ["web1", "web2", "web3"]
    assert table(page) == {
        "App": ["10.0 on 1 of 3", "1 behind 9.0", "newest 10.0", "unknown nightly"],
        "acme / lib": ["1.0 on 1 of 1", "", "newest 1.0", ""],
    }
    assert any(address == f"/deployments/{id_}" for _, address in page.links)
    assert page.leads_to("/package")[0] == "/package?feed=DefaultNuGet&package=App"
    assert len(page.leads_to("/target")) == 3


async def test_a_window_goes_on_in_both_directions_and_keeps_the_filters(
    site: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matrix, "ROWS", 2)
    monkeypatch.setattr(matrix, "COLUMNS", 2)
    await fill(site, 5, 5)
    first = await get_page(site, "/matrix?package=app*")
    assert (list(table(first)), targets(first)) == (["App0", "App1"], ["web0", "web1"])
    assert "Previous packages" not in first.words
    right = await get_page(site, first.to("Next targets →"))
    assert (list(table(right)), targets(right)) == (["App0", "App1"], ["web2", "web3"])
    last = await get_page(site, right.to("Next targets →"))
    assert targets(last) == ["web4"] and "Next targets" not in last.words
    back = await get_page(site, last.to("← Previous targets"))
    assert (list(table(back)), targets(back)) == (["App0", "App1"], ["web2", "web3"])
    assert targets(await get_page(site, back.to("← Previous targets"))) == ["web0", "web1"]
    assert targets(await get_page(site, last.to("First targets"))) == ["web0", "web1"]
    down = await get_page(site, right.to("Next packages →"))
    assert (list(table(down)), targets(down)) == (["App2", "App3"], ["web0", "web1"])
    end = await get_page(site, down.to("Next packages →"))
    assert list(table(end)) == ["App4"] and "Next packages" not in end.words
    up = await get_page(site, end.to("← Previous packages"))
    assert list(table(up)) == ["App2", "App3"]
    assert list(table(await get_page(site, up.to("← Previous packages")))) == ["App0", "App1"]
    assert list(table(await get_page(site, up.to("Next packages →")))) == ["App4"]
    for page in (right, last, down, up):
        assert page.values("package") == ["app*"]


async def test_the_newest_version_is_that_of_all_targets_and_not_of_the_window(site: Service) -> None:
    await record(site, PackageName="App", Target="web1", Version="1.0")
    await record(site, PackageName="App", Target="db1", Version="2.0")
    page = await get_page(site, "/matrix?target=web*")
    assert targets(page) == ["web1"]
    assert table(page) == {"App": ["2.0 on 0 of 1", "1 behind 1.0"]}


async def test_only_targets_that_run_one_of_the_packages_are_columns(site: Service) -> None:
    await record(site, PackageName="App", Target="web1")
    await record(site, PackageName="Lib", Target="db1")
    page = await get_page(site, "/matrix?package=app")
    assert (list(table(page)), targets(page)) == (["App"], ["web1"])


async def test_only_what_drifts_can_be_asked_for_and_goes_on_where_it_stopped(
    site: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matrix, "ROWS", 1)
    monkeypatch.setattr(matrix, "_AT_ONCE", 2)
    monkeypatch.setattr(matrix, "MOST_LOOKED_AT", 2)
    for number in range(8):
        await record(site, PackageName=f"App{number}", Target="web1", Version="1.0")
        await record(site, PackageName=f"App{number}", Target="web2", Version="2.0" if number in (4, 6) else "1.0")
    page = await get_page(site, "/matrix?drift=only")
    assert "No package drifts so far" in page.words
    page = await get_page(site, page.to("Look at more of them"))
    page = await get_page(site, page.to("Look at more of them"))
    assert list(table(page)) == ["App4"]
    page = await get_page(site, page.to("Look at more of them"))
    assert list(table(page)) == ["App6"]
    back = await get_page(site, page.to("← Previous packages"))
    assert list(table(back)) == ["App4"]
    before = await get_page(site, back.to("Look at more of them"))
    assert "No package drifts so far" in before.words
    assert "No package drifts so far" in (await get_page(site, before.to("Look at more of them"))).words
    up_to_date = await get_page(site, "/matrix?drift=only&target=web2")
    for _ in range(4):
        assert table(up_to_date) == {}
        if "Look at more of them" not in up_to_date.words:
            break
        up_to_date = await get_page(site, up_to_date.to("Look at more of them"))


async def test_where_nothing_is_shown_it_says_what_to_do_next(site: Service) -> None:
    assert "No deployments yet" in (await get_page(site, "/matrix")).words
    await record(site)
    nothing = await get_page(site, "/matrix?target=nowhere")
    assert "Nothing matches" in nothing.words and nothing.to("Show all packages") == "/matrix"
    assert "up to date on every target" in (await get_page(site, "/matrix?drift=only")).words
    wrong = await get_page(site, "/matrix?rows=abc", status=400)
    assert "rows" in wrong.words and wrong.to("Leave out what is wrong") == "/matrix"


async def test_hostile_names_are_only_names(site: Service) -> None:
    await record(site, PackageName=EVIL, GroupName=EVIL, Target=EVIL, Version=EVIL, key=KEY)
    page = await get_page(site, "/matrix")
    assert "<script>" not in page.text.replace('<script src="', "")
    for path in (page.leads_to("/package")[0], page.leads_to("/target")[0], page.leads_to("/package")[-1]):
        assert (await get_page(site, path)).status == 200


async def test_the_file_holds_what_the_filters_let_through(site: Service) -> None:
    await fill(site, 3, 2)
    page = await get_page(site, "/matrix?package=App1&target=web*")
    answer = await site.request("GET", page.to("All as CSV"))
    assert [line.split(",")[3] for line in answer.text.splitlines()[1:]] == ["App1", "App1"]
