"""Finds packages, targets, versions, applications, users, groups and feeds by words of their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

from deployserver.models import Caller
from deployserver.storage.search import FoundName
from deployserver.viewing import View, Viewing

Kind = Literal["package", "target", "version", "application", "user", "group", "feed"]
KINDS: tuple[Kind, ...] = get_args(Kind)

MOST_COUNTED = 100
"""More matches of a kind than this are not counted."""


class Match(NamedTuple):
    """A name; for a package also its feed and group."""

    name: str
    feed_name: str | None = None
    group_name: str | None = None


class Matches(NamedTuple):
    """The best matches of one kind, and how many there are, ``MOST_COUNTED + 1`` for more than that."""

    kind: Kind
    best: list[Match]
    total: int


class Search:
    """Looks for names, for callers who may view records that have them."""

    def __init__(self, viewing: Viewing) -> None:
        self._viewing = viewing

    async def find(self, caller: Caller, words: Sequence[str], limit: int) -> list[Matches]:
        """Return up to ``limit`` of the best matches of each kind that has some. Raises NotPermitted."""
        view = self._viewing.view(caller)
        if not words:
            return []
        found: list[Matches] = []
        async with view.database.records() as records:
            for kind in KINDS:
                matches = (
                    _feeds(view, words)
                    if kind == "feed"
                    else _named(view, await records.names_with(kind, words, view.feeds.keys(), MOST_COUNTED + 1))
                )
                if matches:
                    found.append(Matches(kind, matches[:limit], len(matches)))
        return found


def _named(view: View, found: Sequence[FoundName]) -> list[Match]:
    """Return the matches in their order; those of one name, in several feeds, by these."""
    places = {one.name.casefold(): place for place, one in reversed(list(enumerate(found)))}
    matches = [
        Match(one.name, view.feeds[one.feed_id].name, one.group or None) if one.feed_id else Match(one.name)
        for one in found
    ]
    return sorted(
        matches,
        key=lambda match: (places[match.name.casefold()], (match.feed_name or "").casefold(), match.group_name or ""),
    )


def _feeds(view: View, words: Sequence[str]) -> list[Match]:
    keys = [word.casefold() for word in words]
    found = [
        feed.name
        for feed in view.feeds.values()
        if any(all(key in name.casefold() for key in keys) for name in (feed.name, *feed.alternate_names))
    ]
    text = " ".join(keys)
    return [
        Match(name)
        for name in sorted(
            found, key=lambda name: (name.casefold() != text, not name.casefold().startswith(keys[0]), name.casefold())
        )
    ]
