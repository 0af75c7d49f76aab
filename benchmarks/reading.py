"""How long every question takes at several sizes, and what an export of all of them needs; see README.md.

The times are the server's own, from its request log: from the request's headers to the whole answer, ready to be sent.
What the network and a client take comes on top.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import aiohttp
from dataset import KEY
from processes import MemoryWatch, machine, resident_bytes
from servers import (
    HERE,
    RESULTS,
    Server,
    fresh_directory,
    product_directory,
    server_environment,
    start_installed,
)

P50_MS = 10.0
P99_MS = 50.0
WARM_UP = 3
"""Rounds before those that count: the cache is to be warm."""

_API = "/api/deployments"
_SAMPLES = 20
"""Pages of the history, from all over its time, that tell what is busy."""


class Client:
    """Asks one server, as a script with a key."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def get(self, path: str, request_id: str = "") -> tuple[bytes, aiohttp.ClientResponse]:
        """Return what is answered; it must be 200."""
        headers = {"X-ApiKey": KEY, "X-Request-Id": request_id or "unnamed"}
        async with self._session.get(self._url + path, headers=headers) as response:
            body = await response.read()
            if response.status != 200:
                raise SystemExit(f"{path}: {response.status} {body[:200]!r}")
            return body, response

    async def export(self, path: str) -> tuple[int, float]:
        """Read a stream to its end, keeping nothing, and return how many lines it had, and the seconds it took."""
        lines, started = 0, time.perf_counter()
        async with self._session.get(self._url + path, headers={"X-ApiKey": KEY}) as response:
            async for chunk in response.content.iter_chunked(1 << 16):
                lines += chunk.count(b"\n")
        return lines, time.perf_counter() - started


def _url(path: str, **query: object) -> str:
    return f"{path}?{urlencode(query, doseq=True)}" if query else path


async def questions(client: Client) -> dict[str, str]:
    """Return what is asked, by what it is called: of the busiest names there are, and of rare ones."""
    months = json.loads((await client.get(_url(f"{_API}/frequency", per="month")))[0])
    moments = [months[number * len(months) // _SAMPLES]["From"] for number in range(1, _SAMPLES)]
    history = json.loads((await client.get(_url(_API, limit=1000)))[0])
    rare, sample = history[-1], list(history)
    for moment in moments:
        sample += json.loads((await client.get(_url(_API, limit=1000, until=moment)))[0])
    package, target, application, user, feed = (
        _most(sample, name) for name in ("PackageName", "Target", "Application", "UserName", "FeedName")
    )
    middle = moments[len(moments) // 2]
    of_package = [record for record in sample if record["PackageName"] == package]
    own_feed = of_package[0]["FeedName"]
    other = _most([record for record in sample if record["Target"].lower() != target.lower()], "Target")
    word = application.split()[0]

    async def deep(path: str = _API, **query: object) -> str:
        """Return the page that comes after one which ends in the middle of the time."""
        return _next((await client.get(_url(path, until=middle, limit=50, **query)))[1])

    async def deep_current(**query: object) -> str:
        """Return the page in the middle of all that runs."""
        total = (await client.get(_url(f"{_API}/current", count="true", limit=1, **query)))[1].headers["X-Total-Count"]
        limit = max(1, min(1000, int(total) // 2))
        path = _url(f"{_API}/current", limit=limit, **query)
        for _ in range(max(1, int(total) // 2000)):
            path = _next((await client.get(path))[1])
        return path.replace(f"limit={limit}", "limit=50")

    current, frequency = f"{_API}/current", f"{_API}/frequency"
    return {
        "history": _API,
        "history, deep": await deep(),
        "history, 1000 records": _url(_API, limit=1000),
        "history of a package": _url(_API, package=package),
        "history of a package, deep": await deep(package=package),
        "history of a target": _url(_API, target=target),
        "history of a target, deep": await deep(target=target),
        "history of a feed": _url(_API, feed=feed),
        "history of a feed, deep": await deep(feed=feed),
        "history of an application": _url(_API, application=application),
        "history of an application, deep": await deep(application=application),
        "history of a user": _url(_API, user=user),
        "history of a user, deep": await deep(user=user),
        "history of a version": _url(_API, version=rare["Version"]),
        "history of a package on a target": _url(_API, package=package, target=target),
        "history of a package on a target by a user": _url(_API, package=package, target=target, user=user),
        "history of a feed by a user": _url(_API, feed=feed, user=user),
        "history of names with a wildcard": _url(_API, package=f"{package[:3]}*", target=f"{target[:3]}*"),
        "history of names with a wildcard, deep": await deep(package=f"{package[:3]}*", target=f"{target[:3]}*"),
        "history, a word in many": _url(_API, q=word),
        "history, a word in many, deep": await deep(q=word),
        "history, a word in few": _url(_API, q=rare["Description"].split()[-1][:40]),
        "history, a word in none": _url(_API, q="qqqxyz"),
        "history, a short word": _url(_API, q="q1"),
        "history, two words": _url(_API, q=f"{word} {package}"),
        "history of 7 days": _url(_API, since="7d"),
        "history of a package until the middle": _url(_API, package=package, until=middle),
        "one record": f"{_API}/{rare['Id']}",
        "current": current,
        "current, deep": await deep_current(),
        "current of a target": _url(current, target=target),
        "current of a package": _url(current, package=package),
        "current of a feed": _url(current, feed=feed),
        "current of a feed, deep": await deep_current(feed=feed),
        "current of an application": _url(current, application=application),
        "current of a user": _url(current, user=user),
        "current, a word in many": _url(current, q=word),
        "current since yesterday": _url(current, since="1d"),
        "current since a year ago": _url(current, since="365d"),
        "current, not touched for two years": _url(current, until="730d"),
        "current as of the middle": _url(current, as_of=middle),
        "current of a target as of the middle": _url(current, target=target, as_of=middle),
        "compare two targets": _url(f"{_API}/compare", target=[target, other]),
        "compare a target with its past": _url(f"{_API}/compare", target=target, as_of=middle),
        "affected": _url(f"{_API}/affected", package=package, feed=own_feed, range="*"),
        "frequency by day": frequency,
        "frequency by week": _url(frequency, per="week"),
        "frequency by month": _url(frequency, per="month"),
        "frequency of a package by day": _url(frequency, package=package),
        "frequency of a target by day": _url(frequency, target=target),
        "frequency of a feed by week": _url(frequency, feed=feed, per="week"),
        "frequency of an application by month": _url(frequency, application=application, per="month"),
        "frequency of a user by month": _url(frequency, user=user, per="month"),
    }


async def pages(client: Client) -> dict[str, str]:
    """Return the pages for people, by what they are called."""
    history = json.loads((await client.get(_url(_API, limit=1000)))[0])
    package, target = _most(history, "PackageName"), _most(history, "Target")
    record = next(record for record in history if record["PackageName"] == package)
    other = next(record["Target"] for record in history if record["Target"].lower() != target.lower())
    place = {"feed": record["FeedName"], "package": package}
    if record["GroupName"]:
        place["group"] = record["GroupName"]
    return {
        "page: overview": "/",
        "page: history": "/deployments",
        "page: record": f"/deployments/{record['Id']}",
        "page: package": _url("/package", **place),
        "page: target": _url("/target", target=target),
        "page: matrix": "/matrix",
        "page: matrix of a package": _url("/matrix", package=package),
        "page: compare": _url("/compare", left=target, right=other),
        "page: search": _url("/search", q=package[:4]),
    }


def _most(records: Sequence[dict[str, str]], name: str) -> str:
    """Return the most frequent name, spelt as it mostly is."""
    return Counter(record[name] for record in records).most_common(1)[0][0]


def _next(response: aiohttp.ClientResponse) -> str:
    """Return the path and query of the next page."""
    return response.links["next"]["url"].raw_path_qs  # type: ignore[attr-defined,no-any-return]  # it is a yarl.URL


@dataclass
class Subject:
    """A server on a database of some size, what it is asked, and how many milliseconds each answer took."""

    records: int
    server: Server
    client: Client
    bytes_per_record: float | None
    asked: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    times: dict[str, list[float]] = field(default_factory=dict)

    async def ask(self, only: str, *, with_pages: bool) -> None:
        """Find out what to ask."""
        self.asked = await questions(self.client)
        if with_pages:
            self.asked |= await pages(self.client)
        self.asked = {name: path for name, path in self.asked.items() if only in name}

    async def one_round(self, number: int) -> None:
        """Ask everything once."""
        for index, (name, path) in enumerate(self.asked.items()):
            body, _ = await self.client.get(path, f"{number}-{index}")
            self.sizes[name] = len(body)

    def read_log(self) -> None:
        """Take the times from the log of the server, which must have ended."""
        names = list(self.asked)
        self.times = {name: [] for name in names}
        for text in self.server.log.read_text("utf-8").splitlines():
            line = json.loads(text)
            number, _, index = line.get("request_id", "").partition("-")
            if number.isdecimal() and index.isdecimal() and int(number) >= WARM_UP and line["method"] == "GET":
                self.times[names[int(index)]].append(line["duration_ms"])


def percentile(times: Sequence[float], part: float) -> float:
    """Return the time that this part of them does not exceed."""
    return sorted(times)[max(0, math.ceil(len(times) * part) - 1)]


def table(subjects: Sequence[Subject]) -> tuple[str, bool]:
    """Return a table in Markdown of all questions by all sizes, and whether all are within the bounds."""
    sizes = [f"{subject.records:,}" for subject in subjects]
    heads = ["question", *(f"{size}: p50" for size in sizes), *(f"{size}: p99" for size in sizes), "bytes"]
    good, lines = True, []
    for name in subjects[0].asked:
        own = [subject.times[name] for subject in subjects]
        medians, worst = [percentile(times, 0.5) for times in own], [percentile(times, 0.99) for times in own]
        within = max(medians) < P50_MS and max(worst) < P99_MS
        good = good and (within or name.startswith("page"))
        cells = [*(f"{one:.1f}" for one in medians), *(f"{one:.1f}" for one in worst), f"{subjects[-1].sizes[name]:,}"]
        lines.append([name if within else f"**{name}**", *cells])
    widths = [max(len(line[column]) for line in [heads, *lines]) for column in range(len(heads))]
    text = [heads, ["-" * width for width in widths], *lines]
    rows = [
        [
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        for line in text
    ]
    rows[1] = [cell if index == 0 else f"{cell[:-1]}:" for index, cell in enumerate(rows[1])]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows), good


def as_json(subjects: Sequence[Subject]) -> list[dict[str, object]]:
    """Return all that was measured."""
    return [
        {
            "records": subject.records,
            "bytes per record": subject.bytes_per_record,
            "questions": {
                name: {
                    "path": subject.asked[name],
                    "bytes": subject.sizes[name],
                    "p50": percentile(times, 0.5),
                    "p99": percentile(times, 0.99),
                    "times": times,
                }
                for name, times in subject.times.items()
            },
        }
        for subject in subjects
    ]


async def measure(directories: Mapping[int, Path], arguments: argparse.Namespace) -> list[Subject]:
    """Ask all servers in turn, a round each, and return them with their times."""
    subjects: list[Subject] = []
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)))
        for records, directory in directories.items():
            server = start_installed(f"{records:,} records", directory)
            stack.callback(server.stop)
            database = directory / "deployserver.db"
            size = database.stat().st_size / records if database.exists() else None
            client = Client(session, f"http://127.0.0.1:{server.port}")
            subject = Subject(records, server, client, size)
            await subject.ask(arguments.only, with_pages=arguments.pages)
            subjects.append(subject)
        for number in range(WARM_UP + arguments.rounds):
            shift = number % len(subjects)
            for subject in [*subjects[shift:], *subjects[:shift]]:
                await subject.one_round(number)
        if arguments.export:
            for subject in subjects:
                await measure_exports(subject)
        for subject in subjects:
            print(f"{subject.records:,} records: resident {resident_bytes(subject.server.process.pid) / 1e6:.0f} MB")
    for subject in subjects:
        subject.read_log()
    return subjects


async def measure_exports(subject: Subject) -> None:
    """Export everything in both formats, and print how fast it was and what memory it took."""
    pid = subject.server.process.pid
    for form in ("ndjson", "csv"):
        before = resident_bytes(pid)
        with MemoryWatch(pid) as memory:
            lines, seconds = await subject.client.export(f"{_API}?format={form}")
        print(
            f"{subject.records:,} records, {form}: {lines:,} lines in {seconds:.1f} s, "
            f"{lines / seconds:,.0f} a second; "
            f"resident {before / 1e6:.0f} MB before, {memory.peak / 1e6:.0f} MB at most"
        )


def _dataset(given: str) -> tuple[int, Path]:
    """Return how many records, and a directory with the dataset, which is made if it is not there."""
    number, _, place = given.partition("=")
    records = int(number)
    if place:
        return records, Path(place)
    directory = RESULTS.resolve() / f"dataset-{records}"
    if not (directory / "complete").exists():
        command = [sys.executable, str(HERE / "dataset.py"), "--records", str(records), "--directory", str(directory)]
        subprocess.run(command, check=True, env=server_environment(product_directory()))
        (directory / "complete").touch()
    return records, directory


def _copied(records: int, directory: Path) -> Path:
    """Return a copy, because a server writes to its database whatever it is asked, migrated to this version."""
    copy = fresh_directory(f"reading-{records}")
    for file in ("config.ini", "deployserver.db"):
        if (directory / file).exists():
            shutil.copyfile(directory / file, copy / file)
    command = [sys.executable, "-m", "deployserver", "--config", "config.ini", "migrate"]
    subprocess.run(command, check=True, cwd=copy, env=server_environment(product_directory()))
    return copy


def main() -> int:
    """Measure and print; return 1 if a question took longer than it may."""
    parser = argparse.ArgumentParser(description="Times every question on realistic installations of several sizes.")
    parser.add_argument(
        "--records",
        nargs="+",
        default=["100000", "1000000"],
        metavar="N[=DIRECTORY]",
        help="sizes, and where the dataset of each is (default 100000 1000000, made if they are not there)",
    )
    parser.add_argument("--rounds", type=int, default=50, help="how often each is asked (default 50)")
    parser.add_argument("--only", default="", metavar="TEXT", help="only the questions that have this in their names")
    parser.add_argument("--pages", action="store_true", help="the pages for people, too")
    parser.add_argument("--export", action="store_true", help="also export everything")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all times to a file too")
    arguments = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    described = machine(RESULTS)
    for name, value in described.items():
        print(f"{name}: {value}")
    began = time.monotonic()
    copies = {records: _copied(records, directory) for records, directory in map(_dataset, arguments.records)}
    try:
        subjects = asyncio.run(measure(copies, arguments))
    finally:
        for copy in copies.values():
            shutil.rmtree(copy)
    print(f"\n{arguments.rounds} rounds, {time.monotonic() - began:.0f} s; server time in ms\n")
    text, good = table(subjects)
    print(text)
    sizes = ", ".join(f"{one.bytes_per_record:.0f}" for one in subjects if one.bytes_per_record is not None)
    print(f"\nBytes a record in the database: {sizes}")
    if arguments.json:
        measured = {"machine": described, "rounds": arguments.rounds, "sizes": as_json(subjects)}
        arguments.json.write_text(json.dumps(measured, indent=1) + "\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
