"""Says what the time of a request goes to in the product, in microseconds of processor time; see README.md.

py-spy says which share of its time each thread spends where, and Linux says how much processor time a request takes
in each thread while py-spy is not looking: the sampling itself costs time, but hardly changes the shares.
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import servers
from load import measure
from processes import cpu_seconds
from servers import Server

MAIN, SQLITE = "event loop thread", "SQLite threads"

PRODUCT_PHASES = (
    ("body: take, decode, split into fields", r"api/(body|encodings|multipart)\.py"),
    ("credential: find, look up, lockout, usage", r"(credentials|authentication|lockout|key_usage)\.py"),
    ("credential: find, look up, lockout, usage", r"^(key|key_digest|key_caller) \(.*deployserver/access\.py"),
    ("record as JSON", r"^(deployment_json|format_date|_second) \("),
    ("schema: check the fields", r"deployserver/schemas\.py|deployserver/dates\.py"),
    ("decision and row", r"deployserver/(deployments|access|app)\.py"),
    ("hand-over to the writer and back", r"deployserver/storage/"),
    ("log line", r"deployserver/logs\.py"),
    ("response object", r"api/responses\.py"),
    ("request id, address, response headers", r"api/(middleware|request_ids|proxies)\.py"),
    ("other tasks (access watch)", r"deployserver/live_access\.py"),
)
"""The innermost frame of the product that matches decides; what it calls in libraries is its doing."""

LIBRARY_PHASES = (
    ("hand-over to the writer and back", r"aiosqlite/|_read_from_self|_write_to_self"),
    ("aiohttp: write the answer, with send()", r"aiohttp/(http_writer|web_response)\.py|finish_response"),
    ("aiohttp: receive and parse the request, with recv()", r"data_received|_read_ready__data_received"),
    ("asyncio: epoll", r"selectors\.py"),
    ("aiohttp: request object, route, task switching", r"aiohttp/"),
    ("asyncio: the loop itself", r"asyncio/"),
)
"""What is left: the innermost frame that matches decides, in this order of rules."""


def main() -> int:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(description="Says what the time of a request goes to.")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=int, default=10, help="of each of the two measurements (default 10)")
    parser.add_argument("--server", choices=("deployserver", "bare", "schema"), default="deployserver")
    parser.add_argument("--checkout", type=Path, help="profile the product in another checkout")
    arguments = parser.parse_args()
    if py_spy() is None:
        print("py-spy is needed: pip install py-spy. It may need root.")
        return 2
    is_product = arguments.server == "deployserver"
    start = partial(servers.start_product, checkout=arguments.checkout) if is_product else servers.start_baseline
    server = start(arguments.server, servers.fresh_directory("profiled"))
    try:
        per_request = thread_microseconds(server, arguments.connections, arguments.seconds)
        stacks = sampled_stacks(server, arguments.connections, arguments.seconds)
    finally:
        server.stop()
    print_table(phases(stacks), per_request)
    return 0


def py_spy() -> str | None:
    """Return the program py-spy: on the path, or beside this interpreter."""
    return shutil.which("py-spy") or shutil.which("py-spy", path=str(Path(sys.executable).parent))


def thread_microseconds(server: Server, connections: int, seconds: int) -> dict[str, float]:
    """Return the processor time a request takes in each kind of thread, as the median of five runs."""
    measure(server, connections, 1)
    runs: dict[str, list[float]] = {MAIN: [], SQLITE: []}
    for _ in range(5):
        before = _thread_seconds(server.process.pid)
        requests = measure(server, connections, max(seconds / 5, 1)).requests
        after = _thread_seconds(server.process.pid)
        for thread, times in runs.items():
            times.append((after[thread] - before[thread]) / requests * 1e6)
    return {thread: statistics.median(times) for thread, times in runs.items()}


def _thread_seconds(pid: int) -> dict[str, float]:
    times = {MAIN: 0.0, SQLITE: 0.0}
    for task in Path(f"/proc/{pid}/task").iterdir():
        times[MAIN if int(task.name) == pid else SQLITE] += cpu_seconds(pid, int(task.name))
    return times


def sampled_stacks(server: Server, connections: int, seconds: int) -> list[tuple[list[str], int]]:
    """Return stacks, outermost frame first, each with how often it was seen, under load."""
    raw = servers.RESULTS / "stacks.txt"
    command = [py_spy() or "", "record", "-p", str(server.process.pid), "-d", str(seconds), "-r", "400"]
    sampler = subprocess.Popen(
        [*command, "-f", "raw", "-o", str(raw)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    time.sleep(0.5)
    measure(server, connections, seconds)
    sampler.wait()
    return list(_read(raw))


def _read(raw: Path) -> Iterator[tuple[list[str], int]]:
    for line in raw.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        yield [re.sub(r":\d+\)$", ")", frame) for frame in stack.split(";")], int(count)


def phases(stacks: Sequence[tuple[list[str], int]]) -> dict[str, Counter[str]]:
    """Return how often each phase was seen, by kind of thread."""
    seen: dict[str, Counter[str]] = {MAIN: Counter(), SQLITE: Counter()}
    for frames, count in stacks:
        if any("_connection_worker_thread" in frame for frame in frames):
            woken = any("call_soon_threadsafe" in frame for frame in frames)
            seen[SQLITE]["wake the event loop" if woken else "SQLite: INSERT, commit, sync"] += count
        elif frames[0].startswith("<module>") or "run" in frames[0]:
            seen[MAIN][_phase(frames)] += count
    return seen


def _phase(frames: list[str]) -> str:
    for frame in reversed(frames):
        for phase, pattern in PRODUCT_PHASES:
            if re.search(pattern, frame):
                return phase
    for phase, pattern in LIBRARY_PHASES:
        if any(re.search(pattern, frame) for frame in frames):
            return phase
    return "other"


def print_table(seen: dict[str, Counter[str]], per_request: dict[str, float]) -> None:
    """Print the phases of each kind of thread, largest first, in microseconds of a request and in per cent."""
    whole = sum(per_request.values())
    rows = [("**all**", whole)]
    for thread, counts in seen.items():
        if not counts:
            continue
        rows.append((f"**{thread}**", per_request[thread]))
        samples = sum(counts.values())
        rows += [(phase, per_request[thread] * count / samples) for phase, count in counts.most_common()]
    width = max(len(name) for name, _ in rows)
    print(f"| {'phase'.ljust(width)} | µs a request | share |")
    print(f"| {'-' * width} | -----------: | ----: |")
    for name, microseconds in rows:
        print(f"| {name.ljust(width)} | {microseconds:12.1f} | {microseconds / whole:5.0%} |")


if __name__ == "__main__":
    sys.exit(main())
