"""What several processes write to one standard error."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from processes import environment

from deployserver.logs import RequestLog, configure_logging
from deployserver.settings import LoggingSettings
from deployserver.worker_logs import WorkerHandler

_WRITE = """
import asyncio, sys
from deployserver.logs import RequestLog, configure_logging
from deployserver.settings import LoggingSettings
from deployserver.worker_logs import WorkerHandler

async def write():
    configure_logging(LoggingSettings("info", "json"), WorkerHandler(int(sys.argv[1])))
    log = RequestLog()
    for number in range(15_000):
        log.write("", "GET", sys.argv[1] * (number * 7 % 190), 200, 0, "", "")
        if number % 50 == 0:
            await asyncio.sleep(0.0001)

asyncio.run(write())
"""


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize(
    ("form", "message", "request_line"),
    [
        ("text", " [3] error   broken", " [3] info    GET /x 200 1.0 ms, key from ::1, r-1"),
        ("json", ',"message":"broken","worker":3}', ',"caller":"key","address":"::1","worker":3}'),
    ],
)
def test_every_line_says_which_worker_wrote_it(
    capfd: pytest.CaptureFixture[str], form: str, message: str, request_line: str
) -> None:
    configure_logging(LoggingSettings("info", form), WorkerHandler(3))
    logging.getLogger("test").error("broken")
    RequestLog().write("r-1", "GET", "/x", 200, 0.001, "key", "::1")
    written = capfd.readouterr().err.splitlines()
    assert message in written[0]
    assert request_line in written[1]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no workers on Windows")
def test_lines_of_several_processes_are_whole() -> None:
    """What collects logs reads a pipe or a socket line by line, and would take half a line for one."""
    reading, writing = os.pipe()
    processes = [
        subprocess.Popen([sys.executable, "-c", _WRITE, str(number)], stderr=writing, env=environment())
        for number in (1, 2)
    ]
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as pipe:
        lines = pipe.read().splitlines()
    assert [process.wait() for process in processes] == [0, 0]
    assert len(lines) == 2 * 15_000
    for line in map(json.loads, lines):
        assert line["path"] in ("", str(line["worker"]) * len(line["path"]))
