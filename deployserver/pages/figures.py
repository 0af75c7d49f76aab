"""A chart with its title, its legend, and its numbers as a table for whoever cannot or will not look at it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from deployserver.pages.svg import element, joined
from deployserver.pages.texts import thousands


class Linked(NamedTuple):
    """A cell that leads somewhere, if there is an address."""

    text: str
    url: str | None


Cell = str | int | Linked


class Numbers(NamedTuple):
    """The numbers of a chart: names of the columns, and rows of as many cells. The first cell heads its row."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]


def figure(kind: str, title: str, note: str, drawing: Markup, numbers: Numbers, legend: Markup | None = None) -> Markup:
    """Return a whole figure of the class ``chart-{kind}``; without rows, it says that there is nothing yet."""
    caption = element(
        "figcaption",
        element("span", title, class_="chart-title"),
        element("span", note, class_="chart-note") if note else "",
    )
    if not numbers.rows:
        empty = element("p", "Nothing to show for this time.", class_="chart-empty")
        return element("figure", caption, empty, class_=f"chart chart-{kind}")
    return element(
        "figure",
        caption,
        element("div", drawing, class_="plot-area"),
        legend or "",
        element("details", element("summary", "Numbers"), _table(title, numbers), class_="numbers"),
        class_=f"chart chart-{kind}",
    )


def drawing(label: str, height: int, *content: Markup) -> Markup:
    """Return a drawing as wide as the page lets it be: its x coordinates are percentages, and its text never scales."""
    return element("svg", *content, class_="plot", width="100%", height=height, role="img", aria_label=label)


def _table(title: str, numbers: Numbers) -> Markup:
    head = element("tr", *(element("th", name, scope="col") for name in numbers.columns))
    body = joined(element("tr", *(_cell(cell, index == 0) for index, cell in enumerate(row))) for row in numbers.rows)
    table = element(
        "table",
        element("caption", title, class_="visually-hidden"),
        element("thead", head),
        element("tbody", body),
        class_="table",
    )
    return element(
        "div", table, class_="table-scroll", role="region", tabindex=0, aria_label=f"Numbers of the chart: {title}"
    )


def _cell(cell: Cell, heads_row: bool) -> Markup:
    name, scope = ("th", "row") if heads_row else ("td", None)
    if isinstance(cell, int):
        return element(name, thousands(cell), class_="number", scope=scope)
    if isinstance(cell, Linked):
        return element(name, element("a", cell.text, href=cell.url) if cell.url else cell.text, scope=scope)
    return element(name, cell, scope=scope)
