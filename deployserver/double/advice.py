"""What to do instead, for whoever asks the double for something that is not there."""

from __future__ import annotations

from aiohttp import web

from deployserver.double.app_keys import WORLD, WORLDS
from deployserver.double.faults.fault import is_control
from deployserver.double.targets import below, is_in_namespace, target_of


def advice(request: web.Request, error: web.HTTPException) -> str | None:
    """Return what to do instead of a request that was answered with 404 or 405; None to say what the service does."""
    target = below(request.app[WORLD].base, request)
    if not request.app[WORLDS].has_namespaces and is_in_namespace(target_of(request)):
        return "This double has no namespaces; start it with --namespaces."
    if not is_control(target):
        return None
    allowed = getattr(error, "allowed_methods", ())
    methods = f"Allowed are {', '.join(sorted(allowed))}. " if allowed else ""
    return f"{methods}All that there is below /__double__ is described at {request.app[WORLD].base}/api/docs"
