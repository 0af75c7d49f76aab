"""The exact bytes that real clients sent, replayed over a socket."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Service

REQUESTS = sorted((Path(__file__).parent / "requests").glob("*.http"))

FAILING = {
    "curl-X-POST-no-body": (400, "Version is required."),
    "curl-data-binary-bom-file": (400, "Version is required."),
    "go-postform": (403, "An API key is needed"),
}
DESCRIPTIONS = {
    "ansible-uri-json": "Zürich & Custom Release Server (50%)",
    "apache-hc4-urlencodedform-default": "Zürich & Custom Release Server",
    "curl-chunked": "Zürich Release Server",
    "curl-data-urlencode": "Zürich & Deployed by Custom Release Server",
    "curl-json": "Zürich Release Server",
    "dotnet9-json-api_key-property": "x",
    "dotnet9-postasjsonasync": "Züri & Deployed by 'Custom' Release Server",
    "dotnet9-progetautomation-form": "Zürich – Deployed by 'Custom' (50%) & more",
    "dotnet9-ps51json-date-ms": "x & y",
    "dotnet9-ps7-form-multipart": "Züri Deployed by Custom Release Server",
    "dotnet9-ps7-hashtable": "Züri – Deployed by Custom Release Server (50% & more)",
    "dotnet9-ps7json-date-local-offset": "x",
    "java-httpclient-form": "Zürich & Custom Release Server (50%)",
    "mono-ps51_dict": "Züri – Deployed by Custom Release Server (50% & more)",
    "mono-ps51_latin1": "Deployed by Züri Release Server",
    "node-fetch-urlsearchparams": "Zürich & Custom Release Server (50%) it's *",
    "py-requests-data-str-no-ct": "Deployed by Custom",
    "py-requests-json-none": "Zürich & Custom Release Server (50%)",
}
DATES = {
    "ansible-uri-json": "2021-04-13T10:00:00Z",
    "curl-chunked": "2021-04-13T10:00:00Z",
    "curl-data-urlencode": "2021-04-13T10:00:00Z",
    "curl-json": "2021-04-13T10:00:00Z",
    "dotnet9-postasjsonasync": "2021-04-13T10:00:00.123456Z",
    "dotnet9-ps51json-date-ms": "2021-04-13T10:00:00Z",
    "dotnet9-ps7json-date-local-offset": "2021-04-13T10:00:00.123456Z",
}
VERSIONS = {
    "ansible-uri-json": "12.0",
    "py-requests-json-none": "12.0",
    "dotnet9-progetautomation-form": "12.0.3+build.5",
}


def split(answer: bytes) -> tuple[int, bytes, bytes]:
    """Return status, head and body of the last answer."""
    if answer.startswith(b"HTTP/1.1 100"):
        answer = answer.partition(b"\r\n\r\n")[2]
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), head, body


@pytest.mark.parametrize("file", REQUESTS, ids=lambda file: file.stem)
async def test_a_real_client_is_understood(service: Service, file: Path) -> None:
    """Every documented call, and every client we have bytes of, is recorded as it was meant or told what is missing."""
    request = file.read_bytes()
    status, head, body = split(await service.raw(request))
    if file.stem in FAILING:
        expected, message = FAILING[file.stem]
        assert (status, message in body.decode()) == (expected, True)
        assert b"text/plain; charset=utf-8" in head
        assert await service.rows() == []
        return
    assert status == 200, body
    record: dict[str, Any] = json.loads(body)
    assert record["Description"] == DESCRIPTIONS.get(file.stem, "Deployed by Custom Release Server")
    assert record["Version"] == VERSIONS.get(file.stem, "12.0.3")
    assert record["Date"] == DATES.get(file.stem, record["RecordedAt"])
    assert record["GroupName"] == ("@acme/tools" if "progetautomation" in file.stem else None)
    assert record["UserName"] == "ci"
    assert record["RecordedBy"] == "API key 1 (ci)"
    (row,) = await service.rows()
    assert (row["id"], row["description"]) == (record["Id"], record["Description"])


def test_there_are_requests_to_replay() -> None:
    """A moved folder must not make the tests above vanish."""
    assert len(REQUESTS) >= 32
