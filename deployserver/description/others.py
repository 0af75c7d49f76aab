"""What is said about the routes that are neither about deployments nor pages: health, the description, files."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from deployserver.description.answers import HealthSchema
from deployserver.description.operations import IF_NONE_MATCH, Answer, Operation, problem

_HEALTH: dict[str, Any] = {
    "applicationName": "deployserver",
    "databaseStatus": "OK",
    "databaseStatusDetails": None,
    "versionNumber": "0.1.0",
    "releaseNumber": "0.1.0",
    "licenseStatus": "OK",
    "licenseStatusDetail": None,
    "serviceStatus": "OK",
    "serviceStatusDetail": None,
    "replicationStatus": {
        "serverStatus": None,
        "serverError": None,
        "clientStatus": None,
        "clientError": None,
        "incoming": [],
        "outgoing": [],
    },
    "extensionsInstalled": {},
}


def _health_content(word: str, **changes: str) -> dict[str, Any]:
    return {
        "application/json": {"schema": HealthSchema, "example": {**_HEALTH, **changes}},
        "text/plain": {"schema": {"type": "string"}, "example": f"{word}\n"},
    }


def _health(id: str) -> Operation:
    unwell = _health_content("Error", databaseStatus="Error", databaseStatusDetails="The database cannot be written.")
    unwell["application/problem+json"] = problem("", "Internal error", 500, "").content["application/problem+json"]
    return Operation(
        id=id,
        tag="Health",
        summary="Whether the server can do its job",
        description=(
            "As ProGet's health API says it. After a failed write the database counts as well again when a write has "
            "succeeded."
        ),
        parameters=(
            {
                "name": "format",
                "in": "query",
                "description": "`text` for just the word, `OK` or `Error`",
                "schema": {"type": "string", "examples": ["text"]},
            },
        ),
        answers={
            200: Answer("Every status is `OK`.", _health_content("OK")),
            500: Answer("A status is `Error`.", unwell),
        },
    )


def _file(id: str, summary: str, example: str) -> Operation:
    return Operation(
        id=id,
        tag="Pages",
        summary=summary,
        description="Kept for good under the address that names its content (`?v=`), else asked for again.",
        parameters=(
            {
                "name": "name",
                "in": "path",
                "required": True,
                "description": "the file's name",
                "schema": {"type": "string", "examples": [example]},
            },
            {
                "name": "v",
                "in": "query",
                "description": "the beginning of the hash of its content",
                "schema": {"type": "string"},
            },
            IF_NONE_MATCH,
        ),
        answers={
            200: Answer(
                "The file.",
                {
                    media_type: {"schema": {"type": "string"}}
                    for media_type in ("text/javascript", "text/css", "image/svg+xml")
                },
                ("ETag", "Cache-Control"),
            ),
            304: "NotModified",
            404: "NothingThere",
        },
    )


OPERATIONS = MappingProxyType(
    {
        ("GET", "/health"): _health("getHealth"),
        ("GET", "/health/json"): _health("getHealthJson"),
        ("GET", "/health/live"): Operation(
            id="getLiveness",
            tag="Health",
            summary="Whether the process is alive",
            description="Does not ask the database.",
            answers={200: Answer("It is.", {"text/plain": {"schema": {"type": "string"}, "example": "OK\n"}})},
        ),
        ("GET", "/api/openapi.json"): Operation(
            id="getDescription",
            tag="Documentation",
            summary="This description",
            description="OpenAPI 3.1. `servers` names the address by which the client reached the server.",
            parameters=(IF_NONE_MATCH,),
            answers={
                200: Answer(
                    "The description.", {"application/json": {"schema": {"type": "object"}}}, ("ETag", "Cache-Control")
                ),
                304: "NotModified",
            },
        ),
        ("GET", "/api/docs/{name}"): _file(
            "getDocumentationFile", "A file of that page's scripts and styles", "swagger_style.css"
        ),
        ("GET", "/static/{name}"): _file(
            "getStaticFile", "A file of the pages' scripts, styles and pictures", "style.css"
        ),
    }
)
