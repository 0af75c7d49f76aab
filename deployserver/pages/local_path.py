"""Paths on this server that a page may send its reader to."""

from __future__ import annotations

_LONGEST = 2048


def local_path(asked: str, base: str) -> str:
    """Return ``asked`` if it is a path on this server, with or without ``base`` before it, else ``/``.

    A browser takes ``//host``, ``/\\host`` and both with tabs or line breaks in between for another server.
    """
    path = asked.partition("?")[0].partition("#")[0]
    if not path.startswith("/") or "//" in path or "\\" in asked or not asked.isprintable() or len(asked) > _LONGEST:
        return "/"
    return without_base(asked, base)


def without_base(path: str, base: str) -> str:
    """Return a path without the base path of the server, if it begins with it."""
    below = path.removeprefix(base)
    if below[:1] in ("", "?", "#"):
        return f"/{below}"
    return below if below.startswith("/") else path
