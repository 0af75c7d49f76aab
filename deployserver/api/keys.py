"""What hangs off the application, and off a request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from aiohttp import web
from aiohttp.typedefs import Handler
from multidict import MultiDict

from deployserver.affected import Affected
from deployserver.api.body import Fields
from deployserver.api.proxies import Proxies
from deployserver.api.request_ids import RequestIds
from deployserver.audit import RefusalAudit
from deployserver.authentication import Authenticator
from deployserver.clock import Clock
from deployserver.comparison import Comparison
from deployserver.deployments import Deployments
from deployserver.drift import Drift
from deployserver.errors import Refused
from deployserver.frequency import Frequency
from deployserver.health import Health
from deployserver.history import History
from deployserver.installations import Installations
from deployserver.live import Live
from deployserver.live_access import LiveAccess
from deployserver.logs import RequestLog
from deployserver.matrix import Matrix
from deployserver.models import Caller, Session
from deployserver.overview import Overview
from deployserver.rollouts import Rollouts
from deployserver.search import Search
from deployserver.sessions import Sessions
from deployserver.settings import Settings
from deployserver.spread import Spreads
from deployserver.timelines import Timelines
from deployserver.viewing import Viewing

ErrorPage = Callable[[web.Request, int, str, str, Mapping[str, Sequence[str]] | None], web.Response]
"""Makes a page of a status, a title, a text, and messages by the name of what they are about."""

PUBLIC: web.AppKey[frozenset[Handler]] = web.AppKey("public", frozenset)
SETTINGS = web.AppKey("settings", Settings)
PROXIES = web.AppKey("proxies", Proxies)
SESSIONS = web.AppKey("sessions", Sessions)
AUTHENTICATOR = web.AppKey("authenticator", Authenticator)
DEPLOYMENTS = web.AppKey("deployments", Deployments)
REFUSALS = web.AppKey("refusals", RefusalAudit)
REQUEST_IDS = web.AppKey("request_ids", RequestIds)
REQUEST_LOG = web.AppKey("request_log", RequestLog)
HEALTH = web.AppKey("health", Health)
NO_SUCH_PAGE: web.AppKey[Handler] = web.AppKey("no_such_page")
"""Answers people who have lost their way."""
Advice = Callable[[web.Request, web.HTTPException], str | None]
"""What to do instead of a request that is answered with 404 or 405; None for the service's own advice."""
ADVICE: web.AppKey[Advice] = web.AppKey("advice")
CLOCK: web.AppKey[Clock] = web.AppKey("clock")
STOPPING = web.AppKey("stopping", asyncio.Event)
ACCESS = web.AppKey("access", LiveAccess)
VIEWING = web.AppKey("viewing", Viewing)
HISTORY = web.AppKey("history", History)
INSTALLATIONS = web.AppKey("installations", Installations)
AFFECTED = web.AppKey("affected", Affected)
COMPARISON = web.AppKey("comparison", Comparison)
FREQUENCY = web.AppKey("frequency", Frequency)
OVERVIEW = web.AppKey("overview", Overview)
DRIFT = web.AppKey("drift", Drift)
SPREADS = web.AppKey("spreads", Spreads)
ROLLOUTS = web.AppKey("rollouts", Rollouts)
TIMELINES = web.AppKey("timelines", Timelines)
MATRIX = web.AppKey("matrix", Matrix)
SEARCH = web.AppKey("search", Search)
LIVE = web.AppKey("live", Live)

REQUEST_ID = web.RequestKey("request_id", str)
ADDRESS = web.RequestKey("address", str)
FIELDS = web.RequestKey("fields", Fields)
FORM: web.RequestKey[MultiDict[str]] = web.RequestKey("form", MultiDict)
"""All fields of what one of our own pages sent."""
ERROR_PAGE: web.RequestKey[ErrorPage] = web.RequestKey("error_page")
"""Only there on pages: how they say what went wrong."""
CALLER = web.RequestKey("caller", Caller)
REFUSED = web.RequestKey("refused", Refused)
"""Why the caller was refused, in more words than they get; only there if they were."""
SESSION = web.RequestKey("session", Session)
"""Only there for who is signed in to the web pages."""
