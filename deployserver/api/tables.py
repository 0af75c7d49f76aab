"""How what is asked for is written, item by item: as JSON objects, and as lines of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deployserver.affected import Suspect
from deployserver.api.formats import Table, to_json
from deployserver.comparison import Difference
from deployserver.dates import format_date
from deployserver.frequency import PeriodCount
from deployserver.models import Deployment
from deployserver.schemas import DEPLOYMENT_COLUMNS, deployment_cells, deployment_json

DEPLOYMENTS: Table[Deployment] = Table(DEPLOYMENT_COLUMNS, deployment_json, deployment_cells)


def _difference_json(difference: Difference) -> str:
    either = difference.deployment
    names = to_json(
        {
            "FeedName": either.feed_name,
            "GroupName": either.row.group_name,
            "PackageName": either.row.package_name,
            "Difference": difference.kind,
        }
    )
    left, right = ("null" if side is None else deployment_json(side) for side in (difference.left, difference.right))
    return f'{names[:-1]},"Left":{left},"Right":{right}}}'


def _difference_cells(difference: Difference) -> Sequence[Any]:
    either = difference.deployment
    sides = [
        cell
        for side in (difference.left, difference.right)
        for cell in ((side.row.target, side.row.version, format_date(side.row.date), side.id) if side else (None,) * 4)
    ]
    return (either.feed_name, either.row.group_name, either.row.package_name, difference.kind, *sides)


DIFFERENCES: Table[Difference] = Table(
    (
        *("FeedName", "GroupName", "PackageName", "Difference"),
        *("LeftTarget", "LeftVersion", "LeftDate", "LeftId", "RightTarget", "RightVersion", "RightDate", "RightId"),
    ),
    _difference_json,
    _difference_cells,
)


def _suspect_json(suspect: Suspect) -> str:
    more = to_json({"Affected": suspect.affected, "Reason": suspect.reason})
    return f"{deployment_json(suspect.deployment)[:-1]},{more[1:]}"


SUSPECTS: Table[Suspect] = Table(
    (*DEPLOYMENT_COLUMNS, "Affected", "Reason"),
    _suspect_json,
    lambda suspect: (
        *deployment_cells(suspect.deployment),
        "true" if suspect.affected else None,
        suspect.reason,
    ),
)


def _period_cells(period: PeriodCount) -> Sequence[Any]:
    return (period.label, f"{period.first.isoformat()}T00:00:00Z", period.deployments)


_PERIOD_COLUMNS = ("Period", "From", "Count")


def _period_json(period: PeriodCount) -> str:
    """Return a period as JSON; written out because there are a thousand of them in three years."""
    return f'{{"Period":"{period.label}","From":"{period.first.isoformat()}T00:00:00Z","Count":{period.deployments}}}'


PERIOD_COUNTS: Table[PeriodCount] = Table(_PERIOD_COLUMNS, _period_json, _period_cells)
