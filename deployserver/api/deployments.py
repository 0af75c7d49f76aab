"""``POST /api/package-deployment/``."""

from __future__ import annotations

from aiohttp import web

from deployserver.api import keys
from deployserver.api.responses import json_response
from deployserver.schemas import deployment_json, load_submission


async def record_deployment(request: web.Request) -> web.Response:
    """Record a deployment, and answer with the record once it is stored."""
    submission = load_submission(request[keys.FIELDS].values)
    deployment = await request.app[keys.DEPLOYMENTS].record(request[keys.CALLER], submission)
    return json_response(deployment_json(deployment))
