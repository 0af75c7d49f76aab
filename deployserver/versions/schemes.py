"""How the versions of each type of feed compare.

=================================  =========  ====================================================================
Feed type                          Scheme     Order
=================================  =========  ====================================================================
nuget powershell chocolatey vsix   nuget      four parts, labels in any letter case, build metadata does not count
npm bower universal romp helm      semver     semver.org; parts that are missing are zero
cargo terraform                    semver     the same
docker asset                       tag        none of its own: equal is the same text, in a range as semver
maven                              maven      Maven's POM reference
pypi                               pypi       PEP 440
rubygems                           gem        Gem::Version
debian                             deb        deb-version(7)
rpm                                rpm        rpm-version(7); without a release, any release is meant
alpine                             apk        apk-tools
conda                              conda      conda's VersionOrder
cran                               cran       R's package_version
=================================  =========  ====================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from deployserver.versions.keys import (
    RPM_ANY_RELEASE_ABOVE,
    RPM_ANY_RELEASE_BELOW,
    apk_key,
    conda_key,
    cran_key,
    debian_key,
    gem_key,
    nuget_key,
    pypi_key,
    rpm_key,
    semver_key,
)
from deployserver.versions.maven import maven_key

VERSION_LENGTH = 256
"""Longer texts are no versions: no package has one, and some would take long to compare."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """A way to order versions; ``tags`` is true if equal are only the same texts."""

    name: str
    make_key: Callable[[str], Any]
    tags: bool = False

    def key(self, version: str) -> Any:
        """Return the sort key of a version. Raises ValueError, with a text for who wrote it, if it is none."""
        text = version.strip()
        if len(text) > VERSION_LENGTH:
            raise ValueError(f"a version is at most {VERSION_LENGTH} characters long, not {len(text)}.")
        # Other digits than 0 to 9 are digits to Python but not to its int().
        if text and text.isascii() and text.isprintable() and " " not in text:
            try:
                return self.make_key(text)
            except ValueError:
                pass
        raise ValueError(f"'{text}' is not a version as {self.name} versions are written.")

    def equals(self, version: str) -> tuple[Any, Any]:
        """Return the least and greatest keys of versions that equal this one. Raises ValueError as ``key`` does."""
        key = self.key(version)
        if self.name == "rpm" and key[2] == RPM_ANY_RELEASE_BELOW:
            return key, (*key[:2], RPM_ANY_RELEASE_ABOVE)
        return key, key


NUGET = Scheme("nuget", nuget_key)
SEMVER = Scheme("semver", semver_key)
TAG = Scheme("tag", semver_key, tags=True)
MAVEN = Scheme("maven", maven_key)
PYPI = Scheme("pypi", pypi_key)
GEM = Scheme("gem", gem_key)
DEB = Scheme("deb", debian_key)
RPM = Scheme("rpm", rpm_key)
APK = Scheme("apk", apk_key)
CONDA = Scheme("conda", conda_key)
CRAN = Scheme("cran", cran_key)

SCHEMES = {
    "universal": SEMVER,
    "nuget": NUGET,
    "npm": SEMVER,
    "maven": MAVEN,
    "pypi": PYPI,
    "docker": TAG,
    "powershell": NUGET,
    "chocolatey": NUGET,
    "rubygems": GEM,
    "vsix": NUGET,
    "bower": SEMVER,
    "helm": SEMVER,
    "debian": DEB,
    "rpm": RPM,
    "asset": TAG,
    "romp": SEMVER,
    "cargo": SEMVER,
    "conda": CONDA,
    "cran": CRAN,
    "alpine": APK,
    "terraform": SEMVER,
}
"""The scheme of each of ``models.FEED_TYPES``."""


def newest_first(feed_type: str, versions: Iterable[str]) -> list[str]:
    """Return the distinct texts, the newest version first; what is no version of the feed's type comes last, by text.

    Texts of equal versions are ordered among themselves, too, so that a page looks the same each time.
    """
    return [version for version, _ in ranked(feed_type, versions)]


def ranked(feed_type: str, versions: Iterable[str]) -> list[tuple[str, int | None]]:
    """Return what ``newest_first`` does, each with how many versions are newer; None for what is no version.

    Texts of equal versions count as one.
    """
    scheme = SCHEMES[feed_type]
    ordered: list[tuple[Any, str]] = []
    rest: list[str] = []
    for version in set(versions):
        try:
            ordered.append((scheme.key(version), version))
        except ValueError:
            rest.append(version)
    ordered.sort(reverse=True)
    found: list[tuple[str, int | None]] = []
    newer, previous = -1, None
    for key, version in ordered:
        if key != previous:
            newer, previous = newer + 1, key
        found.append((version, newer))
    return found + [(version, None) for version in sorted(rest)]
