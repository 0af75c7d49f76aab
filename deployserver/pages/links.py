"""The addresses of pages, below the path that the server is reached under."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from deployserver.filters import exactly

Query = Mapping[str, Any]


class Links:
    """Makes addresses below ``base_path`` (empty, or such as ``/proget``).

    Names go into the query and never into the path: they hold slashes, dots and backslashes, which proxies normalise.
    """

    def __init__(self, base_path: str) -> None:
        self._base = base_path

    def url(self, path: str, query: Query | None = None, /, **more: Any) -> str:
        """Return the address of a page; ``more`` goes before ``query``.

        A list repeats its name; None and empty texts are left out, so that ``name=None`` takes a name away.
        """
        values = {**(query or {}), **more}
        pairs = [(name, item) for name, value in values.items() for item in _items(value)]
        return f"{self._base}{quote(path)}{'?' if pairs else ''}{urlencode(pairs)}"

    def record_url(self, id: int) -> str:
        """Return the address of one record."""
        return self.url(f"/deployments/{id}")

    def package_url(self, feed: str, group: str | None, package: str) -> str:
        """Return the address of a package's page."""
        return self.url("/package", feed=feed, group=group, package=package)

    def version_url(self, feed: str, group: str | None, package: str, version: str) -> str:
        """Return the address of a package's page, with nothing but this version."""
        return self.url("/package", feed=feed, group=group, package=package, version=exactly(version))

    def installation_url(self, feed: str, group: str | None, package: str, target: str) -> str:
        """Return the address of the history of a package on a target."""
        place = {"feed": exactly(feed), "group": exactly(group or ""), "ungrouped": None if group else True}
        return self.url("/deployments", place, package=exactly(package), target=exactly(target))

    def target_url(self, target: str) -> str:
        """Return the address of a target's page."""
        return self.url("/target", target=target)

    def feed_url(self, feed: str) -> str:
        """Return the address of the history of a feed."""
        return self.url("/deployments", feed=exactly(feed))

    def application_url(self, application: str) -> str:
        """Return the address of the history of an application."""
        return self.url("/deployments", application=exactly(application))

    def user_url(self, user: str) -> str:
        """Return the address of the history of a user."""
        return self.url("/deployments", user=exactly(user))


def _items(value: Any) -> Iterable[str]:
    if value is None or value == "":
        return ()
    if isinstance(value, (list, tuple, set, frozenset)):
        return [text for item in value for text in _items(item)]
    if isinstance(value, bool):
        return ("true" if value else "false",)
    return (str(value),)
