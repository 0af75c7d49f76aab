"""How fast a history is loaded and exported, and what memory that needs; see README.md."""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from dataset import Dataset, Scale
from processes import MemoryWatch, machine
from servers import RESULTS, product_directory, server_environment

from deployserver.models import Deployment
from deployserver.schemas import deployment_json

END = 1_795_305_600_000_000
"""So that every run loads the same."""


class Measured(NamedTuple):
    """How long a command took, and the processor, in seconds, the most memory, in bytes, and what it printed."""

    seconds: float
    processor: float
    memory: int
    out: str


def write_history(file: Path, records: int) -> None:
    """Write what an export of the dataset is."""
    dataset = Dataset(Scale(records=records, end=END))
    feeds = {name: number for number, (name, _) in enumerate(dataset.feeds, 1)}
    names = {number: name for name, number in feeds.items()}
    with file.open("w", encoding="utf-8") as lines:
        for id_, row in enumerate(dataset.rows(feeds), 1):
            lines.write(f"{deployment_json(Deployment(id_, names[row.feed_id], row))}\n")


def run(config: Path, *arguments: object) -> Measured:
    """Run a command to its end; it must succeed."""
    command = [sys.executable, "-m", "deployserver", "--config", str(config), *map(str, arguments)]
    started, before = time.perf_counter(), _processor()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=server_environment(product_directory()), cwd=config.parent
    )
    with MemoryWatch(process.pid) as memory:
        out, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    return Measured(time.perf_counter() - started, _processor() - before, memory.peak, out)


def _processor() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Times deployserver load and export.")
    parser.add_argument("--records", type=int, default=1_000_000, help="how many (default 1,000,000)")
    parser.add_argument("--database", default="sqlite:///loaded.db", help="an empty database (default: SQLite)")
    arguments = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    for name, value in machine(RESULTS).items():
        print(f"{name}: {value}")
    directory = RESULTS.resolve() / "loading"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    config = directory / "config.ini"
    config.write_text(f"[database]\nurl = {arguments.database}\n", "utf-8")
    history = directory / "history.ndjson"
    write_history(history, arguments.records)
    run(config, "migrate")
    print(f"\n{arguments.records:,} records, {history.stat().st_size / 1e6:,.0f} MB\n")
    print("| command               | seconds | lines/s | processor, s | peak memory, MB |")
    print("| --------------------- | ------: | ------: | -----------: | --------------: |")
    for what, words in (
        ("load history.ndjson", ("load", history, "--create-feeds", "nuget", "--json")),
        ("export again.ndjson", ("export", directory / "again.ndjson")),
        ("export again.csv.gz", ("export", directory / "again.csv.gz")),
    ):
        measured = run(config, *words)
        rate = arguments.records / measured.seconds
        times = f"{measured.seconds:7.1f} | {rate:7,.0f} | {measured.processor:12.1f}"
        print(f"| {what:21} | {times} | {measured.memory / 1e6:15.0f} |", flush=True)
        if what.startswith("load"):
            assert json.loads(measured.out)["loaded"] == arguments.records
    assert (directory / "again.ndjson").read_bytes() == history.read_bytes()
    shutil.rmtree(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
