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
_DAY_SECONDS = 86_400


@lru_cache(maxsize=4096)
def address_group(address: str) -> str:
    """Return what failures are counted by: an IPv4 address, or the /64 an IPv6 address is in."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address.encode(errors="replace").decode()  # a proxy may pass on any bytes
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
    behind the address of a bad one is not hurt. ``failures=0`` switches it all off. All is in memory: see
    ``SharedLockout``.
    """

    def __init__(self, failures: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = failures
        self._seconds = seconds
        self._clock = clock
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self._proven: OrderedDict[tuple[str, str], int] = OrderedDict()

    def require_open(self, address: str, proof: str | None) -> None:
        """Raise TooManyFailures if the address is locked and ``proof`` (who is calling) never was right from there."""
        if not self._failures:
            return
        group = address_group(address)
        remaining = self.remaining(group)
        if remaining and (proof is None or (group, proof) not in self._proven):
            raise TooManyFailures(remaining)

    def remaining(self, group: str) -> int:
        """Return for how many seconds, rounded up, an address group stays locked; 0 if it is open."""
        failures = self._failures.get(group)
        return 0 if failures is None else max(0, math.ceil(failures.locked_until - self._clock()))

    def failed(self, address: str) -> float:
        """Count a wrong credential and return how many seconds its answer is to be held back."""
        if not self._limit:
            return 0
        group, now = address_group(address), self._clock()
        failures = self._failures.get(group)
        if failures is None or now >= (failures.locked_until or failures.since + self._seconds):
            failures = _Failures(now)
        self._note(group, failures, failures.count + 1)
        return min(max(failures.count - _FREE_FAILURES, 0) * _STEP_SECONDS, _LONGEST_DELAY_SECONDS)

    def counted(self, group: str, since: float, count: int, locked_until: float | None) -> None:
        """Note what was counted elsewhere too; an address that is locked already stays so."""
        failures = self._failures.get(group) or _Failures(since)
        failures.since = since
        failures.locked_until = max(failures.locked_until, locked_until or 0)
        self._note(group, failures, count)

    def succeeded(self, address: str, proof: str) -> bool:
        """Remember that ``proof`` was right from this address, and tell whether it is the first time in a day."""
        return self.prove(address_group(address), proof)

    def prove(self, group: str, proof: str) -> bool:
        """Remember as ``succeeded`` does."""
        proven, today = (group, proof), int(self._clock() // _DAY_SECONDS)
        if self._proven.get(proven) == today:
            return False
        self._proven[proven] = today
        if len(self._proven) > _PROVEN:
            self._proven.popitem(last=False)
        return True

    def _note(self, group: str, failures: _Failures, count: int) -> None:
        failures.count = count
        if count >= self._limit and not failures.locked_until:
            failures.locked_until = self._clock() + self._seconds
        self._failures[group] = failures
        self._failures.move_to_end(group)
        if len(self._failures) > _ADDRESSES:
            self._failures.popitem(last=False)
