"""Sends recorded requests to a server again, and compares its answers with those of the recording."""

from __future__ import annotations

import base64
import errno
import io
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

import aiohttp
from aiohttp import hdrs
from multidict import CIMultiDict
from yarl import URL

from deployserver.double.journal import RECORDING_PATH
from deployserver.double.recordings.answer import RecordedAnswer, answer_of, differences
from deployserver.double.recordings.placeholders import UNREADABLE, Secrets, filled
from deployserver.double.recordings.recording import RecordedRequest, Recording
from deployserver.errors import InvalidValue

Outcome = Literal["alike", "different", "unanswered", "unreachable", "skipped"]

_NOT_BY_ITSELF = (hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE, hdrs.USER_AGENT)
_LARGE_BODY = 1024 * 1024  # aiohttp warns of more in one piece


@dataclass(frozen=True)
class Comparison:
    """What became of one request of a recording; ``number`` counts from 1.

    ``differences`` has a line for each, or the reason why there is no answer or nothing was sent. ``target`` has no
    credential in it.
    """

    number: int
    method: str
    target: str
    outcome: Outcome
    differences: Sequence[str] = ()

    @property
    def is_difference(self) -> bool:
        """Whether the server did not do what the recording says."""
        return self.outcome not in ("alike", "skipped")

    def __str__(self) -> str:
        request = f"request {self.number}, {self.method} {self.target}: "
        if self.outcome in ("alike", "skipped"):
            return request + ": ".join((self.outcome, *self.differences))
        return "\n".join(request + difference for difference in self.differences)


async def replay(
    recording: Recording,
    url: str,
    secrets: Mapping[str, str],
    *,
    timeout: float = 30,  # noqa: ASYNC109 - of each request
    status_only: bool = False,
    insecure: bool = False,
    on_result: Callable[[Comparison], object] | None = None,
) -> list[Comparison]:
    """Send the requests of a recording to the server at ``url``, one after the other, and compare the answers.

    ``secrets`` has what the placeholders stand for, by ``Recording.credentials``; ``timeout`` is in seconds, for each
    request; ``insecure`` takes any certificate. ``on_result`` is called after each request. Raises InvalidValue for a
    URL that cannot be used, and for a credential that is not there, before anything is sent.
    """
    base = server_url(url)
    if missing := [name for name in recording.credentials if not secrets.get(name)]:
        raise InvalidValue(f"The recording needs the {', the '.join(missing)}.")
    results = []
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=not insecure, force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=_NOT_BY_ITSELF,
        timeout=aiohttp.ClientTimeout(total=timeout, sock_connect=timeout),
    ) as session:
        for number, request in enumerate(recording.requests, 1):
            outcome, lines = await _outcome(session, base, request, secrets, timeout, status_only)
            result = Comparison(number, request.method, request.target, outcome, lines)
            results.append(result)
            if on_result is not None:
                on_result(result)
    return results


def server_url(url: str) -> str:
    """Return the address of a server, with its base path and without a slash at the end. Raises InvalidValue."""
    try:
        parsed = URL(url)
    except ValueError as error:
        raise InvalidValue(f"'{url}' is no URL: {error}.") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InvalidValue(f"'{url}' is no address of a server; it is something like http://127.0.0.1:8624.")
    if parsed.user is not None or parsed.password is not None:
        raise InvalidValue("The address of a server holds no user and no password: the recording says who calls.")
    if parsed.query_string or parsed.fragment or parsed.path.rstrip("/").lower().endswith(RECORDING_PATH):
        raise InvalidValue(f"Give the address of the server alone, up to but without {RECORDING_PATH}/.")
    return str(parsed).rstrip("/")


def summary(results: Sequence[Comparison]) -> str:
    """Return how many requests became what, in a sentence."""
    counts = Counter(result.outcome for result in results)
    order: tuple[Outcome, ...] = ("alike", "different", "unanswered", "unreachable", "skipped")
    parts = ", ".join(f"{counts[outcome]} {outcome}" for outcome in order if counts[outcome])
    number = f"{len(results)} request{'' if len(results) == 1 else 's'}"
    return f"{number}: {parts}." if parts else f"{number}."


async def _outcome(
    session: aiohttp.ClientSession,
    base: str,
    request: RecordedRequest,
    secrets: Mapping[str, str],
    timeout: float,  # noqa: ASYNC109 - only to be named
    status_only: bool,
) -> tuple[Outcome, Sequence[str]]:
    if request.skipped is not None or request.answer is None:
        return "skipped", (request.skipped or "it has no recorded answer",)
    try:
        got = await _answer(session, base, request, secrets)
    except aiohttp.ClientConnectorError as error:
        return "unreachable", (_why_unreachable(error),)
    except TimeoutError as error:
        connecting = isinstance(error, aiohttp.ConnectionTimeoutError)
        return "unreachable" if connecting else "unanswered", (f"no answer within {timeout:g} seconds",)
    except aiohttp.ServerDisconnectedError:
        return "unanswered", ("the server closed the connection without an answer",)
    except (aiohttp.ClientError, OSError) as error:
        return "unanswered", (f"the answer cannot be read: {str(error) or type(error).__name__}",)
    if found := differences(request.answer, got, status_only=status_only):
        return "different", found
    return "alike", ()


async def _answer(
    session: aiohttp.ClientSession, base: str, request: RecordedRequest, secrets: Mapping[str, str]
) -> RecordedAnswer:
    """Send a request; return the answer, with placeholders where credentials are."""
    target, headers, body = with_credentials(request, secrets)
    async with session.request(
        request.method,
        URL(base + target, encoded=True),
        headers=CIMultiDict(headers),
        data=io.BytesIO(body) if len(body) > _LARGE_BODY else body or None,
        allow_redirects=False,
    ) as response:
        answer = answer_of(target, response.status, list(response.headers.items()), await response.read())
    text = Secrets.of(secrets).hidden(answer.text or "")
    return RecordedAnswer(answer.status, answer.content_type, text)


def with_credentials(request: RecordedRequest, secrets: Mapping[str, str]) -> tuple[str, list[tuple[str, str]], bytes]:
    """Return target, headers and body of a request with credentials for placeholders, written as each place needs it.

    Raises InvalidValue for one that is not in ``secrets``.
    """
    target = filled(request.target, secrets, lambda secret: quote(secret, safe=""))
    headers = [(name, _header(name, value, secrets)) for name, value in request.headers]
    body = request.body_text
    if body.kind == "json":
        text = filled(body.text, secrets, lambda secret: json.dumps(secret)[1:-1])
    elif body.kind == "form":
        text = filled(body.text, secrets, lambda secret: quote(secret, safe=""))
    elif body.encoding == "latin-1":  # it is bytes of any encoding, and the server reads UTF-8 where it can
        text = filled(body.text, secrets, lambda secret: secret.encode("utf-8", "replace").decode("latin-1"))
    else:
        text = filled(body.text, secrets)
    return target, headers, text.encode(body.encoding)


def _header(name: str, value: str, secrets: Mapping[str, str]) -> str:
    scheme, rest = [*value.split(maxsplit=1), "", ""][:2]
    is_decoded = ":" in rest or "{{" in rest
    if name.lower() != "authorization" or scheme.lower() != "basic" or not is_decoded or rest == UNREADABLE:
        return filled(value, secrets)
    return f"{scheme} {base64.b64encode(filled(rest, secrets).encode('utf-8', 'replace')).decode()}"


def _why_unreachable(error: aiohttp.ClientConnectorError) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"the certificate is not trusted: {error.certificate_error}"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the name of the host cannot be found"
    cause = error.os_error
    if isinstance(cause, ConnectionRefusedError) or cause.errno == errno.ECONNREFUSED:
        return "connection refused"
    return cause.strerror or str(cause)
