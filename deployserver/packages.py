"""A package: what people mean by one, and which records are its."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from deployserver.filters import exactly
from deployserver.models import DeploymentRow
from deployserver.storage.spread import PackageKey
from deployserver.viewing import Asked

EVERYTHING = Asked()


class Package(NamedTuple):
    """A package of a feed, with its group, or None."""

    feed: str
    group: str | None
    name: str

    def asked(self, asked: Asked = EVERYTHING) -> Asked:
        """Return what is asked for, of this package only."""
        group = exactly(self.group or "")
        return replace(asked, feeds=(exactly(self.feed),), groups=(group,), packages=(exactly(self.name),))


def key_of(row: DeploymentRow) -> PackageKey:
    """Return what finds the package of a record among others."""
    return PackageKey(row.package_name.casefold(), row.feed_id, (row.group_name or "").casefold())
