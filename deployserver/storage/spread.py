"""Which versions of packages run, and on how many targets each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

import aiosqlite

from deployserver.storage.conditions import Conditions, Parameters, where


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
        "wanted AS MATERIALIZED (SELECT k.key AS number, json_extract(k.value, '$[1]') AS feed_id, "
        f"p.id AS package_id, g.id AS group_id FROM json_each({parameters.add(json.dumps(packages))}) AS k "
        "CROSS JOIN names AS p ON p.kind = 'package' AND p.name_key = json_extract(k.value, '$[0]') "
        "CROSS JOIN names AS g ON g.kind = 'group' AND g.name_key = json_extract(k.value, '$[2]'))"
    )
    # The pluses keep from the indexes of feeds and groups, which lead to far more.
    installations = (
        "wanted AS w CROSS JOIN installations AS i ON i.package_id = w.package_id AND +i.feed_id = w.feed_id "
        "AND +i.group_id = w.group_id AND i.same_as IS NULL AND i.latest_id IS NOT NULL"
    )
    return table, installations


def looked_at(conditions: Conditions, parameters: Parameters) -> list[str]:
    """Return the conditions on installations that are at hand already: no index is to be asked for each of them."""
    return [f"+{condition}" for condition in conditions.of_installation(parameters)]


async def spread(
    connection: aiosqlite.Connection, packages: Sequence[PackageKey], conditions: Conditions
) -> dict[PackageKey, dict[str, int]]:
    """Return how many targets run each version of each package, on the targets of the conditions."""
    found: dict[PackageKey, dict[str, int]] = {key: {} for key in packages}
    if conditions.unsatisfiable:
        return found
    parameters = Parameters()
    table, installations = with_installations(parameters, packages)
    rows = await connection.execute_fetchall(
        f"WITH {table}, counted AS MATERIALIZED (SELECT w.number AS number, d.version_id AS version_id, "
        f"count(*) AS targets FROM {installations} CROSS JOIN deployments AS d ON d.id = i.latest_id "
        f"{where(looked_at(conditions, parameters))} GROUP BY 1, 2) "
        "SELECT c.number, v.name, c.targets FROM counted AS c CROSS JOIN names AS v ON v.id = c.version_id",
        parameters.values,
    )
    for number, version, targets in rows:
        found[packages[number]][version] = targets
    return found
