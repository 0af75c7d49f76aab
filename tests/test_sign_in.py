"""Signing in to the web pages: what makes a session, what it lets do, and everything that ends it."""

from __future__ import annotations

import asyncio
import html
import logging
import re
import shutil
import sqlite3
from contextlib import closing
from http.cookies import Morsel, SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web
from conftest import (
    FEED,
    KEY,
    RECORD,
    Answer,
    Service,
    StartService,
    add_feed_and_key,
    administered,
    running,
    settings_of,
)
from markupsafe import escape
from reading import Events
from waiting import until

from deployserver.administration import Administration
from deployserver.api import keys
from deployserver.api.session_cookie import COOKIE
from deployserver.api_keys import create_key, revoke_key
from deployserver.app import ROUTES, Route
from deployserver.clock import now
from deployserver.models import DOWNLOAD_PACKAGE
from deployserver.pages.entrance import to_sign_in
from deployserver.pages.local_path import local_path
from deployserver.privileges import add_privilege
from deployserver.settings import Settings
from deployserver.users import add_user, remove_user, set_password

MINUTE = 60_000_000
HOUR = 60 * MINUTE
PASSWORD = "päss:word & more"
SYSTEM_KEY, PERSONAL_KEY = "system-key-0123456789abcdef", "annas-key-0123456789abcdef"
BY_PASSWORD = {"user": "Anna", "password": PASSWORD}
PROXY = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "proget.example"}


async def who(request: web.Request) -> web.Response:
    """Tell who is calling, as any page can."""
    session = request.get(keys.SESSION)
    answer = {"caller": request[keys.CALLER].recorded_by, "session": session and [session.name, session.kind]}
    if request.method == "POST":
        answer["feeds"] = request[keys.FORM].getall("feed", [])
    return web.json_response(answer)


async def members_only(request: web.Request) -> web.Response:
    if request[keys.CALLER].is_anonymous:
        raise to_sign_in(request)
    return web.Response(text="welcome")


@pytest.fixture(autouse=True)
def _more_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add what pages and the rest of the API will be."""
    more = (
        Route("GET", "/who", who, page=True),
        Route("POST", "/who", who, page=True),
        Route("GET", "/members", members_only, page=True),
        Route("POST", "/members", members_only, page=True),
        Route("GET", "/api/who", who),
    )
    monkeypatch.setattr("deployserver.app.ROUTES", (*ROUTES, *more))


async def make_people(admin: Administration) -> None:
    await add_user(admin, "Anna", PASSWORD)
    await add_privilege(admin, "Anna", DOWNLOAD_PACKAGE, FEED, granted=True)
    await create_key(admin, "system", value=SYSTEM_KEY)
    await create_key(admin, "personal", user="anna", name="laptop", value=PERSONAL_KEY)


@pytest.fixture(scope="module")
def prepared_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a key of each kind, and Anna."""
    directory = tmp_path_factory.mktemp("prepared")
    asyncio.run(prepare(settings_of(directory)))
    return directory / "test.db"


async def prepare(settings: Settings) -> None:
    async with administered(settings) as admin:
        await add_feed_and_key(admin)
        await make_people(admin)


@pytest.fixture
async def start_site(
    start: StartService, engine: str, database_url: str, prepared_database: Path, tmp_path: Path
) -> StartService:
    """Start servers on a copy of the prepared database, or one like it."""
    if engine == "sqlite":
        shutil.copy(prepared_database, tmp_path)
    else:
        await prepare(settings_of(tmp_path, database_url=database_url))
    return start


@pytest.fixture
async def site(start_site: StartService) -> Service:
    return await start_site(security_lockout_failures=0)


async def sign_in(service: Service, form: dict[str, str] | None = None, **options: Any) -> Answer:
    path = options.pop("path", "/sign-in")
    return await service.request("POST", path, data=BY_PASSWORD if form is None else form, **options)


def cookie(answer: Answer) -> Morsel[str] | None:
    """Return the session cookie that an answer sets."""
    jar: SimpleCookie = SimpleCookie()
    for line in answer.headers.getall("Set-Cookie", ()):  # type: ignore[attr-defined]
        jar.load(line)
    return jar.get(COOKIE)


def token(answer: Answer) -> str:
    morsel = cookie(answer)
    assert answer.status == 303, answer.text
    assert morsel is not None and morsel.value
    return morsel.value


def with_cookie(value: str, **headers: str) -> dict[str, str]:
    return {"Cookie": f"{COOKIE}={value}"} | headers


def is_cleared(answer: Answer) -> bool:
    morsel = cookie(answer)
    return morsel is not None and (morsel.value, morsel["max-age"]) == ("", "0")


async def seen_as(service: Service, value: str, path: str = "/who") -> str:
    answer = await service.request("GET", path, headers=with_cookie(value))
    assert answer.status == 200, answer.text
    return str(answer.json["caller"])


def alert(answer: Answer) -> str | None:
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    found = re.search(r'role="alert">([^<]*)<', answer.text)
    return html.unescape(found[1]) if found else None


def said(answer: Answer) -> str | None:
    """Return what a page says that went wrong."""
    found = re.search(r'<p class="lead">([^<]*)</p>', answer.text)
    return html.unescape(found[1]) if found else None


# The form


async def test_the_form_asks_for_a_password_or_a_key_and_remembers_where_to_go(site: Service) -> None:
    answer = await site.request("GET", "/sign-in?next=/deployments%3Ffeed%3Da%26b%22")
    assert (answer.status, alert(answer)) == (200, None)
    for field in ('name="user"', 'name="password" type="password"', 'name="key"'):
        assert answer.text.count(field) == 1
    assert set(re.findall(r'name="next" value="([^"]*)"', answer.text)) == {"/deployments?feed=a&amp;b&#34;"}
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert (await site.request("HEAD", "/Sign-In/")).status == 200


@pytest.mark.parametrize(
    ("form", "caller", "name", "kind"),
    [
        (BY_PASSWORD, "user Anna", "Anna", "user"),
        (BY_PASSWORD | {"user": " ANNA "}, "user Anna", "Anna", "user"),
        ({"key": f" {KEY} "}, "API key 1 (ci)", "ci", "feed key"),
        ({"key": SYSTEM_KEY}, "API key 2", "API", "system key"),
        ({"key": PERSONAL_KEY}, "user Anna, API key 3 (laptop)", "Anna", "personal key"),
        ({"user": "api", "password": SYSTEM_KEY}, "API key 2", "API", "system key"),
        # what the browser filled in by itself does not go before a key
        (BY_PASSWORD | {"key": SYSTEM_KEY}, "API key 2", "API", "system key"),
    ],
)
async def test_a_session_acts_as_what_was_signed_in_with(
    site: Service, form: dict[str, str], caller: str, name: str, kind: str
) -> None:
    answer = await sign_in(site, form)
    value = token(answer)
    assert answer.headers["Location"] == "/"
    assert answer.headers["Cache-Control"] == "no-store"
    page = await site.request("GET", "/who", headers=with_cookie(value))
    assert page.json == {"caller": caller, "session": [name, kind]}
    assert page.headers["Cache-Control"] == "no-store"
    assert cookie(page) is None
    assert (await site.request("GET", "/api/who", headers=with_cookie(value))).json["caller"] == caller
    assert (await site.request("HEAD", "/api/who", headers=with_cookie(value))).status == 200


async def test_a_form_is_understood_as_multipart_too_and_json_is_not(site: Service) -> None:
    body = b"".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in BY_PASSWORD.items()
    )
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    token(await site.request("POST", "/sign-in", data=body + b"--b--\r\n", headers=headers))
    answer = await site.request("POST", "/sign-in", json=BY_PASSWORD)
    assert (answer.status, "application/json cannot be read" in answer.text) == (400, True)


async def test_a_password_signs_in_where_pseudo_keys_are_switched_off(start_site: StartService) -> None:
    """They are about the API; a form is where a password belongs."""
    service = await start_site(security_pseudo_keys="false")
    token(await sign_in(service))
    answer = await service.post(RECORD, key=f"Anna:{PASSWORD}")
    assert answer.text == "User names and passwords are not accepted here; send an API key.\n"


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"user": '"><b>Anna', "password": "wr<ong"}, "The user name or the password is wrong."),
        ({"user": "Anna", "password": "wr<ong"}, "The user name or the password is wrong."),
        ({"key": "wr<ong"}, "The API key is not valid: it is unknown or has been revoked."),
    ],
)
async def test_a_failed_sign_in_shows_the_form_again(site: Service, form: dict[str, str], message: str) -> None:
    answer = await sign_in(site, form | {"next": "/deployments"})
    assert (answer.status, alert(answer), cookie(answer)) == (403, message, None)
    assert f'name="user" value="{escape(form.get("user", ""))}"' in answer.text
    assert 'name="next" value="/deployments"' in answer.text
    assert "wr<ong" not in html.unescape(answer.text)
    assert "WWW-Authenticate" not in answer.headers

    async def is_audited() -> bool:
        rows = await site.rows("SELECT * FROM audit WHERE action = 'refused' AND detail = ?", f"403 {message}")
        return [row["actor"] for row in rows] == ["user Anna" if form.get("user") == "Anna" else "unknown"]

    await until(is_audited)
    assert await site.rows("SELECT * FROM sessions") == []


@pytest.mark.parametrize("form", [{}, {"user": "Anna"}, {"password": PASSWORD}, {"key": " "}, {"user": " ", "key": ""}])
async def test_an_incomplete_form_is_no_guess(site: Service, form: dict[str, str]) -> None:
    answer = await sign_in(site, form)
    assert (answer.status, alert(answer)) == (400, "Enter a user name and its password, or an API key.")
    assert await site.rows("SELECT * FROM audit WHERE action = 'refused'") == []


@pytest.mark.every_engine
async def test_the_lockout_is_that_of_the_api(start_site: StartService) -> None:
    service = await start_site(security_lockout_failures=3)
    signed_in = token(await sign_in(service))
    statuses = [(await sign_in(service, {"user": "Anna", "password": "wrong"})).status]
    statuses += [(await service.post(RECORD, key="wrong")).status]
    statuses += [(await sign_in(service, {"key": "wrong"})).status]
    assert statuses == [403, 403, 403]
    locked = await sign_in(service, {"user": "Bert", "password": "wrong"})
    assert (locked.status, 0 < int(locked.headers["Retry-After"]) <= 300) == (429, True)
    assert (alert(locked) or "").startswith("Too many wrong credentials came from this address.")
    assert 'name="user" value="Bert"' in locked.text
    assert (await service.post(RECORD, key="wrong")).status == 429
    assert (await sign_in(service, {"key": SYSTEM_KEY})).status == 429  # it could be guessed, and is new from here
    # Who was right from here before, or is signed in, goes on working.
    assert await seen_as(service, signed_in) == "user Anna"
    token(await sign_in(service))


# The cookie


async def test_over_http_the_cookie_is_kept_from_scripts_and_foreign_posts(site: Service) -> None:
    morsel = cookie(await sign_in(site))
    assert morsel is not None
    assert (morsel["path"], morsel["domain"], morsel["max-age"]) == ("/", "", "43200")
    assert (morsel["httponly"], morsel["samesite"], morsel["secure"]) == (True, "Lax", "")
    assert len(morsel.value) == 43


async def test_over_https_the_cookie_is_for_https_only(start_site: StartService) -> None:
    service = await start_site(server_trusted_proxies="127.0.0.1", server_base_path="/proget", security_session_hours=1)
    answer = await sign_in(service, BY_PASSWORD | {"next": "/proget/who"}, path="/proget/sign-in", headers=PROXY)
    morsel = cookie(answer)
    assert morsel is not None
    assert (morsel["path"], morsel["max-age"], morsel["secure"], morsel["httponly"]) == ("/proget", "3600", True, True)
    assert answer.headers["Location"] == "/proget/who"
    answer = await service.request("POST", "/proget/sign-out", headers=with_cookie(morsel.value, **PROXY) | SAME_SITE)
    gone = cookie(answer)
    assert gone is not None
    assert (gone["path"], gone["max-age"], gone["secure"]) == ("/proget", "0", True)
    assert answer.headers["Location"] == "/proget/sign-in"
    morsel = cookie(await sign_in(service))
    assert morsel is not None and morsel["secure"] == ""


async def test_a_stranger_cannot_claim_https(site: Service) -> None:
    morsel = cookie(await sign_in(site, headers=PROXY))
    assert morsel is not None and morsel["secure"] == ""


async def test_the_token_is_nowhere_but_in_the_cookie(site: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("aiosqlite").setLevel(logging.INFO)
    values = [token(await sign_in(site)) for _ in range(3)]
    assert len(set(values)) == 3
    await seen_as(site, values[0])
    await sign_out(site, values[0])
    for value in values:
        assert value not in caplog.text
        for file in site.store.path.parent.glob("test.db*"):
            assert value.encode() not in file.read_bytes()


async def test_a_planted_cookie_is_not_adopted_and_an_old_session_is_replaced(site: Service) -> None:
    """Somebody who knows a token before the sign-in must not know it afterwards."""
    planted = "x" * 43
    first = token(await sign_in(site, headers=with_cookie(planted) | SAME_SITE))
    assert first != planted
    second = token(await sign_in(site, {"key": SYSTEM_KEY}, headers=with_cookie(first) | SAME_SITE))
    assert await seen_as(site, planted) == "Anonymous"
    assert await seen_as(site, first) == "Anonymous"
    assert await seen_as(site, second) == "API key 2"


# What a session lets do


async def test_the_api_never_takes_a_cookie_for_a_post(site: Service) -> None:
    """A foreign page can make a browser send a form, and its cookies with it."""
    value = token(await sign_in(site))
    before = len(await site.rows())
    for headers in (with_cookie(value), with_cookie(value) | SAME_SITE):
        answer = await site.post(RECORD, key=None, headers=headers)
        assert (answer.status, answer.text) == (403, "An API key is needed; send it in the X-ApiKey header.\n")
    assert len(await site.rows()) == before


async def test_a_credential_goes_before_the_cookie(site: Service) -> None:
    """Also a wrong one: whoever sends it must hear that it is wrong."""
    value = token(await sign_in(site))
    for path in ("/who", "/api/who"):
        answer = await site.request("GET", path, headers=with_cookie(value, **{"X-ApiKey": SYSTEM_KEY}))
        assert answer.json == {"caller": "API key 2", "session": None}
        answer = await site.request("GET", f"{path}?key={SYSTEM_KEY}", headers=with_cookie(value))
        assert answer.json["caller"] == "API key 2"
        for headers in ({"X-ApiKey": "wrong"}, {"Authorization": "Basic x"}):
            assert (await site.request("GET", path, headers=with_cookie(value, **headers))).status == 403


@pytest.mark.parametrize("value", ["x" * 43, "short", "ä", "", '"quoted"', "x" * 5000, "%00;"])
async def test_a_cookie_of_no_session_is_nobody_and_is_cleared_on_pages(site: Service, value: str) -> None:
    page = await site.request("GET", "/who", headers=with_cookie(value))
    assert (page.status, page.json) == (200, {"caller": "Anonymous", "session": None})
    assert is_cleared(page) == (value != "")
    answer = await site.request("GET", "/api/who", headers=with_cookie(value))
    assert (answer.status, answer.json["caller"], cookie(answer)) == (200, "Anonymous", None)


async def test_a_page_can_ask_to_sign_in_first_and_is_come_back_to(start_site: StartService) -> None:
    service = await start_site(server_base_path="/proget")
    for path in ("/proget/members?a=b%26c", "/members?a=b%26c"):
        answer = await service.request("GET", path, headers=with_cookie("x" * 43))
        assert (answer.status, is_cleared(answer)) == (303, True)
        location = urlsplit(answer.headers["Location"])
        assert (location.path, parse_qs(location.query)) == ("/proget/sign-in", {"next": ["/members?a=b%26c"]})
    form = await service.request("GET", answer.headers["Location"])
    (asked,) = set(re.findall(r'name="next" value="([^"]*)"', form.text))
    answer = await sign_in(service, BY_PASSWORD | {"next": html.unescape(asked)})
    assert answer.headers["Location"] == "/proget/members?a=b%26c"
    page = await service.request("GET", answer.headers["Location"], headers=with_cookie(token(answer)))
    assert page.text == "welcome"
    assert (await service.request("POST", "/members")).headers["Location"] == "/proget/sign-in"


async def test_a_page_gets_all_fields_of_its_own_form(site: Service) -> None:
    value = token(await sign_in(site))
    headers = with_cookie(value) | SAME_SITE | {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await site.request("POST", "/who", data=b"feed=a&feed=Z%FCrich", headers=headers)
    assert answer.json == {"caller": "user Anna", "session": ["Anna", "user"], "feeds": ["a", "Zürich"]}


# Where to go afterwards

ELSEWHERE = [
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    "https://evil.example/",
    "https:evil.example",
    "javascript:alert(1)",
    "evil.example",
    "@evil.example",
    ".evil.example",
    "/..//evil.example",
    "/a//evil.example",
    "/x\r\nSet-Cookie: a=b",
    "/\x00/evil.example",
    "/\u3000/evil.example",
    "/" + "x" * 2048,
    "",
]


@pytest.mark.parametrize("base", ["", "/proget"])
@pytest.mark.parametrize("asked", ELSEWHERE)
def test_only_a_path_on_this_server_is_gone_to(asked: str, base: str) -> None:
    assert local_path(asked, base) == "/"
    assert local_path(base + "//evil.example", base) == "/"


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ("/", "/"),
        ("/deployments", "/deployments"),
        ("/d?url=https://a//b&x=#//c", "/d?url=https://a//b&x=#//c"),
        ("/%2Fevil.example", "/%2Fevil.example"),
        ("/proget", "/"),
        ("/proget/", "/"),
        ("/proget?a=b", "/?a=b"),
        ("/proget/d", "/d"),
        ("/progets", "/progets"),
    ],
)
def test_a_path_on_this_server_is_gone_to_below_the_base_path(asked: str, path: str) -> None:
    assert local_path(asked, "/proget") == path


@pytest.mark.parametrize("asked", ELSEWHERE)
async def test_no_link_to_the_sign_in_page_leads_elsewhere(site: Service, asked: str) -> None:
    assert (await sign_in(site, BY_PASSWORD | {"next": asked})).headers["Location"] == "/"
    form = await site.request("GET", "/sign-in", params={"next": asked})
    assert set(re.findall(r'name="next" value="([^"]*)"', form.text)) == {"/"}


# Who may send the forms

SAME_SITE = {"Sec-Fetch-Site": "same-origin"}
FOREIGN = "https://evil.example"


def headers_from(port: int) -> list[tuple[dict[str, str], bool]]:
    """Return what browsers send, and whether it is one of our pages that made them."""
    here = f"http://127.0.0.1:{port}"
    return [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://named-by-a-proxy.example"}, True),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": ""}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": here, "Referer": here}, False),
        ({"Origin": here}, True),
        ({"Origin": here.upper()}, True),
        ({"Origin": here, "Referer": FOREIGN}, True),
        ({"Origin": "null"}, False),
        ({"Origin": ""}, False),
        ({"Origin": FOREIGN, "Referer": here}, False),
        ({"Origin": f"https://127.0.0.1:{port}"}, False),
        ({"Origin": f"http://127.0.0.1:{port + 1}"}, False),
        ({"Origin": "http://127.0.0.1"}, False),
        ({"Origin": "http://127.0.0.1:port"}, False),
        ({"Origin": f"{here}.evil.example"}, False),
        ({"Origin": f"http://evil.example#{here}"}, False),
        ({"Origin": "http://[::1"}, False),
        ({"Referer": f"{here}/sign-in?next=/"}, True),
        ({"Referer": f"{FOREIGN}/{here}"}, False),
        ({"Referer": f"http://127.0.0.1:{port}@evil.example/"}, False),
        ({"Referer": "about:blank"}, False),
    ]


async def test_the_forms_are_taken_from_our_own_pages_only(site: Service) -> None:
    value = token(await sign_in(site))
    for headers, ours in headers_from(site.port):
        for options in (
            {"path": "/sign-in", "data": BY_PASSWORD},
            {"path": "/who", "data": {}, "headers": with_cookie(value)},
        ):
            options["headers"] = headers | options.get("headers", {})
            answer = await site.request("POST", **options)
            if ours:
                assert answer.status in (200, 303), headers
            else:
                assert (answer.status, cookie(answer)) == (403, None), headers
                assert (said(answer) or "").startswith("This may only be sent from this server's own pages")
    assert await seen_as(site, value) == "user Anna"
    answer = await site.request("POST", "/sign-out", headers=with_cookie(value, Origin=FOREIGN))
    assert (answer.status, cookie(answer), await seen_as(site, value)) == (403, None, "user Anna")

    async def is_audited() -> bool:
        rows = await site.rows("SELECT sum(count) AS calls FROM audit WHERE detail = '403 sent from another site'")
        return bool(rows[0]["calls"])

    await until(is_audited)


async def test_without_any_such_header_only_who_brings_nothing_of_a_browser_is_let_in(site: Service) -> None:
    """A script can sign in; a browser too old to say where a request comes from adds its cookie to forged ones."""
    value = token(await sign_in(site))
    for headers in (with_cookie(value), {"Authorization": "Basic YXBpOng="}):
        assert (await site.request("POST", "/who", headers=headers)).status == 403
        assert (await sign_in(site, headers=headers)).status == 403
    assert (await site.request("POST", "/who", headers={"X-ApiKey": SYSTEM_KEY})).json["caller"] == "API key 2"


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://proget.example", 303),
        ("https://proget.example:443", 303),
        ("http://proget.example", 403),
        ("https://proget.example:8624", 403),
    ],
)
async def test_behind_a_proxy_our_own_pages_are_those_at_its_address(
    start_site: StartService, origin: str, status: int
) -> None:
    service = await start_site(server_trusted_proxies="127.0.0.1")
    assert (await sign_in(service, headers=PROXY | {"Origin": origin})).status == status
    assert (await sign_in(service, headers=PROXY | {"Referer": f"{origin}/sign-in"})).status == status


async def test_a_body_that_is_refused_unread_does_not_become_the_next_request(site: Service) -> None:
    head = f"POST /sign-in HTTP/1.1\r\nHost: x\r\nOrigin: {FOREIGN}\r\nContent-Length: 100\r\n\r\n"
    answer = await site.raw(head.encode())
    assert answer.startswith(b"HTTP/1.1 403 ") and b"Connection: close" in answer


# What ends a session


async def sign_out(service: Service, value: str) -> Answer:
    return await service.request("POST", "/sign-out", headers=with_cookie(value) | SAME_SITE)


@pytest.mark.every_engine
async def test_signing_out_ends_a_copied_cookie_too(site: Service) -> None:
    value, other = token(await sign_in(site)), token(await sign_in(site))
    answer = await sign_out(site, value)
    assert (answer.status, answer.headers["Location"], is_cleared(answer)) == (303, "/sign-in", True)
    assert await seen_as(site, value) == "Anonymous"
    assert await seen_as(site, other) == "user Anna"
    assert (await sign_out(site, value)).status == 303
    assert (await site.request("POST", "/sign-out")).status == 303
    assert (await site.request("GET", "/sign-out")).status == 405


async def is_ended(service: Service, value: str) -> None:
    async def is_anonymous() -> bool:
        return await seen_as(service, value) == "Anonymous"

    async with asyncio.timeout(1):
        await until(is_anonymous)


@pytest.mark.every_engine
@pytest.mark.parametrize("password", ["another", PASSWORD], ids=["another", "the same"])
async def test_a_new_password_ends_the_users_own_sessions(site: Service, password: str) -> None:
    """Also a new hash of the same one: whoever sets it wants everybody else out. A key is not the password."""
    by_password, by_key = token(await sign_in(site)), token(await sign_in(site, {"key": PERSONAL_KEY}))
    await set_password(site.admin, "anna", password)
    await is_ended(site, by_password)
    assert (await seen_as(site, by_key)).startswith("user Anna, API key")


@pytest.mark.every_engine
async def test_removing_a_user_ends_all_their_sessions(site: Service) -> None:
    values = [token(await sign_in(site)), token(await sign_in(site, {"key": PERSONAL_KEY}))]
    system = token(await sign_in(site, {"key": SYSTEM_KEY}))
    await remove_user(site.admin, "Anna")
    for value in values:
        assert await seen_as(site, value) == "Anonymous"
    assert await seen_as(site, system) == "API key 2"
    assert len(await site.rows("SELECT * FROM sessions")) == 1


@pytest.mark.every_engine
async def test_revoking_a_key_ends_its_sessions(site: Service) -> None:
    by_key, by_password = token(await sign_in(site, {"key": PERSONAL_KEY})), token(await sign_in(site))
    await revoke_key(site.admin, 3)
    await is_ended(site, by_key)
    assert await seen_as(site, by_password) == "user Anna"


class Times:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = now()

    def __call__(self) -> int:
        return self.now


@pytest.mark.every_engine
async def test_a_key_that_expires_ends_its_sessions(start: StartService) -> None:
    times = Times()
    service = await start(clock=times)
    secret = (await create_key(service.admin, "system", expires_at=times.now + HOUR)).secret

    async def is_seen() -> bool:
        return (await sign_in(service, {"key": secret})).status == 303

    await until(is_seen)
    value = token(await sign_in(service, {"key": secret}))
    times.now += HOUR - 1
    assert await seen_as(service, value) == "API key 2"
    times.now += 1
    assert await seen_as(service, value) == "Anonymous"


async def last_seen(service: Service) -> int:
    rows = await service.rows("SELECT max(last_seen_at) AS at FROM sessions")
    return int(rows[0]["at"])


@pytest.mark.every_engine
async def test_a_session_ends_after_its_hours_however_much_it_is_used(start_site: StartService) -> None:
    times = Times()
    service = await start_site(clock=times, security_session_hours=8)
    value = token(await sign_in(service))
    begun = times.now
    for hours in range(1, 8):
        times.now = begun + hours * HOUR
        assert await seen_as(service, value) == "user Anna"

        async def is_noted() -> bool:
            return await last_seen(service) == times.now

        await until(is_noted)
    times.now = begun + 8 * HOUR - 1
    assert await seen_as(service, value) == "user Anna"
    times.now += 1
    page = await service.request("GET", "/who", headers=with_cookie(value))
    assert (page.json["caller"], is_cleared(page)) == ("Anonymous", True)


@pytest.mark.every_engine
async def test_a_session_ends_when_it_has_not_been_used_for_a_quarter_of_its_hours(start_site: StartService) -> None:
    times = Times()
    service = await start_site(clock=times, security_session_hours=8)
    value, left = token(await sign_in(service)), token(await sign_in(service))
    begun = times.now
    times.now = begun + 9 * MINUTE
    assert await seen_as(service, value) == "user Anna"  # so soon after the last use, it is not worth a write
    times.now = begun + 2 * HOUR - 1
    assert await asyncio.gather(*(seen_as(service, value) for _ in range(3))) == ["user Anna"] * 3

    async def is_noted() -> bool:
        return await last_seen(service) == times.now

    await until(is_noted)
    times.now = begun + 2 * HOUR
    assert await seen_as(service, left) == "Anonymous"
    assert await seen_as(service, value) == "user Anna"
    assert len(await service.rows("SELECT * FROM sessions")) == 2
    token(await sign_in(service))
    assert len(await service.rows("SELECT * FROM sessions")) == 2  # a sign-in sweeps


async def test_the_last_use_is_still_written_when_the_server_stops(tmp_path: Path) -> None:
    times = Times()
    settings = settings_of(tmp_path)
    async with running(settings, clock=times) as service:
        value = token(await sign_in(service, {"key": KEY}))
        times.now += HOUR
        await seen_as(service, value)
    with closing(sqlite3.connect(tmp_path / "test.db")) as connection:
        assert connection.execute("SELECT last_seen_at FROM sessions").fetchall() == [(times.now,)]
        assert connection.execute("SELECT last_used_at FROM api_keys").fetchall() == [(times.now,)]


# Several servers, and restarts


async def end_watches() -> None:
    """Let no server hear any more of what others change."""
    watches = [task for task in asyncio.all_tasks() if task.get_name() == "access watch"]
    assert watches
    for task in watches:
        task.cancel()
    await asyncio.wait(watches)


@pytest.mark.every_engine
async def test_two_servers_share_sessions_and_their_ends(start_site: StartService) -> None:
    one, two = await start_site(), await start_site()
    value = token(await sign_in(one))
    assert await seen_as(two, value) == "user Anna"
    assert (await sign_out(two, value)).status == 303
    assert await seen_as(one, value) == "Anonymous"
    assert await seen_as(two, value) == "Anonymous"


@pytest.mark.every_engine
async def test_a_server_that_does_not_know_the_user_yet_looks_again(start: StartService) -> None:
    """Who has just been made, and signed in elsewhere, must not lose the cookie here."""
    behind = await start()
    await end_watches()
    await make_people(behind.admin)
    ahead = await start()
    assert (await behind.post(RECORD, key=PERSONAL_KEY)).status == 403
    assert await seen_as(behind, token(await sign_in(ahead))) == "user Anna"


@pytest.mark.every_engine
async def test_a_user_removed_a_moment_ago_cannot_sign_in(start_site: StartService) -> None:
    """The server does not know it yet; the database does."""
    service = await start_site()
    await end_watches()
    await remove_user(service.admin, "Anna")
    answer = await sign_in(service)
    assert (answer.status, alert(answer)) == (403, "The user name or the password is wrong.")


async def test_a_session_outlives_a_restart(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    async with running(settings) as service:
        value = token(await sign_in(service, {"key": KEY}))
    async with running(settings) as service:
        assert await seen_as(service, value) == "API key 1 (ci)"


# The audit, and a database that does not do its part


@pytest.mark.every_engine
async def test_the_audit_knows_who_signed_in_and_out(start_site: StartService) -> None:
    times = Times()
    service = await start_site(clock=times)
    values = [token(await sign_in(service)) for _ in range(3)]
    for _ in range(2):
        await sign_out(service, values[0])
    rows = await service.rows("SELECT * FROM audit WHERE action LIKE 'session.%' ORDER BY id")
    assert [(row["action"], row["actor"], row["address"], row["count"]) for row in rows] == [
        ("session.begin", "user Anna", "127.0.0.1", 3),
        ("session.end", "user Anna", "127.0.0.1", 1),
    ]
    times.now += MINUTE
    token(await sign_in(service))
    rows = await service.rows("SELECT * FROM audit WHERE action = 'session.begin'")
    assert [row["count"] for row in rows] == [3, 1]


async def test_a_locked_database_is_a_503_in_words_that_fit(start_site: StartService) -> None:
    service = await start_site(database_busy_timeout=0.05)
    value = token(await sign_in(service))
    with closing(sqlite3.connect(service.store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = await sign_in(service)
        assert (answer.status, said(answer)) == (503, "Nobody can sign in now: the database is unavailable.")
        assert answer.headers["Retry-After"]
        answer = await sign_out(service, value)
        assert (answer.status, said(answer)) == (503, "You are still signed in: the database is unavailable.")
        assert cookie(answer) is None
        assert await seen_as(service, value) == "user Anna"


async def test_a_last_use_that_cannot_be_written_costs_no_page(
    start_site: StartService, caplog: pytest.LogCaptureFixture
) -> None:
    times = Times()
    service = await start_site(database_busy_timeout=0.05, clock=times)
    value = token(await sign_in(service))
    times.now += HOUR
    with closing(sqlite3.connect(service.store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert await seen_as(service, value) == "user Anna"

        async def is_logged() -> bool:
            return "when a session was last used could not be written" in caplog.text

        await until(is_logged)


async def test_a_database_that_cannot_be_read_is_a_503(site: Service) -> None:
    """Anonymous would be the wrong answer, and clearing the cookie the wrong cure."""
    value = token(await sign_in(site))
    with closing(sqlite3.connect(site.store.path, isolation_level=None)) as other:
        other.execute("DROP TABLE sessions")
    answer = await site.request("GET", "/who", headers=with_cookie(value))
    assert (answer.status, cookie(answer)) == (503, None)
    assert said(answer) == "Who is signed in cannot be looked up: the database is unavailable."


async def test_signing_out_ends_a_stream_of_events(site: Service) -> None:
    """What was begun with a session does not outlive it."""
    value = token(await sign_in(site, {"key": KEY}))
    async with site.session.get(f"{site.url}/api/deployments/events", headers=with_cookie(value)) as response:
        assert response.status == 200
        events = Events(response)
        assert (await site.post(RECORD)).status == 200
        assert await events.next() is not None
        await sign_out(site, value)
        assert (await site.post(RECORD)).status == 200
        assert await events.next() is None
