"""``/compare``: how two targets differ, or one target at two times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from aiohttp import web

from deployserver.api import keys
from deployserver.comparison import DIFFERENCE_KINDS, Difference, Side
from deployserver.drift import Standing
from deployserver.filters import exactly
from deployserver.pages.asking import PageQuestion, ask, links_of, one_name
from deployserver.pages.filters import Filter, beyond_form, chosen, form_fields
from deployserver.pages.rendering import render
from deployserver.parameters import NOW, Choice, Date, Whole
from deployserver.queries import GREATEST_LIMIT, MOMENT, Query, at, filter_parameter

PATH = "/compare"
AT_ONCE = 100

FILTERS = (Filter("package", "Package"), Filter("group", "Group"), Filter("feed", "Feed"))
_SIDES = ("left", "left_as_of", "right", "right_as_of")
_ORDER = {kind: number for number, kind in enumerate(DIFFERENCE_KINDS)}


class CompareQuery(Query):
    """``/compare``: left and right are names and not patterns, and without the right one it is the left one."""

    left = one_name("the target on the left")
    left_as_of = Date(metadata={"description": f"the left side as it was at {MOMENT}"})
    right = one_name("the target on the right; without it, the one on the left")
    right_as_of = Date(metadata={"description": f"the right side as it was at {MOMENT}"})
    package = filter_parameter("package")
    group = filter_parameter("group")
    feed = filter_parameter("feed")
    difference = Choice(DIFFERENCE_KINDS, load_default=None, metadata={"description": "only these"})
    start = Whole(load_default=0, metadata={"description": "how many to leave out", "minimum": 0, "maximum": 2**31})


class _Sides(NamedTuple):
    left: Side
    right: Side

    @property
    def differ(self) -> bool:
        """Whether there is anything to compare."""
        (left, then), (right, later) = self
        return bool(left) and (left.casefold() != right.casefold() or then != later)


async def show_comparison(request: web.Request) -> web.Response:
    """Show the packages of two targets, those that differ first; or only the form, until it says what to compare."""
    question = ask(request, CompareQuery)
    view = request.app[keys.VIEWING].view(request[keys.CALLER])
    sides = _sides(question)
    state = {name: texts for name, texts in question.given.items() if name != "start"}
    return render(
        request,
        "compare.html",
        sides=sides,
        given={name: next(iter(question.given.get(name, ())), "") for name in _SIDES},
        keep={name: texts for name, texts in state.items() if name not in _SIDES},
        fields=form_fields(FILTERS, state, [feed.name for feed in view.feeds.values()]),
        keep_sides=beyond_form(FILTERS, state),
        chosen=chosen(FILTERS, state, links_of(request), PATH),
        kind=question.query["difference"],
        **(await _differences(request, question, sides, state) if sides.differ else {"differences": None}),
    )


def _sides(question: PageQuestion) -> _Sides:
    query, now = question.query, question.now
    left, right = query["left"] or query["right"] or "", query["right"] or query["left"] or ""
    return _Sides(Side(left, at(query["left_as_of"], now)), Side(right, at(query["right_as_of"], now)))


async def _differences(
    request: web.Request, question: PageQuestion, sides: _Sides, state: dict[str, list[str]]
) -> dict[str, Any]:
    left, right = (side._replace(target=exactly(side.target)) for side in sides)
    comparison, caller = request.app[keys.COMPARISON], request[keys.CALLER]
    found = await comparison.compare(caller, left, right, question.asked)
    kind, start, links = question.query["difference"], question.query["start"], links_of(request)
    chosen_ones = [one for one in found if kind in (None, one.kind)]
    chosen_ones.sort(key=lambda one: _ORDER[one.kind])  # stable: by name within a kind
    shown = await comparison.differences(caller, chosen_ones[start : start + AT_ONCE])
    counts = Counter(one.kind for one in found)
    return {
        "differences": shown,
        "standings": await _standings(request, sides, shown),
        "total": len(found),
        "tabs": [
            (text, links.url(PATH, state, difference=name), name == kind, count)
            for text, name, count in (
                ("All", None, len(found)),
                *((_TEXTS[name], name, counts[name]) for name in _ORDER),
            )
        ],
        "first": links.url(PATH, state) if start else None,
        "next": links.url(PATH, state, start=start + AT_ONCE) if len(chosen_ones) > start + AT_ONCE else None,
        "csv": links.url("/api/deployments/compare", _api(sides, state), format="csv"),
        "json": links.url("/api/deployments/compare", _api(sides, state), format="json", limit=GREATEST_LIMIT),
        "swapped": links.url(PATH, _swapped(state)),
    }


_TEXTS = {"different": "Different", "only-left": "Only left", "only-right": "Only right", "same": "Same"}


async def _standings(request: web.Request, sides: _Sides, shown: Sequence[Difference]) -> dict[int, Standing]:
    """Return where versions stand that run now; what stands behind now may have been the newest at another time."""
    deployments = [
        deployment
        for one in shown
        for deployment, side in zip((one.left, one.right), sides, strict=True)
        if deployment is not None and side.as_of is None
    ]
    return await request.app[keys.DRIFT].standings(request[keys.CALLER], deployments)


def _api(sides: _Sides, state: dict[str, list[str]]) -> dict[str, Any]:
    """Return the API's parameters for the same question."""
    rest = {name: texts for name, texts in state.items() if name not in _SIDES}
    targets = [exactly(side.target) for side in sides]
    moments = [next(iter(state.get(name, ())), NOW) for name in ("left_as_of", "right_as_of")]
    same = targets[0].casefold() == targets[1].casefold()
    return {"target": targets[:1] if same else targets, "as_of": moments, **rest}


def _swapped(state: dict[str, list[str]]) -> dict[str, list[str]]:
    other = {"left": "right", "right": "left"}
    difference = {"only-left": ["only-right"], "only-right": ["only-left"]}
    swapped = {
        name.replace(name.split("_")[0], other[name.split("_")[0]]) if name in _SIDES else name: texts
        for name, texts in state.items()
    }
    if "difference" in swapped:
        swapped["difference"] = difference.get(swapped["difference"][0].lower(), swapped["difference"])
    return swapped
