"""``GET /api/deployments`` and ``/api/deployments/{id}``: what was deployed, newest first, in pages."""

from __future__ import annotations

import asyncio
import json
import shutil
import urllib.request
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from conftest import FEED, KEY, PATH, RECORD, Answer, Service, StartService
from reading import API, all_pages, drop_table, error, found, ids, next_url, pages, read, record, row, rows
from waiting import until

from deployserver.api.request_ids import HEADER
from deployserver.api_keys import create_key
from deployserver.feeds import add_feed, remove_feed, update_feed

pytestmark = pytest.mark.every_engine

# The order


async def test_the_newest_come_first_by_their_dates_and_then_by_arrival(service: Service) -> None:
    """What is recorded late takes its place, and of two of one moment the one that came last is the newer."""
    dates = [
        "2021-04-13T10:00:00Z",
        "2021-04-15",
        "2021-04-13T12:00:00+02:00",
        "2021-04-14",
        "1969-01-01",
        "2099-01-01",
    ]
    given = {date: (await record(service, Date=date))["Id"] for date in dates}
    assert await ids(service) == [given[date] for date in (dates[5], dates[1], dates[3], dates[2], dates[0], dates[4])]


async def test_a_record_is_what_the_answer_to_its_recording_was(service: Service) -> None:
    """To the letter, in the list and by its id, so that a client needs one type for all."""
    text = 'Zürich "quoted"\n\\ \u2028 🚀 </script>'
    properties = {"GroupName": "@acme", "Url": "http://buildserver:8622/x?a=1&b=2", "UserName": "Jürgen"}
    answer = await service.post(RECORD | properties | {"Description": text, "Date": "2021-04-13T10:00:00.000001Z"})
    assert (await read(service)).text == f"[{answer.text}]"
    assert (await read(service, f"/{answer.json['Id']}")).text == answer.text
    assert answer.json["Description"] == text


async def test_nothing_recorded_is_an_empty_list(service: Service) -> None:
    answer = await read(service, count="true")
    assert (answer.json, answer.headers["X-Total-Count"]) == ([], "0")
    assert "Link" not in answer.headers
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"


# One record


@pytest.mark.parametrize("id_", ["0", "2", str(2**63 - 1), str(2**63), "9" * 19, "9" * 20, "9" * 5000])
async def test_an_id_that_is_none_is_not_found(service: Service, id_: str) -> None:
    """However long the number is."""
    await record(service)
    answer = await read(service, f"/{id_}")
    assert (answer.status, answer.headers["Content-Type"]) == (404, "text/plain; charset=utf-8")
    assert "There is no" in answer.text


@pytest.mark.parametrize("path", ["/1/", "/001", "?", "/?limit=1", "/CURRENT", "/Current/"])
async def test_paths_match_as_those_of_the_api_do(service: Service, path: str) -> None:
    """With and without a last slash, in any letter case, never redirected."""
    await record(service)
    for below in (API, "/API/Deployments"):
        answer = await service.request("GET", below + path, headers={"X-ApiKey": KEY})
        assert answer.status == 200, answer.text


@pytest.mark.parametrize("path", ["/abc", "/-1", "/1.0", "/1/2", "/currents", "/1%2F"])
async def test_what_is_nowhere_is_not_found(service: Service, path: str) -> None:
    await record(service)
    answer = await service.request("GET", API + path, headers={"X-ApiKey": KEY})
    assert answer.status == 404


async def test_one_record_takes_no_parameters(service: Service) -> None:
    await record(service)
    assert await error(service, "/1", fields="Id") == "fields is no parameter here. Known are none."
    assert (await service.request("GET", f"{API}/1?KEY={KEY}")).status == 200


@pytest.mark.parametrize("accept", ["text/html", "text/event-stream", "application/json", "*/*;q=0"])
async def test_one_record_is_json_whatever_is_accepted(service: Service, accept: str) -> None:
    """There is nothing to choose from."""
    await record(service)
    answer = await read(service, "/1", headers={"Accept": accept})
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json; charset=utf-8")


# Pages


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
async def test_all_pages_together_are_the_whole_history(service: Service, limit: int) -> None:
    """Also where many have the same date, and where the last page is full."""
    await service.store.add_deployments([row(number, date=number // 3) for number in range(7)])
    sizes = [len(page) async for page in pages(service, limit=limit)]
    assert sizes == [limit] * (7 // limit) + ([7 % limit] if 7 % limit else [])
    assert [item["Id"] for item in await all_pages(service, limit=limit)] == [7, 6, 5, 4, 3, 2, 1]


async def test_a_page_has_fifty_records_unless_it_is_told_otherwise(service: Service) -> None:
    await service.store.add_deployments(rows(1100))
    assert [len(page) async for page in pages(service)] == [50] * 22
    assert [len(page) async for page in pages(service, limit=1000)] == [1000, 100]
    assert await error(service, limit=1001) == "limit must be a whole number from 1 to 1000."


async def test_records_that_arrive_meanwhile_neither_move_nor_double_others(service: Service) -> None:
    """The newest, and late ones that belong before, on and after the page at hand."""
    await service.store.add_deployments(rows(30))
    seen: list[int] = []
    async for page in pages(service, limit=4):
        seen += [item["Id"] for item in page]
        await service.store.add_deployments([row(100), row(29), row(15), row(0), row(-1)])
    assert len(seen) == len(set(seen))
    assert [id_ for id_ in seen if id_ <= 30] == list(range(30, 0, -1))


async def test_a_page_follows_what_was_filtered(service: Service) -> None:
    """The link repeats the question, whatever is in it, and counts as often as it was asked."""
    names = ["a+b", "100%", "ü & co", "x=y", "#1", "two words", "semi;colon", "quo\"te'", "back\\slash", "🚀"]
    for name in names:
        await record(service, PackageName=name)
    await record(service)
    assert [item["PackageName"] for item in await all_pages(service, limit=1, package=names)] == names[::-1]
    answer = await read(service, limit=1, package=names, q="", count="true", since="2021-04-13T10:00:00+02:00")
    link = next_url(answer)
    assert link
    asked = parse_qsl(urlsplit(link).query, keep_blank_values=True)
    assert asked[:-1] == [
        ("limit", "1"),
        *(("package", name) for name in names),
        *(("q", ""), ("count", "true"), ("since", "2021-04-13T10:00:00+02:00")),
    ]
    assert asked[-1][0] == "cursor"
    assert answer.headers["X-Total-Count"] == "10"


async def test_a_link_has_one_cursor(service: Service) -> None:
    """In whatever letter case the client wrote the one before."""
    await service.store.add_deployments(rows(3))
    first = next_url(await read(service, limit=1))
    assert first
    cursor = dict(parse_qsl(urlsplit(first).query))["cursor"]
    second = next_url(await read(service, Limit=1, CURSOR=cursor))
    assert second
    assert [name for name, _ in parse_qsl(urlsplit(second).query)] == ["Limit", "cursor"]


# The address in the link

FORWARDED = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "deploy.example:8443"}


@pytest.mark.parametrize(
    ("path", "public"),
    [
        ("/deploy/api/deployments", "/deploy/api/deployments"),
        ("/Deploy/API/Deployments/", "/Deploy/API/Deployments/"),
        ("/api/deployments", "/deploy/api/deployments"),
        ("/api/deployments/current", "/deploy/api/deployments/current"),
    ],
)
async def test_the_link_is_the_address_by_which_the_client_came(start: StartService, path: str, public: str) -> None:
    """Behind a proxy that ends TLS, and whether or not it takes the base path away."""
    service = await start(server_base_path="/deploy", server_trusted_proxies="127.0.0.1")
    await service.store.add_deployments(rows(3))
    answer = await service.request("GET", f"{path}?limit=1", headers={"X-ApiKey": KEY, **FORWARDED})
    link = next_url(answer)
    assert link
    assert link.startswith(f"https://deploy.example:8443{public}?limit=1&cursor=")
    inside = link.removeprefix("https://deploy.example:8443")
    again = await service.request("GET", inside, headers={"X-ApiKey": KEY, **FORWARDED})
    assert again.status == 200
    assert again.json != answer.json


async def test_a_proxy_that_is_not_trusted_has_no_say_in_the_link(service: Service) -> None:
    await service.store.add_deployments(rows(2))
    link = next_url(await read(service, limit=1, headers=FORWARDED))
    assert link
    assert link.startswith(f"{service.url}/")


@pytest.mark.parametrize("host", ["localhost:abc", "localhost:99999", "[::1", "[::1]:8624", "zürich", ""])
async def test_a_strange_host_header_is_no_error_of_ours(service: Service, host: str) -> None:
    """The link is of no use to its sender, and the page is what it is."""
    await service.store.add_deployments(rows(2))
    answer = await read(service, limit=1, headers={"Host": host})
    assert (answer.status, len(answer.json)) == (200, 1)
    assert "Link" in answer.headers


# Clients


async def test_python_without_libraries_follows_the_links(service: Service) -> None:
    await service.store.add_deployments(rows(5))

    def walk() -> list[int]:
        url: str | None = f"{service.url}{API}?limit=2"
        seen: list[int] = []
        while url:
            with urllib.request.urlopen(urllib.request.Request(url, headers={"X-ApiKey": KEY})) as response:
                seen += [item["Id"] for item in json.load(response)]
                link = response.headers["Link"]
            url = link.partition(">")[0].removeprefix("<") if link else None
        return seen

    assert await asyncio.to_thread(walk) == [5, 4, 3, 2, 1]


async def test_aiohttp_follows_the_links_that_it_parses_itself(service: Service) -> None:
    await service.store.add_deployments(rows(5))
    seen: list[int] = []
    url: Any = f"{service.url}{API}?limit=2"
    while url:
        async with service.session.get(url, headers={"X-ApiKey": KEY}) as response:
            seen += [item["Id"] for item in await response.json()]
            url = response.links.get("next", {}).get("url")
    assert seen == [5, 4, 3, 2, 1]


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
async def test_curl_asks_with_data_urlencode(service: Service) -> None:
    """As the documentation writes it; blanks, plus signs and letters of any script need no thought."""
    wanted = await record(service, PackageName="ü+b c", Date="2021-04-13T12:00:00+02:00")
    await record(service, PackageName="other")
    process = await asyncio.create_subprocess_exec(
        *("curl", "-sS", "-G", f"{service.url}{API}", "-H", f"X-ApiKey: {KEY}"),
        *("--data-urlencode", "package=Ü+B*", "--data-urlencode", "since=2021-04-13T12:00:00+02:00"),
        *("--data-urlencode", "until=Tue, 13 Apr 2021 10:00:00 GMT", "--data-urlencode", "q=profit custom"),
        *("-d", "feed=defaultnuget"),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert json.loads(out) == [wanted]


@pytest.mark.parametrize(
    ("headers", "data"),
    [
        ({"Content-Type": "application/json"}, None),
        ({"Content-Type": "application/json"}, b"{broken"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"key=wrong&limit=0"),
        ({"Content-Type": "image/png"}, b"\x89PNG" * 1000),
        ({"Content-Type": "multipart/form-data"}, b"no boundary"),
        ({"Content-Encoding": "gzip"}, b"no gzip"),
        ({"Content-Length": "0", "Content-Type": "text/xml"}, None),
    ],
)
async def test_a_body_and_its_type_do_no_harm(service: Service, headers: dict[str, str], data: bytes | None) -> None:
    """Clients set them once for all they send; what reads needs no body."""
    await record(service)
    for path in ("", "/1", "/current", "/frequency"):
        answer = await service.request("GET", API + path, headers={"X-ApiKey": KEY, **headers}, data=data)
        assert answer.status == 200, answer.text


async def test_a_body_that_is_too_large_is_not_looked_at(start: StartService) -> None:
    service = await start(limits_body_bytes=100)
    answer = await service.request("GET", API, headers={"X-ApiKey": KEY}, data=b"x" * 10_000)
    assert answer.status == 200


@pytest.mark.parametrize("path", ["", "/1", "/current", "/compare", "/frequency", "/events"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_reading_is_all_that_can_be_done_here(service: Service, path: str, method: str) -> None:
    answer = await service.request(method, API + path, headers={"X-ApiKey": KEY})
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET,HEAD"


async def test_reading_where_deployments_are_recorded_is_still_refused(service: Service) -> None:
    """A redirected POST that arrives as a GET must fail loudly."""
    assert (await service.request("GET", PATH, headers={"X-ApiKey": KEY})).status == 405


@pytest.mark.parametrize("path", ["", "/1", "/current", "/frequency"])
async def test_a_head_is_a_get_without_its_body(service: Service, path: str) -> None:
    await record(service)
    get = await read(service, path)
    head = await read(service, path, method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert _lasting(head) == _lasting(get)
    assert head.headers["Content-Length"] == str(len(get.body))


def _lasting(answer: Answer) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.lower() not in ("date", HEADER.lower())}


async def test_a_head_of_a_page_has_its_link_and_count(service: Service) -> None:
    await service.store.add_deployments(rows(3))
    head = await read(service, method="HEAD", limit=2, count="true")
    assert head.headers["X-Total-Count"] == "3"
    assert next_url(head) == next_url(await read(service, limit=2, count="true"))


# Counts


async def test_the_count_is_of_all_that_meet_the_question(service: Service) -> None:
    await service.store.add_deployments([*rows(70), row(0, user_name="Bob")])
    for query, count in (({}, 71), ({"user": "bob"}, 1), ({"user": "nobody"}, 0), ({"q": "number 7"}, 7)):
        for more in ({}, {"limit": 1}, {"format": "csv"}, {"format": "ndjson"}, {"format": "csv", "limit": 2}):
            answer = await read(service, count="true", **query, **more)
            assert answer.headers["X-Total-Count"] == str(count), (query, more)
    assert "X-Total-Count" not in (await read(service)).headers
    assert "X-Total-Count" not in (await read(service, count="false")).headers


async def test_the_count_does_not_change_from_page_to_page(service: Service) -> None:
    await service.store.add_deployments(rows(5))
    answer = await read(service, limit=2, count="true")
    link = next_url(answer)
    assert link
    following = await service.request("GET", link.removeprefix(service.url), headers={"X-ApiKey": KEY})
    assert (answer.headers["X-Total-Count"], following.headers["X-Total-Count"]) == ("5", "5")


@pytest.mark.parametrize("query", [{}, {"user": "alice"}, {"version": "1.0"}, {"application": "profitcalc"}])
async def test_what_was_removed_with_a_feed_counts_no_more(service: Service, query: dict[str, str]) -> None:
    """Nor do its traces in what is kept beside the records to count them fast."""
    other = await add_feed(service.admin, "Other")
    created = await create_key(service.admin, "system", scopes=["feeds"])
    await service.store.add_deployments([*rows(3), *rows(4, feed_id=other.id)])

    async def indexed() -> bool:
        return (await service.rows("SELECT deployment_id FROM indexed")) == [{"deployment_id": 7}]

    async def count() -> tuple[str, int]:
        answer = await read(service, key=created.secret, count="true", **query)
        periods = await found(service, "/frequency", key=created.secret, **query)
        return answer.headers.get("X-Total-Count", ""), sum(period["Count"] for period in periods)

    await until(indexed)

    async def seven() -> bool:
        return (await read(service, key=created.secret)).status == 200 and await count() == ("7", 7)

    await until(seven)
    await remove_feed(service.admin, "Other", force=True)
    assert await count() == ("3", 3)
    await service.store.add_deployments(rows(1))
    assert await count() == ("4", 4)


# What the client has already


async def test_what_has_not_changed_is_not_sent_again(service: Service) -> None:
    await record(service)
    for path in ("", "/1", "/current", "/frequency", "/compare?target=a&target=b"):
        answer = await read(service, path)
        assert answer.headers["Cache-Control"] == "private, no-cache"
        assert {"Accept", "X-ApiKey", "Authorization", "Cookie"} <= set(answer.headers["Vary"].split(", "))
        tag = answer.headers["ETag"]
        assert tag.startswith('W/"')
        for known in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
            for method in ("GET", "HEAD"):
                again = await read(service, path, method=method, headers={"If-None-Match": known})
                assert (again.status, again.body, again.headers["ETag"]) == (304, b"", tag)
        for unknown in ('"other"', "W/", "", tag[:-2] + '"'):
            assert (await read(service, path, headers={"If-None-Match": unknown})).status == 200


async def test_a_new_record_is_a_new_answer(service: Service) -> None:
    await record(service)
    tag = (await read(service)).headers["ETag"]
    await record(service, Date="1999-01-01")
    answer = await read(service, headers={"If-None-Match": tag})
    assert (answer.status, len(answer.json)) == (200, 2)


async def test_a_renamed_feed_is_a_new_answer(service: Service) -> None:
    await record(service)
    tag = (await read(service)).headers["ETag"]
    await update_feed(service.admin, FEED, rename="Renamed")

    async def renamed() -> bool:
        answer = await read(service, "/1", headers={"If-None-Match": tag})
        return answer.json["FeedName"] == "Renamed"

    await until(renamed)
    assert (await read(service, headers={"If-None-Match": tag})).status == 200
    assert [item["FeedName"] for item in await found(service, feed="renamed")] == ["Renamed"]
    assert [item["FeedName"] for item in await found(service, feed=FEED)] == ["Renamed"]  # its old name still finds it


async def test_another_question_or_another_caller_is_another_answer(service: Service) -> None:
    await record(service)
    created = await create_key(service.admin, "system", scopes=["feeds"])

    async def known() -> bool:
        return (await read(service, key=created.secret)).status == 200

    await until(known)
    tags = [
        (await read(service, **query)).headers["ETag"]
        for query in ({}, {"key": created.secret}, {"limit": 1}, {"limit": 2}, {"format": "csv"}, {"format": "ndjson"})
    ]
    tags += [(await read(service, headers={"Accept": "text/csv"})).headers["ETag"]]
    tags += [(await read(service, path)).headers["ETag"] for path in ("/1", "/current", "/frequency")]
    assert len(set(tags)) == len(tags)


async def test_the_credential_in_the_url_is_no_part_of_the_question(service: Service) -> None:
    await record(service)
    tag = (await read(service)).headers["ETag"]
    answer = await service.request("GET", f"{API}?key={KEY}", headers={"If-None-Match": tag})
    assert answer.status == 304


@pytest.mark.parametrize("query", [{"since": "7d"}, {"until": "1h"}, {"since": "7D", "until": "0s"}])
async def test_what_depends_on_the_time_of_the_question_has_no_tag(service: Service, query: dict[str, str]) -> None:
    """The same question has another answer a day later, without a new record."""
    await record(service)
    answer = await read(service, headers={"If-None-Match": "*"}, **query)
    assert answer.status == 200
    assert "ETag" not in answer.headers


async def test_any_tag_does_not_find_what_is_not_there(service: Service) -> None:
    """RFC 9110, 13.1.2: an asterisk stands for whatever there is, and here there is nothing."""
    await record(service)
    assert (await read(service, "/2", headers={"If-None-Match": "*"})).status == 404


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("", {"limit": "0"}),
        ("", {"cursor": "x"}),
        ("", {"since": "2022-01-01", "until": "2021-01-01"}),
        ("/current", {"since": "2022-01-01", "until": "2021-01-01"}),
        ("/frequency", {"since": "2022-01-01", "until": "2021-01-01"}),
        ("/compare", {"target": "a"}),
        ("/compare", {"target": ["a", "b"], "cursor": "x"}),
    ],
)
async def test_a_question_that_is_wrong_is_wrong_with_a_tag_too(
    service: Service, path: str, query: dict[str, str]
) -> None:
    assert (await read(service, path, headers={"If-None-Match": "*"}, **query)).status == 400


# Errors


async def test_errors_are_text_or_problem_details(service: Service) -> None:
    for path, query in (("", {"limit": "0", "nonsense": "<b>"}), ("/99", {})):
        text = await read(service, path, **query)
        assert text.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert int(text.headers["Content-Length"]) == len(text.body)
        assert not {"<", ">"} & set(text.text)
        for accept in ("application/json", "application/problem+json", "text/csv, application/json;q=0.1"):
            problem = await read(service, path, headers={"Accept": accept}, **query)
            assert problem.status == text.status
            assert problem.headers["Content-Type"] == "application/problem+json; charset=utf-8"
            assert problem.json["status"] == text.status
    problem = await read(service, limit="0", headers={"Accept": "application/json"})
    assert problem.json["errors"] == {"limit": ["must be a whole number from 1 to 1000."]}


async def test_a_database_that_cannot_be_read_is_said_to_be_unavailable(service: Service) -> None:
    """And not that something could not be stored: nobody wanted that."""
    await record(service)
    await drop_table(service, "deployments")
    for path in ("", "/1", "/current", "/compare?target=a&target=b", "/frequency", "/events"):
        answer = await read(service, path)
        assert (answer.status, answer.text) == (503, "The database is unavailable.\n")
        assert answer.headers["Retry-After"] == "5"
