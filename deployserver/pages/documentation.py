"""``GET /api/docs``: the API's description, to read, and with scripts to try out in Swagger UI."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from aiohttp import web

from deployserver.api import keys
from deployserver.api.openapi import DESCRIPTION
from deployserver.pages.assets import Assets, asset_response
from deployserver.pages.links import Links
from deployserver.pages.rendering import render

_SWAGGER_UI = MappingProxyType(
    {
        "swagger_bundle.js": "text/javascript; charset=utf-8",
        "swagger_style.css": "text/css; charset=utf-8",
    }
)
"""The files of the package offapi that are needed here."""


Prose = list[list[tuple[str, str]]]
"""Paragraphs, each as pieces of text and the element that a piece is in, if any."""


class Parameter(NamedTuple):
    """One row of the table of what a route takes."""

    name: str
    place: str
    kind: str
    required: bool
    description: Prose


class Operation(NamedTuple):
    """A route, as it is read."""

    id: str
    method: str
    path: str
    summary: str
    description: Prose
    parameters: list[Parameter]
    bodies: list[str]
    answers: list[tuple[str, Prose, list[str]]]


def swagger_ui() -> Assets:
    """Return the files of Swagger UI. The package that has them reads all it holds when it is imported: it is not."""
    spec = find_spec("offapi")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Assets("/api/docs", Path(spec.submodule_search_locations[0]), _SWAGGER_UI)


SWAGGER_UI = web.AppKey("swagger_ui", Assets)


async def documentation(request: web.Request) -> web.Response:
    """Show the API's description."""
    document = await request.app[DESCRIPTION].document()
    base_path = request.app[keys.SETTINGS].server.base_path
    return render(
        request,
        "documentation.html",
        introduction=prose(document["info"]["description"]),
        tags=document["tags"],
        operations={tag["name"]: list(_operations(document, tag["name"])) for tag in document["tags"]},
        schemes=[(name, prose(scheme["description"])) for name, scheme in _schemes(document)],
        swagger_asset=lambda name: request.app[SWAGGER_UI].url(Links(base_path), name),
    )


async def documentation_asset(request: web.Request) -> web.Response:
    """Answer ``GET /api/docs/{name}``."""
    return asset_response(request, request.app[SWAGGER_UI])


def prose(text: str) -> Prose:
    """Return a text of the description, where backticks are around code and two stars around what is strong."""
    return [
        [
            ("code", piece.strip("`"))
            if piece[0] == "`"
            else ("strong", piece.strip("*"))
            if piece[:2] == "**"
            else ("", piece)
            for piece in re.split(r"(`[^`]+`|\*\*[^*]+\*\*)", paragraph)
            if piece
        ]
        for paragraph in text.strip().split("\n\n")
    ]


def _schemes(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for scheme in document["components"]["securitySchemes"].values():
        yield scheme.get("name", "Authorization: Basic"), scheme


def _operations(document: Mapping[str, Any], tag: str) -> Iterator[Operation]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if tag in operation["tags"]:
                yield _operation(document, method, path, operation)


def _operation(document: Mapping[str, Any], method: str, path: str, operation: Mapping[str, Any]) -> Operation:
    answers = []
    for status, answer in operation["responses"].items():
        if reference := answer.get("$ref"):
            answer = document["components"]["responses"][reference.rpartition("/")[2]]
        answers.append((status, prose(answer["description"]), list(answer.get("content", ()))))
    return Operation(
        operation["operationId"],
        method.upper(),
        path,
        operation["summary"],
        prose(operation["description"]),
        [*map(_parameter, operation["parameters"]), *_properties(document, operation)],
        list(operation.get("requestBody", {}).get("content", ())),
        answers,
    )


def _parameter(parameter: Mapping[str, Any]) -> Parameter:
    return Parameter(
        parameter["name"],
        parameter["in"],
        _kind(parameter["schema"]),
        parameter.get("required", False),
        prose(parameter["description"]),
    )


def _properties(document: Mapping[str, Any], operation: Mapping[str, Any]) -> Iterator[Parameter]:
    """Yield what a form has, which JSON has as well."""
    content = operation.get("requestBody", {}).get("content", {})
    schema: Mapping[str, Any] = next((media_type["schema"] for media_type in content.values()), {})
    if reference := schema.get("$ref"):
        schema = document["components"]["schemas"][reference.rpartition("/")[2]]
    for name, field in schema.get("properties", {}).items():
        yield Parameter(
            name, "body", _kind(field), name in schema.get("required", ()), prose(field.get("description", ""))
        )


def _kind(schema: Mapping[str, Any]) -> str:
    """Return what a value may be, in a few words; null is as good as absent, and not among them."""
    kinds = schema.get("type", "anything")
    if "anyOf" in schema or isinstance(kinds, list):
        choices = schema.get("anyOf") or [{**schema, "type": kind} for kind in kinds]
        return " | ".join(dict.fromkeys(_kind(choice) for choice in choices if choice.get("type") != "null"))
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if kinds == "array":
        most = f"; up to {schema['maxItems']} times" if "maxItems" in schema else ""
        return f"{_kind(schema['items'])}{most}" if most else f"list of {_kind(schema['items'])}"
    if "enum" in schema:
        return " | ".join(word for word in schema["enum"] if word is not None)
    if "maximum" in schema and kinds in ("integer", "number"):
        return f"number from {schema['minimum']} to {schema['maximum']}"
    if "maxLength" in schema and kinds == "string":
        return f"text, up to {schema['maxLength']:,} characters"
    return {"string": "text", "boolean": "true | false", "integer": "number"}.get(kinds, str(kinds))
