"""``GET /api/deployments/compare``: two targets, or one target at two times."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import Service
from reading import START, all_pages, error, found, pages, read, record, row

from deployserver.api_keys import create_key
from deployserver.feeds import add_feed

pytestmark = pytest.mark.every_engine


async def kinds(service: Service, **query: Any) -> dict[str, str]:
    return {item["PackageName"]: item["Difference"] for item in await found(service, "/compare", **query)}


async def some(service: Service) -> None:
    """Record what differs between a and b in every way, and something elsewhere."""
    for target, package, version in (
        ("a", "same", "1.0"),
        ("b", "same", "1.0"),
        ("a", "different", "1.0"),
        ("b", "different", "2.0"),
        ("a", "left", "1.0"),
        ("b", "right", "1.0"),
        ("c", "elsewhere", "1.0"),
    ):
        await record(service, Target=target, PackageName=package, Version=version)


ALL = {"different": "different", "left": "only-left", "right": "only-right", "same": "same"}


# Two targets


async def test_each_package_of_either_target_is_there_once(service: Service) -> None:
    await some(service)
    assert await kinds(service, target=["a", "b"]) == ALL
    swapped = {"only-left": "only-right", "only-right": "only-left"}
    assert await kinds(service, target=["B", "A"]) == {name: swapped.get(kind, kind) for name, kind in ALL.items()}


async def test_both_sides_are_the_records_themselves(service: Service) -> None:
    left = await record(service, Target="a", PackageName="Left-Pad", Version="1.0", GroupName="@acme")
    right = await record(service, Target="b", PackageName="left-pad", Version="2.0", GroupName="@ACME")
    only = await record(service, Target="b", PackageName="z")
    assert await found(service, "/compare", target=["a", "b"]) == [
        {
            "FeedName": "DefaultNuGet",
            "GroupName": "@acme",
            "PackageName": "Left-Pad",
            "Difference": "different",
            "Left": left,
            "Right": right,
        },
        {
            "FeedName": "DefaultNuGet",
            "GroupName": None,
            "PackageName": "z",
            "Difference": "only-right",
            "Left": None,
            "Right": only,
        },
    ]


async def test_versions_in_another_letter_case_are_the_same(service: Service) -> None:
    await record(service, Target="a", Version="1.0-RC1")
    await record(service, Target="b", Version="1.0-rc1")
    assert await kinds(service, target=["a", "b"]) == {"Newtonsoft.Json": "same"}


async def test_groups_and_feeds_are_compared_with_their_own(service: Service) -> None:
    other = await add_feed(service.admin, "Other")
    created = await create_key(service.admin, "system", scopes=["feeds"])
    await service.store.add_deployments(
        [
            row(target="a", group_name="x", version="1"),
            row(target="b", group_name="y", version="1"),
            row(target="b", version="1"),
            row(target="b", feed_id=other.id, group_name="x", version="2"),
        ]
    )
    answer = None
    while answer is None or answer.status == 403 or len(answer.json) < 4:  # until the key and the feed are known
        answer = await read(service, "/compare", target=["a", "b"], key=created.secret)
    assert [(item["FeedName"], item["GroupName"], item["Difference"]) for item in answer.json] == [
        ("DefaultNuGet", None, "only-right"),
        ("DefaultNuGet", "x", "only-left"),
        ("DefaultNuGet", "y", "only-right"),
        ("Other", "x", "only-right"),
    ]


async def test_a_target_that_is_unknown_has_nothing(service: Service) -> None:
    await some(service)
    assert await kinds(service, target=["a", "unknown"]) == dict.fromkeys(("different", "left", "same"), "only-left")
    assert await kinds(service, target=["unknown", "another"]) == {}


# Times


async def history(service: Service) -> None:
    for day, package, version in ((13, "x", "1.0"), (15, "x", "2.0"), (15, "y", "1.0"), (17, "x", "1.0")):
        await record(service, Target="a", PackageName=package, Version=version, Date=f"2021-04-{day}")


@pytest.mark.parametrize(
    ("as_of", "expected"),
    [
        (["2021-04-13"], {"x": "same", "y": "only-right"}),  # then, and now
        (["2021-04-15"], {"x": "different", "y": "same"}),
        (["2021-04-12"], {"x": "only-right", "y": "only-right"}),
        (["2021-04-13", "2021-04-15"], {"x": "different", "y": "only-right"}),
        (["2021-04-15", "2021-04-13"], {"x": "different", "y": "only-left"}),  # the first is the left side
        (["2021-04-14T23:59:59Z", "2021-04-15T02:00:00+02:00"], {"x": "different", "y": "only-right"}),
        (["2021-04-17", "0s"], {"x": "same", "y": "same"}),
        (["now", "2021-04-15"], {"x": "different", "y": "same"}),
        (["2021-04-12", " NOW "], {"x": "only-right", "y": "only-right"}),
    ],
)
async def test_one_target_is_compared_with_itself_at_another_time(
    service: Service, as_of: list[str], expected: dict[str, str]
) -> None:
    await history(service)
    assert await kinds(service, target="A", as_of=as_of) == expected


async def test_two_targets_may_be_looked_at_at_other_times(service: Service) -> None:
    """At one time both, or each at its own."""
    await history(service)
    for day, version in ((13, "2.0"), (16, "3.0")):
        await record(service, Target="b", PackageName="x", Version=version, Date=f"2021-04-{day}")
    query = {"target": ["a", "b"], "package": "x"}
    assert await kinds(service, **query) == {"x": "different"}
    assert await kinds(service, **query, as_of="2021-04-15") == {"x": "same"}
    assert await kinds(service, **query, as_of=["2021-04-15", "2021-04-16"]) == {"x": "different"}
    assert await kinds(service, **query, as_of=["2021-04-12", "2021-04-16"]) == {"x": "only-right"}
    assert await kinds(service, **query, as_of="2021-04-12") == {}


# What is asked for


@pytest.mark.parametrize("kind", ["same", "different", "only-left", "only-right"])
async def test_only_some_differences_may_be_asked_for(service: Service, kind: str) -> None:
    await some(service)
    expected = {name: found for name, found in ALL.items() if found == kind}
    assert await kinds(service, target=["a", "b"], difference=kind.upper()) == expected
    both = {name: found for name, found in ALL.items() if found in (kind, "same")}
    assert await kinds(service, target=["a", "b"], difference=[kind, "same", "", kind]) == both


async def test_packages_may_be_narrowed_down(service: Service) -> None:
    await some(service)
    await record(service, Target="a", PackageName="grouped", GroupName="@Acme")
    assert await kinds(service, target=["a", "b"], package=["LEFT", "ri*"]) == {
        "left": "only-left",
        "right": "only-right",
    }
    assert await kinds(service, target=["a", "b"], group="@acme") == {"grouped": "only-left"}
    assert await kinds(service, target=["a", "b"], feed="DEFAULT*") == {**ALL, "grouped": "only-left"}
    assert await kinds(service, target=["a", "b"], feed="other") == {}


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({}, "target is needed: two targets, or one target and as_of."),
        ({"target": ""}, "target is needed: two targets, or one target and as_of."),
        ({"target": ["a", "b", "c"]}, "target is needed: two targets, or one target and as_of."),
        ({"target": "a"}, "target is only a; give another one, or as_of for another time."),
        ({"target": ["a", "a"]}, "target is only a; give another one, or as_of for another time."),
        ({"target": ["a", "b*"]}, "target names one target each; a * cannot stand for several here."),
        ({"target": "*", "as_of": "1d"}, "target names one target each; a * cannot stand for several here."),
        ({"target": "a", "as_of": ["1d", "2d", "3d"]}, "as_of may be given twice at most."),
        (
            {"target": ["a", "b"], "difference": "other"},
            "difference must be one of different, only-left, only-right, same.",
        ),
        (
            {"target": ["a", "b"], "version": "1"},
            "version is no parameter here. Known are format, limit, cursor, feed, group, ungrouped, package, "
            "target, as_of, difference.",
        ),
    ],
)
async def test_what_cannot_be_compared_is_refused(service: Service, query: dict[str, Any], message: str) -> None:
    refused = await error(service, "/compare", **query)
    if "Known are" in message:  # in whatever order
        assert refused.partition("Known are ")[0] == message.partition("Known are ")[0]
        assert _known(refused) == _known(message)
    else:
        assert refused == message


def _known(message: str) -> set[str]:
    return set(message.rpartition("Known are ")[2].removesuffix(".").split(", "))


# Pages and tables


async def test_pages_go_by_package_feed_and_group(service: Service) -> None:
    names = [("B", None), ("a", "z"), ("b", "y"), ("A", "x"), ("a", None)]
    await service.store.add_deployments([row(target="a", package_name=name, group_name=group) for name, group in names])
    for limit in (1, 2, 4, 5, 1000):
        items = await all_pages(service, "/compare", target=["a", "b"], limit=limit)
        assert [(item["PackageName"], item["GroupName"]) for item in items] == [
            ("a", None),
            ("A", "x"),
            ("a", "z"),
            ("B", None),
            ("b", "y"),
        ]


async def test_packages_that_arrive_meanwhile_neither_move_nor_double_others(service: Service) -> None:
    """A page goes on after a package, and not after so many of them."""
    await service.store.add_deployments([row(target="a", package_name=f"p{number:02}") for number in range(0, 40, 2)])
    seen: list[str] = []
    turn = 0
    async for page in pages(service, "/compare", target=["a", "b"], limit=3):
        seen += [item["PackageName"].casefold() for item in page]
        turn += 1
        await service.store.add_deployments(
            [
                row(target="b", package_name=f"a{turn}"),
                row(target="b", package_name="P00"),
                row(target="a", package_name=f"p{2 * turn - 1:02}"),
            ]
        )
    assert len(seen) == len(set(seen))
    assert {f"p{number:02}" for number in range(0, 40, 2)} <= set(seen)


async def test_a_page_has_fifty_and_a_table_has_all(service: Service) -> None:
    await service.store.add_deployments([row(target="a", package_name=f"p{number}") for number in range(120)])
    assert [len(page) async for page in pages(service, "/compare", target=["a", "b"])] == [50, 50, 20]
    for format_, lines in (("csv", 121), ("ndjson", 120)):
        answer = await read(service, "/compare", target=["a", "b"], format=format_)
        assert len(answer.text.splitlines()) == lines
        assert "Link" not in answer.headers


async def test_a_table_has_both_sides_in_one_line(service: Service) -> None:
    await service.store.add_deployments(
        [row(0, target="a", package_name="x", version="1.0"), row(1, target="b", package_name="X", version="=2")]
    )
    assert START == 1_618_272_000_000_000
    assert (await read(service, "/compare", target=["a", "b"], format="csv")).text == (
        "FeedName,GroupName,PackageName,Difference,"
        "LeftTarget,LeftVersion,LeftDate,LeftId,RightTarget,RightVersion,RightDate,RightId\r\n"
        "DefaultNuGet,,x,different,a,1.0,2021-04-13T00:00:00Z,1,b,'=2,2021-04-13T00:00:01Z,2\r\n"
    )
    assert (await read(service, "/compare", target=["a", "c"], format="csv")).text.endswith(
        "DefaultNuGet,,x,only-left,a,1.0,2021-04-13T00:00:00Z,1,,,,\r\n"
    )
