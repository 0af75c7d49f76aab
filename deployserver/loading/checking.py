"""Checks records as the API checks what is posted, and remembers texts that it has found to be good."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from marshmallow import ValidationError, missing

from deployserver.dates import parse_formatted
from deployserver.errors import InvalidRequest
from deployserver.loading.properties import RECORDED_AT, RECORDED_BY
from deployserver.schemas import NAME_LENGTH, Date, SubmissionSchema, Text, load_submission

RECORDED_BY_LENGTH = 2 * NAME_LENGTH  # it holds the name of a key or a user, and words

_MOST_REMEMBERED = 32_768


class Checked(NamedTuple):
    """A record that may be stored, if there is its feed."""

    feed_name: str
    application: str
    description: str
    target: str
    package_name: str
    version: str
    group_name: str | None
    user_name: str
    url: str | None
    date: int
    recorded_at: int
    recorded_by: str


class Checker:
    """Checks records; ``user_name`` and ``recorded_by`` are for those that do not say it themselves."""

    def __init__(self, user_name: str, recorded_by: str) -> None:
        self._user_name = user_name
        self._recorded_by = recorded_by
        fields = SubmissionSchema().load_fields
        self._texts = {
            name: _Memo(fields[name].deserialize)
            for name in ("application", "target", "feed_name", "package_name", "version", "group_name", "user_name")
        }
        self._recorded_by_field = Text(RECORDED_BY_LENGTH)
        self._recorded_by_memo = _Memo(self._recorded_by_field.deserialize)
        self._description = fields["description"].deserialize
        self._url = fields["url"].deserialize
        self._date = Date(NAME_LENGTH)

    def check(self, values: Mapping[str, Any], now: int) -> Checked:
        """Return the record. Raises InvalidRequest with every property that is wrong, and why."""
        get, texts = values.get, self._texts
        try:
            recorded_at = self._moment(get(RECORDED_AT))
            if recorded_at is None:
                recorded_at = now
            deployed_at = self._moment(get("Date"))
            url = get("Url")
            return Checked(
                texts["feed_name"][get("FeedName", missing)],
                texts["application"][get("Application", missing)],
                self._description(get("Description", missing)),
                texts["target"][get("Target", missing)],
                texts["package_name"][get("PackageName", missing)],
                texts["version"][get("Version", missing)],
                texts["group_name"][get("GroupName")],
                texts["user_name"][get("UserName")] or self._user_name,
                None if url is None else self._url(url),
                recorded_at if deployed_at is None else deployed_at,
                recorded_at,
                self._recorded_by_memo[get(RECORDED_BY)] or self._recorded_by,
            )
        except (ValidationError, TypeError):
            raise InvalidRequest(self._reasons(values)) from None

    def _moment(self, value: Any) -> Any:
        """Return a date in microseconds since 1970; the form in which they are exported is read by a shorter way."""
        if value is None:
            return None
        formatted = parse_formatted(value) if isinstance(value, str) else None
        return self._date.deserialize(value) if formatted is None else formatted

    def _reasons(self, values: Mapping[str, Any]) -> dict[str, list[str]]:
        """Return everything that is wrong with a record."""
        reasons: dict[str, list[str]] = {}
        try:
            load_submission(values)
        except InvalidRequest as error:
            reasons |= error.errors
        for name, field in ((RECORDED_AT, self._date), (RECORDED_BY, self._recorded_by_field)):
            try:
                field.deserialize(values.get(name))
            except ValidationError as error:
                reasons[name] = list(map(str, error.messages))
        assert reasons
        return reasons


class _Memo(dict[Any, Any]):
    """Values as ``deserialize`` returns them, by what they are made from; what it raises is not remembered."""

    def __init__(self, deserialize: Callable[[Any], Any]) -> None:
        super().__init__()
        self._deserialize = deserialize

    def __missing__(self, value: Any) -> Any:
        result = self._deserialize(value)
        if len(self) >= _MOST_REMEMBERED:
            self.clear()
        if value is None or isinstance(value, str):
            self[value] = result
        return result
