"""How long every question and page takes at a million records, and what an export of all of them needs; see README.md.

The times are those of a client on the same machine, over a connection that stays open: what the server takes is less.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

import aiohttp
from dataset import KEY
from processes import MemoryWatch, machine, resident_bytes
from servers import HERE, RESULTS, product_directory, server_environment, start_installed

BOUND_MS = 50.0
TARGET_BOUND_MS = 10.0
_API = "/api/deployments"


class Client:
    """Asks one server, as a script with a key."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def get(self, path: str) -> tuple[bytes, aiohttp.ClientResponse]:
        """Return what is answered; it must be 200."""
        async with self._session.get(self._url + path, headers={"X-ApiKey": KEY}) as response:
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
    """Return what is asked, by what it is called: the busiest names there are, and rare ones."""
    history = json.loads((await client.get(_url(_API, limit=1000)))[0])
    busiest = _most(history)
    package, target = busiest["PackageName"], busiest["Target"]
    versions = json.loads((await client.get(_url(f"{_API}/current", package=package, limit=1000)))[0])
    feed = next(record["FeedName"] for record in history if record["PackageName"] == package)
    rare = history[-1]
    half = json.loads((await client.get(_url(f"{_API}/frequency", per="month")))[0])
    middle = half[len(half) // 2]["From"]
    deep = _next((await client.get(_url(_API, until=middle, limit=50)))[1])
    deep_package = _next((await client.get(_url(_API, package=package, until=middle)))[1])
    other = next(record["Target"] for record in versions if record["Target"].lower() != target.lower())
    place = {"feed": feed, "package": package}
    if group := next(record["GroupName"] for record in history if record["PackageName"] == package):
        place["group"] = group
    return {
        "history": _API,
        "history, the middle of all": deep,
        "history of the busiest package": _url(_API, package=package),
        "history of the busiest package, its middle": deep_package,
        "history of the busiest target": _url(_API, target=target),
        "history of a feed": _url(_API, feed=feed),
        "history of an application": _url(_API, application=busiest["Application"]),
        "history of a user": _url(_API, user=rare["UserName"]),
        "history of a version": _url(_API, version=rare["Version"]),
        "history of a package on a target by a user": _url(_API, package=package, target=target, user=rare["UserName"]),
        "history of names with a wildcard": _url(_API, package=f"{package[:3]}*", target=f"{target[:3]}*"),
        "history, a word in many": _url(_API, q=busiest["Application"].split()[0]),
        "history, a word in few": _url(_API, q=rare["Description"].split()[-1][:40]),
        "history, a word in none": _url(_API, q="qqqxyz"),
        "history, a short word": _url(_API, q="q1"),
        "history of 7 days": _url(_API, since="7d"),
        "one record": f"{_API}/{rare['Id']}",
        "current": f"{_API}/current",
        "current of the busiest target": _url(f"{_API}/current", target=target, limit=1000),
        "current of the busiest package": _url(f"{_API}/current", package=package),
        "current of an application": _url(f"{_API}/current", application=rare["Application"]),
        "current since yesterday": _url(f"{_API}/current", since="1d"),
        "current, not touched for two years": _url(f"{_API}/current", until="730d"),
        "current as of the middle": _url(f"{_API}/current", as_of=middle),
        "current of the busiest target as of the middle": _url(f"{_API}/current", target=target, as_of=middle),
        "compare two targets": _url(f"{_API}/compare", target=[target, other]),
        "compare a target with its past": _url(f"{_API}/compare", target=target, as_of=middle),
        "affected, the busiest package": _url(f"{_API}/affected", package=package, feed=feed, range="*"),
        "frequency": _url(f"{_API}/frequency"),
        "frequency of the busiest package": _url(f"{_API}/frequency", package=package),
        "frequency of an application by month": _url(
            f"{_API}/frequency", application=busiest["Application"], per="month"
        ),
        "page: overview": "/",
        "page: history": "/deployments",
        "page: record": f"/deployments/{rare['Id']}",
        "page: package": _url("/package", **place),
        "page: target": _url("/target", target=target),
        "page: matrix": "/matrix",
        "page: matrix of a package": _url("/matrix", package=package),
        "page: compare": _url("/compare", left=target, right=other),
        "page: search": _url("/search", q=package[:4]),
    }


def _most(records: list[dict[str, str]]) -> dict[str, str]:
    return {
        name: statistics.mode(record[name] for record in records) for name in ("PackageName", "Target", "Application")
    }


def _next(response: aiohttp.ClientResponse) -> str:
    """Return the path and query of the next page."""
    return response.links["next"]["url"].raw_path_qs  # type: ignore[attr-defined,no-any-return]  # it is a yarl.URL


async def measure(client: Client, rounds: int) -> bool:
    """Time all questions, and print a line for each; return whether all are within their bounds."""
    asked = await questions(client)
    times: dict[str, list[float]] = {name: [] for name in asked}
    sizes: dict[str, int] = {}
    for _ in range(rounds):
        for name, path in asked.items():
            started = time.perf_counter()
            body, _ = await client.get(path)
            times[name].append((time.perf_counter() - started) * 1000)
            sizes[name] = len(body)
    width = max(map(len, asked))
    print(f"| {'question':{width}} | first ms | median ms | p99 ms | bytes |")
    print(f"| {'-' * width} | -------: | --------: | -----: | ----: |")
    good = True
    for name, own in times.items():
        bound = TARGET_BOUND_MS if name == "current of the busiest target" else BOUND_MS
        median, p99 = statistics.median(own), sorted(own)[min(len(own) - 1, round(len(own) * 0.99))]
        late = "" if median < bound else f" over {bound:g} ms"
        good = good and not late
        print(f"| {name:{width}} | {own[0]:.1f} | {median:.1f} | {p99:.1f} | {sizes[name]:,} |{late}")
    return good


async def measure_exports(client: Client, pid: int) -> None:
    """Export everything in both formats, and print how fast it was and what memory it took."""
    for form in ("ndjson", "csv"):
        before = resident_bytes(pid)
        with MemoryWatch(pid) as memory:
            lines, seconds = await client.export(f"{_API}?format={form}")
        print(
            f"{form}: {lines:,} lines in {seconds:.1f} s, {lines / seconds:,.0f} a second; "
            f"resident {before / 1e6:.0f} MB before, {memory.peak / 1e6:.0f} MB at most"
        )


async def _with_client(url: str, ask: Callable[[Client], Awaitable[bool]]) -> bool:
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        return await ask(Client(session, url))


def main() -> int:
    """Measure and print; return 1 if a median is over its bound."""
    parser = argparse.ArgumentParser(description="Times every question and page on a realistic installation.")
    parser.add_argument("--records", type=int, default=1_000_000, help="how many (default 1,000,000)")
    parser.add_argument("--rounds", type=int, default=20, help="how often each is asked (default 20)")
    parser.add_argument("--no-export", action="store_true", help="leave out the export of everything")
    arguments = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    for name, value in machine(RESULTS).items():
        print(f"{name}: {value}")
    directory = RESULTS.resolve() / f"dataset-{arguments.records}"
    if not (directory / "complete").exists():
        command = [sys.executable, str(HERE / "dataset.py"), "--records", str(arguments.records)]
        subprocess.run(
            [*command, "--directory", str(directory)], check=True, env=server_environment(product_directory())
        )
        (directory / "complete").touch()
    size = (directory / "deployserver.db").stat().st_size
    print(f"\n{arguments.records:,} records, {size / arguments.records:.0f} bytes each\n")
    server = start_installed("deployserver", directory)

    async def ask(client: Client) -> bool:
        good = await measure(client, arguments.rounds)
        if not arguments.no_export:
            print()
            await measure_exports(client, server.process.pid)
        return good

    try:
        good = asyncio.run(_with_client(f"http://127.0.0.1:{server.port}", ask))
    finally:
        server.stop()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
