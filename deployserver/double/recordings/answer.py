"""What a recording keeps of an answer, and how another answer differs from it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any
from urllib.parse import unquote

from deployserver.api.request_ids import HEADER
from deployserver.double.journal import Answer, Headers, ReceivedRequest

OTHER_KIND = "kind of body"
"""What a difference begins with where only one of two bodies is a JSON object."""

_ALWAYS_OURS = ("Id", "RecordedAt", "RecordedBy")
_OURS_UNLESS_SENT = ("Date", "UserName")
_OWN_URL = re.compile(r"https?://\S{1,500}?(?=/api/package-deployment/)")
_LONGEST_VALUE = 100
_MOST_LINES = 10


@dataclass(frozen=True)
class RecordedAnswer:
    """Status, content type, and the text of the body, which is None where it was not kept."""

    status: int
    content_type: str = ""
    text: str | None = None

    @property
    def json_object(self) -> dict[str, Any] | None:
        """The body as the object that it is; None if it is none."""
        return _object(self.text)


def answer_of(target: str, status: int, headers: Headers, body: bytes) -> RecordedAnswer:
    """Return the answer to a request, with what only one server or one request can have taken out of its text.

    That is the server's address, the path that it is below, and the id of the request.
    """
    text = _OWN_URL.sub("{{url}}", body.decode("utf-8", "replace"))
    path = unquote(target.partition("?")[0])
    if status >= 400 and path.strip("/"):
        text = re.sub(r"(?<!\S)/\S{1,500}?(?=" + re.escape(path) + r"(?:[\s.]|$))", "", text)
    request_id = _header(headers, HEADER)
    return RecordedAnswer(
        status, _header(headers, "Content-Type"), text.replace(request_id, "{{request id}}") if request_id else text
    )


def kept_answer(request: ReceivedRequest, answer: Answer) -> RecordedAnswer:
    """Return what a recording keeps of an answer.

    A record is kept without what the server made of its own accord. Of whatever else was answered to a question, the
    status and the content type are kept: the rest depends on all that was recorded before.
    """
    kept = answer_of(request.target, answer.status, answer.headers, answer.body or b"")
    is_text = kept.content_type.partition(";")[0].strip().lower() in (
        "text/plain",
        "application/json",
        "application/problem+json",
    )
    if answer.body is None or not is_text or not (request.records or answer.status >= 400):
        return RecordedAnswer(kept.status, kept.content_type)
    record = kept.json_object
    if answer.status != 200 or record is None:
        return kept
    sent = {name for name, value in request.fields.items() if value is not None and str(value).strip()}
    left_out = {*_ALWAYS_OURS, *(name for name in _OURS_UNLESS_SENT if name not in sent)}
    record = {name: value for name, value in record.items() if name not in left_out}
    return RecordedAnswer(kept.status, kept.content_type, json.dumps(record, ensure_ascii=False, separators=(",", ":")))


def differences(recorded: RecordedAnswer, got: RecordedAnswer, *, status_only: bool = False) -> Sequence[str]:
    """Return how an answer differs from the recorded one, a line each: status, content type, body."""
    if status_only or recorded.status != got.status:
        different = [] if recorded.status == got.status else [f"status: recorded {recorded.status}, got {got.status}"]
        if different and not status_only and got.status >= 400 and got.text:
            different.append(f"the answer says: {_short(_first_line(got))}")
        return different
    record, other = recorded.json_object, got.json_object
    if recorded.status == 200 and recorded.text is not None and (record is None) != (other is None):
        return [f"{OTHER_KIND}: recorded {_kind(recorded)}, got {_kind(got)}"]
    different = []
    if _plain(recorded.content_type) != _plain(got.content_type):
        different.append(f"content type: recorded {recorded.content_type or 'none'}, got {got.content_type or 'none'}")
    if recorded.text is None:
        return different
    if record is not None and other is not None:
        return [*different, *_fields(record, other)]
    return [*different, *_lines(recorded.text, got.text or "")]


def _fields(recorded: Mapping[str, Any], got: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for name in {**recorded, **got}:
        if name in _ALWAYS_OURS or (name in _OURS_UNLESS_SENT and name not in recorded):
            continue
        before, after = recorded.get(name, _NOTHING), got.get(name, _NOTHING)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _fields(before, after, f"{path}{name}.")
        elif before != after or type(before) is not type(after):
            shown = _value(before), _value(after)
            if shown[0] == shown[1]:
                shown = json.dumps(before), json.dumps(after)
            yield f"{path}{name}: recorded {shown[0]}, got {shown[1]}"


def _lines(recorded: str, got: str) -> list[str]:
    pairs = zip_longest(recorded.splitlines(), got.splitlines())
    different = [
        f"body, line {number}: recorded {_line(before)}, got {_line(after)}"
        for number, (before, after) in enumerate(pairs, 1)
        if before != after
    ]
    if len(different) > _MOST_LINES:
        different[_MOST_LINES:] = [f"body: {len(different) - _MOST_LINES} more lines differ"]
    return different


class _Nothing:
    pass


_NOTHING = _Nothing()


def _value(value: Any) -> str:
    if isinstance(value, _Nothing):
        return "nothing"
    return _short(value) if isinstance(value, str) and value else _short(json.dumps(value, ensure_ascii=False))


def _line(line: str | None) -> str:
    return "nothing" if line is None else f'"{_short(line)}"'


def _short(text: str) -> str:
    text = "".join(character if character.isprintable() else "�" for character in text)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _first_line(answer: RecordedAnswer) -> str:
    problem = answer.json_object
    text = str(problem.get("detail", "")) if problem else (answer.text or "")
    return next(iter(text.splitlines()), "")


def _kind(answer: RecordedAnswer) -> str:
    if answer.json_object is not None:
        return "a JSON object"
    if not answer.text:
        return "nothing"
    return f"{_plain(answer.content_type).partition(';')[0] or 'no content type'}, {len(answer.text)} characters"


def _object(text: str | None) -> dict[str, Any] | None:
    try:
        value = json.loads(text or "")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _header(headers: Headers, name: str) -> str:
    return next((value for known, value in headers if known.lower() == name.lower()), "")


def _plain(content_type: str) -> str:
    return content_type.lower().replace(" ", "").replace('"', "")
