"""The OpenAPI 3.1 description of the routes, made of what is said about each and of the schemas."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema, fields

from deployserver import __version__, parameters
from deployserver.description import double, others, pages, reading, recording
from deployserver.description.answers import (
    DifferenceSchema,
    HealthSchema,
    PeriodCountSchema,
    ProblemSchema,
    RecordSchema,
    ReplicationSchema,
    SuspectSchema,
)
from deployserver.description.introduction import INTRODUCTION, TAGS
from deployserver.description.operations import COMMON_ANSWERS, HEADERS, HTML, SECURITY, Answer, Operation
from deployserver.parameters import Choice, Choices, Dates, Flag, Names, Plain, Whole, Words
from deployserver.schemas import Date, HttpUrl, SubmissionSchema, Text

OPERATIONS: Mapping[tuple[str, str], Operation] = {
    **recording.OPERATIONS,
    **reading.OPERATIONS,
    **pages.OPERATIONS,
    **others.OPERATIONS,
    **double.OPERATIONS,
}

_SCHEMAS: Mapping[str, type[Schema]] = {  # those within others first
    "Record": RecordSchema,
    "Suspect": SuspectSchema,
    "Difference": DifferenceSchema,
    "PeriodCount": PeriodCountSchema,
    "Replication": ReplicationSchema,
    "Health": HealthSchema,
    "Problem": ProblemSchema,
}

JsonObject = dict[str, Any]


def describe(routes: Iterable[tuple[str, str]], server: str) -> JsonObject:
    """Return the description of ``routes``, as (method, path), on a server at a URL.

    Raises LookupError for a route about which nothing is said.
    """
    described = {route: _said_about(*route) for route in routes}
    has_double = any(operation.tag == double.TAG for operation in described.values())
    tags = {**TAGS, **double.TAGS} if has_double else TAGS
    plugin = MarshmallowPlugin()
    spec = APISpec(
        "deployserver",
        __version__,
        "3.1.0",
        [plugin],
        info={
            "summary": "Records which package version was deployed where, and answers what runs where",
            "description": INTRODUCTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        servers=[{"url": server, "description": "This server"}],
        tags=[{"name": name, "description": description} for name, description in tags.items()],
        externalDocs={
            "description": "ProGet's Package Deployment API",
            "url": "https://docs.inedo.com/docs/proget/packages/package-deployment",
        },
    )
    assert plugin.converter is not None
    plugin.converter.add_attribute_function(_our_own)  # type: ignore[no-untyped-call]  # has no annotations
    for name, schema in _SCHEMAS.items():
        spec.components.schema(name, schema=schema)
    spec.components.schema("Submission", _submission(plugin, "API_Key"))
    spec.components.schema("SubmissionForm", _submission(plugin, "key"))
    for name, described_schema in double.SCHEMAS.items() if has_double else ():
        spec.components.schema(name, dict(described_schema))
    for name, scheme in SECURITY.items():
        spec.components.security_scheme(name, dict(scheme))
    for name, header in HEADERS.items():
        spec.components.header(name, dict(header))
    for name, answer in COMMON_ANSWERS.items():
        spec.components.response(name, _response(answer))
    for (method, path), operation in described.items():
        spec.path(path, operations={method.lower(): _operation(plugin, operation)})
    document: JsonObject = json.loads(json.dumps(spec.to_dict()))  # tuples are no arrays to those who check it
    return document


def _said_about(method: str, path: str) -> Operation:
    if (method, path) not in OPERATIONS:
        raise LookupError(f"{method} {path} is not described in deployserver/description")
    return OPERATIONS[method, path]


def _operation(plugin: MarshmallowPlugin, operation: Operation) -> JsonObject:
    answers = {400: "Malformed", 500: "Unexpected", **operation.answers}
    described: JsonObject = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.description,
        "parameters": sorted(
            [*_parameters(plugin, operation.query), *map(dict, operation.parameters)],
            key=lambda parameter: ("path", "query", "header").index(parameter["in"]),
        ),
        "responses": {
            str(status): answer if isinstance(answer, str) else _response(answer)
            for status, answer in sorted((_paged(answers) if operation.page else answers).items())
        },
        # Without any of them the caller is Anonymous, who may be let in too.
        "security": [{name: []} for name in operation.security] + ([{}] if operation.security else []),
    }
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": {**operation.body}}
    return described


def _paged(answers: Mapping[int, Answer | str]) -> Mapping[int, Answer | str]:
    """Return answers that may be pages where they hold anything."""
    said = {status: COMMON_ANSWERS[one] if isinstance(one, str) else one for status, one in answers.items()}
    return {
        status: answer._replace(content={**HTML, **answer.content}) if answer.content else answer
        for status, answer in said.items()
    }


def _response(answer: Answer) -> JsonObject:
    response: JsonObject = {
        "description": answer.description,
        "headers": {name: name for name in ("X-Request-Id", *answer.headers)},
    }
    if answer.content:
        response["content"] = {media_type: dict(content) for media_type, content in answer.content.items()}
    return response


def _parameters(plugin: MarshmallowPlugin, query: type[Schema] | None) -> list[JsonObject]:
    """Return the parameters of a query. Names match in any letter case, which OpenAPI has no word for."""
    assert plugin.converter is not None
    if query is None:
        return []
    found: list[JsonObject] = plugin.converter.schema2parameters(query, location="query")
    for parameter in found:
        parameter["required"] = bool(parameter["schema"].get("minItems"))
    return found


def _submission(plugin: MarshmallowPlugin, key: str) -> JsonObject:
    """Return the schema of what is sent, with the name by which a key may be in it; a form has only texts."""
    assert plugin.converter is not None
    schema: JsonObject = plugin.converter.schema2jsonschema(SubmissionSchema)  # type: ignore[no-untyped-call]  # nor has this
    properties = {**schema["properties"], key: {"type": "string", "description": "the API key, if it is nowhere else"}}
    if key == "API_Key":
        properties[key]["type"] = ["string", "number", "null"]
        for name, field in SubmissionSchema().fields.items():
            property_ = properties[str(field.data_key or name)]
            property_["type"] = _json_types(field)
    return {**schema, "properties": properties}


def _json_types(field: fields.Field[Any]) -> list[str]:
    """Return what a property may be: a number becomes the text it was written as, and null is as good as absent."""
    if isinstance(field, Date):
        return ["string", "object", "null"]  # Windows PowerShell makes an object of Get-Date
    if isinstance(field, HttpUrl):
        return ["string", "null"]
    return ["string", "number"] if field.required else ["string", "number", "null"]


def _our_own(_: Any, field: fields.Field[Any], ret: JsonObject, **__: Any) -> JsonObject:
    """Return what apispec cannot know about our own kinds of fields, and take back what it takes them for.

    A parameter that is absent is loaded as None or as nothing, but nobody can send null, and it is no default.
    """
    kind = next((kind for kind in _TYPES if isinstance(field, kind)), None)
    if kind is None:
        return {}
    if ret.get("default") in (None, []):
        ret.pop("default", None)
    for name in ("examples", "minItems"):
        if not ret.get(name):
            ret.pop(name, None)
    found: JsonObject = {"type": _TYPES[kind]}
    if isinstance(field, Dates):
        ret["items"].pop("maxLength")
    elif isinstance(field, Choices):
        found["items"] = {"type": "string", "enum": list(field.choice.known)}
    elif isinstance(field, Choice):
        found["enum"] = list(field.known)
    elif isinstance(field, Text):
        found |= {"maxLength": field.length} | ({"minLength": 1} if field.required else {})
    elif isinstance(field, Words | Plain):
        found["maxLength"] = field.length
    return found


_TYPES: Mapping[type[fields.Field[Any]], str] = {
    Names: "array",
    Whole: "integer",
    Flag: "boolean",
    Choice: "string",
    Words: "string",
    Plain: "string",
    Text: "string",
    parameters.Date: "string",
}
