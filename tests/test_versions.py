"""Versions compare as the type of their feed has it."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from univers import versions as univers_versions

from deployserver.models import FEED_TYPES
from deployserver.versions import newest_first, ranked
from deployserver.versions.schemes import SCHEMES, VERSION_LENGTH

# Texts that look like versions reach further into the code than any text does.
PIECES = [
    "0", "1", "01", "10", "a", "b", "rc", "alpha", "x", ".", "-", "_", "+", "~", "^", ":", "!", "*", "post", "v",
]  # fmt: skip
VERSION_LIKE = st.lists(st.sampled_from(PIECES), min_size=1, max_size=12).map("".join)
ANY_TEXT = st.one_of(VERSION_LIKE, st.text(max_size=30))


def compared(feed_type: str, one: str, other: str) -> str:
    """Return how two versions compare: one of the three signs."""
    keys = [SCHEMES[feed_type].key(version) for version in (one, other)]
    return "<" if keys[0] < keys[1] else ">" if keys[0] > keys[1] else "="


ORDERS = {
    "nuget": (
        "0.9 1.0-alpha 1.0-alpha.1 1.0-alpha.2 1.0-alpha.10 1.0-Beta 1.0-RC 1.0 1.0.0.1",
        "1.0.0.4 1.0.0.5-beta 1.0.0.5 1.0.0.6-alpha 1.0.1 1.10 2 12.0.3",
        "1.0.0-1 1.0.0-2 1.0.0-10 1.0.0-a 1.0.0-a.b 1.0.0-a-b 1.0.0",
    ),
    "npm": (
        "1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0",
        "1.0.0 1.0.1 1.2.0 1.10.0 2.0.0",
        "1.0.0-A 1.0.0-a 1.0.0 1.0.0.1 1.0.1",
    ),
    "maven": (
        "1-alpha 1-beta 1-milestone 1-rc 1-SNAPSHOT 1 1-sp 1-abc 1-xyz 1-1 1-2 1-10 1.1",
        "1.0-alpha-1 1.0-alpha-2 1.0-alpha-10 1.0-beta-1 1.0-RC1 1.0-RC2 1.0 1.0-1 1.0.1",
        "1.foo 1-1 1.1",
        "1-alpha 1 1-ga.1 1.sp 1-sp.1",
        "5.0.0.M1 5.0.0.RC1 5.0.0.BUILD-SNAPSHOT 5.0.1.RELEASE 5.0.2",
        "31.0-android 31.0-jre 31.0.1-android 31.1-jre",
        "0-alpha 0 0.1-alpha 0.1 1",
    ),
    "pypi": (
        "1.0.dev1 1.0a1.dev1 1.0a1 1.0b1 1.0rc1 1.0 1.0+local 1.0.post1.dev1 1.0.post1 1.0.1",
        "0.9 1.9 1.10 2012.4 1!0.1",
        "1.0+abc 1.0+abc.5 1.0+5",
    ),
    "rubygems": (
        "1.0.a 1.0.a9 1.0.a10 1.0.b1 1.0.pre 1.0.rc1 1.0 1.0.0.1 1.0.1 1.9 1.10 5.0.0.1",
        "1.0-1 1.0 1.0.1",
        "1.a.0.b 1.a 1.a.1 1",
    ),
    "debian": (
        "1.0~~ 1.0~~a 1.0~ 1.0~rc1 1.0 1.0-1~bpo1 1.0-1 1.0-1ubuntu1 1.0-1+b1 1.0-2 1.0-10",
        "1.0 1.0a 1.0b 1.0+b 1.0.1 1.9 1.10 1:0.1 2:0",
        "1.2-2-5 1.2-3-4",
    ),
    "rpm": (
        "1.0~rc1 1.0 1.0^git1 1.0^git2 1.0a 1.0.1 1.9 1.10 1:0.1 2:0",
        "1.0-1~rc 1.0-1 1.0-1.el8 1.0-1.el9 1.0-2 1.0-10",
        "xyz xyz10 xyz10.1 5.5p1 5.5p2 5.5.1 10xyz 10.1xyz",
    ),
    "alpine": (
        "1.0_alpha 1.0_alpha1 1.0_beta 1.0_pre1 1.0_rc1 1.0 1.0-r1 1.0-r2 1.0-r10 1.0_cvs1",
        "1.0 1.0_cvs 1.0_svn 1.0_git20200101 1.0_git20210101 1.0_hg1 1.0_p1 1.0_p1-r1 1.0a 1.0b",
        "1.0a 1.0.0 1.02 1.1 1.9 1.10 2.0.9-r7 2.0.10-r3",
    ),
    "conda": (
        "0.4 0.4.1.rc 0.4.1 0.5a1 0.5b3 0.5C1 0.5 0.9.6 0.960923 1.0",
        "1.1dev1 1.1_ 1.1a1 1.1.dev1 1.1.a1 1.1.0rc1 1.1 1.1.0post1 1.1post1 1996.07.12 1!0.4.1 1!3.1.1.6 2!0.4.1",
        "1.0.1_ 1.0.1a 1.0.1",
        "1.0 1.0+3 1.0+3.1 1.0.1",
    ),
    "cran": ("0.9 1.0 1.0-0 1.0-1 1.0.2 1.0-10 1.1 1.10 2 2020.1.15",),
}
for same, types in {
    "nuget": ("powershell", "chocolatey", "vsix"),
    "npm": ("universal", "bower", "helm", "romp", "cargo", "terraform", "docker", "asset"),
}.items():
    ORDERS |= dict.fromkeys(types, ORDERS[same])

EQUAL = {
    "nuget": (
        "12.0.3 12.0.3.0",
        "1 1.0.0",
        "1.0-Beta 1.0-beta",
        "12.0.3+build.5 12.0.3",
        "01.02 1.2",
        "1.0.0-01 1.0.0-1",
        "1.0.0.0001 1.0.0.1",
        "1.0.0.1+x 1.0.0.1",
        "v1.0 1.0",
    ),
    "npm": (
        "1.2.3+a 1.2.3+b",
        "1.2.3+2 1.2.3",
        "1.2 1.2.0",
        "v1.2.3 1.2.3",
        "1.0-a+b 1.0.0-a",
    ),
    "maven": (
        "1 1.0",
        "1 1.0.0",
        "1.0-ga 1",
        "1.0.Final 1",
        "5.0.0.RELEASE 5",
        "1-cr1 1-rc-1",
        "1-a1 1-alpha-1",
        "1b2 1-beta-2",
        "1m3 1-milestone-3",
        "1x 1.0.0-x",
        "1.0.0X 1-x",
        "2.0.x 2-x",
        "1.0.0-foo.0.0 1-foo",
        "1.0.0-0.0.0 1",
        "1- 1",
        "1..1 1.0.1",
    ),
    "pypi": (
        "1.0 1.0.0",
        "1.0RC1 1.0c1",
        "1.0-1 1.0.post1",
        "v1.0 1.0",
        "1.0+a.1 1.0+A-1",
    ),
    "rubygems": (
        "1.0 1",
        "1.0.0 1",
        "1.0.a.0 1.a",
        "1-1 1.pre.1",
    ),
    "debian": (
        "0:1.0 1.0",
        "1.0-0 1.0",
        "1.00 1.0",
        "1.01 1.1",
        "001 1",
    ),
    "rpm": (
        "0:1.0 1.0",
        "1_0 1.0",
        "1.010 1.10",
        "1.0. 1.0",
        "1..0 1.0",
        "1.0.+1 1.0.1",
    ),
    "alpine": (
        "1.0-r0 1.0",
        "1.0-r01 1.0-r1",
        "1.060 1.06",
        "1.0~a1b2 1.0",
    ),
    "conda": (
        "1.0 1",
        "1.0.0 1",
        "0.4.1.RC 0.4.1.rc",
        "1.1.a1 1.1.0a1",
        "1-1 1_1",
        "0!1 1",
        "1.1.dev1 1.1.0dev1",
    ),
    "cran": (
        "1.0-1 1.0.1",
        "1.01 1.1",
    ),
}

NO_VERSIONS = {
    "nuget": ["1.2.3.4.5", "1.0-", "1.0-beta_1", "1.0-a..b", "=1.0", "v"],
    "npm": ["latest", "1.x", "1.", ".1", "1.0-", "1.0+", "=1.0"],
    "pypi": ["1.0-foo", "1.0.0-SNAPSHOT", "1..0"],
    "rubygems": ["a", "1..0", "1.0_1", "v1.0"],
    "debian": ["a1", "v1.0", "1.0_1", ":1", "x:1"],
    "rpm": ["x:1", "-1", "~", "1_0:1", "+1:1", ":1", "1:"],
    "alpine": ["v1.0", "1.0_foo", "1.0-1", "1.0ab", "1.0-r"],
    "conda": ["", "1..0", "1.0.", "x!1", "1+1+1", "1.*"],
    "cran": ["1.0a", "1.", "-1", "1--1"],
    "docker": ["latest", "sha256:0a1b2c", "stable-alpine"],
}


@pytest.mark.parametrize(("feed_type", "order"), [(type_, order) for type_ in ORDERS for order in ORDERS[type_]])
def test_versions_come_in_the_order_of_their_ecosystem(feed_type: str, order: str) -> None:
    versions = order.split()
    assert [(pair, compared(feed_type, *pair)) for pair in pairwise(versions)] == [
        (pair, "<") for pair in pairwise(versions)
    ]
    assert newest_first(feed_type, versions) == versions[::-1]


@pytest.mark.parametrize(("feed_type", "pair"), [(type_, pair) for type_ in EQUAL for pair in EQUAL[type_]])
def test_versions_are_equal_that_their_ecosystem_has_equal(feed_type: str, pair: str) -> None:
    one, other = pair.split()
    assert compared(feed_type, one, other) == "="


@pytest.mark.parametrize(("feed_type", "text"), [(type_, text) for type_ in NO_VERSIONS for text in NO_VERSIONS[type_]])
def test_what_is_no_version_is_said_to_be_none(feed_type: str, text: str) -> None:
    scheme = SCHEMES[feed_type]
    with pytest.raises(ValueError, match=f"is not a version as {scheme.name} versions are written"):
        scheme.key(text)


def test_every_type_of_feed_has_a_scheme_and_is_ordered_here() -> None:
    assert list(SCHEMES) == list(FEED_TYPES)
    assert set(ORDERS) == set(FEED_TYPES)


@pytest.mark.parametrize("feed_type", FEED_TYPES)
@pytest.mark.parametrize("text", ["", " ", "1 0", "1\n0", "1\x00", "1.²", "٣", "1" * (VERSION_LENGTH + 1)])
def test_no_scheme_takes_what_is_no_version_anywhere(feed_type: str, text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a version as|a version is at most 256 characters long, not 257"):
        SCHEMES[feed_type].key(text)


@pytest.mark.parametrize("feed_type", FEED_TYPES)
@pytest.mark.parametrize("piece", ["1", "1.", "a1", "1-", "-", ".", "~", "^", "_p", "1_p1", "0.", "a", "1-a.", "9"])
def test_the_longest_versions_compare_whatever_they_are_made_of(feed_type: str, piece: str) -> None:
    texts = [f"1{piece * VERSION_LENGTH}"[:length] for length in (VERSION_LENGTH, VERSION_LENGTH - 1)]
    assert sorted(newest_first(feed_type, texts)) == sorted(texts)


@pytest.mark.parametrize("feed_type", FEED_TYPES)
@given(texts=st.lists(ANY_TEXT, min_size=3, max_size=3))
def test_the_order_is_one(feed_type: str, texts: list[str]) -> None:
    scheme = SCHEMES[feed_type]
    keys = []
    for text in texts:
        try:
            keys.append(scheme.key(text))
        except ValueError:
            continue
    for one in keys:
        assert one == one and not one < one
        for other in keys:
            assert (one < other) + (one == other) + (one > other) == 1
            assert (one == other) == (other == one) and (one < other) == (other > one)
            for third in keys:
                assert not (one <= other and other <= third) or one <= third


@pytest.mark.parametrize("feed_type", FEED_TYPES)
@given(texts=st.lists(ANY_TEXT, max_size=8))
def test_all_texts_are_kept_once_and_always_in_the_same_order(feed_type: str, texts: list[str]) -> None:
    ordered = newest_first(feed_type, texts)
    assert sorted(ordered) == sorted(set(texts))
    assert newest_first(feed_type, texts[::-1] + texts) == ordered


def test_what_is_no_version_comes_last_by_text() -> None:
    assert newest_first("npm", ["latest", "1.0", "2.0", "beta", "1.10", "1.0"]) == [
        "2.0",
        "1.10",
        "1.0",
        "beta",
        "latest",
    ]


NUMBERS = st.lists(st.integers(0, 12), min_size=1, max_size=4).map(lambda numbers: ".".join(map(str, numbers)))
# Where univers is right; what it gets wrong is in the tables above.
ORACLES = {
    "nuget": (univers_versions.NugetVersion, " -alpha -alpha.1 -beta.2 -beta.11 -rc"),
    "rubygems": (univers_versions.RubygemsVersion, " .a .rc1 .pre.2 .0"),
    "debian": (univers_versions.DebianVersion, " ~rc1 +b1 a -1 -1~bpo1"),
    "rpm": (univers_versions.RpmVersion, "-1 ~rc1-1 ^git-1 a-1 -1.el9"),
    "alpine": (univers_versions.AlpineLinuxVersion, " _rc1 _p a -r1 _pre"),
    "maven": (univers_versions.MavenVersion, " -alpha-1 -rc1 -SNAPSHOT -sp"),
}


@pytest.mark.parametrize("feed_type", ORACLES)
@given(data=st.data())
def test_univers_agrees_where_it_is_right(feed_type: str, data: st.DataObject) -> None:
    version, ends = ORACLES[feed_type]
    one, other = (data.draw(NUMBERS) + data.draw(st.sampled_from(ends.split(" "))) for _ in range(2))
    left, right = version(one), version(other)
    assert compared(feed_type, one, other) == ("<" if left < right else ">" if left > right else "=")


def test_the_libraries_are_not_imported_before_they_are_needed() -> None:
    code = (
        "import sys, deployserver.versions, deployserver.purls;"
        "print(*{'univers', 'packageurl', 'packaging'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_ranks_count_the_versions_that_are_newer_and_texts_of_one_version_once() -> None:
    assert ranked("nuget", ["1.0", "2.0-rc1", "1.0.0", "2.0", "nightly", "1.0"]) == [
        ("2.0", 0), ("2.0-rc1", 1), ("1.0.0", 2), ("1.0", 2), ("nightly", None),
    ]  # fmt: skip  # as they are ranked
    assert ranked("npm", []) == []
