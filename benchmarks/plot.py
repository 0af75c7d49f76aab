"""Draws what reading.py has measured at several sizes: a line for each question, a panel for each database."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

_PANEL, _HEIGHT, _LEFT, _TOP, _GAP = 420, 300, 50, 46, 90
_BOUND_MS = 10
_NAMED = 4
"""So many of the slowest questions are named."""

Times = Mapping[str, Sequence[tuple[int, float]]]
"""Of each question the number of records and the median in milliseconds, by size."""


def main() -> None:
    """Read the measurements and write the picture."""
    parser = argparse.ArgumentParser(description="Draws server times by the number of records, as an SVG.")
    parser.add_argument("panels", nargs="+", metavar="NAME=FILE", help="a database, and what reading.py --json wrote")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE")
    arguments = parser.parse_args()
    panels = {name: _times(Path(file)) for name, _, file in (given.partition("=") for given in arguments.panels)}
    arguments.output.write_text("\n".join(_drawn(panels)) + "\n", "utf-8")


def _times(file: Path) -> Times:
    sizes = json.loads(file.read_text("utf-8"))["sizes"]
    names = [name for name in sizes[0]["questions"] if not name.startswith("page")]
    return {name: [(size["records"], size["questions"][name]["p50"]) for size in sizes] for name in names}


def _drawn(panels: Mapping[str, Times]) -> Iterator[str]:
    everything = [point for times in panels.values() for points in times.values() for point in points]
    highest = math.ceil(max([_BOUND_MS, *(ms for _, ms in everything)]) * 1.05)
    sizes = sorted({records for records, _ in everything})
    width = len(panels) * (_PANEL + _GAP) + _LEFT
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_HEIGHT + _TOP + 50}" '
        'font-family="sans-serif" font-size="12" fill="#555">'
    )
    yield "<title>Server time of every question by the number of records</title>"
    yield '<rect width="100%" height="100%" fill="#fff"/>'

    def y(ms: float) -> float:
        return _TOP + _HEIGHT * (1 - ms / highest)

    for index, (name, times) in enumerate(panels.items()):
        left = _LEFT + index * (_PANEL + _GAP)

        def x(records: int, left: int = left) -> float:
            span = math.log10(sizes[-1] / sizes[0]) or 1
            return left + _PANEL * 0.94 * math.log10(records / sizes[0]) / span + _PANEL * 0.03

        yield f'<text x="{left}" y="20" font-size="15" fill="#222">{escape(name)}: median ms by records</text>'
        for ms in range(0, highest + 1, 2 if highest <= 24 else 10):
            yield f'<path d="M{left} {y(ms):.1f}h{_PANEL}" stroke="#ddd"/>'
            yield f'<text x="{left - 8}" y="{y(ms) + 4:.1f}" text-anchor="end">{ms}</text>'
        yield f'<path d="M{left} {y(_BOUND_MS):.1f}h{_PANEL}" stroke="#c33" stroke-dasharray="5 4"/>'
        for records in sizes:
            yield f'<text x="{x(records):.1f}" y="{_TOP + _HEIGHT + 20}" text-anchor="middle">{records:,}</text>'
        slowest = sorted(times, key=lambda question: times[question][-1][1])[-_NAMED:]
        lowest_label = float("inf")
        for question, points in sorted(times.items(), key=lambda item: -item[1][-1][1]):
            line = " ".join(f"{x(records):.1f},{y(ms):.1f}" for records, ms in points)
            yield (
                f'<polyline points="{line}" fill="none" stroke="#2a6" stroke-opacity="0.55" stroke-width="1.5">'
                f"<title>{escape(question)}</title></polyline>"
            )
            if question in slowest:
                at = y(points[-1][1]) if lowest_label == float("inf") else max(y(points[-1][1]), lowest_label + 13)
                lowest_label = at
                yield (
                    f'<text x="{x(points[-1][0]):.1f}" y="{at - 5:.1f}" text-anchor="end" font-size="11">'
                    f"{escape(question)}</text>"
                )
    yield "</svg>"


if __name__ == "__main__":
    main()
