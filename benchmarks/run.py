"""Compares the product with a bare aiohttp handler and with what is usually written instead; see README.md.

All servers run at the same time and are loaded one after the other, in rounds whose order rotates, so that whatever
else the machine does hits all of them alike. What counts is the median of the ratios within the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import peers
import postgres
import report
import servers
from commits import COMMIT, Commits
from load import Sample, measure, wrk_is_missing
from processes import machine
from servers import CannotStart, Server, Start

SERVERS: dict[str, Start] = {
    "bare": servers.start_baseline,
    "schema": servers.start_baseline,
    "deployserver": servers.start_product,
    "2 workers": partial(servers.start_product, workers=2),
    "usual": servers.start_usual,
}
ON_POSTGRESQL = {"postgresql": 1, "postgresql, 2 workers": 2}
"""Workers of the product on PostgreSQL."""

PEERS: dict[str, Start] = {
    "soul": peers.start_soul,
    "datasette": peers.start_datasette,
    "json-server": peers.start_json_server,
}
NAMES = (*SERVERS, *ON_POSTGRESQL, *PEERS)

Measured = dict[int, dict[str, list[Sample]]]
"""Samples by connections and server, one a round."""


def main() -> int:
    """Measure and print; return 1 if a request failed or a record is missing."""
    arguments = _arguments()
    if wrk_is_missing():
        print("wrk is needed: install the package wrk (Debian, Ubuntu: apt install wrk; macOS: brew install wrk).")
        return 2
    servers.RESULTS.mkdir(exist_ok=True)
    described = machine(servers.RESULTS)
    for name, value in described.items():
        print(f"{name}: {value}")
    with ExitStack() as stack:
        started = list(_started(arguments, stack))
        if not started:
            return 2
        measured = _measure(started, arguments)
    print()
    for connections, samples in measured.items():
        print(f"{connections} connections, {arguments.rounds} rounds of {arguments.seconds:g} s a server\n")
        print(report.table(samples) + "\n")
    if arguments.json:
        arguments.json.write_text(json.dumps(_as_json(described, arguments, measured), indent=1) + "\n")
    return _verdict(measured)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compares the product with other servers under load.")
    parser.add_argument("--rounds", type=int, default=7, help="how often each server is loaded (default 7)")
    parser.add_argument("--seconds", type=float, default=3, help="for how long each time, whole seconds (default 3)")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 64], metavar="N", help="default 1 64")
    parser.add_argument("--only", nargs="+", choices=NAMES, help="leave out the other servers")
    parser.add_argument("--peers", action="store_true", help=f"run {', '.join(PEERS)} too")
    parser.add_argument(
        "--checkout",
        action="append",
        default=[],
        metavar="NAME=DIRECTORY",
        help="also run the product from another checkout, to compare a change with what was before",
    )
    parser.add_argument(
        "--database",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="also run the product on a copy of a database with the key and the feed of the benchmark: a dataset's",
    )
    parser.add_argument(
        "--skewed",
        action="store_true",
        help="post records of many packages and targets, instead of one again and again",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples to a file too")
    return parser.parse_args()


def _started(arguments: argparse.Namespace, stack: ExitStack) -> Iterator[Server]:
    """Start the servers; one that cannot be started is left out, with a word why."""
    known = SERVERS | _on_postgresql(arguments, stack) | (PEERS if arguments.peers or arguments.only else {})
    starts = {name: start for name, start in known.items() if not arguments.only or name in arguments.only}
    for given in arguments.checkout:
        name, _, directory = given.partition("=")
        starts[name] = partial(servers.start_product, checkout=Path(directory))
    for given in arguments.database:
        name, _, file = given.partition("=")
        starts[name] = partial(servers.start_product, database=Path(file))
    for name, start in starts.items():
        try:
            server = start(name, servers.fresh_directory(name))
        except (CannotStart, OSError, subprocess.SubprocessError) as error:
            print(f"{name} is left out: {error}")
            continue
        stack.callback(server.stop)
        if name == "usual":
            print(f"usual: {servers.versions_of_usual()}")
        yield server


def _on_postgresql(arguments: argparse.Namespace, stack: ExitStack) -> dict[str, Start]:
    """Start a PostgreSQL server, if it is wanted, and return how to start the product on a database of it each."""
    wanted = [name for name in ON_POSTGRESQL if not arguments.only or name in arguments.only]
    running = postgres.cluster() if wanted else None
    if running is None:
        if wanted:
            print(f"{', '.join(wanted)}: left out, for want of PostgreSQL or its driver (asyncpg)")
        return {}
    cluster = stack.enter_context(running)
    return {
        name: partial(servers.start_product, workers=ON_POSTGRESQL[name], url=cluster.url(asyncio.run(cluster.make())))
        for name in wanted
    }


def _measure(started: Sequence[Server], arguments: argparse.Namespace) -> Measured:
    """Load each server once to warm up and then in each round, starting with another one each time."""
    measured: Measured = {connections: {server.name: [] for server in started} for connections in arguments.connections}
    commits = Commits(servers.fresh_directory(COMMIT)) if 1 in measured else None
    if commits is not None:
        measured[1][COMMIT] = []
    for server in started:
        measure(server, max(arguments.connections), 1)
    for number in range(arguments.rounds):
        shift = number % len(started)
        for connections, samples in measured.items():
            for server in [*started[shift:], *started[:shift]]:
                samples[server.name].append(measure(server, connections, arguments.seconds, skewed=arguments.skewed))
            if commits is not None and connections == 1:
                samples[COMMIT].append(commits.measure(arguments.seconds))
        print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr)
    return measured


def _as_json(described: dict[str, str], arguments: argparse.Namespace, measured: Measured) -> dict[str, object]:
    return {
        "machine": described,
        "rounds": arguments.rounds,
        "seconds": arguments.seconds,
        "connections": {
            connections: {
                "summary": report.summary(samples),
                "samples": {name: [dataclasses.asdict(sample) for sample in own] for name, own in samples.items()},
            }
            for connections, samples in measured.items()
        },
    }


def _verdict(measured: Measured) -> int:
    """Say of each server that failed requests, or lacks rows it has answered 2xx for, that its figures are void."""
    status = 0
    for connections, samples in measured.items():
        for name, own in samples.items():
            failed = sum(sample.not_2xx + sample.failed for sample in own)
            missing = max(sample.rows_missing for sample in own)
            if failed or missing:
                print(f"VOID: {name} at {connections}: {failed} requests failed, {missing} rows are missing")
                status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
