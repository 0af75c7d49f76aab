"""Which packages, in which feeds, a package URL means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployserver.models import FEED_TYPES
from deployserver.purls import PURL_LENGTH, PURL_TYPES, parse_purl

# A purl, and records (group, package) that are of that package, and that are not.
PACKAGES = [
    ("pkg:nuget/Newtonsoft.Json@12.0.3", [(None, "Newtonsoft.Json"), ("any", "newtonsoft.json")],
     [(None, "Newtonsoft")]),
    ("pkg:npm/%40angular/core@17.0.0", [(None, "@angular/core"), ("", "@Angular/Core"), ("@angular", "core"),
     ("angular", "core")], [(None, "core"), ("other", "core"), (None, "angular/core"), ("x", "@angular/core")]),
    ("pkg:npm/@angular/core", [("@angular", "core")], [(None, "core")]),
    ("pkg:npm/lodash", [(None, "lodash"), ("any", "Lodash")], [(None, "lodash.merge"), (None, "@types/lodash")]),
    ("pkg:maven/org.apache/commons-io@2.11", [("org.apache", "commons-io"), (None, "org.apache:commons-io"),
     (None, "org.apache/commons-io")], [(None, "commons-io"), ("org", "commons-io")]),
    ("pkg:pypi/Django_REST.framework@1", [(None, "django-rest-framework"), ("any", "Django.Rest__Framework")],
     [(None, "djangorestframework")]),
    ("pkg:docker/library/nginx@1.25", [("library", "nginx"), (None, "library/nginx"), (None, "nginx")],
     [("x", "nginx")]),
    ("pkg:docker/acme/web@1", [("acme", "web"), (None, "acme/web")], [(None, "web")]),
    ("pkg:docker/localhost:5000/web@1", [(None, "localhost:5000/web")], [(None, "web")]),
    ("pkg:docker/nginx", [(None, "nginx"), ("library", "nginx")], [(None, "library/nginx")]),
    ("pkg:deb/debian/curl@7.50.3-1?arch=i386&distro=jessie", [(None, "curl"), ("any", "curl")], [(None, "libcurl")]),
    ("pkg:rpm/fedora/curl@7.50.3-1.fc25", [(None, "curl")], [(None, "fedora/curl2")]),
    ("pkg:apk/alpine/curl@7.83.0-r0", [(None, "curl")], []),
    ("pkg:upack/tools/build/agent@1.0.0", [("tools/build", "agent"), (None, "tools/build/agent")], [(None, "agent")]),
    ("pkg:terraform/hashicorp/consul/aws@0.1", [("hashicorp/consul", "aws")], [(None, "aws")]),
    ("PKG:NPM/lodash", [(None, "lodash")], []),
    ("pkg://gem/rails", [(None, "rails")], []),
    ("pkg:cargo/serde?a#b/c", [(None, "serde")], []),
]  # fmt: skip

WRONG = [
    ("", "'' is not a purl, which begins with pkg:, such as pkg:nuget/Newtonsoft.Json@12.0.3."),
    ("lodash", "'lodash' is not a purl, which begins with pkg:"),
    ("npm:lodash", "which begins with pkg:"),
    ("pkg:", "'' is not a type of purl that is known here: apk, bower, cargo, chocolatey, conda,"),
    ("pkg:golang/x/y@v1", "'golang' is not a type of purl that is known here: apk, bower, cargo, chocolatey, conda,"),
    ("pkg:npm", "'pkg:npm' is not a purl; one is pkg:type/namespace/name@version, such as"),
    ("pkg:npm/", "one is pkg:type/namespace/name@version"),
    ("pkg:npm/@1.0", "one is pkg:type/namespace/name@version"),
    ("pkg:npm/lodash@", "'pkg:npm/lodash@' has no version after its @: leave the @ out to ask for every version."),
    ("pkg:npm/lodash@?x=y", "has no version after its @"),
    ("pkg:npm/%FF@1", "has percent-encoding that is not printable text in UTF-8."),
    ("pkg:npm/a%00b@1", "has percent-encoding that is not printable text in UTF-8."),
    ("pkg:npm/a\nb@1", "The purl has a character that cannot be printed; write it percent-encoded,"),
    ("pkg:npm/" + "a" * PURL_LENGTH, "The purl is 2056 characters long; at most 2048 are allowed."),
]


@pytest.mark.parametrize(("text", "same", "different"), PACKAGES)
def test_a_purl_means_the_package_however_it_was_recorded(
    text: str, same: list[tuple[str | None, str]], different: list[tuple[str | None, str]]
) -> None:
    names = parse_purl(text).names
    assert [record for record in same if not names.matches(*record)] == []
    assert [record for record in different if names.matches(*record)] == []


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("pkg:nuget/X@12.0.3", "12.0.3"),
        ("pkg:nuget/X", None),
        ("pkg:npm/x@1.0.0%2Bbuild", "1.0.0+build"),
        ("pkg:npm/x@1.0.0+build", "1.0.0+build"),
        ("pkg:deb/debian/x@1:2.0-1?arch=i386", "1:2.0-1"),
        ("pkg:docker/nginx@sha256:0a1b", "sha256:0a1b"),
        ("pkg:npm/%40a/b@1?x#y", "1"),
        ("pkg:npm/x@^1", "^1"),
    ],
)
def test_the_version_is_read_as_it_was_written(text: str, version: str | None) -> None:
    assert parse_purl(text).version == version


@pytest.mark.parametrize("type_", PURL_TYPES)
def test_every_type_of_purl_means_types_of_feed(type_: str) -> None:
    purl = parse_purl(f"pkg:{type_}/name@1")
    assert purl.type == type_
    assert purl.feed_types == PURL_TYPES[type_]
    assert purl.feed_types
    assert purl.feed_types <= set(FEED_TYPES)


def test_every_type_of_feed_is_meant_by_a_type_of_purl() -> None:
    assert frozenset().union(*PURL_TYPES.values()) == set(FEED_TYPES)


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_a_wrong_purl_is_refused_with_what_is_wrong_and_what_would_be_right(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        parse_purl(text)
    assert message in str(caught.value)


PIECES = (
    "pkg:",
    "npm",
    "/",
    "maven",
    "@",
    "?",
    "#",
    "%",
    "%40",
    "%FF",
    "a",
    "[",
    "]",
    ":",
    "=",
    "&",
    "//",
    "\u212a",
    " ",
)


@given(text=st.one_of(st.lists(st.sampled_from(PIECES), max_size=10).map("".join), st.text(max_size=40)))
def test_any_text_is_a_purl_or_a_value_error(text: str) -> None:
    for candidate in (text, f"pkg:npm/{text}", f"pkg:docker/{text}"):
        try:
            purl = parse_purl(candidate)
        except ValueError:
            continue
        assert purl.names.candidates
        assert all(purl.names.matches(group, package) for group, package in purl.names.candidates)
