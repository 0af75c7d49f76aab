"""Package URLs (https://github.com/package-url/purl-spec): which package, of which types of feed, is meant."""

from __future__ import annotations

import re
from dataclasses import dataclass

PURL_LENGTH = 2048

PURL_TYPES: dict[str, frozenset[str]] = {
    "apk": frozenset({"alpine"}),
    "bower": frozenset({"bower"}),
    "cargo": frozenset({"cargo"}),
    "chocolatey": frozenset({"chocolatey"}),
    "conda": frozenset({"conda"}),
    "cran": frozenset({"cran"}),
    "deb": frozenset({"debian"}),
    "docker": frozenset({"docker"}),
    "gem": frozenset({"rubygems"}),
    "generic": frozenset({"universal", "asset", "romp"}),
    "helm": frozenset({"helm"}),
    "maven": frozenset({"maven"}),
    "npm": frozenset({"npm"}),
    "nuget": frozenset({"nuget", "powershell", "chocolatey"}),
    "oci": frozenset({"docker"}),
    "powershell": frozenset({"powershell"}),
    "pypi": frozenset({"pypi"}),
    "romp": frozenset({"romp"}),
    "rpm": frozenset({"rpm"}),
    "terraform": frozenset({"terraform"}),
    "upack": frozenset({"universal"}),
    "vsix": frozenset({"vsix"}),
}
"""The types of feeds that hold packages of each type of purl; ``upack`` is ProGet's for universal packages."""

_DISTRIBUTIONS = frozenset({"deb", "rpm", "apk"})
_PYPI_SEPARATORS = re.compile(r"[-_.]+")
_EXAMPLE = "such as pkg:nuget/Newtonsoft.Json@12.0.3"


@dataclass(frozen=True, slots=True)
class PackageNames:
    """The ways in which one package may be recorded, each a group and a package name.

    The group is None where any will do, and empty for none. With ``any_separator``, runs of ``-``, ``_`` and ``.`` are
    the same, as PyPI has it.
    """

    candidates: tuple[tuple[str | None, str], ...]
    any_separator: bool = False

    def matches(self, group: str | None, package: str) -> bool:
        """Return whether a record's group and package are one of these, in any letter case."""
        folded_group, folded_package = self._folded(group or ""), self._folded(package)
        return any(
            self._folded(candidate) == folded_package and (of is None or self._folded(of) == folded_group)
            for of, candidate in self.candidates
        )

    def _folded(self, name: str) -> str:
        return (_PYPI_SEPARATORS.sub("-", name) if self.any_separator else name).casefold()


@dataclass(frozen=True, slots=True)
class Purl:
    """A package and, unless ``version`` is None, one version of it."""

    type: str
    feed_types: frozenset[str]
    names: PackageNames
    version: str | None


def parse_purl(text: str) -> Purl:
    """Read a package URL; its qualifiers and subpath are ignored. Raises ValueError with a message for the sender."""
    from packageurl import PackageURL  # slow to import, and only needed by who asks with a purl

    text = text.strip()
    if len(text) > PURL_LENGTH:
        raise ValueError(f"The purl is {len(text)} characters long; at most {PURL_LENGTH} are allowed.")
    if not text.isprintable():
        raise ValueError(f"The purl has a character that cannot be printed; write it percent-encoded, {_EXAMPLE}.")
    scheme, colon, rest = text.partition(":")
    if not colon or scheme.lower() != "pkg":
        raise ValueError(f"'{text}' is not a purl, which begins with pkg:, {_EXAMPLE}.")
    # Cut off rather than parsed, so that nothing in what is ignored can be wrong.
    rest = rest.partition("#")[0].partition("?")[0].strip()
    type_ = rest.lstrip("/").partition("/")[0].lower()
    if type_ not in PURL_TYPES:
        raise ValueError(f"'{type_}' is not a type of purl that is known here: {', '.join(PURL_TYPES)}.")
    if rest.endswith("@"):
        raise ValueError(f"'{text}' has no version after its @: leave the @ out to ask for every version.")
    try:
        purl = PackageURL.from_string(f"pkg:{rest}")
    except ValueError:
        raise ValueError(f"'{text}' is not a purl; one is pkg:type/namespace/name@version, {_EXAMPLE}.") from None
    for part in (purl.namespace, purl.name, purl.version):
        if part and ("\ufffd" in part or not part.isprintable()):
            raise ValueError(f"'{text}' has percent-encoding that is not printable text in UTF-8.")
    names = PackageNames(_candidates(type_, purl.namespace, purl.name), any_separator=type_ == "pypi")
    return Purl(type_, PURL_TYPES[type_], names, purl.version)


def _candidates(type_: str, namespace: str | None, name: str) -> tuple[tuple[str | None, str], ...]:
    if not namespace or type_ in _DISTRIBUTIONS:
        return ((None, name),)
    joined = (namespace, name), ("", f"{namespace}/{name}")
    match type_:
        case "npm":
            scope = namespace.removeprefix("@")
            return (f"@{scope}", name), (scope, name), ("", f"@{scope}/{name}")
        case "maven":
            return (*joined, ("", f"{namespace}:{name}"))
        case "docker" if namespace == "library":
            # Docker's own images are pulled without their namespace.
            return (*joined, ("", name))
    return joined
