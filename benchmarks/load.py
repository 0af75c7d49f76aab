"""One run of wrk against one server, and whether what it counted has really been done."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from processes import MemoryWatch, cpu_of_all
from servers import Server

_SCRIPT = Path(__file__).with_name("post.lua")


@dataclass(frozen=True)
class Sample:
    """What one run measured; latencies in milliseconds, processor time in microseconds a request."""

    requests: int
    per_second: float
    p50: float
    p99: float
    resident_mb: float
    cpu: float
    not_2xx: int
    failed: int
    rows_missing: int


def wrk_is_missing() -> bool:
    """Tell whether wrk is not installed."""
    return shutil.which("wrk") is None


def measure(server: Server, connections: int, seconds: float, *, skewed: bool = False) -> Sample:
    """Load a server and return what was measured; ``skewed`` posts many different records instead of one.

    Raises ProcessLookupError if it has died. A server with a database must hold at least as many rows as wrk has
    counted 2xx answers of it.
    """
    cpu = cpu_of_all(server.process.pid)
    with MemoryWatch(server.process.pid) as memory:
        counted = _wrk(server, connections, seconds, skewed)
    cpu = cpu_of_all(server.process.pid) - cpu
    requests, not_2xx = counted["requests"], counted["not_2xx"]
    server.answered += requests - not_2xx
    rows = server.rows()
    time.sleep(0.1)  # what was under way when wrk hung up must not burden the next server
    return Sample(
        requests=requests,
        per_second=requests / counted["microseconds"] * 1e6,
        p50=counted["p50"] / 1000,
        p99=counted["p99"] / 1000,
        resident_mb=memory.peak / 1e6,
        cpu=cpu / max(requests, 1) * 1e6,
        not_2xx=not_2xx,
        failed=counted["failed"],
        rows_missing=0 if rows is None else max(server.answered - rows, 0),
    )


def _wrk(server: Server, connections: int, seconds: float, skewed: bool) -> dict[str, int]:
    duration = f"-d{max(round(seconds), 1)}"  # wrk takes whole seconds
    patience = ("--timeout", "30")  # a slow answer shows in the latency, and is no failure
    command = ["wrk", "-t1", f"-c{connections}", duration, *patience, "--latency", "-s", str(_SCRIPT), server.url]
    environment = os.environ | server.post.environment | ({"SKEWED": "1"} if skewed else {})
    output = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    line = next(line for line in output.splitlines() if line.startswith("JSON "))
    counted: dict[str, int] = json.loads(line.removeprefix("JSON "))
    return counted
