"""How many run each version, as bars that share a whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from deployserver.pages.figures import Linked, Numbers, drawing, figure
from deployserver.pages.svg import element, joined, percentage, title
from deployserver.pages.texts import middle_ellipsis, percent, plural

Level = Literal["newest", "behind", "unknown"]

_ROW = 38


@dataclass(frozen=True, slots=True)
class VersionCount:
    """How many run a version, and where it stands; ``level`` None says nothing about that."""

    version: str
    count: int
    level: Level | None = None
    url: str | None = None


def version_chart(
    heading: str,
    versions: Sequence[VersionCount],
    *,
    counted: str = "target",
    most: int = 12,
    note: str | None = None,
) -> Markup:
    """Return a figure of the versions in the order given; beyond ``most``, the chart (not its table) sums them up."""
    whole = sum(version.count for version in versions)
    shown = list(versions)
    if len(shown) > most:
        others = shown[most - 1 :]
        shown = shown[: most - 1]
        shown.append(VersionCount(f"{len(others):,} other versions", sum(other.count for other in others)))
    label = f"Bar chart: {heading}. " + ", ".join(
        f"{middle_ellipsis(version.version)}: {version.count:,}" for version in shown[:6]
    )
    return figure(
        "versions",
        heading,
        f"{plural(whole, counted)}, {plural(len(versions), 'version')}" if note is None else note,
        drawing(label, _ROW * len(shown), *_rows(shown, whole, counted)),
        Numbers(
            ("Version", f"{counted}s".capitalize(), "Share", "State"),
            [
                (
                    Linked(version.version, version.url),
                    version.count,
                    percent(version.count, whole),
                    version.level or "–",
                )
                for version in versions
            ],
        ),
    )


def _rows(versions: Sequence[VersionCount], whole: int, counted: str) -> Iterator[Markup]:
    for index, version in enumerate(versions):
        top = index * _ROW
        share = version.count / whole if whole else 0
        name = element(
            "text",
            middle_ellipsis(version.version, 26),
            element("tspan", version.level, dx=8, class_="level") if version.level else "",
            x=0,
            y=top + 15,
            class_="name",
        )
        amount = f"{version.count:,} · {percent(version.count, whole)}"
        parts = [
            title(f"{version.version}: {plural(version.count, counted)}, {percent(version.count, whole)}"),
            element("rect", x=0, y=top, width="100%", height=_ROW - 4, class_="slot"),
            name,
            element("text", amount, x="100%", y=top + 15, text_anchor="end", class_="amount"),
            element("rect", x=0, y=top + 22, width="100%", height=8, rx=4, class_="track"),
        ]
        if share:
            parts.append(
                element(
                    "rect",
                    x=0,
                    y=top + 22,
                    width=percentage(max(share, 0.006)),
                    height=8,
                    rx=4,
                    class_=f"bar {version.level or ''}".strip(),
                )
            )
        yield element("g", joined(parts), class_="mark")
