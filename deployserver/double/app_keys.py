"""What hangs off an application of the double, besides what hangs off the service's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from deployserver.double.world import World
    from deployserver.double.worlds import Worlds

WORLD: web.AppKey[World] = web.AppKey("world")
"""The world that the application belongs to."""
WORLDS: web.AppKey[Worlds] = web.AppKey("worlds")
"""All worlds behind the same address."""
