"""Charts are drawings that hold without colour, without styles of their own, and without being looked at."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable

import pytest
from markupsafe import Markup

from deployserver.pages.charts import (
    Bar,
    Event,
    Lane,
    Point,
    Rollout,
    VersionCount,
    bar_chart,
    rollout_chart,
    sparkline,
    timeline_chart,
    version_chart,
)
from deployserver.pages.times import DAY, utc

NOW = 1_795_543_711_000_000
SINCE = NOW - 30 * DAY
EVIL = """<script>alert("1")</script>&'"""


def parse(chart: Markup) -> ElementTree.Element:
    """Return a chart as a tree; all its elements are closed and all its text escaped, or this fails."""
    assert isinstance(chart, Markup)
    return ElementTree.fromstring(chart)


def with_class(tree: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [element for element in tree.iter() if name in element.get("class", "").split()]


def rows(tree: ElementTree.Element) -> list[list[str]]:
    """Return the numbers of a chart, as its table shows them."""
    return [["".join(cell.itertext()) for cell in row] for body in tree.iter("tbody") for row in body]


def text(tree: ElementTree.Element) -> str:
    return "".join(tree.itertext())


def number(value: str | None) -> float:
    assert value is not None
    return float(value.removesuffix("%"))


Draw = Callable[[str, int], Markup]


def bars(name: str, count: int) -> Markup:
    return bar_chart(name, [Bar(name, 10**index, name, index % 2 == 0, "/x?a=1&b=2") for index in range(count)])


def versions(name: str, count: int) -> Markup:
    return version_chart(name, [VersionCount(name, 10**index, "behind", "/x?a=1&b=2") for index in range(count)])


def rollouts(name: str, count: int) -> Markup:
    points = [Point(SINCE + index * DAY // 100, 10**index) for index in range(count)]
    return rollout_chart(name, [Rollout(name, points)] * count, SINCE, NOW, note=name)


def timelines(name: str, count: int) -> Markup:
    events = [Event(SINCE + index * DAY, name, "/x?a=1&b=2") for index in range(count)]
    return timeline_chart(name, [Lane(name, events)] * count, SINCE, NOW)


every_chart = pytest.mark.parametrize("draw", [bars, versions, rollouts, timelines])


@every_chart
@pytest.mark.parametrize("count", [0, 1, 2, 20])
def test_a_chart_of_nothing_one_and_many_is_whole(draw: Draw, count: int) -> None:
    tree = parse(draw("12.0.3", count))
    assert tree.tag == "figure"
    if count == 0:
        assert "Nothing to show" in text(tree)
        assert list(tree.iter("svg")) == []
        return
    drawing = next(tree.iter("svg"))
    assert drawing.get("role") == "img" and "12.0.3" in (drawing.get("aria-label") or "")
    assert len(rows(tree)) >= count
    scrolls = with_class(tree, "table-scroll")[0]
    assert (scrolls.get("tabindex"), scrolls.get("role")) == ("0", "region") and scrolls.get("aria-label")


@every_chart
def test_nothing_of_a_name_is_markup_and_nothing_has_a_style(draw: Draw) -> None:
    tree = parse(draw(EVIL, 3))
    assert {element.tag for element in tree.iter()} & {"script", "style"} == set()
    for element in tree.iter():
        assert not [name for name in element.attrib if name == "style" or name.startswith("on")]
    assert EVIL in text(tree)


@every_chart
def test_every_mark_says_what_it_is(draw: Draw) -> None:
    marks = with_class(parse(draw("12.0.3", 3)), "mark")
    assert marks
    assert [mark for mark in marks if "12.0.3" not in (mark.findtext("title") or "")] == []


@every_chart
def test_a_long_name_is_cut_where_it_is_drawn_and_whole_where_it_is_pointed_at(draw: Draw) -> None:
    name = "release/" + "x" * 1_000 + "-end"
    tree = parse(draw(name, 2))
    assert any(name in (title.text or "") for title in tree.iter("title"))
    assert any(name in cell for row in rows(tree) for cell in row)


def test_bars_are_as_high_as_they_count() -> None:
    tree = parse(bar_chart("Deployments per day", [Bar("1 Nov", 50), Bar("2 Nov", 100), Bar("3 Nov", 0)]))
    low, high = [number(bar.get("height")) for bar in with_class(tree, "bar")]
    assert high == pytest.approx(2 * low)
    assert rows(tree) == [["1 Nov", "50"], ["2 Nov", "100"], ["3 Nov", "0"]]
    assert with_class(tree, "chart-note")[0].text == "150 deployments in all"
    assert next(tree.iter("svg")).get("aria-label") == (
        "Bar chart: Deployments per day. 150 deployments in all, at most 100 (2 Nov)."
    )


def test_the_least_of_many_is_still_seen() -> None:
    tree = parse(bar_chart("Deployments per day", [Bar("1 Nov", 1), Bar("2 Nov", 9_000_000_000)]))
    assert min(number(bar.get("height")) for bar in with_class(tree, "bar")) >= 1
    assert "10G" in [tick.text for tick in with_class(tree, "tick")]
    assert rows(tree)[1] == ["2 Nov", "9,000,000,000"]


def test_many_bars_share_a_few_labels_and_stay_within_the_drawing() -> None:
    tree = parse(bar_chart("Deployments per day", [Bar(f"day {index}", index) for index in range(120)]))
    labels = [tick for tick in with_class(tree, "tick") if (tick.text or "").startswith("day")]
    assert 6 <= len(labels) <= 12
    assert any("minor" in (label.get("class") or "") for label in labels)
    bar = with_class(tree, "bar")[-1]
    assert number(bar.get("x")) + number(bar.get("width")) <= 100
    assert len(rows(tree)) == 120


def test_a_weekend_is_shaded_and_a_period_leads_to_its_records() -> None:
    tree = parse(bar_chart("Deployments", [Bar("7 Nov", 1, "Saturday", True, "/deployments?a=1&b=2")], note="all"))
    assert len(with_class(tree, "shaded")) == 1
    assert [(link.get("href"), link.text) for link in tree.iter("a")] == [("/deployments?a=1&b=2", "Saturday")]


def test_versions_have_their_share_and_their_state_in_words() -> None:
    counts = [VersionCount("13.0.3", 30, "newest"), VersionCount("12.0.3", 10, "behind"), VersionCount("1", 0)]
    tree = parse(version_chart("Versions", counts))
    assert [number(bar.get("width")) for bar in with_class(tree, "bar")] == [75, 25]
    assert [level.text for level in with_class(tree, "level")] == ["newest", "behind"]
    assert rows(tree) == [["13.0.3", "30", "75%", "newest"], ["12.0.3", "10", "25%", "behind"], ["1", "0", "0%", "–"]]
    assert with_class(tree, "chart-note")[0].text == "40 targets, 3 versions"


def test_of_too_many_versions_the_rest_is_drawn_as_one_and_listed_in_full() -> None:
    tree = parse(version_chart("Versions", [VersionCount(f"1.{index}", 1) for index in range(50)], most=5))
    assert [name.text for name in with_class(tree, "name")] == ["1.0", "1.1", "1.2", "1.3", "46 other versions"]
    assert len(rows(tree)) == 50


def test_a_rollout_rises_and_falls_in_steps() -> None:
    rollout = Rollout("12.0.3", [Point(SINCE - DAY, 1), Point(SINCE + 15 * DAY, 2), Point(NOW - 3 * DAY, 0)])
    tree = parse(rollout_chart("Rollout", [rollout], SINCE, NOW))
    (line,) = [element for element in with_class(tree, "line") if element.tag == "path"]
    assert line.get("d") == "M0.0 220H0.0V110.0H500.0V0.0H900.0V220.0H1000"
    assert rows(tree)[1] == ["12.0.3", utc(SINCE + 15 * DAY), "2"]


def test_rollouts_are_told_apart_without_colour() -> None:
    points = [Point(SINCE, 1), Point(NOW, 2)]
    tree = parse(rollout_chart("Rollout", [Rollout(f"v{index}", points) for index in range(8)], SINCE, NOW))
    lines = [line for line in with_class(tree, "line") if line.tag == "path"]
    assert len({line.get("stroke-dasharray") for line in lines}) == len(lines) == 6
    legend = with_class(tree, "legend")[0]
    assert len({point.get("d") for point in with_class(legend, "point")}) == 6
    assert [text(item) for item in legend] == [f"v{index}2 targets" for index in range(6)]
    assert with_class(tree, "chart-note")[0].text == "2 more versions in the numbers below"
    assert len(rows(tree)) == 16


def test_a_rollout_over_a_thousand_targets_is_a_line_with_some_marks() -> None:
    points = [Point(SINCE + index * DAY // 100, index + 1) for index in range(1_000)]
    tree = parse(rollout_chart("Rollout", [Rollout("1", points), Rollout("never", [])], SINCE, NOW))
    assert 100 <= len(with_class(tree, "mark")) <= 151
    assert len(rows(tree)) == 1_000


def test_a_version_reaches_to_the_next_one_and_the_last_to_the_end() -> None:
    lane = Lane("web-01", [Event(SINCE - DAY, "1"), Event(SINCE + 15 * DAY, "1"), Event(SINCE + 24 * DAY, "2")])
    tree = parse(timeline_chart("History", [lane, Lane("web-02", [])], SINCE, NOW, named="Target"))
    spans = [element for element in next(tree.iter("svg")).iter("svg") if element.get("role") is None]
    assert [(number(span.get("x")), number(span.get("width"))) for span in spans] == [(0, 50), (50, 30), (80, 20)]
    assert [span.get("class") for span in with_class(tree, "span")] == ["span", "span", "span other"]
    assert with_class(tree, "chart-note")[0].text == "3 deployments"


def test_two_deployments_at_once_and_one_at_the_very_end_can_be_pointed_at() -> None:
    lane = Lane("web-01", [Event(SINCE, "1"), Event(SINCE, "2"), Event(NOW, "3")])
    tree = parse(timeline_chart("History", [lane], SINCE, NOW))
    spans = [element for element in next(tree.iter("svg")).iter("svg") if element.get("role") is None]
    assert all(number(span.get("width")) >= 0.3 for span in spans)
    assert max(number(span.get("x")) for span in spans) <= 99.7


@pytest.mark.parametrize(
    ("counts", "said"),
    [((), "none"), ((0,), "0"), ((3, 1_200), "3, 1,200"), (tuple(range(90)), "0, 1, 2")],
)
def test_a_sparkline_says_its_numbers(counts: tuple[int, ...], said: str) -> None:
    tree = parse(sparkline(counts))
    assert (tree.get("aria-label") or "").startswith(f"Deployments per day: {said}")
    assert tree.findtext("title") == tree.get("aria-label")
    for line in with_class(tree, "line"):
        coordinates = [float(value) for value in re.split("[ ,]", line.get("points") or "")]
        assert all(0 <= value <= 120 for value in coordinates)
