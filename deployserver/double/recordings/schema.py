"""What the file of a recording may hold."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from deployserver.errors import InvalidRequest

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_HEADER = re.compile(_WORD + r":[^\x00-\x08\x0a-\x1f\x7f]*")


def _text(**options: Any) -> fields.String:
    return fields.String(error_messages={"invalid": "must be a text.", "null": "must be a text."}, **options)


class _Body(Schema):
    """The ways to write a body; one of them at most."""

    class Meta:
        """A misspelt name must not be overlooked."""

        unknown = RAISE

    error_messages = {  # noqa: RUF012 - marshmallow's own way
        "unknown": "is not known here.",
        "type": "must be a JSON object.",
    }

    body = _text()
    body_lines = fields.List(_text(), data_key="bodyLines")
    body_json = fields.Raw(data_key="bodyJson", allow_none=True)
    body_style = _text(data_key="bodyStyle")
    body_base64 = _text(data_key="bodyBase64")
    body_charset = _text(data_key="bodyCharset")


class _Answer(_Body):
    status = fields.Integer(required=True, strict=True, validate=validate.Range(100, 999))
    content_type = _text(data_key="contentType")


class _Request(_Body):
    method = _text(required=True, validate=validate.Regexp(_WORD + r"\Z", error="must be a method, such as POST."))
    target = _text(
        required=True,
        validate=validate.Regexp(
            r"/[^\x00-\x1f\x7f]*\Z", error="must begin with a slash and hold no control characters."
        ),
    )
    caller = _text()
    headers = fields.List(
        _text(validate=lambda header: _check_header(header)),
        load_default=list,
    )
    decompressed_from = _text(data_key="decompressedFrom")
    fault = _text()
    skip = _text()
    answer = fields.Nested(_Answer)


class _Document(Schema):
    class Meta:
        """See _Body."""

        unknown = RAISE

    error_messages = _Body.error_messages

    format = _text(required=True)
    version = fields.Integer(required=True, strict=True)
    source = _text()
    requests = fields.List(fields.Nested(_Request), required=True)


def _check_header(header: str) -> None:
    if not _HEADER.fullmatch(header):
        raise ValidationError('must be a name, a colon and a value, such as "Content-Type: application/json".')


def checked_document(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a recording's document if it is one. Raises InvalidRequest, which names places as ``requests[1].target``.

    Places in lists are counted from 1, as a replay counts them.
    """
    try:
        _Document().load(document)
    except ValidationError as error:
        raise InvalidRequest(dict(_places(error.messages_dict))) from None
    return {"headers": [], **document, "requests": [{"headers": [], **entry} for entry in document["requests"]]}


def _places(messages: Any, path: str = "") -> Iterator[tuple[str, list[str]]]:
    if isinstance(messages, dict):
        for name, below in messages.items():
            step = f"[{name + 1}]" if isinstance(name, int) else "" if name == "_schema" else f".{name}"
            yield from _places(below, (path + step).lstrip("."))
    else:
        yield path, [str(message) for message in messages]
