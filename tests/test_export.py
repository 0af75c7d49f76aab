"""``deployserver export``: every record, as it was at one moment, in a file that is whole or not there."""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import RECORD, Service
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from processes import environment
from reading import DAY, read, rows
from test_load import Done, Run, run  # noqa: F401 - a fixture

from deployserver import cli, exporting
from deployserver.feeds import add_feed
from deployserver.formulas import shielded, unshielded
from deployserver.storage.records import Records


def lines(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


@pytest.mark.every_engine
async def test_everything_is_exported_in_the_order_of_arrival(
    run: Run,  # noqa: F811
    service: Service,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As the API writes it, in many parts, and a second export is the same to the byte."""
    monkeypatch.setattr(exporting, "AT_ONCE", 7)
    await service.store.add_deployments(rows(40))
    await service.post(RECORD | {"Date": "1969-01-01"})
    done = await run("export", tmp_path / "a.ndjson")
    assert done == Done(0, "", "41 records exported.\n")
    found = lines(tmp_path / "a.ndjson")
    assert [record["Id"] for record in found] == list(range(1, 42))
    by_api = (await read(service, format="ndjson")).text.splitlines(keepends=True)
    assert sorted(by_api) == sorted((tmp_path / "a.ndjson").read_text("utf-8").splitlines(keepends=True))
    assert (await run("export", tmp_path / "b.csv")).code == 0
    table = (await read(service, format="csv")).body
    assert sorted(csv.reader(io.StringIO(table.decode(), newline=""))) == sorted(
        csv.reader(io.StringIO((tmp_path / "b.csv").read_bytes().decode(), newline=""))
    )
    for name in ("c.gz", "d.gz"):
        assert (await run("export", tmp_path / name)).code == 0
    assert (tmp_path / "c.gz").read_bytes() == (tmp_path / "d.gz").read_bytes()
    assert gzip.decompress((tmp_path / "c.gz").read_bytes()) == (tmp_path / "a.ndjson").read_bytes()


@pytest.mark.every_engine
async def test_what_is_recorded_meanwhile_is_not_in_it(
    run: Run,  # noqa: F811
    service: Service,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exporting, "AT_ONCE", 5)
    await service.store.add_deployments(rows(12))
    newest = Records.newest_id

    loop = asyncio.get_running_loop()

    async def and_one_more(self: Records) -> int:
        id_ = await newest(self)
        post = asyncio.run_coroutine_threadsafe(service.post(RECORD), loop)  # the command has a loop of its own
        assert (await asyncio.wrap_future(post)).status == 200
        return id_

    monkeypatch.setattr(Records, "newest_id", and_one_more)
    assert (await run("export", tmp_path / "a")).err == "12 records exported.\n"
    assert len(await service.rows()) == 13


async def test_only_what_is_asked_for(run: Run, service: Service, tmp_path: Path) -> None:  # noqa: F811
    """By the filters of the API, with its words for what is wrong."""
    await add_feed(service.admin, "other")
    await service.store.add_deployments(
        [one._replace(feed_id=1 + number % 2, date=number * DAY) for number, one in enumerate(rows(10))]
    )
    for arguments, expected in (
        (["--feed", "OTHER"], [2, 4, 6, 8, 10]),
        (["--target", "web00000*", "--until", "1970-01-03"], [1, 2, 3]),
        (["--since", "1970-01-09", "--package", "left-pad", "--user", "alice", "--version", "1.0"], [9, 10]),
        (["--application", "nothing", "--target", "web000001"], []),
        (["--target", "web000001", "--target", "web000002"], [2, 3]),
        (["--ungrouped", "--q", "number 3"], [4]),
        (["--group", "@acme"], []),
    ):
        done = await run("export", "--format", "ndjson", *arguments, tmp_path / "a")
        assert done.code == 0, done.err
        assert [record["Id"] for record in lines(tmp_path / "a")] == expected, arguments
    wrong = await run("export", "--since", "yesterday", "--until", "2020-02-30")
    assert (wrong.code, wrong.out) == (2, "")
    assert "--since " in wrong.err and "--until " in wrong.err and wrong.err.count("\n") == 1


async def test_standard_output_can_be_a_pipe(service: Service) -> None:
    """Whole, compressed if that is asked for, and given up quietly when its reader has seen enough."""
    await service.store.add_deployments(rows(3000))
    command = [sys.executable, "-m", "deployserver", "export"]
    config = ["--config", str(service.settings.directory / "config.ini")]

    def piped(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([*command, *arguments, *config], capture_output=True, env=environment())

    plain = await asyncio.to_thread(piped)
    assert (plain.returncode, plain.stderr, plain.stdout.count(b"\n")) == (0, b"3,000 records exported.\n", 3000)
    packed = await asyncio.to_thread(piped, "--gzip", "-")
    assert gzip.decompress(packed.stdout) == plain.stdout

    def first_line() -> tuple[int, bytes]:
        process = subprocess.Popen(
            [*command, *config], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
        )
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
        process.stderr.close()
        return process.wait(), err

    assert await asyncio.to_thread(first_line) == (0, b"")


@pytest.mark.parametrize("name", ["a.ndjson", "a.csv.gz"])
async def test_a_file_is_replaced_by_a_whole_one_or_not_at_all(
    run: Run,  # noqa: F811
    service: Service,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    await service.store.add_deployments(rows(10))
    file = tmp_path / name
    file.write_text("before")
    monkeypatch.setattr(exporting, "AT_ONCE", 5)
    monkeypatch.setattr(exporting, "_objects", _full)
    monkeypatch.setattr(exporting, "_table", _full)
    there = sorted(tmp_path.iterdir())
    done = await run("export", file)
    assert (done.code, done.err) == (1, f"deployserver: {file} cannot be written: No space left on device.\n")
    assert file.read_text() == "before"
    assert [path for path in sorted(tmp_path.iterdir()) if not path.name.startswith("test.db")] == [
        path for path in there if not path.name.startswith("test.db")
    ]


def _full(deployments: object) -> bytes:
    raise OSError(28, "No space left on device")


async def test_a_directory_and_one_that_is_not_there(run: Run, tmp_path: Path) -> None:  # noqa: F811
    assert (await run("export", tmp_path)).err == f"deployserver: {tmp_path} is a directory; name a file in it.\n"
    missing = await run("export", tmp_path / "no" / "a")
    assert (missing.code, missing.err.count("\n")) == (1, 1)
    assert f"{tmp_path / 'no' / 'a'} cannot be written: No such file or directory." in missing.err


some_text = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("'=+-@\t\r\n\""), max_size=8)


@given(some_text)
def test_a_cell_can_be_unshielded(text: str) -> None:
    """Whatever it begins with, apostrophes and formulas too."""
    cell = shielded(text)
    assert unshielded(cell) == text
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


LETTERS = st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("'=+-@\",;é\u2028\ufeff")
NAME = st.text(LETTERS, min_size=1, max_size=12).filter(lambda text: bool(text.strip()))
LINES = st.text(LETTERS | st.sampled_from("\r\n\t"), min_size=1, max_size=40).filter(lambda text: bool(text.strip()))
SENT = st.fixed_dictionaries(
    {"Description": LINES, **dict.fromkeys(("Target", "PackageName", "Version", "Application"), NAME)},
    optional={
        **dict.fromkeys(("GroupName", "UserName"), NAME),
        "Date": st.datetimes().map(lambda moment: f"{moment.isoformat()}Z"),
    },
)


@pytest.mark.every_engine
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=st.lists(SENT, min_size=1, max_size=10))
async def test_any_records_come_back_as_they_were(service: Service, tmp_path: Path, sent: list[dict[str, str]]) -> None:
    """Export, load, export: the same but for the ids, by way of either format."""
    config = ["--config", str(service.settings.directory / "config.ini")]
    first = (await service.store.add_deployments(rows(1)))[0]
    for one in sent:
        answer = await service.post(json=RECORD | one)
        assert answer.status == 200, answer.text
    for name in ("a.csv", "a.ndjson"):
        (tmp_path / name).unlink(missing_ok=True)
        assert await asyncio.to_thread(cli.main, ["export", str(tmp_path / name), *config]) == 0
        before = await _since(service, first)
        code = await asyncio.to_thread(cli.main, ["load", str(tmp_path / name), "--again", *config])
        assert code == 0
        after = await _since(service, first)
        assert after[-len(sent) :] == before[-len(sent) :]


async def _since(service: Service, id_: int) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (await read(service, format="ndjson")).text.split("\n") if line]
    found.sort(key=lambda record: int(record["Id"]))
    return [record | {"Id": 0} for record in found if record["Id"] > id_]
