"""The kinds of values and objects that the state of a world is made of as a document, read leniently.

Names match in any letter case, and with or without underscores; null is as good as absent, and one alone needs no list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar

from marshmallow import RAISE, Schema, ValidationError, fields, pre_load, validate, validates_schema

from deployserver.dates import parse_date
from deployserver.errors import InvalidValue

_GREATEST_ID = 2**53 - 1  # what every reader of JSON can hold


def _messages(invalid: str) -> dict[str, str | list[Any] | dict[Any, Any]]:
    return {"required": "is required.", "null": "is required.", "invalid": invalid}


def rule(check: Callable[[Any], object]) -> Callable[[Any], None]:
    """Return a validator that says what a use case says of the same value."""

    def validator(value: Any) -> None:
        try:
            check(value)
        except InvalidValue as error:
            raise ValidationError(str(error)) from None

    return validator


class Exact(fields.String):
    """A text that is taken as it is written, blanks and all."""

    default_error_messages = _messages("must be a text.")


class YesNo(fields.Boolean):
    """True or false."""

    default_error_messages = _messages("must be true or false.")


class Moment(Exact):
    """A date in any form of ``dates.parse_date``; the result is in microseconds since 1970."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        try:
            return parse_date(super()._deserialize(value, attr, data, **kwargs))
        except ValueError as error:
            raise ValidationError(str(error)) from None


class Id(fields.Integer):
    """A number that the database would give otherwise."""

    default_error_messages = _messages("must be a whole number.")
    greatest = _GREATEST_ID

    def __init__(self, description: str, **options: Any) -> None:
        span = validate.Range(1, _GREATEST_ID, error=f"must be a number from 1 to {_GREATEST_ID}.")
        super().__init__(validate=span, metadata={"description": description, "examples": (1,)}, **options)


class Several(fields.List[Any]):
    """A list; one alone may stand without it."""

    default_error_messages = _messages("must be a list.")

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:
        alone = isinstance(value, str | Mapping)
        return super()._deserialize([value] if alone else value, attr, data, **kwargs)


class StateSchema(Schema):
    """An object of the document; ``shorthand`` is the name of the one value that may stand for it."""

    class Meta:
        """A name that is misspelt would otherwise be missed by nobody."""

        unknown = RAISE

    shorthand: ClassVar[str | None] = None

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        names = [field.data_key or name for name, field in self.load_fields.items()]
        self._names = {_folded(name): name for name in names}
        alone = f"a text, its {self.shorthand}, or " if self.shorthand else ""
        self.error_messages["type"] = f"must be {alone}an object with {', '.join(names)}."
        self.error_messages["unknown"] = f"is not known here. Known are {', '.join(names)}."

    @pre_load
    def _read_leniently(self, data: Any, **_: Any) -> Any:
        if self.shorthand and isinstance(written := _written(data), str) and not isinstance(data, float):
            return {self.shorthand: written}
        if not isinstance(data, Mapping):
            return data
        found: dict[Any, Any] = {}
        for name, value in data.items():
            known = self._known(name)
            if value is not None or known not in self._names.values():
                found.setdefault(known, _written(value))
        return found

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _check_as_written(self, _: Any, original: Any, **__: Any) -> None:
        """Refuse what was lost in reading leniently."""
        if not isinstance(original, Mapping):
            return
        errors: dict[str, list[str]] = {}
        seen: dict[Any, Any] = {}
        for name, value in original.items():
            if isinstance(value, float):
                errors[str(name)] = [f"is the number {value}; write it as a text, so that 1.10 is not 1.1."]
            if seen.setdefault(self._known(name), name) != name:
                errors[str(name)] = [f"is given twice: it is the same as {seen[self._known(name)]}."]
        if errors:
            raise ValidationError(errors)

    def _known(self, name: Any) -> Any:
        return self._names.get(_folded(name), name) if isinstance(name, str) else name


def _folded(name: str) -> str:
    return name.replace("_", "").casefold()


def _written(value: Any) -> Any:
    """Return numbers and moments as they would be written: 12 is a version, too."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value.isoformat() if isinstance(value, datetime) else value
