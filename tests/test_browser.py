"""The pages in a real browser: at two widths, in both themes, with and without JavaScript, as their readers use them.

Needs Chromium (Debian: ``apt install chromium``; or ``CHROMIUM=/path``), and for the rules of accessibility axe-core
(``npm install axe-core``; or ``AXE_CORE=/path/to/axe.min.js``). What is missing is skipped.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from conftest import settings_of
from processes import environment

from deployserver.clock import now
from deployserver.storage import database, migrate

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install 'deployserver[test]'")

ROOT = Path(__file__).parents[1]
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
AXE_CORE = Path(os.environ.get("AXE_CORE") or ROOT / "node_modules" / "axe-core" / "axe.min.js")
RECORDS = 100_000
KEY = "abc12345"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt install chromium, or CHROMIUM=/path")
needs_axe = pytest.mark.skipif(not AXE_CORE.is_file(), reason="needs axe-core: npm install axe-core, or AXE_CORE=/path")

WIDTHS = (1280, 390)
THEMES = ("light", "dark")
PAGES = (
    "overview", "history", "history of a word", "record", "package", "target", "target as it was", "matrix",
    "matrix of few", "compare", "compare nothing yet", "search", "search for nothing", "not found", "sign in",
)  # fmt: skip  # one list


@dataclass
class Site:
    """A server with a realistic installation, and the busiest names in it."""

    url: str
    package: dict[str, str]
    targets: list[str]
    record: int

    def path(self, page: str) -> str:
        """Return where a page is."""
        first, second = self.targets[:2]
        return {
            "overview": "/",
            "history": "/deployments",
            "history of a word": "/deployments?q=rollback",
            "record": f"/deployments/{self.record}",
            "package": f"/package?{urlencode(self.package)}",
            "target": f"/target?{urlencode({'target': first})}",
            "target as it was": f"/target?{urlencode({'target': first, 'as_of': '200d'})}",
            "matrix": "/matrix",
            "matrix of few": f"/matrix?{urlencode({'package': self.package['package']})}",
            "compare": f"/compare?{urlencode({'left': first, 'right': second})}",
            "compare nothing yet": "/compare",
            "search": f"/search?{urlencode({'q': self.package['package'][:4]})}",
            "search for nothing": "/search?q=qqqxyz",
            "not found": "/deployments/999999999",
            "sign in": "/sign-in",
        }[page]


@dataclass
class Complaints:
    """What a browser complained about; a violation of the content security policy is among it."""

    texts: list[str] = field(default_factory=list)

    def listen(self, page: Any) -> None:
        page.on("console", lambda message: self._add(message.type, message.text))
        page.on("pageerror", lambda error: self.texts.append(str(error)))
        page.on("requestfailed", lambda request: self._failed(request))

    def _add(self, kind: str, text: str) -> None:
        # The browser itself says so of a page that is rightly answered with 404 or 403.
        if kind in ("error", "warning") and "the server responded with a status of 40" not in text:
            self.texts.append(text)

    def _failed(self, request: Any) -> None:
        if request.failure != "net::ERR_ABORTED":  # what was still on its way when the page was left
            self.texts.append(f"{request.url}: {request.failure}")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("site")
    settings = settings_of(directory)
    migrate(settings)
    # On a thread of its own: the browser's driver keeps an event loop on this one.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, _fill(settings)).result()
    with _served(directory) as url:
        history = _get(url, "/api/deployments?limit=1000")
        packages = [(one["FeedName"], one["GroupName"], one["PackageName"]) for one in history]
        feed, group, package = max(set(packages), key=lambda one: (packages.count(one), str(one)))
        targets = [one["Target"] for one in history]
        busiest = sorted(set(targets), key=lambda one: (-targets.count(one), one))
        place = {"feed": feed, "package": package} | ({"group": group} if group else {})
        yield Site(url, place, busiest, history[0]["Id"])


async def _fill(settings: Any) -> None:
    sys.path.append(str(ROOT / "benchmarks"))  # at the end, because some modules there are named as some here
    try:
        dataset = import_module("dataset")
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))
    async with database(settings).opened() as store:
        await dataset.load(store, dataset.Scale(records=RECORDS, end=now()))
        await dataset._set_up(store)


@contextlib.contextmanager
def _served(directory: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "deployserver", "--config", "config.ini", "serve", "--port", "0"]
    log = (directory / "log").open("w+")
    server = subprocess.Popen(command, cwd=directory, stderr=log, env=environment())
    try:
        while not (found := re.search(r"listening on (http://[\d.:]+)", (directory / "log").read_text())):
            assert server.poll() is None, (directory / "log").read_text()
        yield found[1]
    finally:
        server.terminate()
        assert server.wait(60) == 0
        log.close()


def _get(url: str, path: str) -> Any:
    with urllib.request.urlopen(urllib.request.Request(url + path, headers={"X-ApiKey": KEY})) as answer:
        return json.load(answer)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ],
        )
        yield chromium
        chromium.close()


@contextlib.contextmanager
def visiting(browser: Any, site: Site, *, signed_in: bool = True, **options: Any) -> Iterator[tuple[Any, Complaints]]:
    """Open a browser of its own, signed in as alice, and see that it had nothing to complain of."""
    context = browser.new_context(base_url=site.url, **options)
    complaints = Complaints()
    try:
        page = context.new_page()
        complaints.listen(page)
        if signed_in:
            page.goto("/sign-in")
            page.locator("input[name=user]").fill("alice")
            page.locator("input[name=password]").fill("alice")
            page.locator("input[name=password]").press("Enter")
            page.wait_for_url(site.url + "/")
        yield page, complaints
        assert complaints.texts == []
    finally:
        context.close()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_is_shown_whole(browser: Any, site: Site, width: int, theme: str, scripts: bool) -> None:
    """No page is wider than the window, none lacks a heading, and the browser has nothing to complain of."""
    options = {"viewport": {"width": width, "height": 900}, "color_scheme": theme, "java_script_enabled": scripts}
    with visiting(browser, site, **options) as (page, _):
        for name in PAGES:
            answer = page.goto(site.path(name))
            assert answer.status == (404 if name == "not found" else 200), name
            assert page.locator("h1").count() == 1, name
            assert page.locator("main").count() == 1, name
            if scripts:
                assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), f"{name} is too wide"


@needs_axe
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_breaks_a_rule_of_accessibility(browser: Any, site: Site, width: int, theme: str) -> None:
    """axe-core's rules for WCAG 2.2 A and AA, and its best practice."""
    options = {"viewport": {"width": width, "height": 900}, "color_scheme": theme, "bypass_csp": True}
    with visiting(browser, site, **options) as (page, _):
        for name in PAGES:
            page.goto(site.path(name))
            page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
            page.evaluate(AXE_CORE.read_text("utf-8"))
            found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
            broken = [(rule["id"], [node["html"][:200] for node in rule["nodes"][:3]]) for rule in found["violations"]]
            assert broken == [], name


def test_a_new_deployment_appears_by_itself(browser: Any, site: Site) -> None:
    with visiting(browser, site) as (page, _):
        page.goto("/")
        page.wait_for_timeout(500)  # the stream has begun
        name = f"Acme.Fresh{os.getpid()}"
        form = {
            "FeedName": site.package["feed"], "PackageName": name, "Version": "1.0", "Target": "<b>web01</b>",
            "Application": "browser test", "Description": "<script>alert(1)</script>",
        }  # fmt: skip  # one form
        body = urlencode(form).encode()
        urllib.request.urlopen(
            urllib.request.Request(f"{site.url}/api/package-deployment/", body, {"X-ApiKey": KEY})
        ).close()
        row = page.get_by_role("row").filter(has_text=name)
        row.first.wait_for()
        assert "<b>web01</b>" in row.first.inner_text()


def test_the_way_from_a_target_to_what_it_ran_before(browser: Any, site: Site) -> None:
    """With the keyboard and the forms alone, without JavaScript."""
    with visiting(browser, site, java_script_enabled=False) as (page, _):
        page.goto(site.path("target"))
        page.locator("main a[href*='/deployments/']").first.click()
        assert re.fullmatch(r"/deployments/\d+", page.url.removeprefix(site.url))
        page.get_by_role("search").get_by_role("searchbox").fill(site.targets[0])
        page.get_by_role("search").get_by_role("searchbox").press("Enter")
        page.locator("main").get_by_role("link", name=site.targets[0]).first.click()
        assert "/target?" in page.url


def test_signing_out_ends_it(browser: Any, site: Site) -> None:
    with visiting(browser, site) as (page, _):
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_load_state()
        page.goto(f"/package?{urlencode({'feed': 'no-such-feed', 'package': 'x'})}")
        assert page.get_by_role("button", name="Sign out").count() == 0
        assert page.get_by_role("link", name="Sign in").count() == 1


def test_what_a_table_shows_is_what_its_link_gives(browser: Any, site: Site) -> None:
    with visiting(browser, site) as (page, _):
        page.goto("/deployments?application=Jenkins")
        shown = page.locator("main tbody tr").count()
        link = page.get_by_role("link", name="CSV").first.get_attribute("href")
        text = page.request.get(link).text()
        assert shown > 0
        assert len(list(csv.reader(text.splitlines(keepends=True)))) - 1 == shown
