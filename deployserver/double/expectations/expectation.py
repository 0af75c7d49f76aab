"""What is expected of a deployment, and of a request: criteria, and how many times."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Self, TypedDict, Unpack

from deployserver.double.expectations import criteria as read
from deployserver.double.expectations.criteria import Criterion, Value
from deployserver.double.expectations.misses import stored_values
from deployserver.double.journal import FIELDS, ReceivedRequest
from deployserver.errors import InvalidRequest, InvalidValue
from deployserver.models import Deployment

Text = str | re.Pattern[str] | Callable[[str], object]
"""A text as it is, a pattern to be found in it, or a function that accepts it."""


class Criteria(TypedDict, total=False):
    """What can be expected of a deployment; ``group`` and ``url`` may be None for having none."""

    feed: Text
    group: Text | None
    package: Text
    version: Text
    target: Text
    application: Text
    description: Text
    user: Text
    url: Text | None
    date: str | datetime | re.Pattern[str] | Callable[[datetime], object]
    recorded_by: Text


Reader = Callable[[Any], Any]

_TIMES: Mapping[str, Reader] = {"times": read.read_times}
_DEPLOYMENT: Mapping[str, Reader] = {
    **dict.fromkeys(FIELDS, read.read_text),
    "group": read.read_text_or_none,
    "url": read.read_text_or_none,
    "date": read.read_date,
    "recorded_by": read.read_text,
    **_TIMES,
}
_REQUEST: Mapping[str, Reader] = {"method": read.read_text, "path": read.read_text, "status": read.read_status}
# Deployments that share the first three are hardly others; so are requests of one path.
_WEIGHTS = {"package": 4, "target": 3, "version": 3, "path": 3, "method": 2}


class _Readable(ABC):
    """An expectation, given in Python or as a JSON object: what both kinds have in common."""

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read a JSON object; texts are texts, null is for none, ``header`` is an object. Raises InvalidRequest."""
        expectation = cls.__new__(cls)
        expectation._read(document)
        return expectation

    def _read_arguments(self, given: Mapping[str, Any]) -> None:
        """Read what was given in Python. Raises InvalidValue."""
        try:
            self._read(given)
        except InvalidRequest as error:
            raise InvalidValue(_words(error)) from None

    @abstractmethod
    def _read(self, document: Mapping[str, Any]) -> None:
        """Take over what a document says. Raises InvalidRequest."""


class Expectation(_Readable):
    """A deployment that is expected: ``times`` times, or at least once where that is None.

    Raises InvalidValue for criteria that are not known, or that no deployment can meet.
    """

    def __init__(self, *, times: int | None = None, **criteria: Unpack[Criteria]) -> None:
        self._read_arguments({**criteria, "times": times})

    def _read(self, document: Mapping[str, Any]) -> None:
        wanted = read.read_all(document, _DEPLOYMENT)
        self.times: int | None = wanted.pop("times", None)
        self.criteria = _criteria(wanted)

    def matches(self, deployment: Deployment) -> bool:
        """Tell whether a deployment has all that is expected."""
        return _agree(self.criteria, stored_values(deployment))


class RequestExpectation(_Readable):
    """A request that is expected: ``times`` times, or at least once where that is None.

    ``path`` has no query and is decoded. ``header`` has values by header names, None for a header that is not to be
    there. ``status`` is that of the answer. Raises InvalidValue for what is not known or cannot be met.
    """

    def __init__(
        self,
        *,
        method: str | None = None,
        path: Text | None = None,
        status: int | Callable[[int], object] | None = None,
        header: Mapping[str, Text | None] | None = None,
        times: int | None = None,
    ) -> None:
        given = {"method": method, "path": path, "status": status, "header": header, "times": times}
        self._read_arguments({name: value for name, value in given.items() if value is not None})

    def _read(self, document: Mapping[str, Any]) -> None:
        wanted = read.read_all(document, {**_REQUEST, "header": read.read_headers, **_TIMES})
        self.times: int | None = wanted.pop("times", None)
        self.headers: Mapping[str, read.Wanted] = wanted.pop("header", {})
        if isinstance(wanted.get("method"), str):
            wanted["method"] = wanted["method"].upper()
        self.criteria = _criteria(wanted | {f"header {name}": value for name, value in self.headers.items()})

    def values(self, request: ReceivedRequest) -> Mapping[str, Value]:
        """Return what a request has of that which is expected."""
        status = request.answer.status if request.answer else None
        headers = {f"header {name}": request.header(name) for name in self.headers}
        return {"method": request.method, "path": request.path, "status": status, **headers}

    def matches(self, request: ReceivedRequest) -> bool:
        """Tell whether a request has all that is expected."""
        return _agree(self.criteria, self.values(request))


def _criteria(wanted: Mapping[str, read.Wanted]) -> Sequence[Criterion]:
    return [Criterion(name, value, _WEIGHTS.get(name, 1)) for name, value in wanted.items()]


def _agree(criteria: Sequence[Criterion], values: Mapping[str, Value]) -> bool:
    return all(criterion.agrees(values[criterion.name]) for criterion in criteria)


def _words(error: InvalidRequest) -> str:
    """Return what is wrong for whoever gave the values in Python."""
    return " ".join(f"{name} {message}" for name, messages in error.errors.items() for message in messages)
