"""How two targets differ, or one target at two times."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, NamedTuple, get_args

from deployserver.models import Caller, Deployment
from deployserver.viewing import Asked, Viewing

DifferenceKind = Literal["different", "only-left", "only-right", "same"]
DIFFERENCE_KINDS: tuple[DifferenceKind, ...] = get_args(DifferenceKind)


class Side(NamedTuple):
    """A target at a time; ``as_of`` is None for now."""

    target: str
    as_of: int | None


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

    @property
    def place(self) -> tuple[str, str, str]:
        """What differences are in the order of: the package, casefolded, its feed and its group, casefolded."""
        return _package(self.deployment)


class Comparison:
    """Compares, for callers who may view."""

    def __init__(self, viewing: Viewing) -> None:
        self._viewing = viewing

    async def compare(
        self, caller: Caller, left: Side, right: Side, asked: Asked, kinds: tuple[str, ...] = ()
    ) -> list[Difference]:
        """Return all packages of either side, or those that differ in one of ``kinds``, in the order of their names.

        ``asked`` narrows down the packages; its targets do not count. Raises NotPermitted.
        """
        view = self._viewing.view(caller)
        sides: list[dict[tuple[str, str, str], Deployment]] = []
        async with view.database.records() as records:
            for side in (left, right):
                wanted = view.filter(replace(asked, targets=(side.target,)))
                found = await records.current(wanted, side.as_of, None, None)
                sides.append({_package(item): item for item in view.deployments(item.deployment for item in found)})
        differences = [_difference(sides[0].get(key), sides[1].get(key)) for key in sorted({**sides[0], **sides[1]})]
        return [difference for difference in differences if not kinds or difference.kind in kinds]


def _package(deployment: Deployment) -> tuple[str, str, str]:
    row = deployment.row
    return row.package_name.casefold(), deployment.feed_name, (row.group_name or "").casefold()


def _difference(left: Deployment | None, right: Deployment | None) -> Difference:
    if left is None:
        return Difference("only-right", left, right)
    if right is None:
        return Difference("only-left", left, right)
    same = left.row.version.casefold() == right.row.version.casefold()
    return Difference("same" if same else "different", left, right)
