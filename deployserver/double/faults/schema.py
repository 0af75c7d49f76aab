"""The document of a fault: one flat object, the same as JSON and as keyword arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast, get_args

from marshmallow import Schema, ValidationError, fields, missing, validates_schema

from deployserver.double.faults.delays import LONGEST_SECONDS, PARAMETERS, Delay
from deployserver.double.faults.fault import DECODED, Effect, Fault, Stage
from deployserver.errors import InvalidRequest, StoreUnavailable

SHOWN = ("id", "matched", "hits")
"""What a fault is shown with and is not for its document to say; ignored, so that one can be sent back as it came."""

_DISTRIBUTIONS = ", ".join(
    f'{{"{kind}": {names[0] if len(names) == 1 else "[" + ", ".join(names) + "]"}}}'
    for kind, names in PARAMETERS.items()
)
RETRY_AFTER = {503: StoreUnavailable.retry_after, 429: 300}
"""Seconds, by status, as the service says them with its default settings."""

_DRIBBLE = {"bytes": 1, "seconds": 0.05}
_LARGEST = 2**63 - 1


class _Field(fields.Field[Any]):
    """A value that ``read`` makes something of; absent and null are one."""

    def __init__(self, read: Callable[[Any], Any], description: str) -> None:
        super().__init__(allow_none=True, metadata={"description": description})
        self.read = read

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the value, ``missing`` where there is none. Raises ValidationError."""
        return missing if value is None or value is missing else self.read(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValidationError("must be a text.")
    return value


def _path(value: Any) -> str:
    if not isinstance(value, str) or not value.startswith(("/", "*")) or "?" in value:
        raise ValidationError("must be a path without a query, such as /api/package-deployment or */events.")
    return value


def _key(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise ValidationError("must be the id or the name of an API key, the name of a user, or Anonymous.")
    return value.strip()


def _whole(low: int, high: int = _LARGEST) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValidationError(
                f"must be a whole number, {low} or more." if high == _LARGEST else f"must be from {low} to {high}."
            )
        return value

    return read


def _number(high: float, what: str = "a number") -> Callable[[Any], float]:
    def read(value: Any) -> float:
        if not _is_number(value) or not 0 <= value <= high:
            raise ValidationError(f"must be {what} from 0 to {high:g}.")
        return float(value)

    return read


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) <= _LARGEST  # neither infinite nor not a number, nor a whole one that no float can hold


def _one_of(known: tuple[str, ...]) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        word = value.strip().lower() if isinstance(value, str) else ""
        if word not in known:
            raise ValidationError(f"must be one of {', '.join(known)}.")
        return word

    return read


def _delay(value: Any) -> Delay:
    if isinstance(value, Delay):
        return value
    if _is_number(value):
        return Delay("fixed", (_number(LONGEST_SECONDS, "seconds")(value),))
    if isinstance(value, Mapping) and len(value) == 1:
        kind, given = next(iter(value.items()))
        numbers = tuple(given) if isinstance(given, (list, tuple)) else (given,)
        if kind in PARAMETERS and len(numbers) == len(PARAMETERS[kind]) and all(map(_is_number, numbers)):
            return _distribution(Delay(kind, tuple(map(float, numbers))))
    raise ValidationError(f"must be a number of seconds, or one of {_DISTRIBUTIONS}.")


def _distribution(delay: Delay) -> Delay:
    names = PARAMETERS[delay.kind]
    for name, number in zip(names, delay.numbers, strict=True):
        if not 0 <= number <= LONGEST_SECONDS:
            raise ValidationError(f"must have a {name} from 0 to {LONGEST_SECONDS:g}.")
    if delay.kind == "uniform" and delay.numbers[0] > delay.numbers[1]:
        raise ValidationError("must have a low that is not above its high.")
    if delay.kind in ("lognormal", "exponential") and not delay.numbers[0]:
        raise ValidationError(f"must have a {names[0]} above 0.")
    return delay


class FaultSchema(Schema):
    """The fields of a fault; the names and meanings are those of ``Fault``."""

    name = _Field(_text, "what people call it")
    method = _Field(_text, "the method: POST")
    path = _Field(_path, "the path below the base of the server: /api/deployments*")
    feed = _Field(_text, "the name of the feed, as the request has it: Default*")
    package = _Field(_text, "the name of the package")
    version = _Field(_text, "the version")
    target = _Field(_text, "the target: web-*")
    group = _Field(_text, "the group of the package")
    application = _Field(_text, "the application")
    key = _Field(_key, "who calls: the id or name of an API key, the name of a user, or Anonymous")
    first = _Field(_whole(1), "hit the first so many of the requests that fit")
    every = _Field(_whole(1), "hit one of so many requests that fit: 3 is the third, the sixth, ...")
    probability = _Field(_number(1), "hit each request that fits with this probability, from 0 to 1")
    seed = _Field(_whole(0), "what chance begins with, so that the same happens again; one is drawn if it is left out")
    skip = _Field(_whole(0), "let the first so many that fit pass, and count from there")
    do = _Field(_one_of(get_args(Effect)), "what to do")
    status = _Field(_whole(400, 599), "for answer: the status")
    retry_after = _Field(_whole(0), "for answer: the seconds in Retry-After; default: 5 with 503, 300 with 429")
    text = _Field(_text, "for answer: the text; default: what the service itself would say")
    bytes = _Field(
        _whole(0), "for cut: how many bytes of the body arrive, default: half; for dribble: at a time, default: 1"
    )
    seconds = _Field(_number(LONGEST_SECONDS, "seconds"), "for dribble: the time between two parts; default: 0.05")
    delay = _Field(_delay, f"how many seconds to wait before: a number, or one of {_DISTRIBUTIONS}")
    when = _Field(_one_of(get_args(Stage)), "unread, read or stored: how far the request gets before")

    def __init__(self) -> None:
        super().__init__()
        self.error_messages["unknown"] = f"is no field of a fault. There are {', '.join(self.fields)}."

    @validates_schema(skip_on_field_errors=False, pass_original=True)
    def _check_together(self, data: dict[str, Any], original: Mapping[str, Any], **kwargs: Any) -> None:
        """Check what depends on another field; one that is wrong by itself is not in ``data``, and told already."""
        errors: dict[str, Any] = {}
        for name, message in (*_absent(data, original), *_contradictions(data)):
            errors.setdefault(name, [message])
        if errors:
            raise ValidationError(errors)


def _absent(data: Mapping[str, Any], original: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield names and messages of fields that have to be there and are not."""
    if original.get("do") is None:
        yield "do", f"is required: one of {', '.join(get_args(Effect))}."
    if data.get("do") == "answer" and original.get("status") is None:
        yield "status", "is required with do: answer; such as 500, 503 or 429."
    if data.get("do") == "delay" and original.get("delay") is None:
        yield "delay", "is required with do: delay; in seconds."


def _contradictions(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield names and messages of fields that do not go together."""
    do, when = data.get("do"), data.get("when")
    often = [name for name in ("first", "every", "probability") if name in data]
    if len(often) > 1:
        for name in often:
            yield name, f"cannot be given together with {' and '.join(other for other in often if other != name)}."
    for name, owners in _OWNERS.items():
        if do is not None and name in data and do not in owners:
            yield name, f"is for do: {' or '.join(owners)} only."
    if do == "dribble" and data.get("bytes") == 0:
        yield "bytes", "must be 1 or more: of none at a time, nothing would ever arrive."
    if do in ("cut", "dribble") and when not in (None, "stored"):
        yield "when", f"must be stored: before, there is no answer to {do}."
    if when == "unread":
        for name in (*DECODED, "key"):
            if name in data:
                yield name, "is not known before the body is read: when must be read or stored."


_OWNERS: Mapping[str, tuple[str, ...]] = {
    "status": ("answer",),
    "retry_after": ("answer",),
    "text": ("answer",),
    "bytes": ("cut", "dribble"),
    "seconds": ("dribble",),
}


_SCHEMA = FaultSchema()

FAULT_FIELDS: tuple[str, ...] = tuple(_SCHEMA.fields)
"""The names of the fields of a fault's document."""


def load_fault(document: Any) -> Fault:
    """Return the fault that a document describes. Raises InvalidRequest with every field that is wrong, and why."""
    if not isinstance(document, Mapping):
        raise InvalidRequest({"body": ['A fault must be an object, such as {"do": "answer", "status": 503}.']})
    try:
        data = _SCHEMA.load({name: value for name, value in document.items() if name not in SHOWN})
    except ValidationError as error:
        raise InvalidRequest(cast("dict[str, list[str]]", error.messages)) from None
    return Fault(**_defaults(data), **data)


def _defaults(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is meant where it is left out, so that a fault is shown with it."""
    do, status = data["do"], data.get("status")
    defaults: dict[str, Any] = {"when": "stored" if do in ("cut", "dribble", "garbage") else "read"}
    if do == "dribble":
        defaults |= _DRIBBLE
    elif status in RETRY_AFTER:
        defaults["retry_after"] = RETRY_AFTER[status]
    return {name: value for name, value in defaults.items() if name not in data}


def load_faults(documents: Any) -> list[Fault]:
    """Return the faults that a list of documents describes. Raises InvalidRequest; fields are named ``[2].status``."""
    if not isinstance(documents, list):
        raise InvalidRequest({"body": ["Faults must be a list of objects."]})
    faults: list[Fault] = []
    errors: dict[str, list[str]] = {}
    for number, document in enumerate(documents):
        try:
            faults.append(load_fault(document))
        except InvalidRequest as error:
            errors |= {
                f"[{number}]" if name == "body" else f"[{number}].{name}": messages
                for name, messages in error.errors.items()
            }
    if errors:
        raise InvalidRequest(errors)
    return faults
