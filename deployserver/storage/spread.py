"""Which versions of packages run, and on how many targets each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from deployserver.storage.conditions import Conditions, where
from deployserver.storage.connection import Connection, Parameters


class PackageKey(NamedTuple):
    """What makes it one package: casefolded name, feed, and casefolded group, which is empty for none.

    Packages are in the order of their keys.
    """

    package: str
    feed_id: int
    group: str


def with_installations(parameters: Parameters, packages: Sequence[PackageKey]) -> tuple[str, str]:
    """Return a common table, and from it the installations ``i`` of packages, ``w.number`` being the package's.

    An installation is there once, however it was spelt.
    """
    table = (
        "wanted AS MATERIALIZED (SELECT k.number, k.feed_id, p.id AS package_id, g.id AS group_id "
        f"FROM ({parameters.tuples(packages, package=str, feed_id=int, group_key=str)}) AS k "
        "CROSS JOIN names AS p ON p.kind = 'package' AND p.name_key = k.package "
        "CROSS JOIN names AS g ON g.kind = 'group' AND g.name_key = k.group_key)"
    )
    # The pluses keep from the indexes of feeds and groups, which lead to far more.
    installations = (
        "wanted AS w CROSS JOIN installations AS i ON i.package_id = w.package_id AND +i.feed_id = w.feed_id "
        "AND +i.group_id = w.group_id AND i.same_as IS NULL AND i.latest_id IS NOT NULL"
    )
    return table, installations


async def spread(
    connection: Connection, packages: Sequence[PackageKey], conditions: Conditions
) -> dict[PackageKey, dict[str, int]]:
    """Return how many targets run each version of each package, on the targets of the conditions."""
    found: dict[PackageKey, dict[str, int]] = {key: {} for key in packages}
    if conditions.unsatisfiable:
        return found
    parameters = connection.parameters()
    table, installations = with_installations(parameters, packages)
    rows = await connection.rows(
        f"WITH {table}, counted AS MATERIALIZED (SELECT w.number AS number, d.version_id AS version_id, "
        f"count(*) AS targets FROM {installations} CROSS JOIN deployments AS d ON d.id = i.latest_id "
        f"{where(conditions.of_installation_at_hand(parameters))} GROUP BY 1, 2) "
        "SELECT c.number, v.name, c.targets FROM counted AS c CROSS JOIN names AS v ON v.id = c.version_id",
        parameters,
    )
    for number, version, targets in rows:
        found[packages[number]][version] = targets
    return found
