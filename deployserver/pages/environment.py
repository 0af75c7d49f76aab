"""The Jinja2 environment that all pages are rendered in."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import jinja2

from deployserver import __version__
from deployserver.clock import Clock
from deployserver.filters import exactly
from deployserver.pages import calls, texts, times
from deployserver.pages.assets import Assets
from deployserver.pages.links import Links

OPTIONS: MappingProxyType[str, Any] = MappingProxyType(
    {
        "loader": jinja2.PackageLoader("deployserver.pages", "templates"),
        "autoescape": True,
        "undefined": jinja2.StrictUndefined,
        "trim_blocks": True,
        "lstrip_blocks": True,
        "auto_reload": False,
    }
)


def make_environment(links: Links, assets: Assets, clock: Clock) -> jinja2.Environment:
    """Return an environment of its own, without a server."""
    environment = jinja2.Environment(**OPTIONS)  # noqa: S701 - it is in the options
    return furnish(environment, links, assets, clock)


def furnish(environment: jinja2.Environment, links: Links, assets: Assets, clock: Clock) -> jinja2.Environment:
    """Give an environment made with ``OPTIONS`` the filters and globals of the templates, and return it.

    ``ago`` and ``now`` ask the clock instead of a variable of the page: macros see no variables of the page.
    """
    environment.filters.update(
        utc=times.utc,
        day=times.day,
        iso=times.iso,
        ago=lambda at: times.ago(at, clock()),
        thousands=texts.thousands,
        compact=texts.compact,
        plural=texts.plural,
        percent=texts.percent,
        marked=texts.marked,
        middle_ellipsis=texts.middle_ellipsis,
    )
    environment.globals.update(
        now=clock,
        server_version=__version__,
        url=links.url,
        exactly=exactly,
        asset=lambda name: assets.url(links, name),
        record_url=links.record_url,
        package_url=links.package_url,
        version_url=links.version_url,
        target_url=links.target_url,
        installation_url=links.installation_url,
        feed_url=links.feed_url,
        application_url=links.application_url,
        user_url=links.user_url,
        powershell_call=calls.powershell_call,
        curl_call=calls.curl_call,
    )
    return environment
