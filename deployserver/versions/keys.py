"""Sort keys of versions, one function for each way to write and order them.

Each takes a version as ``schemes.Scheme.key`` passes it: ASCII, short, without white space. It returns a key that
compares with every other key of the function, equal for equal versions, or raises ValueError. They are keys and not
objects that compare themselves because pages sort thousands of versions: that must not take a call per comparison.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

Key = tuple[Any, ...]

_SEMVER = re.compile(
    r"[vV]?(?P<release>[0-9]+(?:\.[0-9]+)*)"
    r"(?:-(?P<pre>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
_NUGET_PARTS = 4
_APK = re.compile(
    r"(?P<release>[0-9]+(?:\.[0-9]+)*)(?P<letter>[a-z]?)"
    r"(?P<suffixes>(?:_(?:alpha|beta|pre|rc|cvs|svn|git|hg|p)[0-9]*)*)(?:~[0-9a-f]+)?(?:-r(?P<revision>[0-9]+))?"
)
_APK_SUFFIXES = {
    "alpha": -4, "beta": -3, "pre": -2, "rc": -1, "cvs": 1, "svn": 2, "git": 3, "hg": 4, "p": 5,
}  # fmt: skip  # in their order, as the manual lists them; a version without is 0
_APK_SUFFIX = re.compile(r"_([a-z]+)([0-9]*)")
_CRAN = re.compile(r"[0-9]+(?:[.-][0-9]+)*")
_CONDA = re.compile(r"(?:(?P<epoch>[0-9]+)!)?(?P<version>[0-9a-z._-]+)(?:\+(?P<local>[0-9a-z._-]+))?")
_RPM_SEGMENT = re.compile(r"[0-9]+|[A-Za-z]+|[~^]")
_DEBIAN_SEGMENT = re.compile(r"([^0-9]*)([0-9]*)")
_DEBIAN_END = (0,)
_DEBIAN_DOT = (ord(".") + 256, 0)

RPM_ANY_RELEASE_BELOW: Key = ()
RPM_ANY_RELEASE_ABOVE: Key = ((9,),)


def semver_key(text: str) -> Key:
    """Return (release, pre-release), by semver.org's precedence: build metadata does not count.

    Parts that are missing are zero, and more than three are allowed, as are a leading ``v`` and zeros: what people
    deploy is not always strict.
    """
    match = _SEMVER.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return semver_release(match["release"]), pre_release(match["pre"])


def nuget_key(text: str) -> Key:
    """Return the same for up to four parts, and labels whose letter case does not count, as NuGet orders them."""
    match = _SEMVER.fullmatch(text)
    if match is None or match["release"].count(".") >= _NUGET_PARTS:
        raise ValueError(text)
    return semver_release(match["release"]), pre_release(match["pre"] and match["pre"].lower())


def semver_release(text: str) -> tuple[int, ...]:
    """Return the numbers without zeros at the end, so that 1, 1.0 and 1.0.0 are one."""
    return without_zeros([int(part) for part in text.split(".")])


def without_zeros(numbers: list[int]) -> tuple[int, ...]:
    """Return the numbers without zeros at the end."""
    end = len(numbers)
    while end and not numbers[end - 1]:
        end -= 1
    return tuple(numbers[:end])


def pre_release(text: str | None) -> Key:
    """Return the key of pre-release labels: numbers before words, fewer before more, and any before none."""
    if not text:
        return (1, ())
    return (0, tuple((0, int(label), "") if label.isdigit() else (1, 0, label) for label in text.split(".")))


def before(numbers: list[int]) -> Key:
    """Return a key of no semantic version: before the first pre-release of this one, after all of the one before."""
    return without_zeros(numbers), (0, ())


def pypi_key(text: str) -> Any:
    """Return the version as the packaging library compares it, by PEP 440."""
    from packaging.version import Version  # slow to import, and only needed by who asks for a range

    return Version(text)


def gem_key(text: str) -> Key:
    """Return the key of a RubyGems version: words come before numbers, and zeros at the end do not count."""
    from univers.gem import GemVersion  # slow to import, and only needed by who asks for a range

    numbers, rest = GemVersion(text).split_segments()
    items = [(1, part, "") if isinstance(part, int) else (0, 0, part) for part in (*without_zeros(numbers), *rest)]
    return _padded(items, (1, 0, ""))


def gem_pessimistic_end(text: str) -> Key:
    """Return a key that is less than those of all versions, pre-releases too, at which ``~> text`` ends."""
    from univers.gem import GemVersion

    return (*gem_key(str(GemVersion(text).bump()))[:-1], (-2,))


def debian_key(text: str) -> Key:
    """Return (epoch, upstream, revision), by deb-version(7)."""
    from univers.debian import Version  # slow to import, and only needed by who asks for a range

    version = Version.from_string(text)
    return version.epoch, _debian_part(version.upstream), _debian_part(version.revision)


def _debian_part(text: str) -> Key:
    # A tilde sorts before the end, the end before letters, letters before the rest: so each run of non-digits ends
    # with a 0, and so does the whole, where the pattern finds nothing once more. Digits compare as numbers: univers
    # takes 1.0 and 1.00 for different.
    return tuple((_debian_order(word), int(digits or 0)) for word, digits in _DEBIAN_SEGMENT.findall(text))


def _debian_order(word: str) -> tuple[int, ...]:
    if not word or word == ".":
        return _DEBIAN_DOT if word else _DEBIAN_END  # made once, since nearly all are one of these
    return (*(-1 if c == "~" else ord(c) if c.isalpha() else ord(c) + 256 for c in word), 0)


def rpm_key(text: str) -> Key:
    """Return (epoch, version, release), by rpm-version(7); without a release, the last is empty."""
    from univers.rpm import from_evr  # slow to import, and only needed by who asks for a range

    epoch, version, release = from_evr(text)
    # Python's int(), which univers calls, also reads "+1" and "1_0".
    if not any(map(str.isalnum, version)) or (":" in text and not text.partition(":")[0].isdigit()):
        raise ValueError(text)
    return epoch, _rpm_part(version), _rpm_part(release) if release else RPM_ANY_RELEASE_BELOW


def _rpm_part(text: str) -> Key:
    # A tilde sorts before the end, a caret after it, then letters, then numbers; all else only separates.
    segments: list[Key] = []
    for segment in _RPM_SEGMENT.findall(text):
        if segment.isdigit():
            segments.append((4, int(segment)))
        elif segment.isalpha():
            segments.append((3, segment))
        else:
            segments.append((0,) if segment == "~" else (2,))
    return (*segments, (1,))


def apk_key(text: str) -> Key:
    """Return (release, letter, suffixes, revision), by apk-package(5) and apk-tools.

    Univers knows neither the suffixes of version control (``_git20240101``) nor a hash.
    """
    match = _APK.fullmatch(text)
    if match is None:
        raise ValueError(text)
    suffixes = tuple((_APK_SUFFIXES[name], int(number or 0)) for name, number in _APK_SUFFIX.findall(match["suffixes"]))
    return apk_release(match["release"]), match["letter"], (*suffixes, (0, 0)), int(match["revision"] or 0)


def apk_release(text: str) -> Key:
    """Return the key of the dotted numbers; after the first one, a leading zero makes it a fraction: 1.02 < 1.1."""
    first, *rest = text.split(".")
    return ((1, int(first)), *((0, part.rstrip("0")) if part[0] == "0" else (1, int(part)) for part in rest))


def cran_key(text: str) -> Key:
    """Return the numbers, as R's ``package_version`` compares them: 1.0-1 is 1.0.1, but 1.0 comes before 1.0.0."""
    if _CRAN.fullmatch(text) is None:
        raise ValueError(text)
    return tuple(int(part) for part in re.split(r"[.-]", text))


def conda_key(text: str) -> Key:
    """Return (epoch, version, local), by the rules of conda's ``VersionOrder``; univers does not know conda."""
    match = _CONDA.fullmatch(text.lower())
    if match is None:
        raise ValueError(text)
    return int(match["epoch"] or 0), _padded_parts(match["version"]), _padded_parts(match["local"] or "0")


_CONDA_ZERO: Key = (2, 0, "")
_CONDA_ZERO_PART: Key = ((0,),)


def conda_prefix(text: str) -> Key:
    """Return a key that is less than those of all versions whose parts begin with these dotted numbers."""
    *parts, last = (_conda_part(part) for part in text.split("."))
    return 0, _padded([*parts, (*last[:-1], (-2,))], _CONDA_ZERO_PART)


def _padded_parts(text: str) -> Key:
    # An underscore at the end is a word that sorts before letters, as OpenSSL's 1.0.1_ comes before 1.0.1a.
    end = "_" if text.endswith("_") else ""
    *parts, last = re.split(r"[._-]", text[: len(text) - len(end)])
    return _padded([*map(_conda_part, parts), _conda_part(last + end)], _CONDA_ZERO_PART)


def _conda_part(text: str) -> Key:
    if text.isdigit():
        # Most parts are numbers: this is what all of the rest comes to for them, at a tenth of the time.
        number = int(text)
        return ((1, 0, (2, number, "")), (0,)) if number else _CONDA_ZERO_PART
    runs = re.findall(r"[0-9]+|[a-z]+|_", text)
    if not runs:
        raise ValueError(text)
    items = [_conda_item(run) for run in runs]
    # A part that starts with a word has a 0 before it, so that words always meet words: 1.1.a1 is 1.1.0a1.
    return _padded(items if runs[0].isdigit() else [_CONDA_ZERO, *items], _CONDA_ZERO)


def _conda_item(run: str) -> Key:
    if run.isdigit():
        return (2, int(run), "")
    return {"dev": (0, 0, ""), "post": (3, 0, "")}.get(run, (1, 0, run))


def _padded(items: Iterable[Key], zero: Key) -> Key:
    """Return a key of items that compares as if the shorter list were filled up with ``zero``.

    Zeros are counted and not kept: what follows them says whether they are more or less than the end is.
    """
    key: list[Key] = []
    zeros = 0
    for item in items:
        if item == zero:
            zeros += 1
        else:
            key.append((1, -zeros, item) if item > zero else (-1, zeros, item))
            zeros = 0
    return (*key, (0,))
