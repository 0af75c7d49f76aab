"""How a clock is to be moved, as a document says it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from deployserver.dates import parse_date
from deployserver.double.clock import MovableClock, checked_time
from deployserver.errors import InvalidRequest, InvalidValue

FURTHEST_SECONDS = 100 * 366 * 86_400


def move(clock: MovableClock, document: Any) -> None:
    """Freeze a clock or let it go on (``frozen``), then move it to ``now`` (a date), then by ``advance`` (seconds).

    Raises InvalidRequest, and then leaves it as it is.
    """
    if not isinstance(document, dict) or not document:
        raise InvalidRequest({"body": [f"The body must be a JSON object with {' or '.join(_READERS)}."]})
    read: dict[str, Any] = {}
    errors: dict[str, list[str]] = {}
    for name, value in document.items():
        try:
            read[name] = _reader(name)(value)
        except (ValueError, InvalidValue) as error:
            errors[name] = [str(error)]
    if errors:
        raise InvalidRequest(errors)
    if read.get("frozen"):
        clock.freeze()
    elif "frozen" in read:
        clock.unfreeze()
    if "now" in read:
        clock.set(read["now"])
    if "advance" in read:
        clock.advance(read["advance"])


def _date(value: Any) -> int:
    if not isinstance(value, str):
        raise ValueError("must be a date, such as 2021-04-13T10:00:00Z.")
    return checked_time(parse_date(value))


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= FURTHEST_SECONDS:
        raise ValueError("must be a number of seconds, 0 or more; to go back, set now.")
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false.")
    return value


_READERS: Mapping[str, Callable[[Any], Any]] = {"now": _date, "advance": _seconds, "frozen": _truth}


def _reader(name: str) -> Callable[[Any], Any]:
    if name not in _READERS:
        raise ValueError(f"is not known here. Known are {', '.join(_READERS)}.")
    return _READERS[name]
