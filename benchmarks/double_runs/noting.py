"""A pytest plugin that runs each test many times, and writes to a file how long that took and what memory it needed."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

_TESTS = int(os.environ.get("TESTS", "1"))
_MEMORY_AFTER = {int(number) for number in os.environ.get("MEMORY_AFTER", "").split()}


class Notes:
    """What is noted of one run."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.plugins = 0.0
        """Seconds that the plugins took to import that were loaded after this one."""
        self.first = 0.0
        """Seconds from asking for the fixture until it was ready, of a test that says so."""
        self.ended: list[float] = []
        self.memory: dict[int, int] = {}
        """Resident bytes after so many tests."""


NOTES = Notes()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that asks for its ``number`` as often as is wanted."""
    if "number" in metafunc.fixturenames:
        metafunc.parametrize("number", range(_TESTS))


def pytest_runtest_logfinish() -> None:
    """Note when a test has ended, its teardown too."""
    NOTES.ended.append(time.perf_counter())
    if len(NOTES.ended) in _MEMORY_AFTER:
        NOTES.memory[len(NOTES.ended)] = resident_bytes()


def pytest_sessionfinish() -> None:
    """Write all that was noted; the first and last test, which start and stop the server, are left out of the time."""
    ended = NOTES.ended
    noted: dict[str, Any] = {
        "plugins": NOTES.plugins,
        "first": NOTES.first,
        "each": (ended[-2] - ended[0]) / (len(ended) - 2) if len(ended) > 2 else 0,
        "memory": NOTES.memory,
    }
    Path(os.environ["NOTES"]).write_text(json.dumps(noted))


def resident_bytes() -> int:
    """Return the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
