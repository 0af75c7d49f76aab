"""Where a request goes: the target it was sent with, and which world of the double that is in."""

from __future__ import annotations

import re
from urllib.parse import unquote

from aiohttp import web

from deployserver.errors import InvalidValue

_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_NAMESPACE = re.compile(r"/ns/([^/?#]+)(?=[/?#]|$)", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")


def target_of(request: web.BaseRequest) -> str:
    """Return path and query as they were sent, without the origin that a client sends to what it takes for a proxy."""
    return _ORIGIN.sub("", request.raw_path, count=1)


def namespace_of(target: str) -> str | None:
    """Return the name of the namespace that a target is in, decoded; None if it is in none. Raises InvalidValue."""
    found = _NAMESPACE.match(target)
    return checked_name(unquote(found[1])) if found else None


def is_in_namespace(target: str) -> bool:
    """Tell whether a target is one below the path of a namespace, whatever its name."""
    return _NAMESPACE.match(target) is not None


def checked_name(name: str) -> str:
    """Return a name that a namespace may have; letter case counts. Raises InvalidValue."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in (".", ".."):
        raise InvalidValue(f"A namespace is named with up to 100 letters, digits, dots, - and _, and not {name!r}.")
    return name


def below(base: str, request: web.BaseRequest) -> str:
    """Return the target of a request without the base path of the world it is in."""
    target = target_of(request)
    if base:
        target = _NAMESPACE.sub("", target, count=1)
    return target if target.startswith("/") else f"/{target}"
