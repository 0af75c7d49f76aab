"""What a clean server for each test costs with the product's double and with others; see README.md.

Everything is run in processes of its own, the doubles in turn, in rounds that start with another one each time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from double_peers import DOUBLES, Double, Environment
from load import wrk_is_missing
from processes import machine
from servers import HERE, RESULTS, product_directory

Samples = Mapping[tuple[str, str], Sequence[float]]
"""What was measured of a double, by what was done and its name, once a round."""

CASES = ("clean", "seeded", "post")
PATHS = {
    "proget": "/api/package-deployment/",
    "pytest-httpserver": "/api/package-deployment/",
    "moto server": "/bucket/object",
}
SIGNED = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
"""What moto wants of who replaces an object; it does not check the signature."""

FIRST_BOUND_MS = 500.0
EACH_BOUND_MS = 5.0


class Benchmark:
    """Measures the doubles that there are."""

    def __init__(self, environment: Environment, doubles: Sequence[Double], arguments: argparse.Namespace) -> None:
        self._environment = environment
        self._doubles = doubles
        self._arguments = arguments

    def first(self) -> Samples:
        """Return milliseconds until the first fixture is ready, and what a run of pytest with one test takes longer."""
        samples: dict[tuple[str, str], list[float]] = defaultdict(list)
        for double in self._doubles:  # to compile what has not been imported yet
            self._environment.run_tests("test_first.py", double)
        for number in range(self._arguments.starts):
            for double in _rotated(self._doubles, number):
                direct = self._environment.run("directly.py", double.direct[0], "0")
                samples["in a script", double.name].append(direct["start"] * 1000)
                samples["its processor time", double.name].append(direct["processor"] * 1000)
                noted = self._environment.run_tests("test_first.py", double)
                samples["fixture", double.name].append(noted["first"] * 1000)
                samples["plugin and fixture", double.name].append((noted["first"] + noted["plugins"]) * 1000)
            _say("first", number, self._arguments.starts)
        return samples

    def each(self) -> Samples:
        """Return milliseconds that each further test takes longer than one without a fixture."""
        samples: dict[tuple[str, str], list[float]] = defaultdict(list)
        count = self._arguments.tests
        for number in range(self._arguments.rounds):
            nothing = self._environment.run_tests("test_nothing.py", None, count=count)["each"]
            samples["nothing", "pytest"].append(nothing * 1000)
            for double in _rotated(self._doubles, number):
                for case in CASES:
                    noted = self._environment.run_tests(f"{double.tests}::test_{case}", double, count=count)
                    samples[case, double.name].append((noted["each"] - nothing) * 1000)
                for direct in double.direct:
                    renewals = self._environment.run("directly.py", direct, str(count))["renewals"]
                    case = "seeded, directly" if "seeded" in direct else "clean, directly"
                    samples[case, double.name].append(statistics.median(renewals) * 1000)
            _say("each", number, self._arguments.rounds)
        return samples

    def memory(self) -> dict[str, dict[str, float]]:
        """Return resident megabytes after so many tests with twenty posts each, by double."""
        count = self._arguments.tests
        after = (count // 10, count // 2, count)
        found = {}
        for double in self._doubles:
            test = f"{double.tests}::test_twenty_posts"
            noted = self._environment.run_tests(test, double, count=count, memory_after=after)
            found[double.name] = {number: size / 1e6 for number, size in noted["memory"].items()}
            _say(f"memory of {double.name}", 0, 1)
        return found

    def throughput(self) -> Samples:
        """Return posts a second, with one connection that is kept open and with sixteen."""
        samples: dict[tuple[str, str], list[float]] = defaultdict(list)
        for number in range(self._arguments.rounds):
            for double in _rotated(self._doubles, number):
                process, url = self._environment.serve(double.direct[-1])
                try:
                    for connections in (1, 16):
                        per_second = self._load(url + PATHS[double.name], connections, double)
                        samples[f"{connections} connections", double.name].append(per_second)
                finally:
                    process.communicate()
            _say("throughput", number, self._arguments.rounds)
        return samples

    def _load(self, url: str, connections: int, double: Double) -> float:
        variables = {**os.environ, "AUTHORIZATION": SIGNED} if double.fixture == "moto" else None
        command = ["wrk", "-t1", f"-c{connections}", f"-d{self._arguments.seconds}", "-s", str(HERE / "post.lua"), url]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=variables)
        line = next(line for line in done.stdout.splitlines() if line.startswith("JSON "))
        counted = json.loads(line.removeprefix("JSON "))
        if counted["not_2xx"] or counted["failed"]:
            print(f"VOID: {double.name} at {connections}: {counted}")
        return float(counted["requests"] / counted["microseconds"] * 1e6)


def main() -> int:
    """Measure and print; return 1 if a median of the product is over its bound."""
    arguments = _arguments()
    RESULTS.mkdir(exist_ok=True)
    environment = Environment()
    doubles = environment.prepare()
    print(_described(environment))
    print(f"The product is that of {product_directory()}.", file=sys.stderr)
    benchmark = Benchmark(environment, doubles, arguments)
    first = benchmark.first()
    _print("Until the first fixture is ready, ms", first, arguments.starts)
    each = benchmark.each()
    _print(f"Each further test, ms more than without a fixture ({arguments.tests:,} tests)", each, arguments.rounds)
    _print_memory(benchmark.memory(), arguments.tests)
    namespaces = environment.run("namespaces.py", str(arguments.namespaces))
    print(
        f"{arguments.namespaces} namespaces, each with 20 deployments: "
        f"{namespaces['memory'] / 1e6 / arguments.namespaces:.2f} MB and "
        f"{namespaces['threads'] / arguments.namespaces:.2f} threads a namespace\n"
    )
    if wrk_is_missing():
        print("The throughput is left out: wrk is not installed.")
    else:
        _print("Requests a second", benchmark.throughput(), arguments.rounds, digits=0)
    late = [
        f"{case}: {statistics.median(values):.1f} ms, the bound is {bound:g} ms"
        for samples, bound in ((first, FIRST_BOUND_MS), (each, EACH_BOUND_MS))
        for (case, name), values in samples.items()
        if name == "proget" and case != "post" and statistics.median(values) > bound
    ]
    print("\n".join(f"OVER THE BOUND: {line}" for line in late) or "All within the bounds.")
    return 1 if late else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compares the product's double with other servers for tests.")
    parser.add_argument("--quick", action="store_true", help="little of everything, to see that it works")
    parser.add_argument("--starts", type=int, help="how often each double is started (default 15)")
    parser.add_argument("--tests", type=int, help="tests in one run of pytest (default 1,000)")
    parser.add_argument("--rounds", type=int, help="runs of those (default 5)")
    parser.add_argument("--namespaces", type=int, help="default 200")
    parser.add_argument("--seconds", type=int, help="of load for the throughput (default 3)")
    arguments = parser.parse_args()
    usual = {"starts": (3, 15), "tests": (100, 1000), "rounds": (1, 5), "namespaces": (20, 200), "seconds": (1, 3)}
    for name, (quick, full) in usual.items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, quick if arguments.quick else full)
    return arguments


def _described(environment: Environment) -> str:
    found = machine(RESULTS)
    versions = ", ".join(f"{name} {version}" for name, version in environment.versions.items())
    return (
        f"Measured on {datetime.now(UTC).date()} with `python {' '.join(sys.argv)}` on {found['cores']} cores of "
        f"{found['processor']}, {found['kernel']}, load before {found['load before']}; Python {found['python']}, "
        f"SQLite {found['sqlite']}, {versions}.\n"
    )


def _rotated(doubles: Sequence[Double], number: int) -> list[Double]:
    shift = number % len(doubles)
    return [*doubles[shift:], *doubles[:shift]]


def _say(what: str, number: int, of: int) -> None:
    print(f"{what}: round {number + 1} of {of}", file=sys.stderr)


def _print(title: str, samples: Samples, rounds: int, digits: int = 1) -> None:
    """Print a table; ``of proget`` is the median of the ratios within the rounds."""
    print(f"{title}, {rounds} rounds:\n")
    rows: list[Iterable[str]] = [("what", "double", "median", "min", "max", "of proget")]
    for (case, name), values in sorted(samples.items(), key=lambda item: _order(samples, item[0])):
        own = samples.get((case, "proget"), ())
        ratios = [other / mine for other, mine in zip(values, own, strict=True)] if own else []
        figures = [f"{figure:,.{digits}f}" for figure in (statistics.median(values), min(values), max(values))]
        rows.append((case, name, *figures, f"{statistics.median(ratios):.2f}" if ratios else ""))
    print(_table(rows) + "\n")


def _order(samples: Samples, key: tuple[str, str]) -> tuple[int, int]:
    """Return where a row stands: cases as they were measured, and the doubles within each."""
    cases = list(dict.fromkeys(case for case, _ in samples))
    names = [double.name for double in DOUBLES]
    return cases.index(key[0]), names.index(key[1]) if key[1] in names else -1


def _print_memory(found: Mapping[str, Mapping[str, Any]], count: int) -> None:
    print("Resident memory of pytest after so many tests with 20 posts each, MB:\n")
    columns = [str(number) for number in (count // 10, count // 2, count)]
    rows: list[Iterable[str]] = [("double", *columns)]
    rows += [(name, *(f"{sizes[column]:.1f}" for column in columns)) for name, sizes in found.items()]
    print(_table(rows) + "\n")


def _table(rows: Iterable[Iterable[str]]) -> str:
    lines = [tuple(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    texts = [" | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    rule = " | ".join("-" * width for width in widths)
    return "\n".join(f"| {text} |" for text in (texts[0], rule, *texts[1:]))


if __name__ == "__main__":
    sys.exit(main())
