"""The charts that pages are made of, and what each takes; all of them return a whole ``<figure>`` but the sparkline."""

from __future__ import annotations

from deployserver.pages.bar_chart import Bar, bar_chart
from deployserver.pages.rollout_chart import Point, Rollout, rollout_chart
from deployserver.pages.sparkline import sparkline
from deployserver.pages.timeline_chart import Event, Lane, timeline_chart
from deployserver.pages.version_chart import VersionCount, version_chart

__all__ = (
    "Bar",
    "Event",
    "Lane",
    "Point",
    "Rollout",
    "VersionCount",
    "bar_chart",
    "rollout_chart",
    "sparkline",
    "timeline_chart",
    "version_chart",
)
