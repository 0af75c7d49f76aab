"""Who the client is and how it reached us, where trusted reverse proxies stand between."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from aiohttp import web

from deployserver.option_values import Networks


class Proxies:
    """Believes ``X-Forwarded-For``, ``-Proto`` and ``-Host`` from ``trusted`` networks, and from nobody else.

    A proxy appends what it saw to what its client claimed, so each header is read from the right: each trusted proxy
    vouches for one entry, and the first address that is not trusted is the client's.
    """

    def __init__(self, trusted: Networks) -> None:
        self._trusted = trusted
        self._is_trusted = lru_cache(maxsize=1024)(self._look_up)

    def client_address(self, request: web.Request) -> str:
        """Return the address of the client, behind however many trusted proxies."""
        address = request.remote or "unknown"
        if not self._trusted or not self._is_trusted(address):
            return address
        return self._follow(request, address)[0]

    def public_url(self, request: web.Request) -> str:
        """Return scheme and host by which the client reached the outermost trusted proxy, or us."""
        scheme, host = request.scheme, request.host
        address = request.remote or "unknown"
        if self._trusted and self._is_trusted(address):
            _, hops = self._follow(request, address)
            scheme = _vouched(_entries(request, "X-Forwarded-Proto"), hops) or scheme
            host = _vouched(_entries(request, "X-Forwarded-Host"), hops) or host
        return f"{scheme}://{host}"

    def _follow(self, request: web.Request, address: str) -> tuple[str, int]:
        """Return the client's address, and how many proxies vouch for it."""
        hops = 0
        for claimed in reversed(_entries(request, "X-Forwarded-For")):
            claimed = _without_port(claimed)
            if not _is_address(claimed):
                break
            address, hops = claimed, hops + 1
            if not self._is_trusted(address):
                break
        return address, hops

    def _look_up(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        return any(parsed in network for network in self._trusted)


def _entries(request: web.Request, header: str) -> list[str]:
    return [entry.strip() for line in request.headers.getall(header, ()) for entry in line.split(",") if entry.strip()]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True


def _vouched(entries: list[str], hops: int) -> str | None:
    """Return the entry of the outermost trusted proxy; one that sets the header afresh leaves a single entry."""
    return entries[-min(max(hops, 1), len(entries))] if entries else None


def _without_port(entry: str) -> str:
    """Return the address of ``192.0.2.1:5000``, ``[2001:db8::1]:5000`` or a bare address."""
    if entry.startswith("["):
        return entry[1:].partition("]")[0]
    return entry.partition(":")[0] if entry.count(":") == 1 else entry
