"""Version numbers as each ecosystem writes them, rising from release to release."""

from __future__ import annotations

import random
from collections.abc import Mapping

# {0}.{1}.{2} are major, minor and patch, {3} counts prereleases or rebuilds, {4} is a build number, {5} a commit, {6} a
# month (2026.11) and {7} a day (20261121). A style is how one package writes its releases, and its prereleases.
SEMVER = ("{0}.{1}.{2}", "{0}.{1}.{2}-beta.{3}")
STYLES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "nuget": (SEMVER, ("{0}.{1}.{2}.{4}", "{0}.{1}.{2}.{4}-rc{3}"), ("{0}.{1}.{2}", "{0}.{1}.{2}-ci.{3}+{5}")),
    "npm": (SEMVER, ("{0}.{1}.{2}", "{0}.{1}.{2}-next.{3}")),
    "maven": (
        ("{0}.{1}.{2}", "{0}.{1}.{2}-SNAPSHOT"),
        ("{0}.{1}.{2}.Final", "{0}.{1}.{2}.CR{3}"),
        ("{0}.{1}.{2}-jre", "{0}.{1}.{2}-rc{3}-jre"),
    ),
    "pypi": (("{0}.{1}.{2}", "{0}.{1}.{2}rc{3}"), ("{0}.{1}.{2}.post{3}", "{0}.{1}.{2}.dev{4}")),
    "docker": (SEMVER, ("{0}.{1}.{2}-alpine", "{0}.{1}.{2}-rc{3}-alpine"), ("{6}.{4}", "{6}.{4}-{5}")),
    "universal": (SEMVER, ("{0}.{1}.{2}+build.{4}", "{0}.{1}.{2}-rc.{3}+build.{4}")),
    "powershell": (("{0}.{1}.{2}", "{0}.{1}.{2}-preview{3}"),),
    "chocolatey": (SEMVER, ("{0}.{1}.{2}.{7}", "{0}.{1}.{2}-beta{3}")),
    "rubygems": (("{0}.{1}.{2}", "{0}.{1}.{2}.rc{3}"),),
    "vsix": (("{0}.{1}.{2}.{4}", "{0}.{1}.{2}.{4}"),),
    "helm": (SEMVER, ("v{0}.{1}.{2}", "v{0}.{1}.{2}-rc.{3}")),
    "debian": (("{0}.{1}.{2}-{3}", "{0}.{1}.{2}~rc{3}-1"), ("1:{0}.{1}.{2}-{3}+deb12u1", "1:{0}.{1}.{2}~beta{3}-1")),
    "rpm": (("{0}.{1}.{2}-{3}.el9", "{0}.{1}.{2}~rc{3}-1.el9"), ("2:{0}.{1}.{2}-{3}.el8", "2:{0}.{1}.{2}~rc{3}-1.el8")),
    "cargo": (SEMVER,),
    "conda": (("{0}.{1}.{2}", "{0}.{1}.{2}rc{3}"), ("{6}.{4}", "{6}.{4}rc{3}")),
    "alpine": (("{0}.{1}.{2}-r{3}", "{0}.{1}.{2}_rc{3}-r0"),),
    "terraform": (SEMVER,),
}

STRAY = (
    "latest", "stable", "nightly", "{0}.x", "hotfix-{4}", "main-{5}", "build_{4}", "release {6}", "v{0}_{1}_{2}",
    "{0}.{1}.{2}-final-FINAL",
)  # fmt: skip  # what somebody typed, or a pipeline took from a branch: no version in any syntax
"""Versions that do not parse where a version number is expected."""


class Versions:
    """The versions of one package: ``current`` is the last that was released, None before the first."""

    __slots__ = ("_build", "_count", "_final", "_number", "_pre", "_random", "current")

    def __init__(self, type_: str, random_: random.Random) -> None:
        self._random = random_
        self._final, self._pre = random_.choice(STYLES.get(type_, (SEMVER,)))
        self._number = [random_.choice((0, 1, 1, 2, 3, 5, 12)), random_.randrange(8), random_.randrange(5)]
        self._build = random_.randrange(100, 5000)
        self._count = 0
        self.current: str | None = None

    def release(self, day: str) -> str:
        """Return the next version, which becomes the current one; ``day`` is written like 20261121."""
        if self._count == 0:
            self._raise()
        self._count = 0
        self.current = self._text(self._final, 1, day)
        return self.current

    def prerelease(self, day: str) -> str:
        """Return the next prerelease of the version that comes next."""
        if self._count == 0:
            self._raise()
        self._count += 1
        return self._text(self._pre, self._count, day)

    def stray(self, day: str) -> str:
        """Return something that is no version number."""
        return self._text(self._random.choice(STRAY), 1, day)

    def _raise(self) -> None:
        number, chance = self._number, self._random.random()
        if chance < 0.7:
            number[2] += 1
        elif chance < 0.97:
            number[1:] = [number[1] + 1, 0]
        else:
            number[:] = [number[0] + 1, 0, 0]

    def _text(self, style: str, count: int, day: str) -> str:
        self._build += self._random.randrange(1, 9)
        commit = f"{self._random.getrandbits(28):07x}"
        return style.format(*self._number, count, self._build, commit, f"{day[:4]}.{day[4:6]}", day)
