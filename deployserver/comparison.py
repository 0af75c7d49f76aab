"""How two targets differ, or one target at two times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, NamedTuple, get_args

from deployserver.models import Caller, Deployment
from deployserver.storage.current import CurrentVersion
from deployserver.viewing import Asked, View, Viewing

DifferenceKind = Literal["different", "only-left", "only-right", "same"]
DIFFERENCE_KINDS: tuple[DifferenceKind, ...] = get_args(DifferenceKind)


class Side(NamedTuple):
    """A target at a time; ``as_of`` is None for now."""

    target: str
    as_of: int | None


class Pair(NamedTuple):
    """One package, and the id of its latest deployment on either side.

    Pairs are in the order of ``place``: the package, casefolded, its feed and its group, casefolded.
    """

    kind: DifferenceKind
    place: tuple[str, str, str]
    left: int | None
    right: int | None


class Difference(NamedTuple):
    """One package, and the latest deployment of it on either side."""

    kind: DifferenceKind
    left: Deployment | None
    right: Deployment | None

    @property
    def deployment(self) -> Deployment:
        """The deployment that there is, the left one where there are two."""
        found = self.left or self.right
        assert found is not None
        return found


class Comparison:
    """Compares, for callers who may view."""

    def __init__(self, viewing: Viewing) -> None:
        self._viewing = viewing

    async def compare(
        self, caller: Caller, left: Side, right: Side, asked: Asked, kinds: tuple[str, ...] = ()
    ) -> list[Pair]:
        """Return all packages of either side, or those that differ in one of ``kinds``, in the order of their names.

        ``asked`` narrows down the packages; its targets do not count. Raises NotPermitted.
        """
        view = self._viewing.view(caller)
        sides: list[dict[tuple[str, str, str], CurrentVersion]] = []
        async with view.database.records() as records:
            for side in (left, right):
                wanted = view.filter(replace(asked, targets=(side.target,)))
                found = await records.versions(wanted, side.as_of)
                sides.append({_place(item, view): item for item in found if item.package.feed_id in view.feeds})
        pairs = [_pair(place, sides[0].get(place), sides[1].get(place)) for place in sorted({**sides[0], **sides[1]})]
        return [pair for pair in pairs if not kinds or pair.kind in kinds]

    async def differences(self, caller: Caller, pairs: Sequence[Pair]) -> list[Difference]:
        """Return the deployments of pairs; those of a feed that has just been removed are left out.

        Raises NotPermitted.
        """
        view = self._viewing.view(caller)
        ids = [id_ for pair in pairs for id_ in (pair.left, pair.right) if id_ is not None]
        async with view.database.records() as records:
            stored = await records.with_ids(ids)
        found: dict[int | None, Deployment | None] = {one.id: one for one in view.deployments(stored.values())}
        found[None] = None
        return [
            Difference(pair.kind, found[pair.left], found[pair.right])
            for pair in pairs
            if pair.left in found and pair.right in found
        ]


def _place(item: CurrentVersion, view: View) -> tuple[str, str, str]:
    package, feed_id, group = item.package
    return package, view.feeds[feed_id].name, group


def _pair(place: tuple[str, str, str], left: CurrentVersion | None, right: CurrentVersion | None) -> Pair:
    if left is None:
        return Pair("only-right", place, None, right and right.id)
    if right is None:
        return Pair("only-left", place, left.id, None)
    return Pair("same" if left.version == right.version else "different", place, left.id, right.id)
