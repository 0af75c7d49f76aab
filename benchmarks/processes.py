"""What Linux says of a running process, and of the machine it runs on."""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from importlib import metadata
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
LIBRARIES = ("aiohttp", "aiosqlite", "marshmallow", "uvloop")


def cpu_seconds(pid: int, thread: int | None = None) -> float:
    """Return the processor time, user and system, that a process or one of its threads has taken so far."""
    file = Path(f"/proc/{pid}/stat" if thread is None else f"/proc/{pid}/task/{thread}/stat")
    fields = file.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(pid)


def family(pid: int) -> list[int]:
    """Return a process and the processes it has started, and they, and so on."""
    found = [pid]
    for one in found:
        found += map(int, Path(f"/proc/{one}/task/{one}/children").read_text().split())
    return found


def cpu_of_all(pid: int) -> float:
    """Return the processor time that a process and those it has started have taken so far."""
    return sum(cpu_seconds(one) for one in family(pid))


class MemoryWatch:
    """Finds the most resident memory of a process, or of one it has started, while the block runs; in bytes."""

    def __init__(self, pid: int) -> None:
        self.peak = 0
        self._pid = pid
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            try:
                self.peak = max(self.peak, *map(resident_bytes, family(self._pid)))
            except (ProcessLookupError, FileNotFoundError):  # it has ended
                return
            if self._done.wait(0.25):
                return


def machine(directory: Path) -> dict[str, str]:
    """Describe the machine, what is installed, and how long the disk under ``directory`` takes to sync."""
    versions = {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    for library in LIBRARIES:
        try:
            versions[library] = metadata.version(library) if _importable(library) else "not installed"
        except metadata.PackageNotFoundError:
            versions[library] = "not installed"
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "kernel": f"{platform.system()} {platform.release()}",
        "load before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "sync of a written page": f"{_sync_microseconds(directory):.0f} µs (median)",
        **versions,
    }


def _importable(name: str) -> bool:
    return any((Path(entry or ".") / name).is_dir() for entry in sys.path)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _sync_microseconds(directory: Path) -> float:
    times = []
    with tempfile.TemporaryFile(dir=directory) as file:
        for _ in range(300):
            started = time.perf_counter()
            os.write(file.fileno(), bytes(4096))
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - started) * 1e6)
    return statistics.median(times)
