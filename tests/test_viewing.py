"""Who may view what: Feeds_ViewFeed, feed by feed, through every way of asking."""

from __future__ import annotations

import base64
from typing import Any, NamedTuple

import aiohttp
import pytest
from conftest import FEED, KEY, RECORD, Service
from reading import all_pages, following, read, record, row, rows
from waiting import until

from deployserver.api import events, keys
from deployserver.api_keys import create_key, revoke_key
from deployserver.app import create_app
from deployserver.errors import NotPermitted
from deployserver.feeds import add_feed, remove_feed, update_feed
from deployserver.history import AT_ONCE
from deployserver.models import ANONYMOUS, AUTHENTICATED, DOWNLOAD_PACKAGE, EVERYONE, VIEW_FEED
from deployserver.privileges import add_privilege, revoke_privilege
from deployserver.server import listening
from deployserver.users import add_user, remove_user
from deployserver.viewing import Asked

NAMES = ("One", "Two", "Three")


async def recorded_in(service: Service, *feeds: str) -> dict[str, int]:
    """Make feeds with two records each, of a package that only they have and of one that all have; their ids."""
    made = {name: (await add_feed(service.admin, name)).id for name in feeds}
    for name, id_ in made.items():
        await service.store.add_deployments(
            [row(0, feed_id=id_, package_name=name, target="a"), row(0, feed_id=id_, package_name="all", target="b")]
        )
    return made


class Seen(NamedTuple):
    """What a caller gets to see: a status, and the feeds of what was answered."""

    status: int
    feeds: frozenset[str]


REFUSED = Seen(403, frozenset())


async def views(service: Service, **who: Any) -> Seen:
    """Ask in every way there is; all of them must agree on what the caller may view."""
    history = await read(service, count="true", limit=1000, **who)
    if history.status != 200:
        for path, query in (
            ("/current", {}),
            ("/compare", {"target": ["a", "b"]}),
            *(("/frequency", {}), ("/events", {}), ("/1", {}), ("/99", {})),
            *(("", {"format": "csv"}), ("", {"q": "x"}), ("", {"feed": "unknown"})),
        ):
            for more in ({}, {"If-None-Match": "*"}):
                headers = {**who.get("headers", {}), **more}
                assert (await read(service, path, **query, **(who | {"headers": headers}))).status == history.status
        return Seen(history.status, frozenset())
    feeds = frozenset(item["FeedName"] for item in history.json)
    count = len(history.json)
    assert history.headers["X-Total-Count"] == str(count)
    current = await read(service, "/current", count="true", limit=1000, **who)
    assert {item["FeedName"] for item in current.json} == feeds
    assert current.headers["X-Total-Count"] == str(len(current.json))
    compared = await read(service, "/compare", target=["a", "b"], limit=1000, **who)
    assert {item["FeedName"] for item in compared.json} == feeds
    periods = await read(service, "/frequency", **who)
    assert sum(period["Count"] for period in periods.json) == count
    lines = (await read(service, format="ndjson", **who)).text
    assert lines.count("\n") == count
    for id_, name in [
        (one["id"], one["name"])
        for one in await service.rows("SELECT r.id, f.name FROM deployment_records r JOIN feeds f ON f.id = r.feed_id")
    ]:
        assert (await read(service, f"/{id_}", **who)).status == (200 if name in feeds else 404)
    for name in (*NAMES, FEED, "unknown"):
        for query in ({"feed": name}, {"package": name}, {"q": name}, {"feed": f"{name[:-1]}*", "package": name}):
            answer = await read(service, count="true", **query, **who)
            assert {item["FeedName"] for item in answer.json} == feeds & {name}, query
            assert answer.headers["X-Total-Count"] == str(len(answer.json))
    return Seen(200, feeds)


async def can(service: Service, *feeds: str, **who: Any) -> None:
    """See that a caller may view these feeds, once the server knows, and no others."""
    expected = Seen(200, frozenset(feeds)) if feeds else REFUSED

    async def known() -> bool:
        answer = await read(service, limit=1000, **who)
        if "not valid" in answer.text:
            return False
        seen = {item["FeedName"] for item in answer.json} if answer.status == 200 else set()
        return Seen(answer.status, frozenset(seen)) == expected

    await until(known)
    assert await views(service, **who) == expected


# Keys


@pytest.mark.parametrize("scopes", [["full-control"], ["feeds"], ["feeds", "sca"]])
async def test_a_system_key_for_feeds_views_all(service: Service, scopes: list[str]) -> None:
    await recorded_in(service, "One", "Two")
    created = await create_key(service.admin, "system", scopes=scopes)
    await can(service, "One", "Two", key=created.secret)


@pytest.mark.parametrize("scopes", [["sca"], ["sbom-upload"]])
async def test_a_system_key_for_something_else_views_nothing(service: Service, scopes: list[str]) -> None:
    await recorded_in(service, "One")
    created = await create_key(service.admin, "system", scopes=scopes)
    await can(service, key=created.secret)
    assert (await read(service, key=created.secret)).text == "The API key may not view deployments.\n"


async def test_a_feed_key_views_its_feeds(service: Service) -> None:
    await recorded_in(service, *NAMES)
    created = await create_key(service.admin, "feed", feeds=["One", "Three"])
    await can(service, "One", "Three", key=created.secret)


@pytest.mark.parametrize("scope", ["add", "promote", "delete"])
async def test_a_feed_key_without_view_views_nothing(service: Service, scope: str) -> None:
    await recorded_in(service, "One")
    created = await create_key(service.admin, "feed", feeds=["One"], scopes=[scope])
    await can(service, key=created.secret)


async def test_a_personal_key_views_what_its_user_views(service: Service) -> None:
    await recorded_in(service, *NAMES)
    await add_user(service.admin, "alice", None)
    created = await create_key(service.admin, "personal", user="alice")
    await can(service, key=created.secret)
    assert (await read(service, key=created.secret)).text == "The user alice lacks the privilege Feeds_ViewFeed.\n"
    await add_privilege(service.admin, "alice", VIEW_FEED, "Two", granted=True)
    await can(service, "Two", key=created.secret)


@pytest.mark.parametrize("way", ["header", "query", "basic"])
async def test_a_key_counts_wherever_it_is_sent(service: Service, way: str) -> None:
    await record(service)
    basic = base64.b64encode(f"api:{KEY}".encode()).decode()
    ways: dict[str, dict[str, Any]] = {
        "header": {"key": KEY},
        "query": {"key": None, "headers": {}, "KEY": KEY},
        "basic": {"key": None, "headers": {"Authorization": f"Basic {basic}"}},
    }
    for path in ("", "/1", "/current", "/frequency", "/compare?target=a&target=b"):
        assert (await read(service, path, **ways[way])).status == 200


@pytest.mark.parametrize("key", ["wrong", "alice:wrong"])
async def test_a_credential_that_is_wrong_is_refused_even_where_anonymous_may_view(service: Service, key: str) -> None:
    await add_privilege(service.admin, ANONYMOUS, VIEW_FEED, None, granted=True)
    await recorded_in(service, "One")
    await can(service, "One", key=None)
    for path in ("", "/1", "/current", "/frequency", "/events", "/compare?target=a&target=b"):
        assert (await read(service, path, key=key)).status == 403


# Users and built-in principals


async def test_nobody_in_particular_views_nothing_unless_they_are_let_in(service: Service) -> None:
    await recorded_in(service, "One", "Two")
    await can(service, key=None)
    message = "An API key is needed to view deployments; send it in the X-ApiKey header.\n"
    assert (await read(service, key=None)).text == message
    await add_privilege(service.admin, ANONYMOUS, VIEW_FEED, "One", granted=True)
    await can(service, "One", key=None)


async def test_a_feed_made_for_everybody_is_viewed_by_everybody(service: Service) -> None:
    await recorded_in(service, "One")
    open_feed = await add_feed(service.admin, "Two", anonymous=True)
    await service.store.add_deployments([row(feed_id=open_feed.id, target="a", package_name="Two")])
    await can(service, "Two", key=None)


async def test_a_user_is_asked_by_name_and_password(service: Service) -> None:
    await recorded_in(service, *NAMES)
    await add_user(service.admin, "alice", "secret")
    await add_privilege(service.admin, AUTHENTICATED, VIEW_FEED, "One", granted=True)
    await add_privilege(service.admin, EVERYONE, VIEW_FEED, "Three", granted=True)
    await can(service, "One", "Three", key="alice:secret")
    basic = base64.b64encode(b"Alice:secret").decode()
    await can(service, "One", "Three", key=None, headers={"Authorization": f"Basic {basic}"})
    await can(service, "Three", key=None)


async def test_a_denial_goes_before_a_grant(service: Service) -> None:
    await recorded_in(service, *NAMES)
    await add_user(service.admin, "alice", "secret")
    await add_privilege(service.admin, EVERYONE, VIEW_FEED, None, granted=True)
    await add_privilege(service.admin, "alice", VIEW_FEED, "Two", granted=False)
    await can(service, "One", "Three", key="alice:secret")
    await can(service, *NAMES, key=None)


async def test_who_may_record_may_not_view_for_that(service: Service) -> None:
    """They are two privileges."""
    await add_privilege(service.admin, ANONYMOUS, DOWNLOAD_PACKAGE, None, granted=True)

    async def may_record() -> bool:
        return (await service.post(RECORD, key=None)).status == 200

    await until(may_record)
    await can(service, key=None)


async def test_who_may_view_an_empty_feed_gets_an_empty_answer(service: Service) -> None:
    """Nothing was recorded there; that is no refusal."""
    await recorded_in(service, "One")
    await add_feed(service.admin, "Empty")
    created = await create_key(service.admin, "feed", feeds=["Empty"])

    async def known() -> bool:
        return (await read(service, key=created.secret)).status == 200

    await until(known)
    assert await views(service, key=created.secret) == Seen(200, frozenset())


async def test_a_server_without_feeds_answers_who_may_view_all_to_come(service: Service) -> None:
    """A new installation: nothing is there yet, and who may see all may see that."""
    created = await create_key(service.admin, "system")
    await remove_feed(service.admin, FEED)

    async def known() -> bool:
        return (await read(service, key=created.secret)).status == 200 and (await read(service)).status == 403

    await until(known)
    assert await views(service, key=created.secret) == Seen(200, frozenset())
    assert await views(service) == REFUSED
    assert await views(service, key=None) == REFUSED


# What may not be viewed is not there


async def test_what_one_may_not_view_does_not_show_through(service: Service) -> None:
    """Not in a message, not in a count, not by asking with its names."""
    await recorded_in(service, "One", "Two")
    created = await create_key(service.admin, "feed", feeds=["One"])
    await can(service, "One", key=created.secret)
    there, nowhere = [await read(service, f"/{id_}", key=created.secret) for id_ in (3, 99)]
    assert (there.status, there.text) == (404, "There is no deployment 3.\n")
    assert nowhere.text == "There is no deployment 99.\n"
    for query in ({"feed": "Two"}, {"package": "Two"}, {"q": "two"}, {"feed": ["two", "unknown"]}):
        for path in ("", "/current", "/frequency"):
            answer = await read(service, path, key=created.secret, **query)
            assert (answer.status, answer.json) == (200, []), query


async def test_pages_pass_over_what_may_not_be_viewed(service: Service) -> None:
    """They are full, and the last one has no link."""
    other = await add_feed(service.admin, "Other")
    await service.store.add_deployments([row(number, feed_id=(1, other.id)[number % 2]) for number in range(40)])
    for path in ("", "/current"):
        items = await all_pages(service, path, limit=10)
        assert (len(items), {item["FeedName"] for item in items}) == (20, {FEED})


async def test_an_event_goes_to_who_may_view_it(service: Service) -> None:
    other = await add_feed(service.admin, "Other")
    system = await create_key(service.admin, "system")

    async def known() -> bool:
        return (await read(service, key=system.secret)).status == 200

    await until(known)
    async with following(service) as some, following(service, key=system.secret) as all_:
        await service.store.add_deployments([row(feed_id=other.id), row(), row(feed_id=other.id)])
        event = await some.next()
        assert event is not None
        assert event.id == "2"
        assert [event.id for event in [await all_.next() for _ in range(3)] if event] == ["1", "2", "3"]
    async with following(service, last_event_id=0) as some:
        event = await some.next()
        assert event is not None
        assert event.id == "2"


# Feeds that change


async def test_an_inactive_feed_is_still_read(service: Service) -> None:
    """It takes no more records; those it has stay what they are."""
    await service.store.add_deployments([row(target="a", package_name=FEED)])
    await update_feed(service.admin, FEED, active=False, deployment_records=False)

    async def inactive() -> bool:
        return (await service.post(RECORD)).status == 400

    await until(inactive)
    await can(service, FEED)


async def test_a_feed_is_found_by_all_its_names(service: Service) -> None:
    await record(service)
    await update_feed(service.admin, FEED, rename="Packages", add_names=["Old.Name"])

    async def renamed() -> bool:
        return (await read(service, feed="packages")).json != []

    await until(renamed)
    for name in ("Packages", "OLD.NAME", "defaultnuget", "old*", "Default*", "*"):
        (item,) = (await read(service, feed=name)).json
        assert item["FeedName"] == "Packages"
    assert (await read(service, feed="Old")).json == []
    assert len((await read(service, feed=["packages", "old.name"])).json) == 1


async def test_a_removed_feed_takes_its_records_along(service: Service) -> None:
    await recorded_in(service, "One", "Two")
    created = await create_key(service.admin, "feed", feeds=["One", "Two"])
    await can(service, "One", "Two", key=created.secret)
    await remove_feed(service.admin, "Two", force=True)
    await can(service, "One", key=created.secret)
    await remove_feed(service.admin, "One", force=True)
    await can(service, key=created.secret)


async def test_a_new_feed_of_an_old_name_has_none_of_its_records(service: Service) -> None:
    await record(service)
    await remove_feed(service.admin, FEED, force=True)
    feed = await add_feed(service.admin, FEED)
    created = await create_key(service.admin, "feed", feeds=[FEED])
    await service.store.add_deployments([row(feed_id=feed.id, target="a", package_name=FEED)])
    await can(service, FEED, key=created.secret)
    assert [item["Id"] for item in (await read(service, key=created.secret)).json] == [2]


# Who loses what they had


@pytest.mark.parametrize("loses", ["revoked", "expired", "removed user"])
async def test_a_stream_of_events_ends_with_what_it_began_with(
    service: Service, monkeypatch: pytest.MonkeyPatch, loses: str
) -> None:
    """A key, or its user; nothing that is recorded afterwards is sent."""
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.1)
    moment = [1_000_000_000_000_000]
    await add_user(service.admin, "alice", None)
    await add_privilege(service.admin, "alice", VIEW_FEED, None, granted=True)
    app = create_app(service.settings, clock=lambda: moment[0])
    service.admin.clock = lambda: moment[0]
    created = await create_key(service.admin, "personal", user="alice", expires_at=moment[0] + 1)
    async with listening(app, service.settings) as url, following(service, url=url, key=created.secret) as stream:
        await record(service)
        event = await stream.next()
        assert event is not None
        if loses == "revoked":
            await revoke_key(service.admin, created.key.id)
        elif loses == "expired":
            moment[0] += 1
        else:
            await remove_user(service.admin, "alice")
        assert await stream.next() is None
        await record(service)
        async with service.session.get(f"{url}/api/deployments/events", headers={"X-ApiKey": created.secret}) as again:
            assert again.status == 403


@pytest.mark.usefixtures("_impatient")
async def test_a_stream_of_events_is_broken_off_with_the_last_privilege(service: Service) -> None:
    entry = await add_privilege(service.admin, ANONYMOUS, VIEW_FEED, None, granted=True)

    async def let_in() -> bool:
        return (await read(service, key=None)).status == 200

    await until(let_in)
    async with following(service, key=None) as stream:
        await record(service)
        assert await stream.next() is not None
        await revoke_privilege(service.admin, entry.id)
        with pytest.raises(aiohttp.ClientError):
            await stream.next()


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.1)


async def test_an_event_stream_follows_what_one_may_view(service: Service) -> None:
    """A privilege that comes later counts from then on, one that goes no more."""
    feeds = await recorded_in(service, "One", "Two")
    await add_privilege(service.admin, ANONYMOUS, VIEW_FEED, "One", granted=True)

    async def let_in() -> bool:
        return (await read(service, key=None)).status == 200

    await until(let_in)
    async with following(service, key=None, last_event_id=0) as stream:
        assert [(await stream.next()).id for _ in range(2)] == ["1", "2"]  # type: ignore[union-attr]
        await add_privilege(service.admin, ANONYMOUS, VIEW_FEED, "Two", granted=True)
        await can(service, "One", "Two", key=None)
        ids = await service.store.add_deployments([row(feed_id=feeds["Two"])])
        event = await stream.next()
        assert event is not None
        assert event.id == str(ids[0])


@pytest.mark.parametrize("path", ["history", "current"])
async def test_a_long_answer_is_broken_off_with_what_it_began_with(service: Service, path: str) -> None:
    """A key that is revoked works no more within a second, however slowly its holder reads."""
    created = await create_key(service.admin, "system")
    await service.store.add_deployments(rows(2 * AT_ONCE))
    app = create_app(service.settings)
    async with listening(app, service.settings):
        caller = app[keys.ACCESS].current.key_caller(created.key)
        parts = (
            app[keys.HISTORY].all(caller, Asked(), None)
            if path == "history"
            else app[keys.INSTALLATIONS].all(caller, Asked(), None)
        )
        assert len(await anext(parts)) == AT_ONCE
        await revoke_key(service.admin, created.key.id)
        await app[keys.ACCESS].refresh()
        with pytest.raises(NotPermitted, match="no longer accepted"):
            await anext(parts)


async def test_who_has_signed_in_views_what_they_may(service: Service) -> None:
    """The cookie of a session is as good as what was signed in with, where it is read."""
    await recorded_in(service, *NAMES)
    await add_user(service.admin, "alice", "secret")
    await add_privilege(service.admin, "alice", VIEW_FEED, "Two", granted=True)
    await can(service, "Two", key="alice:secret")
    form = {"user": "alice", "password": "secret"}
    signed_in = await service.request("POST", "/sign-in", data=form, headers={"Sec-Fetch-Site": "same-origin"})
    assert signed_in.status == 303
    cookie = signed_in.headers["Set-Cookie"].partition(";")[0]
    await can(service, "Two", key=None, headers={"Cookie": cookie})
    assert (await read(service, key="wrong", headers={"Cookie": cookie})).status == 403  # a credential goes before it
    await can(service, key=None, headers={"Cookie": "deployserver_session=made-up"})
