"""The page of the API in a real browser: Swagger UI keeps to the policy of the pages, and calls this server."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from conftest import KEY
from processes import Installation

playwright = pytest.importorskip("playwright.async_api", reason="needs playwright: pip install 'deployserver[test]'")

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
ARGUMENTS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-sync"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt install chromium, or CHROMIUM=/path")


@contextlib.asynccontextmanager
async def opened(directory: Path, theme: str, width: int) -> AsyncIterator[Any]:
    """Open the page below a base path, and see that the browser has nothing to complain of."""
    installation = Installation(directory, server={"base_path": "/proget"})
    installation.prepare()
    server = await installation.serve()
    complaints: list[str] = []
    try:
        async with playwright.async_playwright() as running:
            browser = await running.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS.split())
            page = await browser.new_page(color_scheme=theme, viewport={"width": width, "height": 900})
            page.on("console", lambda message: message.type in ("error", "warning") and complaints.append(message.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("requestfailed", lambda request: complaints.append(request.url))
            await page.goto(f"{server.url}/api/docs")
            await page.locator("#swagger-ui .opblock").first.wait_for()
            yield page
            await browser.close()
        assert complaints == []
    finally:
        await installation.close()


async def test_a_call_can_be_made_with_a_key(tmp_path: Path) -> None:
    async with opened(tmp_path / "server", "dark", 1280) as page:
        await page.locator("#swagger-ui .authorize").click()
        await page.locator(".auth-container input").first.fill(KEY)
        await page.locator(".auth-container button.authorize").first.click()
        await page.locator(".btn-done").first.click()
        call = page.locator("#operations-Reading-listDeployments")
        await call.locator("button.opblock-summary-control").click()
        await call.locator(".try-out__btn").click()
        await call.locator("button.execute").click()
        status = call.locator(".live-responses-table .response td.response-col_status").first
        await status.wait_for()
        assert (await status.inner_text()).startswith("200")
        assert (await call.locator(".request-url pre").inner_text()).endswith("/proget/api/deployments")


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_it_takes_the_place_of_the_list_and_fits_a_narrow_window(tmp_path: Path, theme: str) -> None:
    async with opened(tmp_path / "server", theme, 390) as page:
        assert not await page.locator("#api-list").is_visible()
        assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        dark = await page.evaluate("document.documentElement.classList.contains('dark-mode')")
        assert dark == (theme == "dark")
