"""``GET /api/deployments/current``: the latest record of each package on each target, now or as it was."""

from __future__ import annotations

import pytest
from conftest import RECORD, Service, StartService
from reading import DAY, START, all_pages, found, ids, iso, next_url, pages, read, record, row

from deployserver.feeds import add_feed

pytestmark = pytest.mark.every_engine

EACH = ("FeedName", "GroupName", "PackageName", "Target")


async def runs(service: Service, **query: object) -> dict[str, str]:
    """Return what runs where: versions by target."""
    items = await found(service, "/current", **query)
    assert len({item["Target"] for item in items}) == len(items)
    return {item["Target"]: item["Version"] for item in items}


# The latest of each


async def test_each_package_on_each_target_has_one_record_and_it_is_the_latest(service: Service) -> None:
    for version in ("1.0", "2.0"):
        for target in ("web01", "web02"):
            for package in ("left-pad", "Newtonsoft.Json"):
                for group in ("", "@acme"):
                    await record(service, Version=version, Target=target, PackageName=package, GroupName=group)
    items = await found(service, "/current")
    assert len({tuple(item[name] for name in EACH) for item in items}) == len(items) == 8
    assert {item["Version"] for item in items} == {"2.0"}


async def test_the_record_is_that_of_the_history(service: Service) -> None:
    await record(service, Version="1.0")
    answer = await service.post(RECORD | {"Version": "2.0"})
    assert (await read(service, "/current")).text == f"[{answer.text}]"


@pytest.mark.parametrize(
    ("name", "spellings"),
    [
        ("PackageName", ["Newtonsoft.Json", "newtonsoft.json", "NEWTONSOFT.JSON"]),
        ("Target", ["web01", "WEB01", "Web01"]),
        ("GroupName", ["@acme", "@ACME", "@Acme"]),
        ("PackageName", ["Straße", "STRASSE", "strasse"]),
        ("Target", ["ZÜRICH", "zürich", "Zürich"]),
    ],
)
async def test_names_in_another_letter_case_are_the_same_installation(
    service: Service, name: str, spellings: list[str]
) -> None:
    """Whichever spelling came first, was recorded last, or is asked for."""
    for number, spelling in enumerate(spellings):
        await record(service, **{name: spelling, "Version": f"{number}.0"})
    (item,) = await found(service, "/current", count="true")
    assert (item["Version"], item[name]) == ("2.0", spellings[-1])
    await record(service, **{name: spellings[0], "Version": "3.0"})
    (item,) = await found(service, "/current", limit=1)
    assert (item["Version"], item[name]) == ("3.0", spellings[0])
    parameter = {"PackageName": "package", "Target": "target", "GroupName": "group"}[name]
    for spelling in spellings:
        assert len(await found(service, "/current", **{parameter: spelling})) == 1
    assert (await read(service, "/current", count="true")).headers["X-Total-Count"] == "1"


async def test_names_that_differ_in_more_are_others(service: Service) -> None:
    for target in ("web01", "web1", "wéb01", "web01.", "web 01"):
        await record(service, Target=target)
    assert len(await found(service, "/current")) == 5


async def test_no_group_is_a_group_of_its_own(service: Service) -> None:
    await record(service, Version="1.0")
    await record(service, Version="2.0", GroupName="@acme")
    assert [item["Version"] for item in await found(service, "/current")] == ["1.0", "2.0"]


async def test_feeds_do_not_mix(service: Service) -> None:
    other = await add_feed(service.admin, "Other")
    await service.store.add_deployments([row(0), row(0, feed_id=other.id, version="2.0")])
    assert len(await service.rows("SELECT 1 FROM installations WHERE same_as IS NULL")) == 2


@pytest.mark.parametrize("late", ["2021-04-12", "2021-04-12T23:59:59.999999Z", "0001-01-01"])
async def test_a_late_record_with_an_old_date_does_not_take_over(service: Service, late: str) -> None:
    await record(service, Version="2.0", Date="2021-04-13")
    await record(service, Version="1.0", Date=late)
    assert await runs(service) == {"localhost": "2.0"}
    assert await runs(service, as_of="2021-04-12T23:59:59.9999999Z") == {"localhost": "1.0"}


async def test_of_two_records_of_one_moment_the_one_that_came_last_runs(service: Service) -> None:
    for version in ("1.0", "3.0", "2.0"):
        await record(service, Version=version, Date="2021-04-13")
    assert await runs(service) == {"localhost": "2.0"}
    assert await runs(service, as_of="2021-04-13") == {"localhost": "2.0"}


# As it was


async def test_as_of_is_the_state_at_that_moment_itself_included(service: Service) -> None:
    for day, version in ((13, "1.0"), (15, "2.0"), (17, "3.0")):
        await record(service, Version=version, Date=f"2021-04-{day}T10:00:00Z")
    for as_of, version in (
        ("2021-04-13T10:00:00Z", "1.0"),
        ("2021-04-15T09:59:59.999999Z", "1.0"),
        ("2021-04-15T10:00:00Z", "2.0"),
        ("2021-04-15T12:00:00+02:00", "2.0"),
        ("2021-04-15 12:00:00 +0200", "2.0"),
        ("/Date(1618480800000)/", "2.0"),
        ("Thu, 15 Apr 2021 10:00:00 GMT", "2.0"),
        ("2021-04-16", "2.0"),
        ("2021-04-17", "2.0"),  # a date alone is its midnight
        ("2021-04-18", "3.0"),
        ("0s", "3.0"),
    ):
        assert await runs(service, as_of=as_of) == {"localhost": version}, as_of
        assert (await read(service, "/current", as_of=as_of, count="true")).headers["X-Total-Count"] == "1"
    assert await runs(service, as_of="2021-04-13T09:59:59.999999Z") == {}
    assert (await read(service, "/current", as_of="1999-01-01", count="true")).headers["X-Total-Count"] == "0"


async def test_as_of_may_be_some_time_ago(start: StartService) -> None:
    """Counted from the moment of the question."""
    service = await start(clock=lambda: START + 10 * DAY)
    for days, version in ((0, "1.0"), (3, "2.0"), (9, "3.0")):
        await record(service, Version=version, Date=iso(START + days * DAY))
    for as_of, version in (("1d", "3.0"), ("25H", "2.0"), ("168h", "2.0"), ("1w", "2.0"), ("8d", "1.0")):
        assert await runs(service, as_of=as_of) == {"localhost": version}, as_of
    assert await runs(service, as_of="864001s") == {}


async def test_a_state_that_was_is_spelt_as_it_was(service: Service) -> None:
    """Spellings of one installation are one at every time."""
    for day, target in ((13, "WEB01"), (14, "web01"), (15, "Web01")):
        await record(service, Target=target, Date=f"2021-04-{day}", Version=f"{day}.0")
    for day, target in ((13, "WEB01"), (14, "web01"), (15, "Web01")):
        assert await runs(service, as_of=f"2021-04-{day}") == {target: f"{day}.0"}


# Filters


async def test_a_filter_looks_at_what_runs_and_not_at_what_ran(service: Service) -> None:
    """Where does 1.0 run? Not where it was replaced, whoever did that with whatever."""
    await record(service, Target="web01", Version="1.0", UserName="alice", Application="Octopus", Description="one")
    await record(service, Target="web01", Version="2.0", UserName="bob", Application="Jenkins", Description="two")
    await record(service, Target="web02", Version="1.0", UserName="alice", Application="Octopus", Description="one")
    for query in ({"version": "1.0"}, {"user": "alice"}, {"application": "octopus"}, {"q": "one"}, {"version": "1*"}):
        assert await runs(service, **query) == {"web02": "1.0"}, query
        assert (await read(service, "/current", count="true", **query)).headers["X-Total-Count"] == "1"
    assert await runs(service, version="2.0", target=["web01", "web02"]) == {"web01": "2.0"}


async def test_since_and_until_look_at_the_date_of_what_runs(service: Service) -> None:
    """What has not been touched since, and what was touched lately."""
    for target, days in (("a", (13, 20)), ("b", (13,)), ("c", (20,)), ("d", (15,))):
        for day in days:
            await record(service, Target=target, Date=f"2021-04-{day}", Version=str(day))
    assert await runs(service, until="2021-04-15") == {"b": "13", "d": "15"}
    assert await runs(service, since="2021-04-15") == {"a": "20", "c": "20", "d": "15"}
    assert await runs(service, since="2021-04-14", until="2021-04-15") == {"d": "15"}
    assert await runs(service, until="2021-04-15", as_of="2021-04-16") == {"a": "13", "b": "13", "d": "15"}


# Pages


async def test_pages_go_by_package_and_then_by_target(service: Service) -> None:
    names = [("b", "2"), ("B", "1"), ("a", "Z"), ("A", "y"), ("ä", "1"), ("a", "x")]
    for package, target in names:
        await record(service, PackageName=package, Target=target)
    expected = [("a", "x"), ("A", "y"), ("a", "Z"), ("B", "1"), ("b", "2"), ("ä", "1")]
    for limit in (1, 2, 5, 6, 1000):
        items = await all_pages(service, "/current", limit=limit)
        assert [(item["PackageName"], item["Target"]) for item in items] == expected


async def test_pages_of_one_name_in_many_groups_and_feeds_go_on_too(service: Service) -> None:
    """Names alone do not say where a page ends."""
    await service.store.add_deployments([row(0, group_name=f"group {number}") for number in range(7)])
    items = await all_pages(service, "/current", limit=2)
    assert sorted(item["GroupName"] for item in items) == [f"group {number}" for number in range(7)]


async def test_deployments_meanwhile_neither_move_nor_double_others(service: Service) -> None:
    """Neither a new version of what was seen or is to come, nor a new installation, nor another spelling."""
    await service.store.add_deployments([row(number, target=f"web{number:02}") for number in range(0, 40, 2)])
    seen: list[str] = []
    turn = 0
    async for page in pages(service, "/current", limit=3):
        seen += [item["Target"] for item in page]
        turn += 1
        await service.store.add_deployments(
            [
                row(100 + turn, target="web00", version=f"{turn}"),
                row(100 + turn, target="WEB38", version=f"{turn}"),
                row(100 + turn, target=f"web{turn:02}"),
                row(100 + turn, package_name=f"a{turn}"),
            ]
        )
    folded = [target.casefold() for target in seen]
    assert len(folded) == len(set(folded))
    assert {f"web{number:02}" for number in range(0, 40, 2)} <= set(folded)
    assert folded == sorted(folded)


async def test_everything_as_it_was_goes_through_pages(service: Service) -> None:
    await service.store.add_deployments(
        [row(number, target=f"t{number % 50}", version=str(number // 50)) for number in range(150)]
    )
    as_of = iso(START + 99 * 1_000_000)
    items = await all_pages(service, "/current", limit=7, as_of=as_of)
    assert (len(items), {item["Version"] for item in items}) == (50, {"1"})


async def test_all_installations_are_streamed_where_no_limit_is_given(service: Service) -> None:
    await service.store.add_deployments([row(number) for number in range(2500)])
    for query in ({}, {"as_of": "2021-04-14"}, {"package": "LEFT*"}):
        answer = await read(service, "/current", format="ndjson", count="true", **query)
        assert len(answer.body.splitlines()) == 2500
        assert answer.headers["X-Total-Count"] == "2500"
        assert next_url(answer) is None
    assert len(await ids(service, "/current")) == 50
