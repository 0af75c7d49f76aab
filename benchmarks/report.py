"""From samples to what is printed: medians over the rounds, and ratios within each round."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from load import Sample

Samples = Mapping[str, Sequence[Sample]]
"""The samples of each server, one a round, in the order of the rounds."""

_HEADINGS = (
    "server", "requests/s", "min", "max", "of bare", "min", "max", "p50 ms", "p99 ms", "RSS MB", "CPU µs/request",
    "not 2xx", "rows missing",
)  # fmt: skip  # one table, one line of headings


def table(samples: Samples) -> str:
    """Return a table in Markdown that also reads well on a terminal."""
    lines = [_HEADINGS, *(_line(name, samples) for name in samples)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADINGS))]
    rule = ["-" * (widths[0]), *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(_row(line, widths) for line in (lines[0], rule, *lines[1:]))


def summary(samples: Samples) -> dict[str, dict[str, Any]]:
    """Return the same figures as numbers, by server."""
    return {name: _figures(name, samples) for name in samples}


def ratios(samples: Samples, name: str, to: str = "bare") -> list[float]:
    """Return how a server compares with another in each round."""
    if to not in samples:
        return []
    return [own.per_second / other.per_second for own, other in zip(samples[name], samples[to], strict=True)]


def _figures(name: str, samples: Samples) -> dict[str, Any]:
    own = samples[name]

    def median(of: Callable[[Sample], float]) -> float:
        return statistics.median(of(sample) for sample in own)

    per_second = [sample.per_second for sample in own]
    compared = ratios(samples, name)
    return {
        "per_second": {"median": statistics.median(per_second), "min": min(per_second), "max": max(per_second)},
        "of_bare": {"median": statistics.median(compared), "min": min(compared), "max": max(compared)}
        if compared
        else None,
        "p50_ms": median(lambda sample: sample.p50),
        "p99_ms": median(lambda sample: sample.p99),
        "resident_mb": max(sample.resident_mb for sample in own),
        "cpu_microseconds": median(lambda sample: sample.cpu),
        "not_2xx": sum(sample.not_2xx + sample.failed for sample in own),
        "rows_missing": max(sample.rows_missing for sample in own),
    }


def _line(name: str, samples: Samples) -> tuple[str, ...]:
    figures = _figures(name, samples)
    speed, compared = figures["per_second"], figures["of_bare"]
    return (
        name,
        *(f"{speed[of]:,.0f}" for of in ("median", "min", "max")),
        *(f"{compared[of]:.3f}" if compared else "" for of in ("median", "min", "max")),
        f"{figures['p50_ms']:.2f}",
        f"{figures['p99_ms']:.2f}",
        f"{figures['resident_mb']:.0f}",
        f"{figures['cpu_microseconds']:.0f}",
        str(figures["not_2xx"]),
        str(figures["rows_missing"]),
    )


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (
        cell.ljust(width) if column == 0 else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return f"| {' | '.join([first, *others])} |"
