"""The filters of a page: what its form shows, and the address without each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from deployserver.pages.links import Links


class Filter(NamedTuple):
    """A filter by its name in the address."""

    name: str
    label: str
    placeholder: str = "Any"


class Chosen(NamedTuple):
    """A filter that is set, and the address of the page without it."""

    label: str
    text: str
    without: str


HISTORY_FILTERS = (
    Filter("q", "Words", "In any field"),
    Filter("package", "Package"),
    Filter("version", "Version"),
    Filter("target", "Target"),
    Filter("application", "Application"),
    Filter("user", "User"),
    Filter("feed", "Feed"),
    Filter("group", "Group"),
    Filter("since", "From", "7d, or 2021-04-13"),
    Filter("until", "Until", "24h, or 2021-04-14"),
)
_UNGROUPED = Filter("ungrouped", "Group")
_AGO = ("1h", "24h", "7d", "30d", "365d")


def form_fields(
    filters: Sequence[Filter], given: Mapping[str, Sequence[str]], feeds: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Return the fields of the form, each with the first text that is given for it."""
    suggestions = {"feed": sorted(feeds, key=str.casefold), "since": _AGO, "until": _AGO}
    return [
        {
            **one._asdict(),
            "value": next(iter(given.get(one.name, ())), None),
            "suggestions": suggestions.get(one.name, ()),
        }
        for one in filters
    ]


def beyond_form(filters: Sequence[Filter], given: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """Return what the form keeps although it has no field for it: further texts of a filter, and what is no filter."""
    names = {one.name for one in filters}
    kept = {name: texts[1:] if name in names else texts for name, texts in given.items()}
    return {name: texts for name, texts in kept.items() if texts and name not in ("cursor", "newer")}


def chosen(filters: Sequence[Filter], given: Mapping[str, Sequence[str]], links: Links, path: str) -> list[Chosen]:
    """Return the filters that are set, one for each text."""
    state = {name: list(texts) for name, texts in given.items() if name not in ("cursor", "newer")}
    return [
        Chosen(
            one.label,
            "none" if one is _UNGROUPED else text,
            links.url(path, state, **{one.name: [other for other in state[one.name] if other != text]}),
        )
        for one in (*filters, _UNGROUPED)
        for text in state.get(one.name, ())
    ]
