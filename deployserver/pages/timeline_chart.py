"""What ran when, as spans on a time axis: a lane for each package of a target, or for each target of a package."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from deployserver.pages.figures import Linked, Numbers, drawing, figure
from deployserver.pages.scales import TimeScale
from deployserver.pages.svg import element, joined, percentage, title
from deployserver.pages.texts import middle_ellipsis, plural
from deployserver.pages.time_axis import time_axis
from deployserver.pages.times import utc

_LANE = 50
_BAR_TOP = 20
_BAR = 20


@dataclass(frozen=True, slots=True)
class Event:
    """A version that came at a time (microseconds), and where its record is."""

    at: int
    version: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Lane:
    """The deployments of one package or target, oldest first."""

    name: str
    events: Sequence[Event]


def timeline_chart(
    heading: str, lanes: Sequence[Lane], since: int, until: int, *, named: str = "Package", note: str | None = None
) -> Markup:
    """Return a figure of lanes; each version reaches to the next one, the last to ``until``."""
    scale = TimeScale(since, until)
    shown = [lane for lane in lanes if lane.events]
    count = sum(len(lane.events) for lane in shown)
    height = _LANE * len(shown)
    return figure(
        "timeline",
        heading,
        plural(count, "deployment") if note is None else note,
        drawing(
            f"Timeline: {heading}. {plural(count, 'deployment')} in {plural(len(shown), 'row')}.",
            height + 26,
            *time_axis(scale, 0, height),
            *(mark for index, lane in enumerate(shown) for mark in _lane(lane, index * _LANE, scale)),
        ),
        Numbers(
            (named, "Version", "From"),
            [(lane.name, Linked(event.version, event.url), utc(event.at)) for lane in shown for event in lane.events],
        ),
    )


def _lane(lane: Lane, top: int, scale: TimeScale) -> Iterator[Markup]:
    yield element("text", title(lane.name), middle_ellipsis(lane.name, 38), x=0, y=top + 14, class_="name lane-name")
    ends = [event.at for event in lane.events[1:]] + [scale.until]
    other = False
    previous = None
    for event, end in zip(lane.events, ends, strict=True):
        # The same version again keeps its shade: what changes colour is what changed.
        other = other if previous in (None, event.version) else not other
        previous = event.version
        yield _span(lane, event, end, top + _BAR_TOP, scale, "span other" if other else "span")


def _span(lane: Lane, event: Event, end: int, top: int, scale: TimeScale, kind: str) -> Markup:
    left, right = scale.share(event.at), scale.share(end)
    mark = element(
        "g",
        title(f"{lane.name}: {event.version} from {utc(event.at)}"),
        element("rect", width="100%", height=_BAR, rx=3, class_=kind),
        element("rect", width=3, height=_BAR, rx=1.5, class_="start"),
        element("text", event.version, x=9, y=14, class_="version"),
        class_="mark",
    )
    # A nested svg cuts the version off where the span ends.
    return element(
        "svg",
        joined([mark]),
        x=percentage(min(left, 0.997)),
        y=top,
        width=percentage(max(right - left, 0.003)),
        height=_BAR,
    )
