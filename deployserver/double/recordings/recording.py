"""Recordings: requests and what was answered, in a file to read, review and commit. No credential is in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deployserver import __version__
from deployserver.api.compression import decompressed
from deployserver.double.journal import Headers, ReceivedRequest
from deployserver.double.recordings.answer import RecordedAnswer, kept_answer
from deployserver.double.recordings.body import BodyText, body_document, body_of, body_text
from deployserver.double.recordings.credential_places import Place, basic_decoded, in_body, in_header, in_target
from deployserver.double.recordings.placeholders import UNREADABLE, Secrets, names_in
from deployserver.double.recordings.schema import checked_document
from deployserver.errors import BodyTooLarge, InvalidRequest, InvalidValue, MalformedBody
from deployserver.models import ANONYMOUS

FORMAT = "deployserver recording"
VERSION = 1

_LARGEST_BODY = 64 * 1024 * 1024
_LEFT_OUT = frozenset(
    (
        "connection", "content-length", "cookie", "cookie2", "expect", "host", "http2-settings", "keep-alive",
        "proxy-authorization", "proxy-connection", "te", "traceparent", "tracestate", "trailer", "transfer-encoding",
        "upgrade", "x-request-id",
    )
)  # fmt: skip  # those of a connection, of a browser's session, and those that name one request and no other
_ESCAPED = re.compile(r"[\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]")


@dataclass(frozen=True)
class RecordedRequest:
    """A request with placeholders for its credentials, also in ``body``, and what was answered.

    ``skipped`` says why it cannot be sent again; None if it can.
    """

    method: str
    target: str
    headers: Headers
    body: bytes = b""
    answer: RecordedAnswer | None = None
    skipped: str | None = None

    @property
    def body_text(self) -> BodyText:
        """The body as text."""
        content_type = next((value for name, value in self.headers if name.lower() == "content-type"), "")
        return body_text(self.body, content_type)

    @property
    def texts(self) -> list[str]:
        """All in which there may be placeholders."""
        return [self.target, *(value for _, value in self.headers), self.body_text.text]


@dataclass(frozen=True)
class Recording:
    """Requests in the order in which they arrived; ``source`` says where."""

    requests: Sequence[RecordedRequest]
    source: str = ""

    @property
    def credentials(self) -> list[str]:
        """What the placeholders stand for, such as ``key ci``, in the order of the requests."""
        return names_in("\n".join(text for request in self.requests for text in request.texts))


def recording_document(
    requests: Iterable[ReceivedRequest], source: str = f"deployserver {__version__}"
) -> dict[str, Any]:
    """Return a recording of requests as it is written to a file.

    What was no valid HTTP is left out. Credentials are named by their callers: ``{{key NAME}}`` with the name or number
    of the key, ``{{password of USER}}``, and ``{{unknown key}}`` where the server knew none of them. Compressed bodies
    are written decompressed.
    """
    arrived = [_Arrived(request) for request in requests if request.method]
    secrets = Secrets()
    for one in arrived:
        caller = one.request.caller
        if caller is not None and caller != ANONYMOUS and (credential := one.credential()):
            secrets.add(credential, caller)
    return {
        "format": FORMAT,
        "version": VERSION,
        "source": source,
        "requests": [one.document(secrets) for one in arrived],
    }


def dump_recording(document: Mapping[str, Any]) -> str:
    """Return a recording as the text of a file, in UTF-8; characters that cannot be seen are escaped."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"


def load_recording(text: str) -> Recording:
    """Read a recording. Raises InvalidValue for what is none, and InvalidRequest naming every place that is wrong."""
    try:
        document = json.loads(text)
    except RecursionError:
        raise InvalidValue("This is no recording: its JSON is nested too deeply.") from None
    except ValueError as error:
        raise InvalidValue(f"This is no recording: it is not valid JSON ({error}).") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InvalidValue(f'This is no recording: it has to be a JSON object with "format": "{FORMAT}".')
    if document.get("version") != VERSION or isinstance(document["version"], bool):
        raise InvalidValue(f"Recordings of version {VERSION} can be read, this one says {document.get('version')!r}.")
    checked = checked_document(document)
    errors: dict[str, list[str]] = {}
    requests = []
    for number, entry in enumerate(checked["requests"], 1):
        try:
            requests.append(_loaded(entry))
        except ValueError as error:
            errors[f"requests[{number}]"] = [f"{error}."]
    if errors:
        raise InvalidRequest(errors)
    return Recording(requests, checked.get("source", ""))


def _loaded(entry: Mapping[str, Any]) -> RecordedRequest:
    answer, recorded = entry.get("answer"), None
    if answer is not None:
        is_there = any(name in answer for name in ("body", "bodyLines", "bodyJson", "bodyBase64"))
        text = body_of(answer).decode("utf-8", "replace") if is_there else None
        recorded = RecordedAnswer(answer["status"], answer.get("contentType", ""), text)
    skipped = entry.get("skip")
    if skipped is None and entry.get("fault"):
        skipped = f"a fault had hit it: {entry['fault']}"
    if skipped is None and recorded is None:
        skipped = "it has no recorded answer"
    headers = [(name, value.strip()) for name, _, value in (header.partition(":") for header in entry["headers"])]
    return RecordedRequest(entry["method"], entry["target"], headers, body_of(entry), recorded, skipped)


class _Arrived:
    """A request that is to be recorded, and where its credentials are."""

    def __init__(self, request: ReceivedRequest) -> None:
        self.request = request
        self.headers = [(name, value) for name, value in request.headers if name.lower() not in _LEFT_OUT]
        self.decompressed: str | None = None
        self.skip: str | None = None
        data = self._plain_body()
        self.body = body_text(data, request.header("Content-Type") or "")
        self.in_target = in_target(request.target)
        self.in_headers = [in_header(name, value) for name, value in self.headers]
        self.in_body = in_body(self.body)

    def _plain_body(self) -> bytes:
        """Return the body decompressed, as nobody could see a credential in it otherwise."""
        encoding = (self.request.header("Content-Encoding") or "").strip()
        if not encoding or encoding.lower() == "identity" or not self.request.body:
            return self.request.body
        try:
            data = decompressed(self.request.body, encoding, _LARGEST_BODY)
        except (MalformedBody, BodyTooLarge):
            self.skip = f"its body cannot be decompressed ({encoding}), and is not in the recording"
            return b""
        self.decompressed = encoding
        self.headers = [(name, value) for name, value in self.headers if name.lower() != "content-encoding"]
        return data

    def credential(self) -> str | None:
        """Return the credential that the server went by."""
        by_header = list(zip(self.headers, self.in_headers, strict=True))
        keys = [place for (name, _), places in by_header if name.lower() == "x-apikey" for place in places]
        basic = [place for (name, _), places in by_header if name.lower() == "authorization" for place in places]
        for place in (*keys, *self.in_target, *self.in_body, *basic):
            if place.counts:
                return place.secret
        return None

    def document(self, secrets: Secrets) -> dict[str, Any]:
        """Return what is written of the request."""
        request = self.request
        places = [*self.in_target, *self.in_body, *(place for found in self.in_headers for place in found)]
        as_sent = [
            value[place.start :].strip()
            for (_, value), found in zip(self.headers, self.in_headers, strict=True)
            for place in found
        ]
        unknown = tuple(dict.fromkeys([*as_sent, *(part for place in places for part in _parts(place.secret))]))

        def hidden(text: str, places: Sequence[Place] = ()) -> str:
            pieces, end = [], 0
            for place in places:
                stands = secrets.placeholder(place.secret)
                pieces += [secrets.hidden(text[end : place.start], unknown), f'"{stands}"' if place.bare else stands]
                end = place.end
            return "".join([*pieces, secrets.hidden(text[end:], unknown)])

        document: dict[str, Any] = {"method": request.method, "target": hidden(request.target, self.in_target)}
        if request.caller is not None:
            document["caller"] = hidden(request.caller)
        document["headers"] = [
            f"{name}: {_unreadable(name, value) or hidden(value, places)}"
            for (name, value), places in zip(self.headers, self.in_headers, strict=True)
        ]
        if self.decompressed:
            document["decompressedFrom"] = self.decompressed
        document |= body_document(self.body._replace(text=hidden(self.body.text, self.in_body)))
        if request.fault is not None:
            document["fault"] = hidden(request.fault)
        if self.skip:
            document["skip"] = self.skip
        if request.answer is not None:
            kept = kept_answer(request, request.answer)
            answer = {"status": kept.status, "contentType": kept.content_type}
            if kept.text is not None:
                answer |= body_document(body_text(hidden(kept.text).encode("utf-8", "replace"), kept.content_type))
            document["answer"] = answer
        return document


def _parts(secret: str) -> tuple[str, ...]:
    """Return what of an unknown credential may not be seen elsewhere either."""
    user, colon, password = secret.partition(":")
    return (secret, password or user) if colon else (secret,)


def _unreadable(name: str, value: str) -> str | None:
    """Return what stands for an Authorization header that is not Basic authentication; None for all others."""
    scheme, rest = [*value.split(maxsplit=1), "", ""][:2]
    if name.lower() != "authorization" or not scheme:
        return None
    if scheme.lower() != "basic":
        return UNREADABLE
    return f"{scheme} {UNREADABLE}" if basic_decoded(rest) is None else None
