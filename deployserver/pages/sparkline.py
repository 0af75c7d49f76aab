"""A small line of counts, for a cell or a tile."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from deployserver.pages.svg import element, title

_WIDTH, _HEIGHT, _MARGIN = 120, 28, 3


def sparkline(counts: Sequence[int], counted: str = "deployment", period: str = "day") -> Markup:
    """Return a line of counts per period, oldest first, that says its numbers to whoever points or listens."""
    label = f"{counted.capitalize()}s per {period}: {', '.join(f'{count:,}' for count in counts) or 'none'}"
    highest = max(counts, default=0) or 1
    step = (_WIDTH - 2 * _MARGIN) / max(len(counts) - 1, 1)
    base = _HEIGHT - _MARGIN
    points = [(_MARGIN + index * step, base - (base - _MARGIN) * count / highest) for index, count in enumerate(counts)]
    written = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    parts = [title(label)]
    if points:
        (first, _), (last, height) = points[0], points[-1]
        parts += [
            element("polygon", points=f"{first:.1f},{base} {written} {last:.1f},{base}", class_="area"),
            element("polyline", points=written, class_="line"),
            element("circle", cx=last, cy=height, r=2.2, class_="end"),
        ]
    return element(
        "svg",
        *parts,
        class_="spark",
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        width=_WIDTH,
        height=_HEIGHT,
        role="img",
        aria_label=label,
    )
