"""A range holds the versions that its ecosystem says it does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_versions import ANY_TEXT

from deployserver.models import FEED_TYPES
from deployserver.versions import WrongScheme, every_version, exactly, parse_range
from deployserver.versions.intervals import COMPARISONS_ALLOWED
from deployserver.versions.ranges import RANGE_LENGTH
from deployserver.versions.schemes import SCHEMES, VERSION_LENGTH
from deployserver.versions.vers import NAMES

# Feed type, range, versions that are in it, versions that are not.
RANGES = [
    ("nuget", "1.0", "1.0 1.0.0.0 1.5 2.0-beta 3", "0.9 1.0-rc"),
    ("nuget", "[1.0]", "1.0 1.0.0.0 1.0.0+build", "1.0.0.1 1.0-rc 0.9"),
    ("nuget", "(,1.0]", "0.1 1.0-rc 1.0", "1.0.0.1 2"),
    ("nuget", "(,1.0)", "0.1 1.0-rc", "1.0"),
    ("nuget", "[1.0,)", "1.0 99", "1.0-rc"),
    ("nuget", "(1.0, )", "1.0.0.1 99", "1.0"),
    ("nuget", "[1.0,2.0)", "1.0 1.9.9 2.0-beta", "0.9 2.0 2.0.0.0"),
    ("nuget", "[ 1.0 , 2.0 ]", "1.0 2.0", "2.0.1"),
    ("nuget", "[1.0.0-beta,2)", "1.0.0-Beta 1.0.0-rc 1.0", "1.0.0-alpha"),
    ("nuget", "1.*", "1.0 1.0-alpha 1.99.3.4", "0.9 2.0-alpha 2.0"),
    ("nuget", "1.2.*", "1.2 1.2.9", "1.3.0-alpha 1.20"),
    ("nuget", "1.*-*", "1.0-alpha", "2.0-alpha"),
    ("nuget", "*-*", "1.0-alpha 7", ""),
    ("nuget", "1.0.0-*", "1.0.0-alpha 1.0.0", "0.9 1.0.1"),
    ("nuget", "(,)", "0.0.1 7", ""),
    ("powershell", "[5.0,6.0)", "5.1.1", "6.0"),
    ("chocolatey", "[1.0]", "1.0.0.0", "1.1"),
    ("vsix", "[17.0,18.0)", "17.9", "18.0"),
    ("maven", "[1.0,2.0)", "1.0 1.5 2.0-SNAPSHOT", "1.0-alpha-1 2.0"),
    ("maven", "[1.0]", "1 1.0.0.RELEASE", "1.0.1 1.0-rc1"),
    ("maven", "(,1.0],[1.2,)", "0.9 1.0 1.2 3", "1.1"),
    ("maven", "(,1.1),(1.1,)", "1.0 1.2", "1.1"),
    ("npm", "^1.2.3", "1.2.3 1.9.9 1.3.0-beta", "1.2.2 1.2.3-beta 2.0.0-alpha 2.0.0"),
    ("npm", "^0.2.3", "0.2.3 0.2.9", "0.3.0 0.3.0-a 1.0.0"),
    ("npm", "^0.0.3", "0.0.3", "0.0.4 0.0.2"),
    ("npm", "^0.0", "0.0.0 0.0.9", "0.1.0"),
    ("npm", "^0", "0.0.0 0.9.9", "1.0.0-a 1.0.0"),
    ("npm", "^1.x", "1.0.0 1.9.0", "2.0.0"),
    ("npm", "^1.2.3-beta.2", "1.2.3-beta.2 1.2.3-beta.11 1.2.3 1.9.0", "1.2.3-beta.1 2.0.0"),
    ("npm", "~1.2.3", "1.2.3 1.2.9", "1.3.0-a 1.3.0 1.2.2"),
    ("npm", "~1.2", "1.2.0 1.2.9", "1.3.0"),
    ("npm", "~1", "1.0.0 1.9.0", "2.0.0-a"),
    ("npm", "~> 1.2", "1.2.0 1.2.9", "1.3.0"),
    ("npm", ">=1 <2", "1.0.0 1.9.9", "0.9.0 2.0.0-a 2.0.0"),
    ("npm", ">=1.0.0 <2.0.0", "1.0.0 2.0.0-a", "1.0.0-a 2.0.0"),
    ("npm", ">= 1.0.0, < 2.0.0", "1.0.0", "2.0.0"),
    ("npm", ">=1<2", "1.5.0", "2.0.0"),
    ("npm", "1.x", "1.0.0 1.0.0-a 1.99.0", "2.0.0-a 0.9.0"),
    ("npm", "1.X.X", "1.5.0", "2.0.0"),
    ("npm", "1.*", "1.5.0", "2.0.0"),
    ("npm", "1.2", "1.2.0 1.2.9", "1.3.0 1.1.9"),
    ("npm", "1.2.3", "1.2.3 1.2.3+b v1.2.3", "1.2.4 1.2.3-a"),
    ("npm", "=v1.2.3", "1.2.3", "1.2.4"),
    ("npm", "x", "1.0.0 0.0.1-a", ""),
    ("npm", ">=x", "1.0.0", ""),
    ("npm", ">x", "", "1.0.0"),
    ("npm", ">1", "2.0.0", "1.0.0 1.9.9"),
    ("npm", ">1.2.3", "1.2.4-a 1.2.4", "1.2.3 1.2.3-a"),
    ("npm", "<=1.2", "1.2.9 0.1.0", "1.3.0-a 1.3.0"),
    ("npm", "<1.2", "1.1.9", "1.2.0-a 1.2.0"),
    ("npm", ">=1.2.x", "1.2.0 3.0.0", "1.1.9"),
    ("npm", "!=1", "2.0.0 0.9.0", "1.0.0 1.9.0"),
    ("npm", "1.2 - 2.3", "1.2.0 2.3.9", "1.1.9 2.4.0-a 2.4.0"),
    ("npm", "1.2.3 - 2.3.4", "1.2.3 2.3.4", "2.3.5 1.2.2"),
    ("npm", ">=1.2.7 <1.3.0 || >=2", "1.2.7 2.0.0 3.0.0", "1.3.0 1.9.9"),
    ("npm", "1.2.3 || 2.0.0", "1.2.3 2.0.0", "1.2.4"),
    ("bower", "~1.2", "1.2.5", "1.3.0"),
    ("universal", ">=1.0 <2.0", "1.5.0", "2.0.0"),
    ("helm", ">= 1.2, != 1.5.1", "1.2.0 1.5.0", "1.5.1"),
    ("romp", "^1", "1.1.0", "2.0.0"),
    ("docker", ">=1.25 <2", "1.25 1.27.1", "1.24 2.0"),
    ("docker", "1.25.x", "1.25.3 1.25-alpine", "1.26"),
    ("asset", ">=1", "1.0.0", "0.1"),
    ("cargo", "1.2", "1.2.0 1.9.0", "1.1.9 2.0.0"),
    ("cargo", "0.2.3", "0.2.3 0.2.9", "0.3.0"),
    ("cargo", "=1.2", "1.2.9", "1.3.0"),
    ("cargo", "1.*", "1.9.0", "2.0.0"),
    ("cargo", "~1.2, <1.2.5", "1.2.4", "1.2.5"),
    ("terraform", "~> 1.2", "1.2.0 1.9.0", "1.1.9 2.0.0-a 2.0.0"),
    ("terraform", "~> 1.2.3", "1.2.3 1.2.9", "1.3.0 1.2.2"),
    ("terraform", "~> 1", "1.0.0 7.0.0", "0.9.0"),
    ("terraform", "1.2", "1.2.0", "1.2.1"),
    ("terraform", ">= 1.0, != 1.5, < 2.0", "1.5.1 2.0.0-a", "1.5.0 2.0.0"),
    ("terraform", "1.x", "1.5.0", "2.0.0"),
    ("pypi", ">=1.0,<2.0", "1.0 1.5rc1 1.0+local", "2.0a1 2.0 0.9"),
    ("pypi", "~=1.4", "1.4 1.9", "1.3 2.0"),
    ("pypi", "~=1.4.5", "1.4.5 1.4.9", "1.5"),
    ("pypi", "==1.*", "1.0 1.9 1.5rc1", "2.0"),
    ("pypi", "!=1.5", "1.4", "1.5 1.5.0"),
    ("pypi", "1.5", "1.5 1.5.0", "1.5.1"),
    ("pypi", "1.*", "1.7", "2"),
    ("pypi", ">1!1.0", "1!1.1", "7.0"),
    ("debian", ">= 1.0", "1.0 1.0-1 1:0.1", "1.0~rc1"),
    ("debian", "(>= 1.0)", "1.0", "0.9"),
    ("debian", "1.0-1", "1.0-1 0:1.0-1", "1.0 1.0-2"),
    ("debian", "= 1.0", "1.0 1.0-0 1.00", "1.0-1"),
    ("debian", ">> 1.0, << 2.0", "1.0-1 2.0~rc1", "1.0 2.0"),
    ("debian", ">1.0 <2.0", "1.5", "1.0 2.0"),
    ("debian", "<= 1.0~rc1 | = 2:1.0~~-1", "1.0~beta 2:1.0~~-1", "1.0 2:1.0"),
    ("rpm", ">= 1.0, < 2.0", "1.0 1.0-1 1.0^git 2.0~rc1", "1.0~rc1 2.0 2.0-1"),
    ("rpm", "= 1.0", "1.0 1.0-1 1.0-99.el9", "1.0.1 1.0^a-1"),
    ("rpm", "<= 1.0", "1.0-5", "1.0.1"),
    ("rpm", "> 1.0", "1.0.1", "1.0-5"),
    ("rpm", "!= 1.0", "1.1-1", "1.0-5"),
    ("rpm", "= 1:1.0-1.el9", "1:1.0-1.el9", "1.0-1.el9 1:1.0-2"),
    ("rubygems", "~> 1.0", "1.0 1.9", "1.0.a 2.0 2.0.a 0.9"),
    ("rubygems", "~> 1.0.0", "1.0 1.0.9", "1.1 1.1.a"),
    ("rubygems", "~> 3", "3.0 3.9", "4.0"),
    ("rubygems", "~> 1.0.a", "1.0.a 1.0 1.9", "2.0.a"),
    ("rubygems", ">= 1, < 2", "1.0 2.0.a", "2.0"),
    ("rubygems", "!= 1.2", "1.1", "1.2.0"),
    ("rubygems", "1.2", "1.2.0", "1.2.1"),
    ("alpine", ">=1.2 <1.3", "1.2 1.2.3-r0 1.3_rc1", "1.2_rc1 1.3"),
    ("alpine", "~1.2", "1.2 1.2.3-r0 1.2_rc1 1.2_git1", "1.20 1.3_rc1"),
    ("alpine", "~=1.02", "1.02.3", "1.1"),
    ("alpine", "=1.2.3-r0", "1.2.3", "1.2.3-r1"),
    ("conda", ">=1.2,<2", "1.2 1.9 2dev1", "1.2dev1 2"),
    ("conda", "1.2.*", "1.2 1.2.3 1.2dev1 1.2post1", "1.20 1.3dev1"),
    ("conda", "1.0.*", "1 1.0.5 1.0a1", "1.1 1.1dev1 0.9"),
    ("conda", "=1.2", "1.2.3", "1.3"),
    ("conda", "==1.2", "1.2.0", "1.2.3"),
    ("conda", "1.2", "1.2.0", "1.2.3"),
    ("conda", "~=1.2", "1.2 1.9", "2.0 2.0a1 1.1"),
    ("conda", "!=1.2.*|1.2.5", "1.1 1.2.5", "1.2.4"),
    ("conda", ">=1.2.*", "1.2 7", "1.1"),
    ("conda", "1.2,*", "1.2", "1.3"),
    ("conda", "!=*", "", "1.3"),
    ("cran", ">= 1.0-1, < 2.0", "1.0.1 1.9", "1.0 2.0"),
    ("cran", "(>= 1.0)", "1.0", "0.9"),
    ("nuget", "vers:nuget/>=12.0.0|<13.0.1", "12.0.0 12.9 13.0.1-beta", "13.0.1 11.9"),
    ("nuget", "VERS:NuGet/ >= 1 | < 2 ", "1.5", "2"),
    ("nuget", "vers:nuget/1.0|2.0|>=3.0|<4.0|5.0", "1 2 3 3.5 5", "1.5 2.5 4 6"),
    ("nuget", "vers:nuget/<1|>=3|!=3.5", "0.5 3 4", "1 2 3.5"),
    ("nuget", "vers:nuget/!=1|!=2", "1.5", "1 2"),
    ("nuget", "vers:nuget/|<=1|", "1", "2"),
    ("nuget", "vers:nuget/>=1|<=2|>3|<4|>5", "1 2 3.5 6", "3 4 5 2.5"),
    ("nuget", "vers:nuget/!=2|2.5|<3", "1 2.5 2.1", "2 3"),
    ("pypi", "vers:pypi/1.0%2Blocal", "1.0+local", "1.0"),
    ("pypi", "vers:pypi/>=1!0.5|<1!2", "1!1.0", "7 1!2"),
    ("debian", "vers:deb/>=1:2.0|<1:3.0~rc1", "1:2.0-1", "2.5 1:3.0"),
    ("universal", "vers:semver/>=1.0.0", "1.0.0", "0.9.0"),
]  # fmt: skip

# Feed type, range, and what the message says.
WRONG = [
    ("nuget", "", "The range is empty; write for example [1.0,2.0),"),
    ("npm", " ", "The range is empty; write for example ^1.2.3,"),
    ("nuget", "(1.0)", "'(1.0)' has no comma: only one version in square brackets, [1.0], goes without."),
    ("nuget", "[]", "'[]' has no comma"),
    ("nuget", "[2.0,1.0]", "'[2.0,1.0]' holds no version: the lower one comes first."),
    ("nuget", "(1.0,1.0.0]", "'(1.0,1.0.0]' holds no version"),
    ("nuget", "[1.0", "'[1.0' is no pair of brackets around one or two versions."),
    ("nuget", "[1,2][3,4]", "a comma is missing before '[3,4]'."),
    ("nuget", "[1,2],", "'[1,2],' is not a range of nuget versions"),
    ("nuget", ">=1.0", "'>=1.0' is not a version as nuget versions are written. Write for example [1.0,2.0), [1.0,)"),
    ("nuget", "[x,2]", "'x' is not a version as nuget versions are written."),
    ("maven", "1.0", "a version alone is only a recommendation to Maven: write [1.0] for just that one."),
    ("npm", "latest", "'latest' is not a version, or the beginning of one. Write for example ^1.2.3, ~1.2, >=1.0 <2.0"),
    ("npm", "1 ||", "nothing stands on one side of ||."),
    ("npm", "=> 1", "'=>' is none of the operators ^ ~ ~> = == != > >= < <=."),
    ("npm", ">= ", "no version can be read at '>='."),
    ("npm", "[1,2)", "no version can be read at '[1,2)'."),
    ("npm", "1.2.3-", "'1.2.3-' is not a version, or the beginning of one."),
    ("npm", "1 - x.y", "'x.y' is not a version, or the beginning of one."),
    ("pypi", "^1.0", "it is not a list of specifiers by PEP 440. Write for example >=1.0,<2.0, ~=1.4 or ==1.*,"),
    ("debian", "~> 1.0", "'~>' is none of the operators << >> = == != > >= < <=."),
    ("debian", ">= v1", "'v1' is not a version as deb versions are written."),
    ("rpm", ">> 1.0", "'>>' is none of the operators = == != > >= < <=. Write for example >= 1.0, < 2.0, or vers:rpm/"),
    ("rubygems", "^1.0", "'^' is none of the operators ~> = =="),
    ("rubygems", "~> x", "'x' is not a version as gem versions are written."),
    ("alpine", "~1.2-r1", "'1.2-r1' after ~ is not numbers with dots between."),
    ("conda", "~=1", "'1' after ~= has no second number: write ~=1.0."),
    ("conda", "1.a.*", "'1.a' stands for all that begins with it, and is not numbers with dots between."),
    ("cran", ">= 1.x", "'1.x' is not a version as cran versions are written."),
    ("terraform", "~> x1", "'x1' is not a version, or the beginning of one."),
    ("nuget", "vers:golang/1", "'golang' is not a versioning scheme that is known here: all, apk, asset,"),
    ("nuget", "vers:nuget", "nothing is compared: write vers:nuget/* or vers:nuget/>=1.0|<2.0."),
    ("nuget", "vers:nuget/", "nothing is compared"),
    ("nuget", "vers:nuget/|", "'' is no comparison: write = != < <= > or >=, and a version."),
    ("nuget", "vers:nuget/>=", "'>=' is no comparison"),
    ("nuget", "vers:nuget/1|*", "'*' is no comparison"),
    ("nuget", "vers:nuget/~1", "'~1' is not a version as nuget versions are written."),
    ("nuget", "vers:all/1", "vers:all goes with * only: write vers:all/*."),
    ("nuget", "vers:nuget/>=1|<=1.0", "'1' and '1.0' are one version, which may be named only once."),
    ("nuget", "vers:nuget/>=1|>=2", "the lower bounds '1' and '2' follow one another: one of them is too much."),
    ("nuget", "vers:nuget/<1|<2", "the upper bound '2' follows another one: one of them is too much."),
    ("npm", "1" * (RANGE_LENGTH + 1), "The range is 1025 characters long; at most 1024 are allowed."),
    ("npm", "1" * (VERSION_LENGTH + 1), "is not a version, or the beginning of one."),
    ("npm", ">" * RANGE_LENGTH, "no version can be read at"),
    ("npm", "1 " * 51, "it has 51 comparisons; at most 50 are allowed."),
    ("npm", "1||" * 50 + "1", "it has 51 comparisons; at most 50 are allowed."),
    ("nuget", "[1]," * 50 + "[1]", "it has 51 comparisons; at most 50 are allowed."),
    ("pypi", "!=1," * 50 + "!=1", "it has 51 comparisons; at most 50 are allowed."),
    ("nuget", "vers:nuget/" + "|".join(map(str, range(51))), "it has 51 comparisons; at most 50 are allowed."),
]  # fmt: skip

CONTRADICTIONS = [
    (feed_type, f"vers:{names[0]}/1")
    for feed_type in FEED_TYPES
    for other, names in NAMES.items()
    if other != feed_type and names[0] not in NAMES[feed_type]
]
VERSIONS = st.lists(st.integers(0, 9), min_size=1, max_size=3).map(lambda numbers: ".".join(map(str, numbers)))
RANGE_PIECES = (
    "1", "2.0", "1.2.3", "x", "*", "^", "~", "~>", "~=", "=", "==", "!=", ">", ">=", "<", "<=", "<<", " ", ",", "||",
    "|", "[", "]", "(", ")", " - ", "-", "vers:", "vers:nuget/", "vers:npm/", "vers:all/*", "%", "%31", "a", "1:", "1!",
)  # fmt: skip
RANGE_LIKE = st.one_of(st.lists(st.sampled_from(RANGE_PIECES), max_size=10).map("".join), st.text(max_size=40))


@pytest.mark.parametrize(("feed_type", "text", "inside", "outside"), RANGES)
def test_a_range_holds_what_its_ecosystem_says(feed_type: str, text: str, inside: str, outside: str) -> None:
    versions = parse_range(feed_type, text)
    assert {version: versions.contains(version) for version in inside.split()} == dict.fromkeys(inside.split(), True)
    assert {version: versions.contains(version) for version in outside.split()} == dict.fromkeys(outside.split(), False)


def test_every_type_of_feed_has_ranges_here() -> None:
    assert {feed_type for feed_type, *_ in RANGES} == set(FEED_TYPES) == set(NAMES)


@pytest.mark.parametrize(("feed_type", "text", "message"), WRONG)
def test_a_wrong_range_is_refused_with_what_is_wrong_and_what_would_be_right(
    feed_type: str, text: str, message: str
) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        parse_range(feed_type, text)
    assert message in str(caught.value)
    assert not isinstance(caught.value, WrongScheme)
    assert "rite for example" in str(caught.value) or "are allowed" in str(caught.value)


@pytest.mark.parametrize(("feed_type", "text"), CONTRADICTIONS)
def test_a_vers_range_of_another_type_is_told_from_a_wrong_one(feed_type: str, text: str) -> None:
    with pytest.raises(WrongScheme, match=f"is not how {feed_type} versions compare, which is vers:"):
        parse_range(feed_type, text)


@pytest.mark.parametrize("feed_type", FEED_TYPES)
@pytest.mark.parametrize("text", ["*", "vers:all/*", " VERS:All/* ", "vers:{}/*"])
def test_a_star_is_every_version_and_what_is_none(feed_type: str, text: str) -> None:
    versions = parse_range(feed_type, text.format(NAMES[feed_type][0]))
    assert versions.contains("1.0") is True
    assert versions.contains("no version, but deployed") is True
    assert parse_range(feed_type, "vers:none/*").contains("1.0") is False


@pytest.mark.parametrize("feed_type", FEED_TYPES)
def test_every_type_of_feed_takes_vers_under_its_own_names(feed_type: str) -> None:
    for name in NAMES[feed_type]:
        versions = parse_range(feed_type, f"vers:{name}/>=1.0|<2.0")
        assert [versions.contains(version) for version in ("0.9", "1.0", "1.5", "2.0")] == [False, True, True, False]


def test_a_version_that_cannot_be_compared_is_neither_in_a_range_nor_out() -> None:
    assert parse_range("npm", "^1").contains("latest") is None
    assert parse_range("pypi", "~=1.4").contains("1.0-SNAPSHOT") is None
    assert parse_range("docker", ">=1").contains("stable") is None
    assert parse_range("nuget", "1.*").contains("1." * VERSION_LENGTH) is None


@pytest.mark.parametrize(
    ("feed_type", "version", "other", "same"),
    [
        ("nuget", "12.0.3", "12.0.3.0", True),
        ("nuget", "12.0.3", "12.0.3+build.5", True),
        ("nuget", "12.0.3", "12.0.3-beta", False),
        ("nuget", "12.0.3", "latest", False),
        ("pypi", "1.0", "1.0.0", True),
        ("pypi", "1.0", "1.0+local", False),
        ("rpm", "1.0", "1.0-5.el9", True),
        ("rpm", "1.0-5.el9", "1.0", False),
        ("debian", "1.0", "1.0-5", False),
        ("docker", "1.25", "1.25", True),
        ("docker", "1.25", "1.25.0", False),
        ("docker", "Latest", " latest ", True),
        ("asset", "v1.0", "1.0", False),
        ("npm", "Nightly", "nightly", True),
        ("npm", "nightly", "1.0.0", False),
    ],
)
def test_one_version_equals_what_its_ecosystem_has_equal(feed_type: str, version: str, other: str, same: bool) -> None:
    assert exactly(feed_type, version).contains(other) is same


@pytest.mark.parametrize("feed_type", FEED_TYPES)
@given(version=ANY_TEXT, other=ANY_TEXT)
def test_every_text_equals_itself_and_is_a_version_of_every_range(feed_type: str, version: str, other: str) -> None:
    assert exactly(feed_type, version).contains(version) is True
    assert exactly(feed_type, version).contains(other) in (True, False)
    assert every_version().contains(version) is True


@pytest.mark.parametrize("feed_type", FEED_TYPES)
@given(text=RANGE_LIKE, version=ANY_TEXT)
def test_any_text_is_a_range_or_a_value_error(feed_type: str, text: str, version: str) -> None:
    try:
        versions = parse_range(feed_type, text)
    except ValueError:
        return
    assert versions.contains(version) in (True, False, None)


@pytest.mark.parametrize("feed_type", FEED_TYPES)
@given(low=VERSIONS, high=VERSIONS, version=VERSIONS)
def test_a_range_holds_what_lies_between_in_the_order(feed_type: str, low: str, high: str, version: str) -> None:
    scheme, name = SCHEMES[feed_type], NAMES[feed_type][0]
    key = scheme.key(version)
    (first, _), (_, last) = scheme.equals(low), scheme.equals(high)
    assert parse_range(feed_type, f"vers:{name}/>={low}").contains(version) is (key >= first)
    assert parse_range(feed_type, f"vers:{name}/<={high}").contains(version) is (key <= last)
    assert parse_range(feed_type, f"vers:{name}/>{high}").contains(version) is (key > last)
    assert parse_range(feed_type, f"vers:{name}/<{low}").contains(version) is (key < first)
    if first < scheme.key(high):
        assert parse_range(feed_type, f"vers:{name}/>={low}|<={high}").contains(version) is (first <= key <= last)


def test_a_range_compares_no_more_than_it_may() -> None:
    assert parse_range("npm", "||".join(["1"] * COMPARISONS_ALLOWED)).contains("1.0.0") is True
