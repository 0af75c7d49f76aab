"""The application: its routes in one list, and what it needs while it runs in one context."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from functools import lru_cache
from typing import NamedTuple

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from deployserver.affected import Affected
from deployserver.api import keys
from deployserver.api.deployments import record_deployment
from deployserver.api.events import follow_deployments
from deployserver.api.expectations import ask_for_body
from deployserver.api.health import health, live
from deployserver.api.middleware import request_middleware
from deployserver.api.openapi import DESCRIPTION, Description, openapi_json
from deployserver.api.proxies import Proxies
from deployserver.api.reading import compare, read_affected, read_current, read_deployment, read_frequency, read_history
from deployserver.api.request_ids import RequestIds
from deployserver.audit import RefusalAudit
from deployserver.authentication import Authenticator
from deployserver.clock import Clock, now
from deployserver.comparison import Comparison
from deployserver.deployments import Deployments
from deployserver.drift import Drift
from deployserver.frequency import Frequency
from deployserver.health import Health
from deployserver.history import History
from deployserver.installations import Installations
from deployserver.key_usage import KeyUsage
from deployserver.live import Live
from deployserver.live_access import LiveAccess
from deployserver.logs import RequestLog
from deployserver.matrix import Matrix
from deployserver.overview import Overview
from deployserver.pages.assets import static_asset
from deployserver.pages.compare import show_comparison
from deployserver.pages.deployments import show_history, show_record
from deployserver.pages.documentation import SWAGGER_UI, documentation, documentation_asset, swagger_ui
from deployserver.pages.entrance import entrance
from deployserver.pages.error_page import no_such_page
from deployserver.pages.matrix import show_matrix
from deployserver.pages.overview import show_overview
from deployserver.pages.package import show_package
from deployserver.pages.rendering import set_up_pages
from deployserver.pages.search import show_matches
from deployserver.pages.sign_in import sign_in, sign_in_form, sign_out
from deployserver.pages.target import show_target
from deployserver.passwords import Passwords
from deployserver.rollouts import Rollouts
from deployserver.search import Search
from deployserver.sessions import Sessions
from deployserver.settings import Settings
from deployserver.shared_lockout import SharedLockout
from deployserver.spread import Spreads
from deployserver.storage import Database, DeploymentWriter, Indexer, database
from deployserver.timelines import Timelines
from deployserver.viewing import Viewing


class Route(NamedTuple):
    """A method and path; the path matches in any letter case, with and without a last slash, and never redirects.

    A ``public`` route is for everybody, and no credential is looked at. A ``page`` is for people with a browser: see
    ``pages/entrance.py``.
    """

    method: str
    path: str
    handler: Handler
    public: bool = False
    page: bool = False


ROUTES = (
    Route(hdrs.METH_POST, "/api/package-deployment/", record_deployment),
    Route(hdrs.METH_GET, "/api/deployments", read_history),
    Route(hdrs.METH_GET, "/api/deployments/current", read_current),
    Route(hdrs.METH_GET, "/api/deployments/compare", compare),
    Route(hdrs.METH_GET, "/api/deployments/affected", read_affected),
    Route(hdrs.METH_GET, "/api/deployments/frequency", read_frequency),
    Route(hdrs.METH_GET, "/api/deployments/events", follow_deployments),
    Route(hdrs.METH_GET, "/api/deployments/{id}", read_deployment),
    Route(hdrs.METH_GET, "/", show_overview, page=True),
    Route(hdrs.METH_GET, "/deployments", show_history, page=True),
    Route(hdrs.METH_GET, "/deployments/{id}", show_record, page=True),
    Route(hdrs.METH_GET, "/package", show_package, page=True),
    Route(hdrs.METH_GET, "/target", show_target, page=True),
    Route(hdrs.METH_GET, "/matrix", show_matrix, page=True),
    Route(hdrs.METH_GET, "/compare", show_comparison, page=True),
    Route(hdrs.METH_GET, "/api/openapi.json", openapi_json, public=True),
    Route(hdrs.METH_GET, "/api/docs", documentation, page=True),
    Route(hdrs.METH_GET, "/api/docs/{name}", documentation_asset, public=True),
    Route(hdrs.METH_GET, "/search", show_matches, page=True),
    Route(hdrs.METH_GET, "/static/{name}", static_asset, public=True),
    Route(hdrs.METH_GET, "/health", health, public=True),
    Route(hdrs.METH_GET, "/health/json", health, public=True),
    Route(hdrs.METH_GET, "/health/live", live, public=True),
    Route(hdrs.METH_GET, "/sign-in", sign_in_form, public=True, page=True),
    Route(hdrs.METH_POST, "/sign-in", sign_in, public=True, page=True),
    Route(hdrs.METH_POST, "/sign-out", sign_out, public=True, page=True),
)


class Variant(NamedTuple):
    """How an application differs from the service: the test double's has another store, and more routes.

    ``routes`` are all of its routes; ``middlewares`` come before our own; ``advice`` is what a 404 or 405 of it says
    to do instead.
    """

    store: Database
    routes: tuple[Route, ...]
    middlewares: Sequence[Middleware]
    advice: keys.Advice


_GRACE = 1.0
"""Seconds that a batch may take beyond what the database waits for a lock, before nobody waits for it any more."""

_VARIABLES = {"{id}": "{id:[0-9]{1,19}}", "{name}": "{name:[A-Za-z0-9._-]+}"}


def create_app(
    settings: Settings, clock: Clock = now, variant: Variant | None = None, *, deputy: bool = False
) -> web.Application:
    """Return the application for a database that has been migrated. Does no I/O before it starts.

    A ``deputy`` leaves what need be done once only, and not by every process, to the one that is none.
    """
    app = web.Application(
        middlewares=[*(variant.middlewares if variant else ()), request_middleware],
        client_max_size=settings.limits.body_bytes,
        handler_args={"auto_decompress": False},  # api/compression.py sees to it
    )
    routes = _with_entrances(variant.routes if variant else ROUTES)
    app[keys.PUBLIC] = frozenset(route.handler for route in routes if route.public or route.page)
    app[keys.SETTINGS] = settings
    app[keys.CLOCK] = clock
    app[keys.STOPPING] = asyncio.Event()
    app[keys.PROXIES] = Proxies(settings.server.trusted_proxies)
    app[keys.REQUEST_IDS] = RequestIds()
    app[keys.REQUEST_LOG] = RequestLog()
    if variant is not None:
        app[keys.ADVICE] = variant.advice
    app[keys.NO_SUCH_PAGE] = entrance(no_such_page, public=False)
    for base in dict.fromkeys(("", settings.server.base_path)):
        for resource in _resources(base, routes):
            app.router.register_resource(resource)

    app[DESCRIPTION] = Description((route.method, route.path) for route in routes)
    app[SWAGGER_UI] = swagger_ui()
    set_up_pages(app, settings.server.base_path, clock)

    async def services(app: web.Application) -> AsyncIterator[None]:
        """Start from the database upwards, and stop in the other order: what is queued is written before it closes."""
        async with AsyncExitStack() as stack:
            store = database(settings) if variant is None else variant.store
            await stack.enter_async_context(store.opened())
            lockout = await stack.enter_async_context(SharedLockout(store, settings.security, clock))
            access = await stack.enter_async_context(LiveAccess(store, lockout.read))
            usage = await stack.enter_async_context(KeyUsage(store))
            patience = settings.database.busy_timeout + _GRACE
            writer = await stack.enter_async_context(
                DeploymentWriter(store.add_deployments, settings.limits.queue, patience)
            )
            await stack.enter_async_context(Indexer(store, lambda: writer.busy, deputy=deputy))
            passwords = Passwords()
            stack.callback(passwords.close)
            app[keys.REFUSALS] = await stack.enter_async_context(RefusalAudit(store, clock))
            app[keys.AUTHENTICATOR] = authenticator = Authenticator(
                access, passwords, usage, lockout, clock, pseudo_keys=settings.security.pseudo_keys
            )
            hours = settings.security.session_hours
            app[keys.SESSIONS] = await stack.enter_async_context(
                Sessions(store, access, authenticator, usage, hours, clock)
            )
            app[keys.ACCESS] = access
            app[keys.VIEWING] = viewing = Viewing(access, store, clock)
            app[keys.HISTORY] = History(viewing)
            app[keys.INSTALLATIONS] = Installations(viewing)
            app[keys.AFFECTED] = Affected(viewing)
            app[keys.COMPARISON] = Comparison(viewing)
            app[keys.FREQUENCY] = Frequency(viewing)
            app[keys.OVERVIEW] = Overview(viewing, clock)
            app[keys.DRIFT] = Drift(viewing)
            app[keys.SPREADS] = Spreads(viewing)
            app[keys.ROLLOUTS] = Rollouts(viewing)
            app[keys.TIMELINES] = Timelines(viewing)
            app[keys.MATRIX] = Matrix(viewing)
            app[keys.SEARCH] = Search(viewing)
            app[keys.LIVE] = await stack.enter_async_context(Live(viewing, store, app[keys.STOPPING]))
            app[keys.DEPLOYMENTS] = Deployments(access, writer, clock)
            app[keys.HEALTH] = health_check = Health(store, writer)
            stack.push_async_callback(health_check.close)
            yield

    app.cleanup_ctx.append(services)
    return app


@lru_cache(maxsize=2)
def _with_entrances(routes: tuple[Route, ...]) -> tuple[Route, ...]:
    return tuple(
        route._replace(handler=entrance(route.handler, public=route.public)) if route.page else route
        for route in routes
    )


@lru_cache(maxsize=4)
def _resources(base: str, routes: tuple[Route, ...]) -> tuple[web.AbstractResource, ...]:
    """Return what a router holds for ``routes``. It is made once: that is most of what an application costs."""
    router = web.UrlDispatcher()
    for route in routes:
        _add_route(router, base, route)
    return tuple(router.resources())


def _add_route(router: web.UrlDispatcher, base: str, route: Route) -> None:
    """Add the usual spellings, which are found at once, and a pattern for all others."""
    path = base + route.path.rstrip("/")
    parts = [part for part in re.split(r"(\{\w+\})", path[1:]) if part]
    pattern = [_VARIABLES.get(part) or f"{{part{number}:(?i:{re.escape(part)})}}" for number, part in enumerate(parts)]
    spellings = [f"{path}/", path] if len(parts) == 1 else []
    for spelling in (*spellings, f"/{''.join(pattern)}{{end:/?}}"):
        resource = router.add_resource(spelling)
        resource.add_route(route.method, route.handler, expect_handler=ask_for_body)
        if route.method == hdrs.METH_GET:
            resource.add_route(hdrs.METH_HEAD, route.handler)
