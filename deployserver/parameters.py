"""What a parameter of a question may be: names, dates, words, numbers, each read from text and checked."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from marshmallow import ValidationError, fields, validate

from deployserver.dates import ACCEPTED, parse_date
from deployserver.schemas import NAME_LENGTH, Text

NOW = "now"

_MOST_NAMES = 100
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_AGO = re.compile(r"(\d{1,9})([smhdw])", re.ASCII | re.IGNORECASE)
_LONGEST_AGO = 100 * 366 * 86_400


@dataclass(frozen=True, slots=True)
class Ago:
    """A moment so many microseconds before now."""

    micros: int


Moment = int | Ago


class Names(fields.List[str]):
    """Names, any of which will do; given by repeating the parameter. Empty ones are none.

    ``most`` is how many times at most. ``least`` is for the description: it is checked where the names are used.
    """

    def __init__(self, description: str, *examples: str, least: int = 0, most: int = _MOST_NAMES) -> None:
        super().__init__(
            Text(NAME_LENGTH, metadata={"examples": examples}),
            load_default=(),
            metadata={"description": description, "minItems": least, "maxItems": most},
        )

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the names as a tuple. Raises ValidationError."""
        return tuple(dict.fromkeys(text for one in self._given(value) if (text := self.inner.deserialize(one))))

    def _given(self, value: Any) -> list[str]:
        """Return what is given, each time. Raises ValidationError for too many times."""
        given = value if isinstance(value, list) else []
        if len(given) > (most := self.metadata["maxItems"]):
            raise ValidationError("may be given twice at most." if most == 2 else f"is given more than {most} times.")
        return given


class Date(fields.Field[Moment]):
    """A date as the API takes it, or how long ago: ``7d``, ``24h``."""

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the moment, or None where it is absent. Raises ValidationError."""
        if not isinstance(value, str) or not value.strip():
            return None
        text = value.strip()
        if match := _AGO.fullmatch(text):
            seconds = int(match[1]) * _UNITS[match[2].lower()]
            if seconds > _LONGEST_AGO:
                raise ValidationError("is more than a hundred years ago.")
            return Ago(seconds * 1_000_000)
        try:
            return parse_date(text)
        except ValueError as error:
            message = str(error).replace(ACCEPTED, f"{ACCEPTED}, or how long ago it is, such as 7d or 24h")
            raise ValidationError(message) from None


class Dates(Names):
    """Up to two dates, or ``now`` for all that there is."""

    def __init__(self, description: str, *examples: str) -> None:
        super().__init__(description, *examples, most=2)

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the moments as a tuple, None for now. Raises ValidationError."""
        texts = [text for text in self._given(value) if text.strip()]
        return tuple(None if text.strip().lower() == NOW else Date().deserialize(text) for text in texts)


class Words(fields.Field[tuple[str, ...]]):
    """Words, all of which must be there."""

    length = NAME_LENGTH

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the words as a tuple. Raises ValidationError."""
        text = Text(self.length, lines=True).deserialize(value if value is not None else "")
        words = tuple(dict.fromkeys((text or "").split()))
        if len(words) > 10:
            raise ValidationError("has more than ten words.")
        return words


class Whole(fields.Integer):
    """A whole number in plain digits."""

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the number, or the default where there is none. Raises ValidationError."""
        if isinstance(value, str) and not value.strip():
            value = None
        if value is None or not isinstance(value, str):
            return self.load_default
        low, high = self.metadata["minimum"], self.metadata["maximum"]
        if not re.fullmatch(r"\d{1,19}", value.strip(), re.ASCII) or not low <= int(value) <= high:
            raise ValidationError(f"must be a whole number from {low} to {high}.")
        return int(value)


class Choice(fields.String):
    """One of a few words, in any letter case."""

    def __init__(self, known: Iterable[str], **kwargs: Any) -> None:
        self.known = tuple(known)
        super().__init__(validate=validate.OneOf(self.known), **kwargs)

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the word, or the default where there is none. Raises ValidationError."""
        if not isinstance(value, str) or not value.strip():
            return self.load_default
        word = value.strip().lower()
        if word not in self.known:
            raise ValidationError(f"must be one of {', '.join(self.known)}.")
        return word


class Choices(Names):
    """Some of a few words; given by repeating the parameter."""

    def __init__(self, known: Iterable[str], description: str) -> None:
        super().__init__(description)
        self.choice = Choice(known)

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the words as a tuple. Raises ValidationError."""
        words = [self.choice.deserialize(text) for text in self._given(value)]
        return tuple(dict.fromkeys(word for word in words if word))


class Flag(fields.Boolean):
    """true or false."""

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the truth, False where it is absent. Raises ValidationError."""
        word = value.strip().lower() if isinstance(value, str) else ""
        if word not in ("", "true", "1", "yes", "false", "0", "no"):
            raise ValidationError("must be true or false.")
        return word in ("true", "1", "yes")


class Plain(fields.String):
    """A text that is looked at elsewhere."""

    def __init__(self, length: int = 7 * NAME_LENGTH, **kwargs: Any) -> None:
        # By default what a URL has room for beside the rest, because a cursor holds names.
        super().__init__(**kwargs)
        self.length = length

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the text, or None where it is absent or empty. Raises ValidationError."""
        return Text(self.length).deserialize(value if isinstance(value, str) else "")
