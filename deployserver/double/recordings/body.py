"""Bodies as texts that people can read, from which the exact bytes come back."""

from __future__ import annotations

import base64
import binascii
import codecs
import json
import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from deployserver.api.body import FORM, JSON, LONGEST_CONTENT_TYPE, MULTIPART, parse_content_type
from deployserver.api.encodings import known_charset

Kind = Literal["json", "form", "multipart"]

_BINARY = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_PLAIN_NAMES = {"utf_8": "utf-8", "utf_16": "utf-16-le", "utf_32": "utf-32-le"}


class _Style(NamedTuple):
    """How JSON is written: separators, indentation, line end, and whether all but ASCII is escaped."""

    separators: tuple[str, str]
    indent: int | None = None
    line_end: str = "\n"
    ascii_only: bool = False


_PLAIN_STYLES = {
    "compact": _Style((",", ":")),
    "spaced": _Style((", ", ": ")),
    "indented": _Style((",", ": "), 2),
    "indented, CRLF": _Style((",", ": "), 2, "\r\n"),
}
_STYLES: Mapping[str, _Style] = _PLAIN_STYLES | {
    f"{name}, escaped": style._replace(ascii_only=True) for name, style in _PLAIN_STYLES.items()
}


class BodyText(NamedTuple):
    """A body as text; ``encoding`` makes its bytes of it, and ``kind`` says what it is, whatever it was called.

    ``is_sound`` is False for what can be read neither as JSON nor as a form.
    """

    text: str
    encoding: str
    kind: Kind
    boundary: str | None = None
    is_sound: bool = True

    @property
    def data(self) -> bytes:
        """The bytes."""
        return self.text.encode(self.encoding)


def body_text(body: bytes, content_type: str) -> BodyText:
    """Return a body, which is not compressed, as text."""
    media_type, charset, boundary = parse_content_type(
        content_type if len(content_type) <= LONGEST_CONTENT_TYPE else ""
    )
    if media_type == MULTIPART:
        text, encoding = _text(body, [])
        if boundary is None and text.startswith("--"):  # forgotten, as by who sets the content type by hand
            boundary = text.splitlines()[0][2:].strip() or None
        if boundary is not None:
            return BodyText(text, encoding, "multipart", boundary)
    marked = [encoding for mark, encoding in _MARKS if body.startswith(mark)]
    declared = known_charset(charset) if media_type == JSON else None
    text, encoding = _text(body, [*marked, *([_PLAIN_NAMES.get(declared, declared)] if declared else [])])
    is_json = text.lstrip("\ufeff \t\r\n").startswith(("{", "["))
    if is_json:
        return BodyText(text, encoding, "json", is_sound=_is_json(text))
    return BodyText(text, encoding, "form", is_sound=media_type in (FORM, ""))


def _text(body: bytes, encodings: list[str]) -> tuple[str, str]:
    for encoding in (*encodings, "utf-8"):
        try:
            text = body.decode(encoding)
            if text.encode(encoding) == body:
                return text, encoding
        except (UnicodeError, LookupError):
            continue
    return body.decode("latin-1"), "latin-1"  # in which anything can be read


def body_document(body: BodyText) -> dict[str, Any]:
    """Return what a recording has of a body: text, lines of text or JSON, as is easiest to read; else base64."""
    text = body.text
    if not text:
        return {}
    if _BINARY.search(text):
        return {"bodyBase64": base64.b64encode(body.data).decode()}
    charset = {} if body.encoding == "utf-8" else {"bodyCharset": body.encoding}
    if body.kind == "json":
        for style in _STYLES:
            value = _written_as(text, style)
            if value is not None:
                named = {} if style == "compact" else {"bodyStyle": style}
                return {"bodyJson": value, **named, **charset}
    lines = text.split("\n")
    if len(lines) > 1:
        return {"bodyLines": [line + "\n" for line in lines[:-1]] + lines[-1:] * bool(lines[-1]), **charset}
    return {"body": text, **charset}


def body_of(document: Mapping[str, Any]) -> bytes:
    """Return the bytes of what ``body_document`` returned. Raises ValueError, saying what cannot be."""
    given = [name for name in ("body", "bodyLines", "bodyJson", "bodyBase64") if name in document]
    if len(given) > 1:
        raise ValueError(f"{given[0]} and {given[1]} cannot both be there")
    if not given:
        return b""
    if given == ["bodyBase64"]:
        try:
            return base64.b64decode(document["bodyBase64"], validate=True)
        except binascii.Error:
            raise ValueError("bodyBase64 is not valid base64") from None
    if given == ["bodyJson"]:
        style = document.get("bodyStyle", "compact")
        if style not in _STYLES:
            raise ValueError(f"bodyStyle must be one of {', '.join(map(repr, _STYLES))}")
        text = _written(document["bodyJson"], style)
    else:
        text = "".join(document[given[0]])
    charset = document.get("bodyCharset", "utf-8")
    if charset != "utf-8" and known_charset(charset) is None:
        raise ValueError(f"bodyCharset: there is no charset '{charset}'")
    try:
        return text.encode(charset)
    except (UnicodeError, LookupError):  # the latter for codecs of no text
        raise ValueError(f"bodyCharset: the body cannot be written in {charset}") from None


def _written(value: Any, style: str) -> str:
    separators, indent, line_end, ascii_only = _STYLES[style]
    text = json.dumps(value, separators=separators, indent=indent, ensure_ascii=ascii_only)
    return text if line_end == "\n" else text.replace("\n", line_end)


def _written_as(text: str, style: str) -> Any:
    """Return the value of a JSON text if that is exactly how it would be written; else None."""
    try:
        value = json.loads(text, parse_constant=_no_constant)
        return value if _written(value, style) == text else None
    except (ValueError, RecursionError):
        return None


def _is_json(text: str) -> bool:
    try:
        json.loads(text.lstrip("\ufeff"))
    except (ValueError, RecursionError):
        return False
    return True


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")
