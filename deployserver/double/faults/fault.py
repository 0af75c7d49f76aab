"""Faults: what is to go wrong, with which requests, and how often."""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any, Literal
from urllib.parse import unquote

from deployserver.double.faults.delays import Delay
from deployserver.double.faults.patterns import fits_pattern
from deployserver.double.journal import FIELDS, ReceivedRequest
from deployserver.errors import NotFound
from deployserver.models import ANONYMOUS

Effect = Literal["answer", "reset", "close", "hang", "cut", "dribble", "garbage", "delay"]
Stage = Literal["unread", "read", "stored"]

CONTROL_PATH = "/__double__"
"""Where the double is told what to do; no fault acts there, or none could be taken away again."""

DECODED = ("feed", "package", "version", "target", "group", "application")
"""The criteria that are compared with what the body says."""

_ONLY_AFTER_SUCCESS: frozenset[Effect] = frozenset(("answer", "reset", "close", "hang"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that is to go wrong. ``fault_schema.load_fault`` makes one of a document, and checks it.

    Which requests: those that fit all of ``method``, ``path``, ``feed``, ``package``, ``version``, ``target``,
    ``group`` and ``application`` (patterns in any letter case, in which ``*`` stands for anything; a property that was
    not sent is an empty text), and ``key`` (the id or name of an API key, a user's name, or ``Anonymous``).

    How often: always, or the ``first`` so many, ``every`` so many-th, or with a ``probability``, of those that fit; the
    first ``skip`` of them pass before the counting begins.

    What: see ``do``. ``delay`` is how long it waits before that. ``when`` is before the body is read (``unread``),
    before anything is done with the request (``read``), or when all is done and the answer is due (``stored``).
    """

    name: str | None = None
    method: str | None = None
    path: str | None = None
    feed: str | None = None
    package: str | None = None
    version: str | None = None
    target: str | None = None
    group: str | None = None
    application: str | None = None
    key: str | None = None
    first: int | None = None
    every: int | None = None
    probability: float | None = None
    seed: int | None = None
    skip: int = 0
    do: Effect
    status: int | None = None
    retry_after: int | None = None
    text: str | None = None
    bytes: int | None = None
    seconds: float | None = None
    delay: Delay | None = None
    when: Stage = "read"

    @property
    def is_random(self) -> bool:
        """Whether chance has a part in it, so that a seed is of use."""
        return self.probability is not None or (self.delay is not None and self.delay.is_random)

    @property
    def is_silent(self) -> bool:
        """Whether it keeps the client from hearing any answer."""
        return self.do in ("reset", "close", "hang", "garbage")

    def fits(self, stage: Stage, request: ReceivedRequest, status: int | None = None) -> bool:
        """Tell whether the fault is meant for a request; ``status`` is what the server would answer, once it is known.

        One that takes an answer away, or puts another in its place, is meant for successful requests only.
        """
        if stage != self.when or is_control(request.target):
            return False
        if stage == "stored" and self.do in _ONLY_AFTER_SUCCESS and (status is None or status >= 400):
            return False
        return (
            fits_pattern(self.method, request.method)
            and (self.path is None or fits_pattern(_without_slash(self.path), _without_slash(request.path)))
            and all(fits_pattern(getattr(self, name), _property(request, FIELDS[name])) for name in DECODED)
            and (self.key is None or self.key.casefold() in _callers(request))
        )

    def __str__(self) -> str:
        words = self._effect()
        if self.when == "unread":
            words += " before its body was read"
        elif self.when == "stored" and self.do in _ONLY_AFTER_SUCCESS:
            words += " after it was stored"
        return words if self.delay is None or self.do == "delay" else f"{words}, {self.delay}"

    def _effect(self) -> str:
        if self.do == "answer":
            return f"answered {self.status}"
        if self.do == "cut":
            return "answer cut off halfway" if self.bytes is None else f"answer cut off after {_count(self.bytes)}"
        if self.do == "dribble":
            return f"answer sent {_count(self.bytes or 1)} at a time"
        if self.do == "delay":
            return str(self.delay) if self.when != "stored" else f"answer {self.delay}"
        return {
            "reset": "connection reset",
            "close": "connection closed without an answer",
            "hang": "never answered",
            "garbage": "answered with what is no HTTP",
        }[self.do]


class ActiveFault:
    """A fault of a world: its ``id``, how many requests it ``matched``, and how many of those it hit (``hits``)."""

    def __init__(self, id_: int, fault: Fault) -> None:
        self.id = id_
        self.fault = fault
        self.matched = 0
        self.hits = 0
        self.seed: int | None = None
        if fault.is_random:
            # One is drawn here, and shown, so that what happened by chance can be made to happen again.
            self.seed = secrets.randbelow(2**32) if fault.seed is None else fault.seed
        # Two, so that how long a request is held back does not change which one is hit next.
        self._turns = random.Random(self.seed)  # noqa: S311 - to be repeated, not to be secret
        self._delays = random.Random(f"delays {self.seed}")  # noqa: S311

    def takes(self, stage: Stage, request: ReceivedRequest, status: int | None = None) -> bool:
        """Tell whether the fault hits a request, and count it."""
        if not self.fault.fits(stage, request, status):
            return False
        self.matched += 1
        if not self._is_due(self.matched - self.fault.skip):
            return False
        self.hits += 1
        return True

    def draw_delay(self) -> float:
        """Return how many seconds the fault waits this time before it acts."""
        return 0.0 if self.fault.delay is None else self.fault.delay.draw(self._delays)

    def _is_due(self, number: int) -> bool:
        fault = self.fault
        if number <= 0:
            return False
        if fault.first is not None:
            return number <= fault.first
        if fault.every is not None:
            return number % fault.every == 0
        return fault.probability is None or self._turns.random() < fault.probability

    def __str__(self) -> str:
        named = f": {self.fault.name}" if self.fault.name else ""
        return f"{self.fault} (fault {self.id}{named})"


class Faults:
    """The faults of a world, in the order in which they are asked."""

    def __init__(self) -> None:
        self._faults: list[ActiveFault] = []
        self._count = 0

    def __iter__(self) -> Iterator[ActiveFault]:
        return iter(tuple(self._faults))

    def __len__(self) -> int:
        return len(self._faults)

    def add(self, fault: Fault) -> ActiveFault:
        """Add a fault after all others; its id is one that no other fault of the world has had."""
        self._count += 1
        active = ActiveFault(self._count, fault)
        self._faults.append(active)
        return active

    def replace(self, faults: Iterable[Fault]) -> list[ActiveFault]:
        """Put faults in the place of all that there are."""
        self.clear()
        return [self.add(fault) for fault in faults]

    def clear(self) -> None:
        """Remove all faults."""
        self._faults.clear()

    def get(self, id_: int) -> ActiveFault:
        """Return a fault. Raises NotFound."""
        for active in self._faults:
            if active.id == id_:
                return active
        raise NotFound(f"There is no fault {id_}.")

    def remove(self, id_: int) -> ActiveFault:
        """Remove a fault and return it. Raises NotFound."""
        active = self.get(id_)
        self._faults.remove(active)
        return active

    def choose(self, stage: Stage, request: ReceivedRequest, status: int | None = None) -> ActiveFault | None:
        """Return the first fault that hits a request at this stage, if any, and count.

        Those after it are not asked and do not count the request, so a list is a script: the ``first`` two are reset,
        then the ``first`` one is answered 503. ``status`` is that of the answer, at the stage ``stored``.
        """
        return next((active for active in self._faults if active.takes(stage, request, status)), None)


def fault_json(active: ActiveFault) -> dict[str, Any]:
    """Return the document of a fault, with what was left out filled in, and ``id``, ``matched`` and ``hits``."""
    fault = active.fault
    document: dict[str, Any] = {"id": active.id}
    for one in fields(fault):
        value = getattr(fault, one.name)
        if one.name == "seed" and value is None:
            value = active.seed
        if value is not None:
            document[one.name] = value.document if isinstance(value, Delay) else value
    return document | {"matched": active.matched, "hits": active.hits}


def _without_slash(path: str) -> str:
    return path.rstrip("/") or "/"


def is_control(target: str) -> bool:
    """Tell whether a target below the base of a world is one of the control API."""
    return f"{unquote(target.partition('?')[0]).casefold()}/".startswith(f"{CONTROL_PATH}/")


def _property(request: ReceivedRequest, name: str) -> str:
    value = request.fields.get(name)
    return value.strip() if isinstance(value, str) else ""


def _callers(request: ReceivedRequest) -> set[str]:
    """Return all that who calls can be called, case-folded; nothing if nobody has come to ask."""
    if request.caller is None:
        return set()
    if request.key_id is None and not request.user_name:
        return {ANONYMOUS.casefold()}
    names = {request.key_name.casefold(), request.user_name.casefold()} - {""}
    return names if request.key_id is None else names | {str(request.key_id)}


def _count(number: int) -> str:
    return "1 byte" if number == 1 else f"{number} bytes"
