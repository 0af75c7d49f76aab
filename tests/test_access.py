"""Who may do what in which feed: ProGet's keys, users and privileges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from conftest import FEED, RECORD, Service
from hypothesis import given
from hypothesis import strategies as st
from waiting import until

from deployserver.access import Access, key_digest
from deployserver.errors import Conflict, InvalidValue, NotFound
from deployserver.feeds import add_feed, remove_feed, update_feed
from deployserver.models import (
    ANONYMOUS,
    AUTHENTICATED,
    BUILT_IN_PRINCIPALS,
    DOWNLOAD_PACKAGE,
    EVERYONE,
    FEED_PERMISSIONS,
    PRIVILEGES,
    SYSTEM_APIS,
    VIEW_FEED,
    ApiKey,
    Caller,
    Feed,
    KeyKind,
    PrivilegeEntry,
    User,
)
from deployserver.privileges import add_privilege, explain, known_privilege, revoke_privilege
from deployserver.users import add_user, remove_user

ONE = Feed(1, "One", "nuget", active=True, deployment_records_enabled=True, alternate_names=("Uno", "Legacy.One"))
TWO = Feed(2, "Two", "npm", active=True, deployment_records_enabled=True)
OFF = Feed(3, "Off", "nuget", active=False, deployment_records_enabled=True)
UNRECORDED = Feed(4, "Unrecorded", "nuget", active=True, deployment_records_enabled=False)
FEEDS = (ONE, TWO, OFF, UNRECORDED)
ANNA = User(1, "Anna", None, 0)
BERT = User(2, "Bert", None, 0)


def key_of(kind: KeyKind, *scopes: str, feeds: Sequence[Feed] = (), user: User | None = None, **more: Any) -> ApiKey:
    fields: dict[str, Any] = {
        "id": 1,
        "kind": kind,
        "name": "ci",
        "hint": "",
        "digest": key_digest("secret"),
        "scopes": frozenset(scopes),
        "feed_ids": frozenset(feed.id for feed in feeds),
        "user_id": user.id if user else None,
        "created_at": 0,
        "expires_at": None,
        "revoked_at": None,
        "last_used_at": None,
    }
    return ApiKey(**fields | more)


def access_of(*entries: PrivilegeEntry, keys: Sequence[ApiKey] = ()) -> Access:
    return Access(1, FEEDS, (ANNA, BERT), keys, entries)


def entries_of(*entries: tuple[User | str, Feed | None, bool]) -> list[PrivilegeEntry]:
    """Return entries for recording, numbered from 1, of (principal, feed or None for all, granted)."""
    return [
        PrivilegeEntry(
            number,
            principal.name if isinstance(principal, User) else principal,
            principal.id if isinstance(principal, User) else None,
            DOWNLOAD_PACKAGE,
            feed.id if feed else None,
            granted,
        )
        for number, (principal, feed, granted) in enumerate(entries, 1)
    ]


def may(access: Access, caller: Caller, feed: Feed = ONE, privilege: str = DOWNLOAD_PACKAGE) -> bool:
    return access.decide(caller, privilege, feed).granted


# Keys


@pytest.mark.parametrize(
    ("scopes", "granted"),
    [
        (["full-control"], True),
        (["feeds"], True),
        (["feeds", "sca"], True),
        (["full-control", "sca", "sbom-upload"], True),
        (["sca"], False),
        (["sbom-upload"], False),
        (["sca", "sbom-upload"], False),
    ],
)
@pytest.mark.parametrize("privilege", PRIVILEGES)
def test_a_system_key_may_use_every_feed_with_full_control_or_feeds(
    scopes: list[str], granted: bool, privilege: str
) -> None:
    key = key_of("system", *scopes)
    access = access_of(keys=[key])
    assert {may(access, access.key_caller(key), feed, privilege) for feed in FEEDS} == {granted}


@pytest.mark.parametrize("privilege", PRIVILEGES)
@pytest.mark.parametrize("permission", FEED_PERMISSIONS)
def test_a_feed_key_needs_the_permission_view(permission: str, privilege: str) -> None:
    key = key_of("feed", permission, feeds=[ONE])
    access = access_of(keys=[key])
    assert may(access, access.key_caller(key), ONE, privilege) is (permission == "view")


def test_a_feed_key_is_good_in_its_feeds_only() -> None:
    key = key_of("feed", *FEED_PERMISSIONS, feeds=[ONE, OFF])
    access = access_of(keys=[key])
    assert [may(access, access.key_caller(key), feed) for feed in FEEDS] == [True, False, True, False]


@pytest.mark.parametrize("kind", ["system", "feed"])
def test_privileges_neither_widen_nor_narrow_a_system_or_feed_key(kind: KeyKind) -> None:
    """Such a key is nobody's: no principal applies to it, not even Everyone."""
    strong, weak = (
        (key_of("system", "feeds", id=1), key_of("system", "sca", id=2, digest=b"2"))
        if kind == "system"
        else (key_of("feed", "view", feeds=[ONE], id=1), key_of("feed", "view", feeds=[TWO], id=2, digest=b"2"))
    )
    for granted in (True, False):
        access = access_of(*entries_of(*((name, ONE, granted) for name in BUILT_IN_PRINCIPALS)), keys=[strong, weak])
        assert may(access, access.key_caller(strong))
        assert not may(access, access.key_caller(weak))


def test_a_personal_key_may_what_its_user_may() -> None:
    key = key_of("personal", user=ANNA)
    access = access_of(*entries_of((ANNA, ONE, True), (AUTHENTICATED, TWO, True), (BERT, OFF, True)), keys=[key])
    caller = access.key_caller(key)
    assert [may(access, caller, feed) for feed in FEEDS] == [True, True, False, False]
    assert [may(access, access.user_caller(ANNA), feed) for feed in FEEDS] == [True, True, False, False]


def test_a_key_is_found_by_its_whole_text_only() -> None:
    key = key_of("system", "feeds")
    access = access_of(keys=[key])
    assert access.key("secret") is key
    assert [access.key(wrong) for wrong in ("Secret", "secre", "secret ", "", "\ud800")] == [None] * 5


def test_a_key_never_shows_its_digest() -> None:
    assert "digest" not in repr(key_of("system", "feeds"))


@pytest.mark.parametrize(
    ("key", "name", "recorded_by"),
    [
        (key_of("system", "feeds"), "ci", "API key 1 (ci)"),
        (key_of("system", "feeds", name=""), "API", "API key 1"),
        (key_of("feed", "view", feeds=[ONE]), "ci", "API key 1 (ci)"),
        (key_of("feed", "view", feeds=[ONE], name=""), "API", "API key 1"),
        (key_of("personal", user=ANNA), "Anna", "user Anna, API key 1 (ci)"),
        (key_of("personal", user=ANNA, name=""), "Anna", "user Anna, API key 1"),
    ],
)
def test_a_caller_is_named_for_the_user_or_the_key(key: ApiKey, name: str, recorded_by: str) -> None:
    access = access_of(keys=[key])
    assert (access.key_caller(key).name, access.key_caller(key).recorded_by) == (name, recorded_by)


# Principals

WHO = {"Anonymous": None, "Anna": ANNA, "Bert": BERT}


@pytest.mark.parametrize(
    ("principal", "let_in"),
    [(EVERYONE, ["Anonymous", "Anna", "Bert"]), (AUTHENTICATED, ["Anna", "Bert"]), (ANONYMOUS, ["Anonymous"])],
)
def test_a_built_in_principal_stands_for_these(principal: str, let_in: list[str]) -> None:
    access = access_of(*entries_of((principal, ONE, True)))
    callers = {name: access.user_caller(user) if user else access.anonymous for name, user in WHO.items()}
    assert [name for name, caller in callers.items() if may(access, caller)] == let_in
    assert not any(may(access, caller, TWO) for caller in callers.values())
    assert not any(may(access, caller, ONE, VIEW_FEED) for caller in callers.values())


ANNAS_DECISIONS = [
    # what there is, and which of it decides (its place, from 1)
    ([], None),
    ([(BERT, ONE, True)], None),
    ([(ANNA, TWO, True)], None),
    ([(ANONYMOUS, ONE, True)], None),
    # the user before a built-in principal
    ([(EVERYONE, ONE, False), (ANNA, ONE, True)], 2),
    ([(EVERYONE, ONE, False), (ANNA, None, True)], 2),
    ([(EVERYONE, None, False), (ANNA, None, True)], 2),
    ([(AUTHENTICATED, ONE, True), (ANNA, None, False)], 2),
    ([(AUTHENTICATED, ONE, True), (ANNA, ONE, False)], 2),
    # one for the feed before one for all feeds
    ([(ANNA, None, False), (ANNA, ONE, True)], 2),
    ([(ANNA, None, True), (ANNA, ONE, False)], 2),
    ([(EVERYONE, None, False), (AUTHENTICATED, ONE, True)], 2),
    ([(EVERYONE, None, True), (AUTHENTICATED, ONE, False)], 2),
    ([(AUTHENTICATED, None, False), (EVERYONE, ONE, True)], 2),
    # a denial before a grant
    ([(ANNA, ONE, True), (ANNA, ONE, False)], 2),
    ([(ANNA, None, True), (ANNA, None, False)], 2),
    ([(EVERYONE, ONE, True), (AUTHENTICATED, ONE, False)], 2),
    ([(AUTHENTICATED, ONE, True), (EVERYONE, ONE, False)], 2),
    ([(AUTHENTICATED, None, False), (EVERYONE, None, True)], 1),
    # and all of it at once
    ([(EVERYONE, ONE, False), (AUTHENTICATED, ONE, False), (ANNA, None, False), (ANNA, ONE, True)], 4),
    ([(ANNA, TWO, False), (EVERYONE, TWO, False), (EVERYONE, None, True)], 3),
]


@pytest.mark.parametrize(("entries", "first"), ANNAS_DECISIONS)
def test_the_first_entry_in_progets_order_decides(
    entries: list[tuple[User | str, Feed | None, bool]], first: int | None
) -> None:
    made = entries_of(*entries)
    access = access_of(*made)
    decision = access.decide(access.user_caller(ANNA), DOWNLOAD_PACKAGE, ONE)
    assert decision.entry == (None if first is None else made[first - 1])
    assert decision.granted is (first is not None and made[first - 1].granted)


ENTRIES = st.lists(
    st.tuples(st.sampled_from([ANNA, BERT, *BUILT_IN_PRINCIPALS]), st.sampled_from([ONE, TWO, None]), st.booleans()),
    max_size=8,
)


def naive(
    entries: Sequence[tuple[User | str, Feed | None, bool]], user: User | None, feed: Feed | None
) -> tuple[bool, bool]:
    """Return whether any entry decides, and what, by walking the documented order level by level."""
    built_in = {EVERYONE, AUTHENTICATED} if user else {EVERYONE, ANONYMOUS}
    for principals in ([user], built_in):
        for scope in [feed, None] if feed else [None]:
            effects = [granted for principal, of, granted in entries if principal in principals and of == scope]
            if effects:
                return True, all(effects)
    return False, False


@given(ENTRIES, st.sampled_from([None, ANNA, BERT]), st.sampled_from([ONE, TWO]))
def test_decisions_are_those_of_the_documented_order(
    entries: list[tuple[User | str, Feed | None, bool]], user: User | None, feed: Feed
) -> None:
    access = access_of(*entries_of(*entries))
    caller = access.user_caller(user) if user else access.anonymous
    decision = access.decide(caller, DOWNLOAD_PACKAGE, feed)
    assert (decision.entry is not None, decision.granted) == naive(entries, user, feed)
    if decision.entry is not None:
        assert decision.entry.granted is decision.granted
    assert not access.decide(caller, VIEW_FEED, feed).granted


@given(ENTRIES, st.sampled_from([None, ANNA, BERT]))
def test_somebody_is_let_in_somewhere_if_in_any_feed_there_is(
    entries: list[tuple[User | str, Feed | None, bool]], user: User | None
) -> None:
    access = access_of(*entries_of(*entries))
    caller = access.user_caller(user) if user else access.anonymous
    expected = any(naive(entries, user, feed)[1] for feed in FEEDS)
    assert access.let_in_somewhere(caller, DOWNLOAD_PACKAGE) is expected


# Names


@pytest.mark.parametrize("name", ["One", "one", "ONE", "uno", "UNO", "legacy.one", "LEGACY.ONE"])
def test_a_feed_is_found_by_its_names_in_any_letter_case(name: str) -> None:
    assert access_of().feed(name) is ONE


@pytest.mark.parametrize("name", ["", "On", "One ", "Legacy", "Öne"])
def test_a_feed_is_found_by_its_whole_name_only(name: str) -> None:
    assert access_of().feed(name) is None
    with pytest.raises(NotFound, match="Feeds: Off, One, Two, Unrecorded"):
        access_of().require_feed(name)


def test_a_user_is_found_in_any_letter_case() -> None:
    assert [access_of().user(name) for name in ("anna", "ANNA", "ann")] == [ANNA, ANNA, None]


async def test_records_go_to_the_feed_that_any_of_its_names_finds(service: Service) -> None:
    """A renamed feed must go on taking the records of clients that still use its old name."""
    await update_feed(service.admin, FEED, rename="Packages", add_names=["nuget.org"])
    access = await service.admin.access()
    assert {name: access.require_feed(name).name for name in (FEED, "packages", "NUGET.ORG")} == {
        FEED: "Packages",
        "packages": "Packages",
        "NUGET.ORG": "Packages",
    }

    async def is_renamed() -> bool:
        return (await service.post(RECORD | {"FeedName": "packages"})).status == 200

    await until(is_renamed)
    for name in (FEED.upper(), "NuGet.org"):
        assert (await service.post(RECORD | {"FeedName": name})).json["FeedName"] == "Packages"
    assert {row["feed_id"] for row in await service.rows()} == {1}


async def test_a_feeds_name_can_be_freed_and_taken(service: Service) -> None:
    await update_feed(service.admin, FEED, rename="Packages")
    with pytest.raises(Conflict, match="is the alternate name of the feed Packages"):
        await add_feed(service.admin, FEED.lower())
    await update_feed(service.admin, "Packages", remove_names=[FEED.upper()])
    await add_feed(service.admin, FEED)
    with pytest.raises(Conflict, match="is the name of the feed DefaultNuGet"):
        await update_feed(service.admin, "Packages", rename=FEED)
    with pytest.raises(Conflict, match="is the name of the feed DefaultNuGet"):
        await update_feed(service.admin, "Packages", add_names=[FEED.upper()])
    with pytest.raises(NotFound, match="has no alternate name nothing"):
        await update_feed(service.admin, "Packages", remove_names=["nothing"])


async def test_a_feed_may_change_the_letter_case_of_its_name(service: Service) -> None:
    feed = await update_feed(service.admin, FEED, rename=FEED.upper())
    assert (feed.name, feed.alternate_names) == (FEED.upper(), ())
    feed = await update_feed(service.admin, FEED, rename="Other")
    assert (feed.name, feed.alternate_names) == ("Other", (FEED.upper(),))
    feed = await update_feed(service.admin, "other", rename=FEED)
    assert (feed.name, feed.alternate_names) == (FEED, ("Other",))


@pytest.mark.parametrize("name", ["", " ", "a b", "-a", "a/b", "a.", "Zürich", "a" * 101, "a%20b", "a\n"])
async def test_a_feeds_name_needs_no_escaping_in_a_url(service: Service, name: str) -> None:
    with pytest.raises(InvalidValue, match="cannot be a feed's name"):
        await add_feed(service.admin, name)
    with pytest.raises(InvalidValue, match="cannot be a feed's name"):
        await update_feed(service.admin, FEED, rename=name)


@pytest.mark.parametrize("name", ["a", "A.b-c_d~e", "0", "a" * 100])
async def test_these_can_be_a_feeds_name(service: Service, name: str) -> None:
    assert (await add_feed(service.admin, name)).name == name


# Administration


@pytest.mark.parametrize("name", ["", " a", "a ", "a:b", "a\nb", "api", "API", "anonymous", "Everyone", "x" * 201])
async def test_a_users_name_must_fit_in_a_pseudo_key_and_be_nobody_elses(service: Service, name: str) -> None:
    with pytest.raises(InvalidValue, match=r"cannot be a user's name|is reserved"):
        await add_user(service.admin, name, None)


async def test_entries_are_made_once_and_taken_back(service: Service) -> None:
    admin = service.admin
    await add_user(admin, "Anna", None)
    entry = await add_privilege(admin, "anna", DOWNLOAD_PACKAGE.lower(), FEED.upper(), granted=True)
    assert (entry.principal, entry.privilege) == ("Anna", DOWNLOAD_PACKAGE)
    with pytest.raises(Conflict, match=f"the same entry already: entry {entry.id}"):
        await add_privilege(admin, "ANNA", DOWNLOAD_PACKAGE, FEED, granted=True)
    await add_privilege(admin, "Anna", DOWNLOAD_PACKAGE, FEED, granted=False)
    await add_privilege(admin, "Anna", DOWNLOAD_PACKAGE, None, granted=True)
    assert (await revoke_privilege(admin, entry.id)).id == entry.id
    with pytest.raises(NotFound, match=f"no privilege entry {entry.id}"):
        await revoke_privilege(admin, entry.id)
    await add_privilege(admin, "Anna", DOWNLOAD_PACKAGE, FEED, granted=True)


@pytest.mark.parametrize(
    ("principal", "privilege", "feed", "error"),
    [
        ("Nobody", VIEW_FEED, None, "no user named Nobody; built-in principals are Everyone"),
        ("Everyone", "Feeds_Other", None, "is no privilege. Known are Feeds_ViewFeed, Feeds_DownloadPackage"),
        ("Everyone", VIEW_FEED, "Nowhere", "no feed named Nowhere. Feeds: DefaultNuGet"),
    ],
)
async def test_an_entry_names_what_there_is(
    service: Service, principal: str, privilege: str, feed: str | None, error: str
) -> None:
    with pytest.raises((NotFound, InvalidValue), match=error):
        await add_privilege(service.admin, principal, privilege, feed, granted=True)
    assert (await service.admin.access()).privileges == ()


async def test_what_a_removed_user_or_feed_had_goes_with_it(service: Service) -> None:
    admin = service.admin
    await add_user(admin, "Anna", None)
    await add_feed(admin, "Other", anonymous=True)
    await add_privilege(admin, "Anna", VIEW_FEED, FEED, granted=True)
    await remove_user(admin, "ANNA")
    assert {entry.principal for entry in (await admin.access()).privileges} == {ANONYMOUS}
    await remove_feed(admin, "other")
    assert (await admin.access()).privileges == ()


@pytest.mark.parametrize("name", ["feeds_downloadpackage", "FEEDS_DOWNLOADPACKAGE", "Feeds_DownloadPackage"])
def test_a_privilege_is_known_in_any_letter_case(name: str) -> None:
    assert known_privilege(name) == DOWNLOAD_PACKAGE


# Explanations


@pytest.mark.parametrize(
    ("key", "feed", "granted", "reason"),
    [
        (key_of("system", "feeds"), ONE, True, "a system key with feeds may use every feed"),
        (key_of("system", "sca"), ONE, False, "a system key with only sca may use no feed; it needs feeds"),
        (key_of("feed", "view", "add", feeds=[ONE]), ONE, True, "the feed key is bound to feed One, with add, view"),
        (key_of("feed", "view", feeds=[ONE]), TWO, False, "the feed key is not bound to feed Two"),
        (key_of("feed", "add", feeds=[ONE]), ONE, False, "only add may not view or record; it needs view"),
        (key_of("system", "feeds", revoked_at=5), ONE, False, "the key has been revoked"),
        (key_of("system", "feeds", expires_at=10), ONE, False, "the key has expired"),
        (key_of("system", "feeds", expires_at=11), ONE, True, "may use every feed"),
        (key_of("system", "feeds"), OFF, False, "may use every feed, but the feed is inactive"),
        (key_of("system", "feeds"), UNRECORDED, False, "but its deployment records are switched off"),
    ],
)
def test_what_a_key_may_is_explained(key: ApiKey, feed: Feed, granted: bool, reason: str) -> None:
    """The explanation of ``privilege explain`` and the server's answer must never differ."""
    access = access_of(keys=[key])
    decision = explain(access, access.key_caller(key), feed, DOWNLOAD_PACKAGE, now=10)
    assert decision.granted is granted
    assert reason in decision.reason


def test_an_inactive_feed_can_still_be_viewed() -> None:
    key = key_of("system", "feeds")
    access = access_of(keys=[key])
    assert explain(access, access.key_caller(key), OFF, VIEW_FEED, now=0).granted
    assert explain(access, access.key_caller(key), UNRECORDED, VIEW_FEED, now=0).granted


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([], "no entry grants Feeds_DownloadPackage to user Anna, Authenticated or Everyone"),
        ([(ANNA, ONE, True)], "entry 1 grants Feeds_DownloadPackage to Anna for feed One"),
        ([(ANNA, None, False)], "entry 1 denies Feeds_DownloadPackage to Anna for all feeds"),
        ([(EVERYONE, None, True)], "entry 1 grants Feeds_DownloadPackage to Everyone for all feeds"),
        ([(EVERYONE, None, True), (EVERYONE, ONE, False)], "entry 2 denies Feeds_DownloadPackage to Everyone for feed"),
    ],
)
def test_what_a_user_may_is_explained_with_the_entry_that_decides(
    entries: list[tuple[User | str, Feed | None, bool]], reason: str
) -> None:
    access = access_of(*entries_of(*entries))
    assert reason in explain(access, access.user_caller(ANNA), ONE, DOWNLOAD_PACKAGE, now=0).reason


def test_why_anonymous_callers_are_refused_is_explained() -> None:
    access = access_of(*entries_of((AUTHENTICATED, None, True)))
    decision = explain(access, access.anonymous, ONE, DOWNLOAD_PACKAGE, now=0)
    assert not decision.granted
    assert decision.reason == "no entry grants Feeds_DownloadPackage to Anonymous or Everyone"


def test_all_kinds_of_scope_are_covered_here() -> None:
    """A new API or permission needs a row in the tables above."""
    assert SYSTEM_APIS == ("full-control", "feeds", "sca", "sbom-upload")
    assert FEED_PERMISSIONS == ("view", "add", "promote", "delete")
