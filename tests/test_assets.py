"""Static files are kept for good under the address that names their content, and asked for again under any other."""

from __future__ import annotations

import gzip
import re
from importlib import resources

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from pytest_aiohttp.plugin import AiohttpClient

from deployserver.pages.assets import ASSETS, Assets, static_asset
from deployserver.pages.links import Links

Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def client(aiohttp_client: AiohttpClient) -> Client:
    app = web.Application()
    app[ASSETS] = Assets()
    app.router.add_get("/static/{name}", static_asset)
    return await aiohttp_client(app)


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("app.js", "text/javascript; charset=utf-8"),
        ("style.css", "text/css; charset=utf-8"),
        ("favicon.svg", "image/svg+xml"),
    ],
)
async def test_a_file_is_served_as_it_is(client: Client, name: str, content_type: str) -> None:
    async with client.get(Assets().url(Links(""), name)) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == content_type
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert await answer.read() == (resources.files("deployserver.pages") / "static" / name).read_bytes()


@pytest.mark.parametrize("query", ["", "?v=", "?v=0123456789abcdef0123"])
async def test_under_another_address_it_is_asked_for_again(client: Client, query: str) -> None:
    """While servers are replaced, an old one may be asked for a new file: its answer must not be kept."""
    async with client.get(f"/static/app.js{query}") as answer:
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "public, no-cache"


async def test_who_has_it_already_is_told_so(client: Client) -> None:
    async with client.get("/static/style.css") as answer:
        tag = answer.headers["ETag"]
    assert re.fullmatch(r'"[0-9a-f]{20}"', tag)
    for value in (tag, f'"other", W/{tag}', "*"):
        async with client.get("/static/style.css", headers={"If-None-Match": value}) as answer:
            assert answer.status == 304
            assert await answer.read() == b""
            assert answer.headers["ETag"] == tag and "Cache-Control" in answer.headers
    async with client.get("/static/style.css", headers={"If-None-Match": '"other"'}) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("name", ["nothing.css", "..%2fassets.py", "%2e%2e%2fassets.py", "__init__.py", "APP.JS"])
async def test_nothing_else_is_served(client: Client, name: str) -> None:
    async with client.get(f"/static/{name}") as answer:
        assert answer.status == 404


def test_the_address_names_the_content_below_the_base_path() -> None:
    assert re.fullmatch(r"/proget/static/app\.js\?v=[0-9a-f]{20}", Assets().url(Links("/proget"), "app.js"))


def test_the_files_are_small_and_load_nothing_from_elsewhere() -> None:
    folder = resources.files("deployserver.pages") / "static"
    for name in ("app.js", "style.css"):
        text = (folder / name).read_text("utf-8")
        assert len(gzip.compress(text.encode())) < 10_000
        assert re.findall(r"https?:|@import|url\(", text) == []
    assert (
        re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|\beval\b|\.style\b", (folder / "app.js").read_text()) == []
    )
