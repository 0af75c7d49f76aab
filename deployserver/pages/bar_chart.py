"""Counts per period as bars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from deployserver.pages.figures import Linked, Numbers, drawing, figure
from deployserver.pages.scales import count_ticks
from deployserver.pages.svg import element, joined, percentage, title
from deployserver.pages.texts import compact, plural

_HEIGHT = 180
_TOP = 8
_LABELS = 12
_WIDEST = 0.05


@dataclass(frozen=True, slots=True)
class Bar:
    """A period: a short label for the axis, its count, and its name in full. A weekend is shaded."""

    label: str
    count: int
    name: str = ""
    shaded: bool = False
    url: str | None = None


def bar_chart(
    heading: str, bars: Sequence[Bar], *, period: str = "Day", counted: str = "deployment", note: str | None = None
) -> Markup:
    """Return a figure of counts per period, oldest first; without a note it gives their sum."""
    total = sum(bar.count for bar in bars)
    ticks = count_ticks(max((bar.count for bar in bars), default=0))
    busiest = max(bars, key=lambda bar: bar.count, default=None)
    label = f"Bar chart: {heading}."
    if busiest is not None and total:
        label += f" {plural(total, counted)} in all, at most {busiest.count:,} ({_name(busiest)})."
    return figure(
        "bars",
        heading,
        f"{plural(total, counted)} in all" if note is None else note,
        drawing(label, _TOP + _HEIGHT + 26, *_grid(ticks), *_bars(bars, ticks[-1], counted), *_axis(bars)),
        Numbers((period, f"{counted}s".capitalize()), [(Linked(_name(bar), bar.url), bar.count) for bar in bars]),
    )


def _name(bar: Bar) -> str:
    return bar.name or bar.label


def _y(count: int, highest: int) -> float:
    return _TOP + _HEIGHT * (1 - count / highest)


def _grid(ticks: list[int]) -> Iterator[Markup]:
    for tick in ticks:
        y = _y(tick, ticks[-1])
        yield element("line", x1=0, x2="100%", y1=y, y2=y, class_="grid" if tick else "base")
        yield element("text", compact(tick), x=-8, y=y + 4, text_anchor="end", class_="tick")


def _bars(bars: Sequence[Bar], highest: int, counted: str) -> Iterator[Markup]:
    slot = 1 / max(len(bars), 1)
    width = min(slot * 0.74, _WIDEST)
    for index, bar in enumerate(bars):
        left = index * slot
        height = max(_HEIGHT * bar.count / highest, 1.5) if bar.count else 0
        parts = [
            title(f"{_name(bar)}: {plural(bar.count, counted)}"),
            # The whole slot can be pointed at: a low bar is hard to hit.
            element(
                "rect",
                x=percentage(left),
                width=percentage(slot),
                y=_TOP,
                height=_HEIGHT,
                class_="slot shaded" if bar.shaded else "slot",
            ),
        ]
        if height:
            parts.append(
                element(
                    "rect",
                    x=percentage(left + (slot - width) / 2),
                    width=percentage(width),
                    y=_TOP + _HEIGHT - height,
                    height=height,
                    class_="bar",
                )
            )
        yield element("g", joined(parts), class_="mark")


def _axis(bars: Sequence[Bar]) -> Iterator[Markup]:
    """Yield the labels under the bars, of which every other one goes where the page is narrow."""
    every = -(-len(bars) // _LABELS)
    for place, index in enumerate(range(0, len(bars), every or 1)):
        yield element(
            "text",
            bars[index].label,
            x=percentage((index + 0.5) / len(bars)),
            y=_TOP + _HEIGHT + 18,
            text_anchor="middle",
            class_="tick" if place % 3 == 0 or len(bars) <= 4 else "tick minor",
        )
