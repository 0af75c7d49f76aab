"""Ranges in the ``vers:`` syntax that all ecosystems share: ``vers:nuget/>=12.0.0|<13.0.1``.

By the specification of package-url (VERS). Univers is not used for it: it leaves percent-encoding in, rejects
``vers:all/*``, and takes ``>=1|<=1`` for every version.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any
from urllib.parse import unquote

from deployserver.versions.intervals import Holds, Interval, any_of, compared, everything, refuse_too_many
from deployserver.versions.schemes import Scheme

NAMES = {
    "universal": ("upack", "universal", "semver"),
    "nuget": ("nuget",),
    "npm": ("npm", "semver"),
    "maven": ("maven",),
    "pypi": ("pypi",),
    "docker": ("docker", "oci", "semver"),
    "powershell": ("powershell", "nuget"),
    "chocolatey": ("chocolatey", "nuget"),
    "rubygems": ("gem",),
    "vsix": ("vsix", "nuget"),
    "bower": ("bower", "semver"),
    "helm": ("helm", "semver"),
    "debian": ("deb",),
    "rpm": ("rpm",),
    "asset": ("asset", "generic", "semver"),
    "romp": ("romp", "semver"),
    "cargo": ("cargo", "semver"),
    "conda": ("conda",),
    "cran": ("cran",),
    "alpine": ("apk",),
    "terraform": ("terraform", "semver"),
}
"""What the versioning schemes of each type of feed are called after ``vers:``; the first is the type's own."""

_KNOWN = sorted({"all", "none", *(name for names in NAMES.values() for name in names)})
_COMPARISON = re.compile(r"(>=|<=|!=|[<>=]?)([^<>=!*|]+(?:![^<>=!*|]+)*)")


class WrongScheme(ValueError):
    """The range is fine, for feeds of another type; the message says for which it is."""


def is_vers(text: str) -> bool:
    """Return whether the text is meant as a ``vers:`` range."""
    return text[:5].lower() == "vers:"


def vers_range(feed_type: str, scheme: Scheme, text: str) -> Holds:
    """Return the range. Raises WrongScheme if it is of another type, ValueError if it is none."""
    name, slash, constraints = "".join(text[5:].split()).partition("/")
    name = name.lower()
    if name not in _KNOWN:
        raise ValueError(f"'{name}' is not a versioning scheme that is known here: {', '.join(_KNOWN)}.")
    if not slash or not constraints:
        raise ValueError(f"nothing is compared: write vers:{name}/* or vers:{name}/>=1.0|<2.0.")
    if name in ("all", "none"):
        if constraints != "*":
            raise ValueError(f"vers:{name} goes with * only: write vers:{name}/*.")
        return everything if name == "all" else any_of([[Interval(outside=True)]])
    if name not in NAMES[feed_type]:
        raise WrongScheme(f"vers:{name} is not how {feed_type} versions compare, which is vers:{NAMES[feed_type][0]}.")
    if constraints == "*":
        return everything
    return _holds(_sorted(scheme, constraints))


_Constraint = tuple[str, tuple[Any, Any], str]


def _sorted(scheme: Scheme, text: str) -> list[_Constraint]:
    constraints: list[_Constraint] = []
    parts = text.strip("|").split("|")
    refuse_too_many([parts])
    for part in parts:
        match = _COMPARISON.fullmatch(part)
        if match is None:
            raise ValueError(f"'{part}' is no comparison: write = != < <= > or >=, and a version.")
        version = unquote(match[2])
        constraints.append((match[1] or "=", scheme.equals(version), version))
    constraints.sort(key=lambda constraint: constraint[1][0])
    for one, other in pairwise(constraints):
        if one[1][0] == other[1][0]:
            raise ValueError(f"'{one[2]}' and '{other[2]}' are one version, which may be named only once.")
    return constraints


def _holds(constraints: list[_Constraint]) -> Holds:
    equal = [[compared(operator, equals)] for operator, equals, _ in constraints if operator == "="]
    unequal = [compared(operator, equals) for operator, equals, _ in constraints if operator == "!="]
    bounds = [constraint for constraint in constraints if constraint[0] not in ("=", "!=")]
    intervals: list[list[Interval]] = []
    if bounds:
        intervals = [[*pair, *unequal] for pair in _pairs(bounds)]
    elif unequal:
        intervals = [unequal]
    return any_of([*equal, *intervals])


def _pairs(bounds: list[_Constraint]) -> list[list[Interval]]:
    pairs: list[list[Interval]] = []
    opened: _Constraint | None = None
    for bound in bounds:
        operator, equals, version = bound
        if operator in (">", ">="):
            if opened:
                raise ValueError(
                    f"the lower bounds '{opened[2]}' and '{version}' follow one another: one of them is too much."
                )
            opened = bound
        elif opened:
            pairs.append([compared(opened[0], opened[1]), compared(operator, equals)])
            opened = None
        elif pairs:
            raise ValueError(f"the upper bound '{version}' follows another one: one of them is too much.")
        else:
            pairs.append([compared(operator, equals)])
    if opened:
        pairs.append([compared(opened[0], opened[1])])
    return pairs
