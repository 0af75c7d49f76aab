"""Ranges of versions: which versions a question is about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from deployserver.versions.brackets import maven_range, nuget_range
from deployserver.versions.comparators import apk_range, basic_range, conda_range, debian_range, gem_range
from deployserver.versions.intervals import Holds, Interval, everything, refuse_too_many
from deployserver.versions.schemes import SCHEMES, Scheme
from deployserver.versions.semver_ranges import cargo_range, npm_range, terraform_range
from deployserver.versions.vers import NAMES, WrongScheme, is_vers, vers_range

RANGE_LENGTH = 1024


@dataclass(frozen=True, slots=True)
class VersionRange:
    """A range, parsed once: how to make a key of a version, and whether the range holds it.

    ``unordered`` is the answer for a text of which no key can be made.
    """

    key: Callable[[str], Any]
    holds: Holds
    unordered: bool | None = None

    def contains(self, version: str) -> bool | None:
        """Return whether the version is in the range; None if it cannot be compared, being no version of its type."""
        try:
            key = self.key(version)
        except ValueError:
            return self.unordered
        return self.holds(key)


def pypi_range(_: Scheme, text: str) -> Holds:
    """Return the range of PEP 440 specifiers, pre-releases included. Raises ValueError."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # slow to import, seldom needed

    refuse_too_many([text.split(",")])
    try:
        specifiers = SpecifierSet(f"=={text}" if text[0] not in "<>=!~" else text)
    except InvalidSpecifier:
        raise ValueError("it is not a list of specifiers by PEP 440.") from None
    return lambda version: specifiers.contains(version, prereleases=True)


@dataclass(frozen=True, slots=True)
class _Syntax:
    parse: Callable[[Scheme, str], Holds]
    examples: str


_NUGET = _Syntax(nuget_range, "[1.0,2.0), [1.0,), (,1.0], [1.0] or 1.*")
_NPM = _Syntax(npm_range, "^1.2.3, ~1.2, >=1.0 <2.0, 1.x or 1.0 || 2.0")
_BASIC = _Syntax(basic_range, ">= 1.0, < 2.0")

_SYNTAXES = {
    "universal": _NPM,
    "nuget": _NUGET,
    "npm": _NPM,
    "maven": _Syntax(maven_range, "[1.0,2.0), [1.0,), (,1.0] or [1.0]"),
    "pypi": _Syntax(pypi_range, ">=1.0,<2.0, ~=1.4 or ==1.*"),
    "docker": _NPM,
    "powershell": _NUGET,
    "chocolatey": _NUGET,
    "rubygems": _Syntax(gem_range, "~> 1.2 or >= 1.0, < 2.0"),
    "vsix": _NUGET,
    "bower": _NPM,
    "helm": _NPM,
    "debian": _Syntax(debian_range, ">= 1.0, << 2.0 or = 1.0-1"),
    "rpm": _BASIC,
    "asset": _NPM,
    "romp": _NPM,
    "cargo": _Syntax(cargo_range, "^1.2, ~1.2, =1.2.3, 1.* or >=1.0, <2.0"),
    "conda": _Syntax(conda_range, ">=1.0,<2.0, 1.2.* or ==1.2.3"),
    "cran": _BASIC,
    "alpine": _Syntax(apk_range, ">=1.0, ~1.2 or =1.2.3-r0"),
    "terraform": _Syntax(terraform_range, "~> 1.2 or >= 1.0, < 2.0"),
}


def parse_range(feed_type: str, text: str) -> VersionRange:
    """Return the range of versions of a type of feed, in that ecosystem's syntax or in ``vers:``; ``*`` is every one.

    Raises ValueError with a message for the sender, WrongScheme if it is a ``vers:`` range for another type.
    """
    text = text.strip()
    if not text:
        raise ValueError(f"The range is empty; write for example {_SYNTAXES[feed_type].examples}, or * for all.")
    if len(text) > RANGE_LENGTH:
        raise ValueError(f"The range is {len(text)} characters long; at most {RANGE_LENGTH} are allowed.")
    if text == "*":
        return every_version()
    scheme, syntax = SCHEMES[feed_type], _SYNTAXES[feed_type]
    try:
        holds = vers_range(feed_type, scheme, text) if is_vers(text) else syntax.parse(scheme, text)
    except WrongScheme as error:
        raise WrongScheme(_explained(feed_type, text, str(error))) from None
    except ValueError as error:
        raise ValueError(_explained(feed_type, text, str(error))) from None
    return every_version() if holds is everything else VersionRange(scheme.key, holds)


def exactly(feed_type: str, version: str) -> VersionRange:
    """Return the range of one version, by the equality of the feed's type.

    What that type cannot read as a version, and tags, equal the same text in any letter case.
    """
    scheme = SCHEMES[feed_type]
    try:
        equals = scheme.equals(version)
    except ValueError:
        equals = None
    if equals is None or scheme.tags:
        text = _text_key(version)
        return VersionRange(_text_key, lambda key: bool(key == text))
    # No version equals what is none.
    return VersionRange(scheme.key, Interval(*equals).holds, unordered=False)


def every_version() -> VersionRange:
    """Return the range of all versions, and of what cannot be read as one."""
    return VersionRange(_text_key, everything)


def _text_key(text: str) -> str:
    return text.strip().casefold()


def _explained(feed_type: str, text: str, reason: str) -> str:
    examples = _SYNTAXES[feed_type].examples
    return (
        f"'{text}' is not a range of {feed_type} versions: {reason}"
        f" Write for example {examples}, or vers:{NAMES[feed_type][0]}/>=1.0|<2.0."
    )
