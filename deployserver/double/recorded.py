"""A deployment as tests in Python see it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from deployserver.dates import from_micros
from deployserver.models import Deployment


@dataclass(frozen=True, slots=True)
class RecordedDeployment:
    """A deployment as it is stored; moments are in UTC.

    ``user`` is who is said to have deployed; ``recorded_by`` is who really recorded it, with the key they used.
    """

    id: int
    feed: str
    group: str | None
    package: str
    version: str
    target: str
    application: str
    description: str
    user: str
    url: str | None
    date: datetime
    recorded_at: datetime
    recorded_by: str


def recorded(deployment: Deployment) -> RecordedDeployment:
    """Return what a test is to see of a stored deployment."""
    row = deployment.row
    return RecordedDeployment(
        deployment.id,
        deployment.feed_name,
        row.group_name,
        row.package_name,
        row.version,
        row.target,
        row.application,
        row.description,
        row.user_name,
        row.url,
        from_micros(row.date),
        from_micros(row.recorded_at),
        row.recorded_by,
    )
