"""A received request as the control API shows it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from deployserver.dates import format_date
from deployserver.double.journal import Answer, ReceivedRequest


def request_json(received: ReceivedRequest) -> dict[str, Any]:
    """Return a request as a JSON object; bytes are shown as text where they are UTF-8, and always in base 64."""
    return {
        "number": received.number,
        "receivedAt": format_date(received.received_at),
        "method": received.method,
        "target": received.target,
        "path": received.path,
        "query": [list(pair) for pair in received.query],
        "headers": [list(pair) for pair in received.headers],
        **_body(received.body),
        "fields": dict(received.fields),
        "caller": received.caller,
        "address": received.address,
        "answer": None if received.answer is None else _answer(received.answer),
        "deploymentId": received.deployment_id,
        "refusal": received.refusal,
        "fault": received.fault,
    }


def _answer(answer: Answer) -> Mapping[str, Any]:
    return {
        "status": answer.status,
        "headers": [list(pair) for pair in answer.headers],
        **_body(answer.body),
    }


def _body(body: bytes | None) -> dict[str, str | None]:
    if body is None:
        return {"body": None, "bodyBase64": None}
    try:
        text: str | None = body.decode()
    except UnicodeDecodeError:
        text = None
    return {"body": text, "bodyBase64": base64.b64encode(body).decode()}
