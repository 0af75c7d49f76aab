"""The record on the wire: what a client may send, and what it gets back.

The names are those of ProGet's Package Deployment API. Fields convert and check in one step of their own, because
this runs for every request: a marshmallow field with validators costs three times as much for the same checks.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from json.encoder import encode_basestring as _quoted
from typing import Any, cast

from marshmallow import EXCLUDE, Schema, ValidationError, fields, missing

from deployserver.dates import ACCEPTED, format_date, parse_date
from deployserver.errors import InvalidRequest
from deployserver.models import Deployment, Submission

NAME_LENGTH = 1024
DESCRIPTION_LENGTH = 16_384
URL_LENGTH = 2083

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_WHITE_SPACE_TO_STRIP = " \t\r\n\v\f"
_URL = re.compile(
    r"https?://(?:[^\s/?#@\\<>\"]*@)?"
    r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s/?#@\\<>\":\[\]]+))"
    r"(?::(?P<port>[0-9]{0,5}))?(?:[/?#][^\s\\<>\"]*)?",
    re.IGNORECASE,
)


class Text(fields.Field[str]):
    """A text of at most ``length`` characters, without surrounding white space and without control characters.

    ``lines`` allows line breaks and tabs within. Absent, null and blank are one: an error if ``required``, else None.
    """

    def __init__(self, length: int, *, lines: bool = False, **kwargs: Any) -> None:
        super().__init__(allow_none=True, **kwargs)
        self.length = length
        self.control = _CONTROL_BUT_LINES if lines else _CONTROL

    def deserialize(
        self, value: Any, attr: str | None = None, data: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> Any:
        """Return the text, or None where it is absent and may be. Raises ValidationError."""
        if isinstance(value, str):
            text = value.strip()
        elif value is missing or value is None:
            text = ""
        else:
            raise ValidationError("must be a text or a number.")
        if not text:
            if self.required:
                raise ValidationError("is required." if value is missing or value is None else "must not be blank.")
            return None
        if len(text) > self.length:
            raise ValidationError(f"is {len(text)} characters long; at most {self.length} are allowed.")
        if not value.isprintable():
            self._reject_unprintable(value)
        return self._converted(text)

    def _reject_unprintable(self, value: str) -> None:
        # Unprintable are also blanks such as the no-break space, which are fine.
        if found := self.control.search(value.strip(_WHITE_SPACE_TO_STRIP)):
            raise ValidationError(f"has the control character U+{ord(found[0]):04X}, which is not allowed.")
        if _SURROGATE.search(value):
            raise ValidationError("has half of a surrogate pair, which is no character.")

    def _converted(self, text: str) -> Any:
        return text


class HttpUrl(Text):
    """An absolute http or https URL; the host needs no dot, ports are normal."""

    def _converted(self, text: str) -> str:
        match = _URL.fullmatch(text)
        if match is None or not _is_host(match["ipv6"], match["host"]) or int(match["port"] or 0) > 65_535:
            raise ValidationError("must be an absolute http or https URL, such as http://buildserver:8622/x.")
        return text


class Date(Text):
    """A date in any form of ``dates.parse_date``; the result is in microseconds since 1970."""

    def deserialize(
        self, value: Any, attr: str | None = None, data: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> Any:
        """Return the date; also of the object that Windows PowerShell 5.1 makes of one, with the date in ``value``."""
        if isinstance(value, dict):
            value = next((inner for name, inner in value.items() if name.casefold() == "value"), value)
            if not isinstance(value, str):
                raise ValidationError(f"must be {ACCEPTED}.")
        return super().deserialize(value, attr, data, **kwargs)

    def _converted(self, text: str) -> int:
        try:
            return parse_date(text)
        except ValueError as error:
            raise ValidationError(str(error)) from None


class SubmissionSchema(Schema):
    """The properties of a deployment as a client sends them; the order is that of ``Submission``."""

    class Meta:
        """Names that the API does not know are ignored, as ProGet does."""

        unknown = EXCLUDE

    application = Text(
        NAME_LENGTH,
        required=True,
        data_key="Application",
        metadata={
            "description": "what deployed it: a CI server, a script, a release tool",
            "examples": ("ProfitCalc",),
        },
    )
    description = Text(
        DESCRIPTION_LENGTH,
        lines=True,
        required=True,
        data_key="Description",
        metadata={
            "description": "a brief summary; line breaks are fine",
            "examples": ("Deployed by Custom Release Server",),
        },
    )
    target = Text(
        NAME_LENGTH,
        required=True,
        data_key="Target",
        metadata={"description": "where to, usually a server's name", "examples": ("localhost",)},
    )
    feed_name = Text(
        NAME_LENGTH,
        required=True,
        data_key="FeedName",
        metadata={"description": "the feed's name or an alternate name", "examples": ("DefaultNuGet",)},
    )
    package_name = Text(
        NAME_LENGTH,
        required=True,
        data_key="PackageName",
        metadata={"description": "the package's name or id", "examples": ("Newtonsoft.Json",)},
    )
    version = Text(
        NAME_LENGTH,
        required=True,
        data_key="Version",
        metadata={"description": "the version, kept as it is written", "examples": ("12.0.3",)},
    )
    group_name = Text(
        NAME_LENGTH,
        data_key="GroupName",
        metadata={"description": "group, scope or namespace of the package", "examples": ("@acme",)},
    )
    user_name = Text(
        NAME_LENGTH,
        data_key="UserName",
        metadata={"description": "who deployed it; default: the user or the name of the key", "examples": ("alice",)},
    )
    url = HttpUrl(
        URL_LENGTH,
        data_key="Url",
        metadata={
            "description": "an absolute http or https URL with more about the deployment",
            "examples": ("http://buildserver:8622/builds/17",),
        },
    )
    date = Date(
        NAME_LENGTH,
        data_key="Date",
        metadata={
            "description": "when; default: now. ISO 8601 (UTC where no zone is given), RFC 1123 or .NET's JSON date",
            "examples": ("2021-04-13T10:00:00Z", "2021-04-13T12:00:00+02:00", "/Date(1618308000000)/"),
        },
    )


_SCHEMA = SubmissionSchema()

PROPERTIES: tuple[str, ...] = tuple(str(field.data_key) for field in _SCHEMA.load_fields.values())
"""The names of the properties, as the API writes them."""

REQUIRED: tuple[str, ...] = tuple(str(field.data_key) for field in _SCHEMA.load_fields.values() if field.required)
"""Those that a client must send."""


_LOADERS = tuple(
    (str(field.data_key), field.deserialize, not field.required, field.length if type(field) is Text else 0)
    for field in _SCHEMA.load_fields.values()
    if isinstance(field, Text)
)


def load_submission(values: Mapping[str, Any]) -> Submission:
    """Check what a client sent, by property name. Raises InvalidRequest with every field that is wrong, and why.

    The same as ``SubmissionSchema().load``, at less than a quarter of its cost: that is made for hooks, partial loading
    and nested schemas, none of which are used here.
    """
    loaded: list[Any] = []
    errors: dict[str, list[str]] = {}
    for name, deserialize, optional, length in _LOADERS:
        value = values.get(name, missing)
        if value is missing and optional:
            loaded.append(None)
        elif type(value) is str and value.isprintable() and 0 < len(text := value.strip()) <= length:
            loaded.append(text)  # as nearly all are: a call for each field costs as much as all else here
        else:
            try:
                loaded.append(deserialize(value))
            except ValidationError as error:
                errors[name] = cast("list[str]", error.messages)
    if errors:
        raise InvalidRequest(errors)
    return Submission._make(loaded)


def deployment_json(deployment: Deployment) -> str:
    """Return a stored deployment as clients get it: the API's names, and ``Id``, ``RecordedAt``, ``RecordedBy``.

    Written out because it is done for every record: the general encoder takes three times as long.
    """
    row = deployment.row
    recorded_at = format_date(row.recorded_at)
    date = recorded_at if row.date == row.recorded_at else format_date(row.date)
    return (
        f'{{"Id":{deployment.id},"FeedName":{_quoted(deployment.feed_name)},'
        f'"GroupName":{"null" if row.group_name is None else _quoted(row.group_name)},'
        f'"PackageName":{_quoted(row.package_name)},"Version":{_quoted(row.version)},'
        f'"Target":{_quoted(row.target)},"Application":{_quoted(row.application)},'
        f'"Description":{_quoted(row.description)},"UserName":{_quoted(row.user_name)},'
        f'"Url":{"null" if row.url is None else _quoted(row.url)},"Date":"{date}",'
        f'"RecordedAt":"{recorded_at}","RecordedBy":{_quoted(row.recorded_by)}}}'
    )


DEPLOYMENT_COLUMNS: tuple[str, ...] = (
    "Id", "FeedName", "GroupName", "PackageName", "Version", "Target", "Application", "Description", "UserName", "Url",
    "Date", "RecordedAt", "RecordedBy",
)  # fmt: skip  # the order of the properties of a stored deployment


def deployment_cells(deployment: Deployment) -> tuple[Any, ...]:
    """Return the values of ``DEPLOYMENT_COLUMNS``, with dates as texts."""
    row = deployment.row
    return (
        deployment.id,
        deployment.feed_name,
        row.group_name,
        row.package_name,
        row.version,
        row.target,
        row.application,
        row.description,
        row.user_name,
        row.url,
        format_date(row.date),
        format_date(row.recorded_at),
        row.recorded_by,
    )


def _is_host(ipv6: str | None, host: str | None) -> bool:
    if ipv6 is None:
        return any(character.isalnum() for character in host or "")
    try:
        ipaddress.IPv6Address(ipv6)
    except ValueError:
        return False
    return True
