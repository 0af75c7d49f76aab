"""``deployserver load``: what is loaded is what the API would have stored, once, whatever comes between."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import errno
import gzip
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from conftest import FEED, RECORD, Service
from indexed import check_indexed
from processes import Installation, Load, check, closing, environment, targets, until
from reading import found

from deployserver import cli
from deployserver.api_keys import create_key
from deployserver.feeds import add_feed, remove_feed, update_feed
from deployserver.loading import batches, load
from deployserver.loading.properties import read_object
from deployserver.storage import SQLiteDatabase, loads
from deployserver.storage.connection import Connection


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Awaitable[Done]]


@pytest.fixture
def run(service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command on the database of the server."""

    async def run_command(*arguments: object) -> Done:
        capsys.readouterr()
        config = str(service.settings.directory / "config.ini")
        code = await asyncio.to_thread(cli.main, [*map(str, arguments), "--config", config])
        return Done(code, *capsys.readouterr())

    return run_command


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let batches be small, so that few lines are many."""
    monkeypatch.setattr(batches, "AT_ONCE", 3)
    monkeypatch.setattr(load, "INDEX_AT_ONCE", 7)


def ndjson(*records: object) -> bytes:
    return "".join(f"{json.dumps(record, ensure_ascii=False)}\n" for record in records).encode()


def numbered(count: int, first: int = 0) -> list[dict[str, str]]:
    return [RECORD | {"Target": f"web{number:05}"} for number in range(first, first + count)]


def of_table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


async def stored_targets(service: Service) -> list[str]:
    return [row["target"] for row in await service.rows("SELECT target FROM deployment_records ORDER BY id")]


# What is stored


NASTY: list[dict[str, Any]] = [
    {"Version": "12.0", "GroupName": "@acme", "Url": "http://buildserver:8622/x?a=1&b='2'", "UserName": "Zoë"},
    {"Description": 'line 1\r\nline 2\n\ttabbed "quoted", with; separators\tand a lone \r', "GroupName": ""},
    {"Description": "'=1+1", "Version": "''-1", "Target": "@target", "Application": "=HYPERLINK(1)"},
    {"Description": "'quoted'", "UserName": "+1", "GroupName": "＝1", "PackageName": "-"},
    {"Description": "\u2028 between \u2029 \x85\x85".replace("\x85", "\u3000x"), "Target": "\U0001f600 ﬁ İ ß"},
    {"Date": "1969-12-31T23:59:59.999999Z"},
    {"Date": "0001-01-01T00:00:00Z"},
    {"Date": "9999-12-31T23:59:59.000001Z"},
    {"Date": "/Date(1618308000000+0200)/"},
    {"Description": "x" * 16_384, "Version": "ÿ" * 1024},
]


@pytest.mark.every_engine
@pytest.mark.parametrize("name", ["all.ndjson", "all.csv", "all.ndjson.gz", "all.csv.gz"])
async def test_what_is_exported_and_loaded_is_the_same(run: Run, service: Service, tmp_path: Path, name: str) -> None:
    """But for the ids: texts with whatever is special somewhere, no group and no link, dates before 1970."""
    for changes in NASTY:
        answer = await service.post(json=RECORD | changes)
        assert answer.status == 200, answer.text
    file = tmp_path / name
    assert (await run("export", file)).err == f"{len(NASTY)} records exported.\n"
    before = await found(service, limit=1000)
    done = await run("load", file, "--json")
    assert (done.code, done.json["loaded"], done.json["refused"]) == (0, len(NASTY), 0)
    after = await found(service, limit=1000)
    for records in (before, after):
        records.sort(key=lambda record: record["Id"])
    loaded = [record for record in after if record["Id"] > len(NASTY)]
    assert [record["Id"] for record in loaded] == [number + len(NASTY) for number in range(1, len(NASTY) + 1)]
    assert [record | {"Id": 0} for record in loaded] == [record | {"Id": 0} for record in before]


@pytest.mark.every_engine
@pytest.mark.usefixtures("small")
async def test_records_are_loaded_in_the_order_of_the_file(run: Run, service: Service, tmp_path: Path) -> None:
    """In many batches, from a file that its content and not its name says to be gzip; readers have an index then."""
    file = tmp_path / "history"
    file.write_bytes(gzip.compress(ndjson(*numbered(20))) + gzip.compress(ndjson(*numbered(20, 20))))
    done = await run("load", file, "--json")
    assert done.json | {"seconds": 0, "file": ""} == {
        "file": "", "format": "ndjson", "lines": 40, "loaded": 40, "refused": 0, "resumedAfter": 0, "wasLoaded": False,
        "firstId": 1, "lastId": 40, "feedsCreated": [], "dryRun": False, "seconds": 0,
    }  # fmt: skip
    assert await stored_targets(service) == [f"web{number:05}" for number in range(40)]
    if isinstance(service.store, SQLiteDatabase):
        await asyncio.to_thread(check_indexed, service.store.path)
    entries = await service.admin.audit(2)
    assert [(entry.action, entry.subject) for entry in entries] == [("load.end", str(file)), ("load.begin", str(file))]
    assert json.loads(entries[0].detail) == {"lines": 40, "loaded": 40, "refused": 0, "ids": "1 to 40"}
    assert entries[0].actor.startswith("command line (")


async def test_what_a_line_does_not_say(run: Run, service: Service, tmp_path: Path) -> None:
    """RecordedAt is now and RecordedBy whoever loads; Date is RecordedAt, and UserName who loads or is named."""
    file = tmp_path / "a.ndjson"
    file.write_bytes(
        ndjson(RECORD, RECORD | {"RecordedAt": "2020-01-02T03:04:05.000006Z", "RecordedBy": "API key 7 (ci)", "Id": 77})
    )
    assert (await run("load", file, "--user-name", "history")).code == 0
    second, first = sorted(await found(service), key=lambda record: -record["Id"])
    assert (first["UserName"], second["UserName"]) == ("history", "history")
    assert first["RecordedBy"].startswith("command line (") and first["Date"] == first["RecordedAt"]
    assert (second["RecordedBy"], second["Id"]) == ("API key 7 (ci)", 2)
    assert second["Date"] == second["RecordedAt"] == "2020-01-02T03:04:05.000006Z"
    assert (await run("load", file, "--again", "--json")).json["loaded"] == 2
    assert (await found(service))[0]["UserName"] == first["RecordedBy"].removeprefix("command line (")[:-1]


SUBMITTED: list[Any] = [
    RECORD,
    {name.upper(): value for name, value in RECORD.items()},
    {f" {name.lower()} ": f"  {value} " for name, value in RECORD.items()},
    RECORD | {"Version": 12, "Target": 1.10, "Unknown": {"a": [1]}, "API_Key": "abc12345"},
    RECORD | {"Date": {"value": "/Date(1618308000000)/", "DateTime": "x"}},
    RECORD | {"Date": "2021-02-29T10:00:00Z"},
    RECORD | {"Date": "2021-04-13T25:00:00Z"},
    RECORD | {"Date": "13.04.2021", "Url": "javascript:alert(1)", "Version": None, "Target": [1]},
    RECORD | {"Date": "Tue, 13 Apr 2021 10:00:00 GMT", "Url": "https://[::1]:8/x"},
    RECORD | {"Application": True, "PackageName": {}, "GroupName": "a\x00b", "UserName": "\ud800"},
    RECORD | {"Description": "x" * 16_385, "FeedName": " "},
    RECORD | {"FeedName": "defaultnuget"},
    RECORD | {"FeedName": "nothing"},
    RECORD | {"FeedName": "idle"},
    RECORD | {"FeedName": "silent"},
    {},
    [],
    "text",
]


async def test_lines_are_checked_as_posts_are(run: Run, service: Service, tmp_path: Path) -> None:
    """The same is stored, and the same reasons are given, for every field at once."""
    for name, change in (("idle", {"active": False}), ("silent", {"deployment_records": False})):
        await add_feed(service.admin, name)
        await update_feed(service.admin, name, **change)  # type: ignore[arg-type]
    key = "a-system-key-of-this-test"
    await create_key(service.admin, "system", value=key, name="all")

    async def noticed() -> bool:
        posts = [await service.post(json=RECORD | {"FeedName": name}, key=key) for name in ("idle", "silent")]
        return {post.status for post in posts} == {400}

    await until(noticed)
    answers = [await service.post(json=one, key=key) for one in SUBMITTED]
    stored = [answer.json for answer in answers if answer.status == 200]
    file = tmp_path / "a.ndjson"
    file.write_bytes(b"".join(f"{json.dumps(one)}\n".encode() for one in SUBMITTED))
    done = await run("load", file, "--refused", tmp_path / "refused")
    assert done.code == 3
    loaded = [record for record in reversed(await found(service)) if record["Id"] > len(stored)]
    ours = ("Id", "RecordedAt", "RecordedBy", "UserName", "Date")
    for record in [*stored, *loaded]:
        for name in ours[:3] if "Date" in record and record["Date"] != record["RecordedAt"] else ours:
            del record[name]
        record.pop("UserName", None)
    loaded.sort(key=str)
    stored.sort(key=str)
    assert loaded == stored
    refused = [(number, answer) for number, answer in enumerate(answers, 1) if answer.status != 200]
    lines = [line for line in (tmp_path / "refused").read_text("utf-8").splitlines() if line.startswith("# ")]
    assert len(lines) == len(refused) == 11
    for line, (number, answer) in zip(lines, refused, strict=True):
        assert line.startswith(f"# line {number}: ")
        for reason in answer.text.splitlines():
            field, _, words = reason.partition(" ")
            assert f"{field}: {words}" in line or reason in line or ("JSON" in reason and "JSON" in line), answer.text


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(RECORD)[:-1] + ', "target": "localhost"}',
        json.dumps(RECORD)[:-1] + ', "TARGET": "other"}',
        json.dumps(RECORD)[:-1] + ', "x": {"a": 1, "a": 2}}',
        '{"a": NaN}',
        "[" * 100_000,
        '{"Version": 1.10, "Date": {"value": "a", "value": "b"}}',
        "{} {}",
    ],
    ids=range(7),
)
def test_an_object_is_read_as_a_body_is(text: str) -> None:
    """Names given twice, what is no JSON, numbers as they are written."""
    from deployserver.api.body import parse_fields
    from deployserver.errors import InvalidRequest

    def outcome(read_it: Callable[[], Any]) -> Any:
        try:
            return read_it()
        except InvalidRequest as error:
            return error.errors.keys() - {"body", "line"}

    assert outcome(lambda: read_object(text)) == outcome(lambda: parse_fields(text.encode(), "application/json").values)


# CSV


@pytest.mark.parametrize(
    "text",
    [
        "FeedName,PackageName,Version,Target,Application,Description\r\n{}\r\n",
        "\ufefffeedname;PACKAGENAME;version;Target; application ;Description\n{}\n",
        '"FeedName"\t"PackageName"\tVersion\tTarget\tApplication\tDescription\n{}',
        "FeedName,Nothing,PackageName,Version,Target,Application,Description\n{extra}\n\n\n",
    ],
    ids=["comma", "semicolon", "tab", "more"],
)
async def test_tables_of_others_are_read(run: Run, service: Service, tmp_path: Path, text: str) -> None:
    delimiter = next(one for one in ";\t," if one in text)
    cells = [FEED, "Newtonsoft.Json", "12.0.3", "localhost", "ProfitCalc", f'"two{delimiter} ""quoted""\nlines"']
    extra = [cells[0], "x", *cells[1:]]
    file = tmp_path / "a.csv"
    file.write_text(text.format(delimiter.join(cells), extra=delimiter.join(extra)), "utf-8", newline="")
    assert (await run("load", file)).code == 0
    (record,) = await found(service)
    assert {name: record[name] for name in RECORD} == RECORD | {"Description": f'two{delimiter} "quoted"\nlines'}


async def test_what_is_wrong_in_a_table_is_refused_and_can_be_mended(
    run: Run, service: Service, tmp_path: Path
) -> None:
    """Too many cells and too few, a quotation mark that is not closed, what is no UTF-8; the rest is loaded."""
    head = b"Target,FeedName,PackageName,Version,Application,Description\n"
    good = b"%s,DefaultNuGet,p,1,a,d\n"
    lines = [
        good % b"a",
        b"b,DefaultNuGet,p,1,a\n",
        good % b"c" + b"d,DefaultNuGet,p,1,a,d,e\n",
        b'e,DefaultNuGet,p,1,a,"d"x\n',
        b"f\xff,DefaultNuGet,p,1,a,d\n",
        b'g,DefaultNuGet,p,,a,"two\nlines"\n',
        good % b"h",
        b'i,DefaultNuGet,p,1,a,"d\n' + good % b"j",
    ]
    file, refused = tmp_path / "a.csv", tmp_path / "refused.csv"
    file.write_bytes(head + b"".join(lines))
    done = await run("load", file, "--refused", refused)
    assert done.code == 3 and "6 refused" in done.out and str(refused) in done.out
    assert await stored_targets(service) == ["a", "c", "h"]
    reasons = refused.read_bytes().decode("utf-8", "replace")
    assert reasons.startswith("Refused,Target,FeedName")
    for expected in (
        '"line 3: line: has 5 cells; the header has 6.",b,',
        '"line 5: line: has 7 cells',
        '"line 6: line: is no CSV',
        '"line 7: line: is not UTF-8: it has the byte 0xff at 2.",f',
        '"line 8: Version: must not be blank.",g',
        '"line 11: line: is no CSV: unexpected end of data. It goes to line 12;',
    ):
        assert expected.replace("must not be blank", "is required") in reasons.replace(
            "must not be blank", "is required"
        )
    mended = refused.read_bytes().replace(b",1,a\n", b",1,a,d\n").replace(b",d,e\n", b",d\n").replace(b'"d"x', b"d")
    mended = mended.replace(b"f\xff", b"f").replace(b"p,,a", b"p,1,a").replace(b',"d\n', b",d\n")
    mended = mended.replace(good % b"j", b'"",' + good % b"j")
    (tmp_path / "mended.csv").write_bytes(mended)
    done = await run("load", tmp_path / "mended.csv")
    assert done.code == 0, done.err
    assert (await stored_targets(service))[3:] == ["b", "d", "e", "f", "g", "i", "j"]


async def test_what_is_refused_can_be_mended_and_loaded(run: Run, service: Service, tmp_path: Path) -> None:
    """A comment with the reasons before each line, which is as it was; the first are told at once."""
    file, refused = tmp_path / "a.ndjson", tmp_path / "refused.ndjson"
    wrong = [json.dumps(RECORD | {"Version": "", "Url": "x"}), "nonsense"]
    file.write_text("\n".join([json.dumps(RECORD), *wrong * 10]), "utf-8")
    done = await run("load", file, "--refused", refused)
    assert (done.code, len(done.err.splitlines())) == (3, 10)
    assert done.out.startswith(f"{file}: 1 record loaded") and f"20 refused; see {refused}." in done.out
    text = refused.read_text("utf-8")
    assert text.startswith(
        "# line 2: Version: must not be blank.; Url: must be an absolute http or https URL, such as "
        f"http://buildserver:8622/x.\n{wrong[0]}\n# line 3: line: is not valid JSON"
    )
    refused.write_text(text.replace('""', '"1"').replace('"x"', "null").replace("\nnonsense\n", "\n"), "utf-8")
    assert (await run("load", refused, "--json")).json["loaded"] == 10
    again = await run("load", file, "--again", "--refused", refused)
    assert (again.code, again.err) == (2, f"deployserver: {refused} is there already; choose another name.\n")
    assert len(await stored_targets(service)) == 11


# What cannot be loaded


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (gzip.compress(ndjson(*numbered(5000)))[:-9], "it is gzip that has been cut off"),
        (gzip.compress(ndjson(*numbered(50)))[:-3] + b"xyz", "it is gzip that is broken"),
        (gzip.compress(b"{}") + b"rubbish", "it is gzip that is broken"),
        (json.dumps([RECORD]).encode(), "begins like a JSON array"),
        (ndjson(RECORD).decode().encode("utf-16"), "is UTF-16; save it as UTF-8."),
        (b"\x7fELF\0\0\0\0", "is no text: it has NUL bytes."),
        (b"Target,Version\n", "lacks the columns Application, Description, FeedName, PackageName."),
        (b"x" * 2_000_000, "it is too long."),
        (b"FeedName,PackageName,Version,Target,Application,Description,target\n", "more than one column Target."),
        (b"\xff,Version\n", "it is not UTF-8"),
        (b'"Target,Version\n', "is no header of a CSV file"),
    ],
    ids=range(11),
)  # fmt: skip
async def test_what_cannot_be_loaded_says_why_and_nothing_is_stored(
    run: Run, service: Service, tmp_path: Path, content: bytes, says: str
) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    done = await run("load", file)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1), done
    assert str(file) in done.err and says in done.err
    assert await stored_targets(service) == []
    assert await service.rows("SELECT * FROM loads") == []


async def test_a_directory_and_a_file_that_is_not_there(run: Run, tmp_path: Path) -> None:
    assert (await run("load", tmp_path)).err == f"deployserver: {tmp_path} is a directory; name a file in it.\n"
    missing = await run("load", tmp_path / "no")
    assert (missing.code, missing.err) == (
        2,
        f"deployserver: {tmp_path / 'no'} cannot be read: No such file or directory.\n",
    )
    assert (await run("load", tmp_path / "no", "--create-feeds", "nothing")).code == 2


@pytest.mark.parametrize(
    "content",
    [b"", gzip.compress(b""), b"\n\n", b"FeedName,PackageName,Version,Target,Application,Description\n"],
    ids=["empty", "gzip of nothing", "blank", "header"],
)
async def test_nothing_to_load_is_no_error(run: Run, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "empty"
    file.write_bytes(content)
    done = await run("load", file)
    assert (done.code, done.err) == (0, "")
    assert "empty" in done.out


async def test_long_lines_are_refused_and_passed_over(start: Any, tmp_path: Path, capsys: Any) -> None:
    """A line may be as long as a body; what is longer is not kept, so that no file can fill the memory."""
    service = await start(limits_body_bytes=300)
    long = ndjson(RECORD | {"Description": "x" * 200_000})
    exact = json.dumps(RECORD)
    exact = exact.replace("localhost", "l" * (300 - len(exact) + len("localhost")))
    file, refused = tmp_path / "a", tmp_path / "refused"
    file.write_bytes(long + ndjson(RECORD) + exact.encode() + b"\r\n" + exact.encode() + b" \n" + long[:-1])
    (tmp_path / "config.ini").write_text("[database]\nurl = sqlite:///test.db\n[limits]\nbody_bytes = 300\n")
    arguments = ["load", str(file), "--refused", str(refused), "--config", str(tmp_path / "config.ini")]
    assert await asyncio.to_thread(cli.main, arguments) == 3
    assert len(await stored_targets(service)) == 2
    reason = "line: is longer than 300 bytes, which [limits] body_bytes allows."
    assert refused.read_text() == "".join(f"# line {number}: {reason}\n" for number in (1, 4, 5))


async def test_lines_that_are_no_text_are_refused(run: Run, service: Service, tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"\xef\xbb\xbf" + ndjson(RECORD) + b'{"Version": "\xfc"}\n' + b"\0\0\n" + b"# comment\n \r\n")
    done = await run("load", file, "--format", "ndjson")
    assert done.code == 3
    assert done.err.splitlines()[0] == "line 2: line: is not UTF-8: it has the byte 0xfc at 14."
    assert done.err.splitlines()[1] == "line 3: line: is not valid JSON: Expecting value at character 1."
    again = await run("load", file, "--format", "ndjson")  # no more right for being known already
    assert (again.code, "has been loaded already" in again.out) == (3, True)
    assert len(await stored_targets(service)) == 1


# Feeds


async def test_feeds_are_made_where_that_is_asked_for(run: Run, service: Service, tmp_path: Path) -> None:
    """In a fresh installation there are none; a name that cannot be a feed's is refused in any case."""
    file = tmp_path / "a"
    file.write_bytes(ndjson(*(RECORD | {"FeedName": name} for name in ("new", "NEW", "not a feed", "other"))))
    dry = await run("load", file, "--create-feeds", "npm", "--dry-run", "--json")
    assert (dry.code, dry.json["loaded"], dry.json["refused"]) == (3, 3, 1)
    assert await stored_targets(service) == [] and "new" not in str((await service.admin.access()).feeds)
    done = await run("load", file, "--create-feeds", "npm", "--json")
    assert (done.code, done.json["loaded"], done.json["feedsCreated"]) == (3, 3, ["new", "other"])
    feed = (await service.admin.access()).require_feed("new")
    assert feed.type == "npm"
    assert "line 3: FeedName: 'not a feed' cannot be a feed's name" in done.err


@pytest.mark.every_engine
@pytest.mark.usefixtures("small")
async def test_a_feed_that_is_removed_meanwhile_refuses_its_lines(
    run: Run, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of a load that has looked at the feeds already: what cannot be stored is said to be so."""
    await add_feed(service.admin, "gone")
    file = tmp_path / "a"
    file.write_bytes(ndjson(*(RECORD | {"FeedName": "gone"} for _ in range(3)), *numbered(3)))
    monkeypatch.setattr(load, "_LOOK_SECONDS", 1000)
    resolved = load.Load._resolved
    removed: list[str] = []

    async def remove_first(self: load.Load, batch: batches.Batch) -> Any:
        rows = await resolved(self, batch)
        if not removed:
            removed.append("gone")
            self._looked = 0
            await remove_feed(self._admin, "gone")
        return rows

    monkeypatch.setattr(load.Load, "_resolved", remove_first)
    done = await run("load", file, "--json")
    assert (done.json["loaded"], done.json["refused"]) == (3, 3)
    assert "line 1: FeedName: There is no feed named 'gone'." in done.err


# Interruptions


async def test_a_file_is_loaded_once(run: Run, service: Service, tmp_path: Path) -> None:
    """It is known by what is in it, whatever it is called, and compressed or not."""
    file = tmp_path / "a"
    file.write_bytes(ndjson(*numbered(3)))
    assert (await run("load", file, "--dry-run")).out.startswith(f"{file}: 3 records can be loaded")
    assert (await run("load", file)).code == 0
    (tmp_path / "b.gz").write_bytes(gzip.compress(file.read_bytes()))
    done = await run("load", tmp_path / "b.gz")
    assert (done.code, len(await stored_targets(service))) == (0, 3)
    assert done.out == (
        f"{tmp_path / 'b.gz'} has been loaded already (3 records, 0 refused); --again loads it once more.\n"
    )
    assert (await run("load", file, "--again")).code == 0
    assert len(await stored_targets(service)) == 6


def pipe(service: Service, content: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Load from a pipe."""
    command = [sys.executable, "-m", "deployserver", "load", "-", *arguments]
    config = str(service.settings.directory / "config.ini")
    return subprocess.run([*command, "--config", config], input=content, capture_output=True, env=environment())


async def test_a_pipe_goes_on_where_it_was(service: Service) -> None:
    """What has been loaded of it is compared and passed over; another one is not taken for it."""
    lines = ndjson(*numbered(9))
    first = await asyncio.to_thread(pipe, service, gzip.compress(lines[: len(lines) // 9 * 5]), "--name", "nightly")
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith(b"-: 5 records loaded")
    second = await asyncio.to_thread(pipe, service, lines, "--name", "nightly")
    assert second.returncode == 0, second.stderr
    assert await stored_targets(service) == [f"web{number:05}" for number in range(9)]
    for other in (lines[:-10], b"x" + lines):
        refused = await asyncio.to_thread(pipe, service, other, "--name", "nightly", "--format", "ndjson")
        assert (refused.returncode, refused.stdout) == (2, b"")
        assert b"nightly does not begin with the 9 lines that have been loaded of it." in refused.stderr
    by_beginning = await asyncio.to_thread(pipe, service, lines)
    assert by_beginning.returncode == 0
    assert len(await stored_targets(service)) == 18
    again = await asyncio.to_thread(pipe, service, lines)
    assert again.returncode == 0 and len(await stored_targets(service)) == 18
    assert again.stdout.startswith(b"- has been loaded already (9 records, 0 refused)")


async def test_a_pipe_that_was_empty_at_first_is_loaded_when_it_is_not(service: Service) -> None:
    """What comes every night under one name may begin with a night without any."""
    for content, targets_wanted in ((b"", []), (ndjson(*numbered(2)), ["web00000", "web00001"])):
        done = await asyncio.to_thread(pipe, service, content, "--name", "nightly")
        assert done.returncode == 0, done.stderr
        assert await stored_targets(service) == targets_wanted


@pytest.mark.every_engine
@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("format_", ["ndjson", "csv"])
async def test_a_load_that_failed_goes_on(
    run: Run, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_: str
) -> None:
    """In the middle of a transaction, again and again: nothing is doubled or missing, refused lines neither."""
    file, refused = tmp_path / "a", tmp_path / "refused"
    wanted = [f"web{number:05}" for number in range(30)]
    if format_ == "csv":
        text = io.StringIO()
        writer = csv.DictWriter(text, ["Target", *RECORD.keys() - {"Target"}])
        writer.writeheader()
        writer.writerows(one | ({"Version": ""} if n % 5 == 2 else {}) for n, one in enumerate(numbered(30)))
        file.write_text(text.getvalue(), newline="")
    else:
        file.write_bytes(ndjson(*(one | ({"Version": ""} if n % 5 == 2 else {}) for n, one in enumerate(numbered(30)))))
    advance = loads.advance
    calls = 0

    async def fail_now_and_then(connection: Connection, *arguments: Any) -> bool:
        nonlocal calls
        calls += 1
        await advance(connection, *arguments)
        if calls % 3 == 0:
            raise KeyboardInterrupt
        return True

    monkeypatch.setattr(loads, "advance", fail_now_and_then)
    codes = []
    while not codes or codes[-1] not in (0, 3):
        done = await run("load", file, "--refused", refused)
        codes.append(done.code)
        assert len(codes) < 30
    assert codes.count(130) >= 3
    assert await stored_targets(service) == [name for number, name in enumerate(wanted) if number % 5 != 2]
    lines = refused.read_text().splitlines()
    names = [name for line in lines for name in wanted if f'"{name}"' in line or f",{name}," in f",{line},"]
    assert names == [name for number, name in enumerate(wanted) if number % 5 == 2]


@pytest.mark.parametrize("options", [(), ("--name", "nightly")])
@pytest.mark.parametrize("format_", ["ndjson", "csv"])
async def test_a_load_that_failed_at_once_is_begun_again(
    run: Run, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_: str, options: tuple[str, ...]
) -> None:
    """It has been noted that it was begun, and nothing of the file has been read that counts, be it a header."""
    file = tmp_path / "a"
    if format_ == "csv":
        text = io.StringIO()
        writer = csv.DictWriter(text, RECORD)
        writer.writeheader()
        writer.writerows(numbered(3))
        file.write_text(text.getvalue(), newline="")
    else:
        file.write_bytes(ndjson(*numbered(3)))

    async def fail(*_: Any) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loads, "advance", fail)
        assert (await run("load", file, *options)).code == 130
    done = await run("load", file, *options)
    assert done.code == 0, done.err
    assert len(await stored_targets(service)) == 3


@pytest.mark.every_engine
@pytest.mark.usefixtures("small")
async def test_a_full_disk_under_the_refused_lines_is_not_blamed_on_the_database(
    run: Run, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the batch is stored, as its refused lines would be missing; with room the load goes on."""
    file, refused = tmp_path / "a", tmp_path / "refused"
    file.write_bytes(ndjson(*numbered(6), RECORD | {"Version": ""}, *numbered(2, 6)))
    sync = os.fsync

    def full(descriptor: int) -> None:
        if os.fstat(descriptor).st_ino == refused.stat().st_ino:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        failed = await run("load", file, "--refused", refused)
    assert failed.code == 1
    assert f"{refused} cannot be written: No space left on device." in failed.err
    assert await stored_targets(service) == [f"web{number:05}" for number in range(6)]
    assert (await run("load", file, "--refused", refused)).code == 3
    assert await stored_targets(service) == [f"web{number:05}" for number in range(8)]
    assert len(refused.read_text().splitlines()) == 2


@pytest.mark.usefixtures("small")
async def test_two_loads_of_one_file_do_not_double_it(
    run: Run, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that comes to a place where the other has been already ends."""
    file = tmp_path / "a"
    file.write_bytes(ndjson(*numbered(30)))
    written = load.Load._written
    nested: list[Done] = []

    async def meanwhile(self: load.Load, batch: batches.Batch) -> bool:
        if batch.lines == 9 and not nested:
            nested.append(Done(0, "", ""))
            monkeypatch.setattr(load.Load, "_written", written)
            command = [sys.executable, "-m", "deployserver", "load", str(file)]
            config = str(service.settings.directory / "config.ini")
            other = subprocess.run([*command, "--config", config], capture_output=True, env=environment())  # noqa: ASYNC221
            assert other.returncode == 0, other.stderr
        return await written(self, batch)

    monkeypatch.setattr(load.Load, "_written", meanwhile)
    done = await run("load", file)
    assert (done.code, nested != []) == (1, True)
    assert "is being loaded by somebody else, too" in done.err
    assert await stored_targets(service) == [f"web{number:05}" for number in range(30)]


@pytest.fixture
async def installation(tmp_path: Path) -> Any:
    made = Installation(tmp_path / "installation")
    made.prepare()
    async with closing([made]):
        yield made


@pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9")
async def test_a_load_that_is_killed_again_and_again_goes_on(installation: Installation, tmp_path: Path) -> None:
    """Wherever it is killed, while a server records: every line is there once, in its order, and so is every post."""
    file = tmp_path / "a.ndjson"
    count = 20_000
    file.write_bytes(ndjson(*numbered(count)))
    server = await installation.serve()
    kills = 0
    async with Load(server.url, "posted", clients=2) as load_:
        for wait in (0.35, 0.45, 0.55, 0.65, 0.8, 1.0, 1.3, 60):
            process = await installation.python(
                "-m", "deployserver", "load", str(file), "--config", str(installation.config)
            )
            try:
                await asyncio.wait_for(process.wait(), wait)
                break
            except TimeoutError:
                process.send_signal(signal.SIGKILL)
                await process.wait()
                kills += 1
            await load_.reached(1)
        assert process.returncode == 0
    assert kills
    assert not load_.refused and not load_.unanswered
    loaded = [target for target in targets(installation.database) if target.startswith("web")]
    assert loaded == [f"web{number:05}" for number in range(count)]
    await server.stop()
    check(installation.database, load_)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no Ctrl-C for a process without a console")
async def test_control_c_ends_a_load_that_waits_for_a_pipe(installation: Installation) -> None:
    process = subprocess.Popen(  # noqa: ASYNC220 - it is waited for in a thread
        [sys.executable, "-m", "deployserver", "load", "-", "--name", "x", "--config", str(installation.config)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert process.stdin is not None
    process.stdin.write(ndjson(RECORD))
    process.stdin.flush()
    await until(lambda: process.poll() is not None or _has_begun(installation))
    process.send_signal(signal.SIGINT)
    out, err = await asyncio.to_thread(process.communicate, None, 30)
    assert (process.returncode, out) == (130, b""), err


def _has_begun(installation: Installation) -> bool:
    with contextlib.closing(sqlite3.connect(installation.database)) as connection:
        return bool(connection.execute("SELECT 1 FROM audit WHERE action = 'load.begin'").fetchall())
