"""Slows down, and then refuses for a while, addresses that guess credentials."""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from deployserver.errors import TooManyFailures

_ADDRESSES = 10_000
_PROVEN = 100_000
_FREE_FAILURES = 5
_STEP_SECONDS = 0.05
_LONGEST_DELAY_SECONDS = 0.5


@lru_cache(maxsize=4096)
def address_group(address: str) -> str:
    """Return what failures are counted by: an IPv4 address, or the /64 an IPv6 address is in."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


@dataclass(slots=True)
class _Failures:
    since: float
    count: int = 0
    locked_until: float = 0


class Lockout:
    """Counts wrong credentials by address group; ``failures`` of them within ``seconds`` lock it for ``seconds``.

    A credential that was right before from the same address goes on working while it is locked: a busy good agent
    behind the address of a bad one is not hurt. ``failures=0`` switches it all off.
    """

    def __init__(self, failures: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = failures
        self._seconds = seconds
        self._clock = clock
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self._proven: OrderedDict[tuple[str, str], None] = OrderedDict()

    def require_open(self, address: str, proof: str | None) -> None:
        """Raise TooManyFailures if the address is locked and ``proof`` (who is calling) never was right from there."""
        if not self._failures:
            return
        group = address_group(address)
        failures = self._failures.get(group)
        if failures is None:
            return
        remaining = failures.locked_until - self._clock()
        if remaining > 0 and (proof is None or (group, proof) not in self._proven):
            raise TooManyFailures(math.ceil(remaining))

    def failed(self, address: str) -> float:
        """Count a wrong credential and return how many seconds its answer is to be held back."""
        if not self._limit:
            return 0
        group, now = address_group(address), self._clock()
        failures = self._failures.get(group)
        if failures is None or now - failures.since > self._seconds:
            failures = self._failures[group] = _Failures(now)
        self._failures.move_to_end(group)
        failures.count += 1
        if failures.count >= self._limit:
            failures.locked_until = now + self._seconds
            failures.since, failures.count = now, 0
        if len(self._failures) > _ADDRESSES:
            self._failures.popitem(last=False)
        return min(max(failures.count - _FREE_FAILURES, 0) * _STEP_SECONDS, _LONGEST_DELAY_SECONDS)

    def succeeded(self, address: str, proof: str) -> None:
        """Remember that ``proof`` was right from this address."""
        proven = (address_group(address), proof)
        if proven not in self._proven:
            self._proven[proven] = None
            if len(self._proven) > _PROVEN:
                self._proven.popitem(last=False)
