"""Which targets now run a package in a range of versions."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from conftest import FEED, KEY, RECORD, Service
from waiting import until

from deployserver.api_keys import create_key
from deployserver.feeds import add_feed

pytestmark = pytest.mark.every_engine

PATH = "/api/deployments/affected"


async def run(service: Service, **fields: str) -> None:
    answer = await service.post(RECORD | fields, key="system-key-for-tests-0001")
    assert answer.status == 200, answer.text


async def affected(service: Service, key: str = "system-key-for-tests-0001", **query: Any) -> Any:
    return await service.request("GET", f"{PATH}?{urlencode(query, doseq=True)}", headers={"X-ApiKey": key})


@pytest.fixture
async def world(service: Service) -> Service:
    """One package in several versions on several targets, and packages of other types."""
    await create_key(service.admin, "system", value="system-key-for-tests-0001")
    await add_feed(service.admin, "npm-internal", "npm")
    await add_feed(service.admin, "wheels", "pypi")

    async def known() -> bool:
        form = RECORD | {"FeedName": "wheels", "PackageName": "six", "Version": "1.16.0", "Target": "py0"}
        return (await service.post(form, key="system-key-for-tests-0001")).status == 200

    await until(known)
    for target, version in (("web01", "12.0.3"), ("web02", "12.0.3.0"), ("web03", "13.0.1"), ("web04", "nightly")):
        await run(service, Target=target, Version=version)
    await run(service, Target="web05", Version="12.0.3")
    await run(service, Target="web05", Version="13.0.2")  # was affected, and is not any more
    await run(
        service, FeedName="npm-internal", GroupName="@angular", PackageName="core", Version="15.1.0", Target="ng1"
    )
    await run(service, FeedName="npm-internal", PackageName="@angular/core", Version="16.0.0", Target="ng2")
    await run(service, FeedName="wheels", PackageName="Typing_Extensions", Version="4.0", Target="py1")
    return service


def targets(answer: Any) -> dict[str, bool | None]:
    assert answer.status == 200, answer.text
    return {item["Target"]: item["Affected"] for item in answer.json}


async def test_a_purl_with_a_version_is_that_version_as_the_ecosystem_compares(world: Service) -> None:
    """12.0.3 and 12.0.3.0 are one version to NuGet; what is no version cannot be that one."""
    answer = await affected(world, purl="pkg:nuget/newtonsoft.json@12.0.3")
    assert targets(answer) == {"web01": True, "web02": True}


@pytest.mark.parametrize("range_", ["[12.0,13.0.1)", "vers:nuget/>=12.0.0|<13.0.1"])
async def test_a_range_holds_what_runs_now_and_reports_what_cannot_be_compared(world: Service, range_: str) -> None:
    answer = await affected(world, package="NEWTONSOFT.json", range=range_)
    assert targets(answer) == {"web01": True, "web02": True, "web04": None}
    (unknown,) = [item for item in answer.json if item["Affected"] is None]
    assert unknown["Reason"] == "nightly cannot be compared as a version of nuget packages."
    assert {item["Reason"] for item in answer.json if item["Affected"]} == {None}


async def test_a_purl_without_a_version_takes_a_range_or_means_every_version(world: Service) -> None:
    assert len(targets(await affected(world, purl="pkg:nuget/Newtonsoft.Json"))) == 5
    answer = await affected(world, purl="pkg:nuget/Newtonsoft.Json", range="[13.0,)")
    assert targets(answer) == {"web03": True, "web04": None, "web05": True}


async def test_a_scope_is_found_as_a_group_and_as_part_of_the_name(world: Service) -> None:
    answer = await affected(world, purl="pkg:npm/%40angular/core", range="<16.0.0-0 || 16.0.0")
    assert targets(answer) == {"ng1": True, "ng2": True}
    assert targets(await affected(world, purl="pkg:npm/%40angular/core", range="^15")) == {"ng1": True}


async def test_a_name_of_pypi_is_found_however_it_is_written(world: Service) -> None:
    answer = await affected(world, purl="pkg:pypi/typing-extensions@4.0.0")
    assert targets(answer) == {"py1": True}
    assert targets(await affected(world, purl="pkg:pypi/no-such-thing@1")) == {}


async def test_filters_narrow_down(world: Service) -> None:
    answer = await affected(world, purl="pkg:nuget/Newtonsoft.Json", target="web0*", user="ci", version="12*")
    assert targets(answer) == {}
    answer = await affected(world, purl="pkg:nuget/Newtonsoft.Json", version="12*")
    assert targets(answer) == {"web01": True, "web02": True}


async def test_a_range_that_no_feed_of_the_package_reads_is_an_error(world: Service) -> None:
    """Though another feed, of another type, would."""
    answer = await affected(world, package="Newtonsoft.Json", range="^12.0.0 || ~13")
    assert answer.status == 400
    assert answer.text.startswith("range cannot be used: ")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({}, "purl is required, such as pkg:nuget/Newtonsoft.Json@12.0.3; or package and range."),
        ({"package": "x"}, "range is required with package"),
        ({"range": "1.0"}, "purl is required"),
        ({"purl": "pkg:nuget/x@1", "package": "x"}, "purl names the package already"),
        ({"purl": "pkg:nuget/x@1", "range": "[1]"}, "range and the version in purl exclude each other"),
        ({"purl": "nuget/x"}, "purl cannot be used: "),
        ({"purl": "pkg:golang/x@1"}, "purl cannot be used: "),
        ({"package": "Newtonsoft.Json", "range": "vers:npm/1"}, "range cannot be used: "),
        ({"package": "Newtonsoft.Json", "range": "[1"}, "range cannot be used: "),
    ],
)
async def test_what_cannot_be_asked_is_explained(world: Service, query: dict[str, str], message: str) -> None:
    answer = await affected(world, **query)
    assert answer.status == 400
    assert answer.text.startswith(message), answer.text


async def test_only_what_may_be_viewed_is_there(world: Service) -> None:
    assert targets(await affected(world, KEY, purl="pkg:npm/%40angular/core")) == {}
    assert set(targets(await affected(world, KEY, purl="pkg:nuget/Newtonsoft.Json@12.0.3"))) == {"web01", "web02"}
    assert FEED in (await affected(world, KEY, purl="pkg:nuget/Newtonsoft.Json@12.0.3")).text


async def test_it_comes_in_pages_and_as_a_table(world: Service) -> None:
    answer = await affected(world, purl="pkg:nuget/Newtonsoft.Json", limit=2)
    seen = [item["Target"] for item in answer.json]
    while link := answer.headers.get("Link"):
        url = link.partition(">")[0].removeprefix(f"<{world.url}")
        answer = await world.request("GET", url, headers={"X-ApiKey": "system-key-for-tests-0001"})
        seen += [item["Target"] for item in answer.json]
    assert seen == ["web01", "web02", "web03", "web04", "web05"]
    table = (await affected(world, package="Newtonsoft.Json", range="[13,)", format="csv")).text.splitlines()
    assert table[0].endswith("RecordedBy,Affected,Reason")
    assert [line.rpartition("API key 2,")[2] for line in table[1:]] == [
        "true,", ",nightly cannot be compared as a version of nuget packages.", "true,",
    ]  # fmt: skip  # a line each
