"""The time along the bottom of a chart."""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import Markup

from deployserver.pages.scales import TimeScale
from deployserver.pages.svg import element, percentage

_EDGE = 0.04


def time_axis(scale: TimeScale, top: int, height: int) -> Iterator[Markup]:
    """Yield lines ``height`` high and labels under them; every other label goes where the page is narrow."""
    for place, tick in enumerate(scale.ticks()):
        x = percentage(tick.share)
        yield element("line", x1=x, x2=x, y1=top, y2=top + height, class_="grid")
        yield element(
            "text",
            tick.label,
            x=x,
            y=top + height + 18,
            # A label must not stand out beyond the drawing.
            text_anchor="start" if tick.share < _EDGE else "end" if tick.share > 1 - _EDGE else "middle",
            class_="tick minor" if place % 2 else "tick",
        )
