"""Pages: what each is framed with, what its parts make of names and states, and what browsers are told about it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import jinja2
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from conftest import settings_of
from pytest_aiohttp.plugin import AiohttpClient

from deployserver import __version__
from deployserver.api import keys
from deployserver.api.proxies import Proxies
from deployserver.models import Caller, Deployment, DeploymentRow, User
from deployserver.pages.assets import Assets
from deployserver.pages.calls import curl_call, powershell_call
from deployserver.pages.environment import make_environment
from deployserver.pages.links import Links
from deployserver.pages.rendering import render, set_up_pages

Client = TestClient[web.Request, web.Application]

NOW = 1_795_543_711_000_000
EVIL = """<script>alert("1")</script>&'"""


@pytest.fixture
def environment() -> jinja2.Environment:
    return make_environment(Links("/proget"), Assets(), lambda: NOW)


def deployment(id: int = 7, name: str = "Newtonsoft.Json", group: str | None = "Acme") -> Deployment:
    row = DeploymentRow(1, name, name, name, name, name, group, name, None, NOW - 3_600_000_000, NOW, "key", 1)
    return Deployment(id, name, row)


def test_every_template_compiles_and_holds_no_script_or_style_of_its_own(environment: jinja2.Environment) -> None:
    names = environment.list_templates()
    assert {"base.html", "error.html", "parts/records.html"} <= set(names)
    for name in names:
        environment.get_template(name)
        assert environment.loader is not None
        source, _, _ = environment.loader.get_source(environment, name)
        assert re.findall(r"<script(?! src=)|<style|\sstyle=|\son\w+=|javascript:", source) == []
        assert "| safe" not in source and "|safe" not in source


def frame(environment: jinja2.Environment, **context: object) -> str:
    given = {"path": "/", "query": {}, "viewer": None, "public_url": "http://h/proget", "request_id": "r1"}
    return environment.get_template("base.html").render({**given, **context})


def test_the_frame_says_where_one_is(environment: jinja2.Environment) -> None:
    assert '<a href="/proget/" aria-current="page">Overview</a>' in frame(environment)
    assert '<a href="/proget/deployments" aria-current="page">' in frame(environment, path="/Deployments")
    assert '<a href="/proget/deployments" aria-current="true">' in frame(environment, path="/deployments/7")
    assert "aria-current" not in frame(environment, path="/package")


def test_the_frame_says_who_is_signed_in_and_lets_them_out(environment: jinja2.Environment) -> None:
    page = frame(environment, viewer=EVIL)
    assert EVIL not in page and "&lt;script&gt;" in page
    assert '<form action="/proget/sign-out" method="post">' in page
    assert "Sign in<" not in page


def test_the_frame_leads_to_signing_in_and_back(environment: jinja2.Environment) -> None:
    page = frame(environment, path="/deployments", query={"feed": ["a&b"]})
    assert "/proget/sign-in?next=%2Fproget%2Fdeployments%3Ffeed%3Da%2526b" in page
    assert "Sign in" not in frame(environment, path="/sign-in")


def test_the_search_keeps_what_was_searched_for(environment: jinja2.Environment) -> None:
    assert 'value="&#34;x&#34;"' in frame(environment, path="/search", query={"q": ['"x"']})
    assert 'value=""' in frame(environment, path="/deployments", query={"q": ["x"]})


def records(environment: jinja2.Environment, **arguments: object) -> str:
    source = '{% from "parts/records.html" import records_table %}{{ records_table(**arguments) }}'
    return environment.from_string(source).render(arguments=arguments)


def test_a_record_shows_all_it_has_and_leads_on(environment: jinja2.Environment) -> None:
    page = records(environment, deployments=[deployment()], levels={7: "behind"})
    for column in ("Deployed", "Package", "Version", "Target", "Feed", "Application", "User", "Description"):
        assert f'data-label="{column}"' in page
    assert 'datetime="2026-11-24T17:08:31Z"' in page and "2026-11-24 17:08 UTC" in page and "1 hour ago" in page
    assert "/proget/package?feed=Newtonsoft.Json&amp;group=Acme&amp;package=Newtonsoft.Json" in page
    assert 'href="/proget/deployments/7"' in page
    assert "</svg>behind</span>" in page
    assert "<template" not in page and "data-events-url" not in page


def test_a_column_can_be_left_out(environment: jinja2.Environment) -> None:
    page = records(environment, deployments=[deployment()], hide=("target", "feed"))
    assert 'data-label="Target"' not in page and 'data-label="Feed"' not in page and 'data-label="User"' in page


def test_nothing_of_a_record_is_markup(environment: jinja2.Environment) -> None:
    page = records(environment, deployments=[deployment(name=EVIL, group=EVIL)])
    assert "<script" not in page and 'title="<' not in page


def test_a_live_table_says_where_new_records_come_from_and_what_to_make_of_them(
    environment: jinja2.Environment,
) -> None:
    page = records(environment, deployments=[], events_url="/proget/events?feed=a&b=c", keep=50, hide=("feed",))
    assert 'data-events-url="/proget/events?feed=a&amp;b=c" data-keep="50"' in page
    template = page[page.index("<template") :]
    assert 'data-query="feed=FeedName group=GroupName package=PackageName"' in template
    assert 'data-label="Feed"' not in template


def test_the_state_of_filters_is_the_address(environment: jinja2.Environment) -> None:
    source = (
        '{% from "parts/filters.html" import filter_form %}{{ filter_form("/deployments", fields, {"order": "a"}) }}'
    )
    fields = [
        {"name": "feed", "label": "Feed", "value": "a&b", "options": [("", "Any"), "a&b", "c"]},
        {"name": "target", "label": "Target", "value": "web", "suggestions": ["web-01"]},
        {"name": "user", "label": "User", "value": None},
        {"name": "version", "label": "Version"},
    ]
    page = environment.from_string(source).render(fields=fields)
    assert '<option value="a&amp;b" selected>' in page and '<option value="web-01">' in page
    assert '<input type="hidden" name="order" value="a">' in page
    assert 'href="/proget/deployments?order=a&amp;target=web"' in page
    assert 'href="/proget/deployments?order=a&amp;feed=a%26b"' in page
    assert 'href="/proget/deployments?order=a"' in page
    assert page.count("remove this filter") == 2


def test_addresses_hold_any_name() -> None:
    links = Links("/proget")
    assert links.url("/deployments") == "/proget/deployments"
    assert links.url("/x", {"a": ["1", "2"], "b": "ü&"}, c=True, d=None, e="", f=0) == (
        "/proget/x?a=1&a=2&b=%C3%BC%26&c=true&f=0"
    )
    assert links.url("/x", {"path": "1", "after": "2"}, after=None) == "/proget/x?path=1"
    assert links.package_url("npm", None, "@a/b") == "/proget/package?feed=npm&package=%40a%2Fb"
    assert links.target_url("K8S\\..") == "/proget/target?target=K8S%5C.."


def test_the_calls_of_an_empty_page_send_names_as_they_are() -> None:
    words = shlex.split(curl_call("http://h/proget", {"FeedName": "Bob's $feed"}).replace("\\\n", ""))
    assert words[2] == "http://h/proget/api/package-deployment/"
    assert "FeedName=Bob's $feed" in words
    call = powershell_call("http://h", {"FeedName": "Bob’s 'feed'"})
    assert "  FeedName = 'Bob’’s ''feed'''\n" in call
    assert "-Uri 'http://h/api/package-deployment/'" in call


async def page_app(tmp_path: Path, aiohttp_client: AiohttpClient, base_path: str) -> Client:
    app = web.Application()
    settings = settings_of(tmp_path, server_base_path=base_path)
    app[keys.SETTINGS] = settings
    app[keys.PROXIES] = Proxies(settings.server.trusted_proxies)
    set_up_pages(app, base_path, lambda: NOW)

    async def error(request: web.Request) -> web.Response:
        request[keys.REQUEST_ID] = "r-1"
        if "user" in request.query:
            name = request.query["user"]
            request[keys.CALLER] = Caller(name, name, user=User(1, name, None, NOW))
        return render(request, "error.html", status=404, status_code=404, heading="No <such> page", detail="Gone.")

    app.router.add_get("/{path:.*}", error)
    return await aiohttp_client(app)


async def test_a_page_is_html_that_runs_nothing_but_our_own_and_is_kept_nowhere(
    tmp_path: Path, aiohttp_client: AiohttpClient
) -> None:
    client = await page_app(tmp_path, aiohttp_client, "/proget")
    async with client.get("/ProGet/Deployments/?user=alice") as answer:
        page = await answer.text()
        assert answer.status == 404
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'") and "unsafe" not in policy
        assert answer.headers["Cache-Control"] == "private, no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert answer.headers["Referrer-Policy"] == "same-origin"
    assert "No &lt;such&gt; page" in page and "r-1" in page and f"deployserver {__version__}" in page
    assert '<a href="/proget/deployments" aria-current="page">' in page
    assert "Signed in as alice" in page


async def test_a_page_without_a_base_path_for_nobody(tmp_path: Path, aiohttp_client: AiohttpClient) -> None:
    client = await page_app(tmp_path, aiohttp_client, "")
    async with client.get("/matrix") as answer:
        page = await answer.text()
    assert '<a href="/matrix" aria-current="page">' in page
    assert "/sign-in?next=%2Fmatrix" in page
