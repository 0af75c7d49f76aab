"""What pages answer when they cannot show what is asked for: a page all the same, or the way to the sign-in page."""

from __future__ import annotations

import html
import re

import pytest
from aiohttp import web
from conftest import KEY, Answer, Service, StartService
from waiting import until

from deployserver.api import keys
from deployserver.api_keys import create_key
from deployserver.app import ROUTES, Route
from deployserver.errors import FeedNotFound, InvalidRequest, StoreUnavailable
from deployserver.models import ANONYMOUS, VIEW_FEED
from deployserver.privileges import add_privilege

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
EVIL = "<script>alert(1)</script>"


async def viewing(request: web.Request) -> web.Response:
    request.app[keys.VIEWING].view(request[keys.CALLER])
    return web.Response(text="seen")


async def failing(request: web.Request) -> web.Response:
    raise {
        "invalid": InvalidRequest({"since": ["must be a date."], EVIL: ["is no parameter here."]}),
        "gone": FeedNotFound(EVIL),
        "down": StoreUnavailable("The records cannot be read."),
    }.get(request.query["how"], RuntimeError(EVIL))


@pytest.fixture(autouse=True)
def _more_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    more = (Route("GET", "/viewing", viewing, page=True), Route("GET", "/failing", failing, page=True))
    monkeypatch.setattr("deployserver.app.ROUTES", (*ROUTES, *more))


def heading(answer: Answer) -> str:
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "<script>" not in answer.text
    found = re.search(r"<h1>([^<]*)</h1>", answer.text)
    assert found
    return html.unescape(found[1])


async def test_who_may_view_nothing_without_signing_in_is_asked_to(start: StartService) -> None:
    service = await start(server_base_path="/proget")
    for path in ("/proget/viewing?feed=a%26b", "/viewing?feed=a%26b"):
        answer = await service.request("GET", path)
        assert answer.status == 303
        assert answer.headers["Location"] == "/proget/sign-in?next=/viewing?feed%3Da%2526b"
    await add_privilege(service.admin, ANONYMOUS, VIEW_FEED, None, granted=True)

    async def is_let_in() -> bool:
        return (await service.request("GET", "/viewing")).status == 200

    await until(is_let_in)


async def test_who_is_signed_in_and_may_view_nothing_is_told_so(service: Service) -> None:
    await create_key(service.admin, "system", scopes=["sca"], value="sees-nothing-0123456789", name="scanner")

    async def is_known() -> bool:
        answer = await service.request("POST", "/sign-in", data={"key": "sees-nothing-0123456789"})
        return answer.status == 303

    await until(is_known)
    signed_in = await service.request("POST", "/sign-in", data={"key": "sees-nothing-0123456789"})
    cookie = signed_in.headers["Set-Cookie"].partition(";")[0]
    answer = await service.request("GET", "/viewing?a=b", headers={"Cookie": cookie})
    assert (answer.status, heading(answer)) == (403, "You may not see this")
    assert "The API key may not view deployments." in answer.text
    assert 'href="/sign-in?next=%2Fviewing%3Fa%3Db"' in answer.text


@pytest.mark.parametrize(
    ("how", "status", "head", "parts"),
    [
        (
            "invalid&since=x&feed=a",
            400,
            "This address asks for something that cannot be shown",
            ["<code>since</code> must be a date.", 'href="/failing?how=invalid&amp;feed=a"', "&lt;script&gt;"],
        ),
        ("gone", 404, "There is nothing here", ["There is no feed named"]),
        ("down", 503, "Not available at the moment", ["The records cannot be read.", 'href="/failing?how=down"']),
        ("bug", 500, "Internal error", ["The server&#39;s log has more under"]),
    ],
)
async def test_what_goes_wrong_is_a_page_with_the_right_status(
    service: Service, how: str, status: int, head: str, parts: list[str]
) -> None:
    answer = await service.request("GET", f"/failing?how={how}")
    assert (answer.status, heading(answer)) == (status, head)
    assert [part for part in parts if part not in answer.text] == []
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert ("Retry-After" in answer.headers) == (status == 503)
    problem = await service.request("GET", f"/failing?how={how}", headers={"Accept": "application/json"})
    assert (problem.status, problem.json["status"]) == (status, status)


async def test_a_browser_that_is_lost_gets_a_page_and_a_program_a_line(service: Service) -> None:
    for path in ("/deploymens", "/%3Cscript%3E", "/a/b"):
        answer = await service.request("GET", path, headers=HTML)
        assert (answer.status, heading(answer)) == (404, "There is nothing here")
        assert "Sign in</a>" in answer.text
        answer = await service.request("GET", path)
        assert (answer.status, answer.headers["Content-Type"]) == (404, "text/plain; charset=utf-8")
    for method, path in (("GET", "/api/nothing"), ("POST", "/nothing"), ("GET", "/api/package-deployment/")):
        answer = await service.request(method, path, headers=HTML)
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    answer = await service.request("GET", "/nothing", headers=HTML | {"X-ApiKey": KEY})
    assert "Signed in as ci" in answer.text
