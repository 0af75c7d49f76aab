"""Which targets now run a package in a range of versions: the question after every advisory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from deployserver.errors import InvalidRequest
from deployserver.models import Caller, Deployment
from deployserver.purls import PackageNames, Purl, parse_purl
from deployserver.versions import VersionRange, WrongScheme, every_version, exactly, parse_range
from deployserver.viewing import Asked, View, Viewing


class Suspect(NamedTuple):
    """A deployment that now runs and is in the range; or may be, if ``reason`` says why that cannot be told."""

    deployment: Deployment
    reason: str | None

    @property
    def place(self) -> tuple[str, str, str, str]:
        """Where it comes in a list: by package and target, and then by feed and group."""
        row = self.deployment.row
        return (
            row.package_name.casefold(),
            row.target.casefold(),
            self.deployment.feed_name,
            (row.group_name or "").casefold(),
        )

    @property
    def affected(self) -> bool | None:
        """True, or None where it cannot be told."""
        return True if self.reason is None else None


class Affected:
    """Finds what is affected, for callers who may view it."""

    def __init__(self, viewing: Viewing) -> None:
        self._viewing = viewing

    async def find(self, caller: Caller, purl: str | None, range_: str | None, asked: Asked) -> list[Suspect]:
        """Return what now runs of a package (``purl``, or the package of ``asked``) and is in a range of versions.

        A version that cannot be compared is reported and not dropped. ``range_`` is in the syntax of the feed's type or
        ``vers:``. Raises InvalidRequest for what cannot be read or does not fit together, and NotPermitted.
        """
        view = self._viewing.view(caller)
        package = _read_purl(purl, range_, asked)
        if package is not None:
            view = replace(
                view,
                feeds={id_: feed for id_, feed in view.feeds.items() if feed.type in package.feed_types},
                everything=False,
            )
        types = {feed.name: feed.type for feed in view.feeds.values()}
        found: list[Deployment] = []
        wanted = await self._packages(view, package.names, asked) if package is not None else asked
        if wanted is not None:
            async with view.database.records() as records:
                current = await records.current(view.filter(wanted), None, None, None)
            found = [
                deployment
                for deployment in view.deployments(item.deployment for item in current)
                if package is None or package.names.matches(deployment.row.group_name, deployment.row.package_name)
            ]
        found_types = {types[deployment.feed_name] for deployment in found}
        possible_types = package.feed_types if package is not None else set(types.values())
        ranges = _ranges(found_types or possible_types, package, range_)
        suspects = [
            _suspect(deployment, ranges.get(types[deployment.feed_name]), types[deployment.feed_name])
            for deployment in found
        ]
        return sorted((one for one in suspects if one is not None), key=lambda suspect: suspect.place)

    async def _packages(self, view: View, names: PackageNames, asked: Asked) -> Asked | None:
        """Return ``asked`` for the packages that may be meant, as they are recorded; None if there are none."""
        if not names.any_separator:
            return replace(asked, packages=tuple(dict.fromkeys(name for _, name in names.candidates)))
        async with view.database.records() as records:
            recorded = await records.names("package")
        alike = tuple(name for name in recorded if any(names.matches(group, name) for group, _ in names.candidates))
        return replace(asked, packages=alike) if alike else None


def _read_purl(purl: str | None, range_: str | None, asked: Asked) -> Purl | None:
    """Return the package that is asked for by purl; None if it is asked for by name. Raises InvalidRequest."""
    if purl is None:
        if not asked.packages:
            raise InvalidRequest(
                {"purl": ["is required, such as pkg:nuget/Newtonsoft.Json@12.0.3; or package and range."]}
            )
        if range_ is None:
            raise InvalidRequest(
                {"range": ["is required with package, such as [12.0,13.0.1); * stands for every version."]}
            )
        return None
    if asked.packages:
        raise InvalidRequest({"purl": ["names the package already; leave out package, or purl."]})
    try:
        package = parse_purl(purl)
    except ValueError as error:
        raise InvalidRequest({"purl": [_as_predicate(error)]}) from None
    if package.version is not None and range_ is not None:
        raise InvalidRequest({"range": ["and the version in purl exclude each other; leave out one of them."]})
    return package


def _ranges(types: Iterable[str], package: Purl | None, range_: str | None) -> dict[str, VersionRange]:
    """Return the range by type of feed, where it can be read for it. Raises InvalidRequest if it can for none."""
    ranges: dict[str, VersionRange] = {}
    wrong: list[ValueError] = []
    for type_ in sorted(types):
        if package is not None and package.version is not None:
            ranges[type_] = exactly(type_, package.version)
        elif range_ is None:
            ranges[type_] = every_version()
        else:
            try:
                ranges[type_] = parse_range(type_, range_)
            except ValueError as error:
                wrong.append(error)
    if wrong and not ranges:
        telling = next((error for error in wrong if not isinstance(error, WrongScheme)), wrong[0])
        raise InvalidRequest({"range": [_as_predicate(telling)]})
    return ranges


def _suspect(deployment: Deployment, range_: VersionRange | None, type_: str) -> Suspect | None:
    if range_ is None:
        return Suspect(
            deployment, f"The range cannot be read as one of {type_} versions, which those of this feed are."
        )
    contained = range_.contains(deployment.row.version)
    if contained is None:
        return Suspect(deployment, f"{deployment.row.version} cannot be compared as a version of {type_} packages.")
    return Suspect(deployment, None) if contained else None


def _as_predicate(error: ValueError) -> str:
    """Return a sentence as what follows the parameter's name."""
    return f"cannot be used: {error}"
