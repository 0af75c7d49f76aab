"""The options of a fault, as tests in Python give them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from deployserver.double.faults.fault import Stage


class FaultOptions(TypedDict, total=False):
    """What a fault may be given besides what it does; see ``Fault``. ``delay`` is seconds, or a distribution."""

    name: str
    method: str
    path: str
    feed: str
    package: str
    version: str
    target: str
    group: str
    application: str
    key: str | int
    first: int
    every: int
    probability: float
    seed: int
    skip: int
    status: int
    retry_after: int
    text: str
    bytes: int
    seconds: float
    delay: float | Mapping[str, Any]
    when: Stage
