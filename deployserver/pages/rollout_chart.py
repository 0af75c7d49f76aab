"""How versions spread over targets, as lines in steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from deployserver.pages.figures import Numbers, drawing, figure
from deployserver.pages.scales import TimeScale, count_ticks
from deployserver.pages.svg import element, joined, percentage, title
from deployserver.pages.texts import compact, middle_ellipsis, plural
from deployserver.pages.time_axis import time_axis
from deployserver.pages.times import utc

MOST = 6

_HEIGHT = 220
_TOP = 10
_UNITS = 1000  # across the part that is stretched to the width of the page
_MARKS = 150

# Told apart by shape and dash as much as by colour; both come with the number of the series.
_SHAPES = (
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
    "M-3.6 -3.6h7.2v7.2h-7.2z",
    "M0 -4.8L4.6 3.6H-4.6z",
    "M0 -5L5 0L0 5L-5 0z",
    "M0 4.8L4.6 -3.6H-4.6z",
    "M-4.4 -1.5h2.9v-2.9h3v2.9h2.9v3h-2.9v2.9h-3v-2.9h-2.9z",
)
_DASHES = (None, "7 3", "2 3", "10 3 2 3", "5 5", "12 3 2 3 2 3")


@dataclass(frozen=True, slots=True)
class Point:
    """From ``at`` (microseconds) on there are ``count``."""

    at: int
    count: int


@dataclass(frozen=True, slots=True)
class Rollout:
    """A version, and how many targets had it when, oldest first."""

    version: str
    points: Sequence[Point]


def rollout_chart(
    heading: str, rollouts: Sequence[Rollout], since: int, until: int, *, counted: str = "target", note: str = ""
) -> Markup:
    """Return a figure of up to ``MOST`` versions between two times; versions beyond that are in its table only."""
    scale = TimeScale(since, until)
    shown = [rollout for rollout in rollouts if rollout.points][:MOST]
    ticks = count_ticks(max((point.count for rollout in shown for point in rollout.points), default=0))
    if left := len([rollout for rollout in rollouts if rollout.points]) - len(shown):
        note = f"{note + '; ' if note else ''}{plural(left, 'more version')} in the numbers below"
    ends = ", ".join(f"{middle_ellipsis(rollout.version)}: {rollout.points[-1].count:,}" for rollout in shown)
    lines = element(
        "svg",
        *(_line(number, rollout, scale, ticks[-1]) for number, rollout in enumerate(shown)),
        y=_TOP,
        width="100%",
        height=_HEIGHT,
        viewBox=f"0 0 {_UNITS} {_HEIGHT}",
        preserveAspectRatio="none",
        overflow="visible",
    )
    rows = [(rollout.version, utc(point.at), point.count) for rollout in rollouts for point in rollout.points]
    return figure(
        "rollout",
        heading,
        note,
        drawing(
            f"Line chart: {heading}. {counted.capitalize()}s at the end: {ends}",
            _TOP + _HEIGHT + 26,
            *_grid(ticks),
            *time_axis(scale, _TOP, _HEIGHT),
            lines,
            *(
                mark
                for number, rollout in enumerate(shown)
                for mark in _marks(number, rollout, scale, ticks[-1], counted)
            ),
        ),
        Numbers(("Version", "From", f"{counted}s".capitalize()), rows),
        _legend(shown, counted),
    )


def _grid(ticks: list[int]) -> Iterator[Markup]:
    for tick in ticks:
        y = _TOP + _y(tick, ticks[-1])
        yield element("line", x1=0, x2="100%", y1=y, y2=y, class_="grid" if tick else "base")
        yield element("text", compact(tick), x=-8, y=y + 4, text_anchor="end", class_="tick")


def _y(count: int, highest: int) -> float:
    return _HEIGHT * (1 - count / highest)


def _line(number: int, rollout: Rollout, scale: TimeScale, highest: int) -> Markup:
    path = f"M{_x(rollout.points[0].at, scale)} {_HEIGHT}" + "".join(
        f"H{_x(point.at, scale)}V{_y(point.count, highest):.1f}" for point in rollout.points
    )
    return element(
        "path",
        title(rollout.version),
        d=f"{path}H{_UNITS}",
        class_=f"line series-{number + 1}",
        stroke_dasharray=_DASHES[number],
        vector_effect="non-scaling-stroke",
    )


def _x(at: int, scale: TimeScale) -> str:
    return f"{_UNITS * scale.share(at):.1f}"


def _marks(number: int, rollout: Rollout, scale: TimeScale, highest: int, counted: str) -> Iterator[Markup]:
    """Yield a shape where the count changes; of a great many changes, only some."""
    every = -(-len(rollout.points) // _MARKS)
    for point in [*rollout.points[:-1:every], rollout.points[-1]]:
        yield element(
            "svg",
            element(
                "g",
                title(f"{rollout.version}: {plural(point.count, counted)} from {utc(point.at)}"),
                element("circle", r=9, class_="slot"),
                element("path", d=_SHAPES[number], class_=f"point series-{number + 1}"),
                class_="mark",
            ),
            x=percentage(scale.share(point.at)),
            y=_TOP + _y(point.count, highest),
            overflow="visible",
        )


def _legend(rollouts: Sequence[Rollout], counted: str) -> Markup:
    items = (
        element(
            "li",
            element(
                "svg",
                element(
                    "line",
                    x1=0,
                    x2=36,
                    y1=7,
                    y2=7,
                    class_=f"line series-{number + 1}",
                    stroke_dasharray=_DASHES[number],
                ),
                element("path", d=_SHAPES[number], transform="translate(18 7)", class_=f"point series-{number + 1}"),
                width=36,
                height=14,
                aria_hidden="true",
            ),
            element("span", middle_ellipsis(rollout.version), class_="mono", title=rollout.version),
            element("span", plural(rollout.points[-1].count, counted), class_="muted"),
        )
        for number, rollout in enumerate(rollouts)
    )
    return element("ul", joined(items), class_="legend")
