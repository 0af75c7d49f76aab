"""What the double has received, and what it answered: kept for whoever asserts something about it."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, unquote

RECORDING_PATH = "/api/package-deployment"
"""Where deployments are recorded, without the last slash and in lower case."""

FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "feed": "FeedName",
        "group": "GroupName",
        "package": "PackageName",
        "version": "Version",
        "target": "Target",
        "application": "Application",
        "description": "Description",
        "user": "UserName",
        "url": "Url",
        "date": "Date",
    }
)
"""The properties of a deployment: what they are called where one is looked for, and by the API."""

LONGEST = 10_000
"""Requests that are kept; of more, the oldest are forgotten, so that a load test does not fill the memory."""

LARGEST = 64 * 1024 * 1024
"""Bytes of requests, and of the bodies of answers, that are kept, give or take those of the newest ``_LOOK``."""

_LOOK = 64  # requests between two looks at that: a body is not known yet when its request is added

Headers = Sequence[tuple[str, str]]
"""Names and values as they were sent, in their order; bytes that are not UTF-8 are read as Latin-1."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered; ``body`` is None where it was streamed and not kept."""

    status: int
    headers: Headers
    body: bytes | None

    @property
    def text(self) -> str:
        """The body as text; empty where it was not kept."""
        return (self.body or b"").decode("utf-8", "replace")


@dataclass
class ReceivedRequest:
    """A request as it arrived, what was made of it, and what was answered.

    ``number`` counts from 1 in each world. ``target`` is the request target as it was sent, below the world's own base
    path. ``head`` has the bytes of the request line and the headers, ``body`` those of the body with its transfer
    coding removed and its content coding kept. What was no valid HTTP has no method, and its bytes in ``body``.
    ``fields`` are the decoded properties by the API's own names (``PackageName``), as far as the body could be read;
    ``caller`` is None where nobody came to ask. ``answer`` is what the server answered, None while or where there was
    nothing; ``fault`` says what a fault did to the request, or to the answer on its way to the client.
    """

    number: int
    received_at: int
    method: str
    target: str
    headers: Headers
    address: str
    http_version: tuple[int, int] = (1, 1)
    head: bytes = field(default=b"", repr=False)
    body: bytes = field(default=b"", repr=False)
    fields: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    caller: str | None = None
    answer: Answer | None = None
    deployment_id: int | None = None
    refusal: str | None = None
    """Why it was refused, in words that the client did not get to see."""
    fault: str | None = None
    key_id: int | None = None
    """The API key it came with, if that was one, and the key's name."""
    key_name: str = ""
    user_name: str = ""
    """The user who called, by a password or a personal key."""

    def __str__(self) -> str:
        outcome = "no answer" if self.answer is None else str(self.answer.status)
        if self.fault is not None:
            outcome = self.fault if self.answer is None else f"{outcome}, {self.fault}"
        if self.deployment_id is not None:
            outcome = f"{outcome}, deployment {self.deployment_id}"
        return f"{self.number}. {f'{self.method} {self.path}' if self.method else 'no valid HTTP'}: {outcome}"

    @property
    def path(self) -> str:
        """The path of the target, decoded."""
        return unquote(self.target.partition("?")[0])

    @property
    def query(self) -> Sequence[tuple[str, str]]:
        """Names and values of the query, decoded."""
        return parse_qsl(self.target.partition("?")[2], keep_blank_values=True)

    @property
    def records(self) -> bool:
        """Whether it asked to record a deployment."""
        return self.method == "POST" and self.path.rstrip("/").lower() == RECORDING_PATH

    @property
    def text(self) -> str:
        """The body as text, in UTF-8 where it is, else in Latin-1."""
        try:
            return self.body.decode()
        except UnicodeDecodeError:
            return self.body.decode("latin-1")

    @property
    def json(self) -> Any:
        """The body read as JSON. Raises ValueError if it is none."""
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        """Return the value of a header, by its name in any letter case; None if it was not sent."""
        return next((value for known, value in self.headers if known.lower() == name.lower()), None)

    @property
    def raw(self) -> bytes:
        """All bytes of the request, the transfer coding of its body removed."""
        return self.head + self.body


class Journal:
    """All requests since the beginning or the last ``clear``, up to ``LONGEST`` of them, and ``LARGEST`` bytes."""

    def __init__(self) -> None:
        self._requests: deque[ReceivedRequest] = deque(maxlen=LONGEST)
        self._count = 0

    def __iter__(self) -> Iterator[ReceivedRequest]:
        return iter(tuple(self._requests))

    def __len__(self) -> int:
        return len(self._requests)

    @property
    def forgotten(self) -> int:
        """How many of the oldest are no longer there."""
        return self._count - len(self._requests)

    def copy(self) -> Journal:
        """Return what it holds now, for somebody on another thread to look at while more arrives."""
        copy = Journal()
        copy._requests.extend(self._requests)
        copy._count = self._count
        return copy

    def next_number(self) -> int:
        """Return the number that the next request gets."""
        return self._count + 1

    def add(self, request: ReceivedRequest) -> None:
        """Keep a request."""
        self._count += 1
        self._requests.append(request)
        if self._count % _LOOK == 0:
            self._forget()

    def _forget(self) -> None:
        """Forget the oldest requests if all of them are too much."""
        left = LARGEST
        for newer, request in enumerate(reversed(self._requests)):
            left -= len(request.head) + len(request.body)
            left -= len(request.answer.body or b"") if request.answer else 0
            if left < 0:
                while len(self._requests) > max(newer, _LOOK):
                    self._requests.popleft()
                return

    def clear(self) -> None:
        """Forget all requests, and count from 1 again."""
        self._requests.clear()
        self._count = 0
