"""The test double as real clients of all kinds see it: what they are answered, or how they say that it failed."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import requests
from conftest import KEY, PATH, RECORD

CURL, NODE = shutil.which("curl"), shutil.which("node")

needs_curl = pytest.mark.skipif(CURL is None, reason="curl is not installed")
needs_node = pytest.mark.skipif(NODE is None, reason="Node.js is not installed")

CLIENTS = (
    "requests",
    "httpx",
    pytest.param("curl", marks=needs_curl),
    pytest.param("fetch", marks=needs_node),
    pytest.param("node:http", marks=needs_node),
)

LONG = 30.0
"""Seconds that a client waits where the test is not about its patience."""

_FETCH = """
const [url, method, headers, body, seconds] = JSON.parse(process.argv[1]);
try {
  const signal = AbortSignal.timeout(seconds * 1000);
  const answer = await fetch(url, {method, headers, body: body ?? undefined, signal});
  console.log(JSON.stringify({status: answer.status, headers: [...answer.headers], text: await answer.text()}));
} catch (error) {
  console.log(JSON.stringify({failure: error.cause?.code ?? error.name}));
}
process.exit(0);
"""

_HTTP = """
import http from "node:http";
const [url, method, headers, body, seconds] = JSON.parse(process.argv[1]);
const say = (what) => { console.log(JSON.stringify(what)); process.exit(0); };
const request = http.request(url, {method, headers, timeout: seconds * 1000}, (answer) => {
  let text = "";
  answer.setEncoding("utf8");
  answer.on("data", (part) => { text += part; });
  answer.on("end", () => say({status: answer.statusCode, headers: Object.entries(answer.headers), text}));
  answer.on("error", (error) => say({failure: error.code}));
});
request.on("timeout", () => request.destroy(Object.assign(new Error(), {code: "timeout"})));
request.on("error", (error) => say({failure: error.code}));
request.end(body ?? undefined);
"""


@dataclass(frozen=True)
class Heard:
    """What a client got: an answer, or ``failure``, the name or number that the client has for what happened."""

    status: int = 0
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    failure: str = ""

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def ask(
    client: str,
    url: str,
    *,
    method: str = "GET",
    body: str | None = None,
    headers: Mapping[str, str] | None = None,
    seconds: float = LONG,
) -> Heard:
    """Let a client send a request, wait ``seconds`` at most, and tell what it heard."""
    asking = {
        "requests": _ask_requests,
        "httpx": _ask_httpx,
        "curl": _ask_curl,
        "fetch": _ask_node,
        "node:http": _ask_node,
    }
    return asking[client](client, url, method, body, dict(headers or {}), seconds)


def record(client: str, url: str, *, key: str | None = KEY, seconds: float = LONG, **properties: str) -> Heard:
    """Let a client record a deployment as JSON."""
    headers = {"Content-Type": "application/json"} | ({"X-ApiKey": key} if key else {})
    body = json.dumps(RECORD | properties)
    return ask(client, url + PATH, method="POST", body=body, headers=headers, seconds=seconds)


def _ask_requests(_: str, url: str, method: str, body: str | None, headers: dict[str, str], seconds: float) -> Heard:
    try:
        answer = requests.request(method, url, data=body, headers=headers, timeout=seconds)
    except requests.RequestException as error:
        return Heard(failure=type(error).__name__)
    return Heard(answer.status_code, answer.text, _lower(answer.headers.items()))


def _ask_httpx(_: str, url: str, method: str, body: str | None, headers: dict[str, str], seconds: float) -> Heard:
    try:
        answer = httpx.request(method, url, content=body, headers=headers, timeout=seconds)
    except httpx.HTTPError as error:
        return Heard(failure=type(error).__name__)
    return Heard(answer.status_code, answer.text, _lower(answer.headers.items()))


def _ask_curl(_: str, url: str, method: str, body: str | None, headers: dict[str, str], seconds: float) -> Heard:
    sent = [] if body is None else ["--data-binary", "@-"]
    given = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    done = curl("-i", "-m", str(seconds), "-X", method, *given, *sent, url, stdin=body)
    if done.returncode:
        return Heard(failure=str(done.returncode))
    head, _, text = done.stdout.partition("\r\n\r\n")
    if head.startswith("HTTP/1.1 100"):
        head, _, text = text.partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    return Heard(int(first.split()[1]), text, _lower(tuple(line.split(": ", 1)) for line in lines))


def _ask_node(client: str, url: str, method: str, body: str | None, headers: dict[str, str], seconds: float) -> Heard:
    said = node(_FETCH if client == "fetch" else _HTTP, json.dumps([url, method, headers, body, seconds]))
    if "failure" in said:
        return Heard(failure=str(said["failure"]))
    return Heard(said["status"], said["text"], _lower(said["headers"]))


def curl(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run curl, silent but for errors."""
    assert CURL is not None
    given = None if stdin is None else stdin.encode()
    done = subprocess.run([CURL, "-sS", *arguments], input=given, capture_output=True, timeout=LONG)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def node(module: str, *arguments: str) -> Any:
    """Run a JavaScript module, and return what it prints as JSON."""
    assert NODE is not None
    command = [NODE, "--no-warnings", "--input-type=module", "-e", module, *arguments]
    done = subprocess.run(command, capture_output=True, timeout=LONG, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _lower(headers: Any) -> dict[str, str]:
    return {str(name).lower(): str(value) for name, value in headers}
