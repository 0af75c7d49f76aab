"""The description of the double's control API is whole and true; the service's own says nothing of it."""

from __future__ import annotations

import importlib.util
import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from conftest import KEY, PATH, RECORD
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from programs import schemathesis
from test_openapi import examples

from deployserver.app import ROUTES
from deployserver.description import double
from deployserver.description.document import describe
from deployserver.double.control import ROUTES as CONTROL
from deployserver.double.expectations.expectation import Criteria
from deployserver.double.faults.schema import FAULT_FIELDS, SHOWN
from deployserver.double.state.schemas import WorldStateSchema
from deployserver.testing import DeployServer

SERVER = "http://127.0.0.1:8624"
DOCUMENT = describe([(route.method, route.path) for route in (*CONTROL, *ROUTES)], SERVER)
SCHEMAS = DOCUMENT["components"]["schemas"]

routes = pytest.mark.parametrize("route", CONTROL, ids=lambda route: f"{route.method} {route.path}")


@pytest.fixture
def server() -> Iterator[DeployServer]:
    with DeployServer() as server:
        yield server


def described(method: str, path: str) -> Any:
    return DOCUMENT["paths"][path][method.lower()]


def ask(server: DeployServer, method: str, path: str, document: Any = None, **headers: str) -> tuple[int, str]:
    """Return the status and the text of the answer."""
    body = None if document is None else json.dumps(document).encode()
    request = urllib.request.Request(server.url + path, body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def check(schema: Any, value: Any) -> None:
    OAS31Validator({**schema, "components": DOCUMENT["components"]}).validate(value)


def answered(method: str, path: str, status: int) -> Any:
    """Return what is said of the JSON of an answer."""
    return described(method, path)["responses"][str(status)]["content"]["application/json"]


def test_the_description_is_valid() -> None:
    assert [str(error) for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


@routes
def test_every_control_route_is_described_in_words(route: Any) -> None:
    operation = described(route.method, route.path)
    assert operation["tags"] == ["Test double"]
    assert operation["summary"] and operation["description"] and operation["operationId"]
    assert operation["security"] == []
    assert re.findall(r"{(\w+)}", route.path) == [
        one["name"] for one in operation["parameters"] if one["in"] == "path" and one["description"]
    ]
    assert set(operation["responses"]) >= {"400", "500", "503"}
    assert ("413" in operation["responses"]) == ("requestBody" in operation)


def test_nothing_is_said_about_control_routes_that_are_not_there() -> None:
    assert set(double.OPERATIONS) == {(route.method, route.path) for route in CONTROL}


def test_every_field_of_the_documents_is_described() -> None:
    assert set(SCHEMAS["Fault"]["properties"]) == {*FAULT_FIELDS, *SHOWN} == set(SCHEMAS["ActiveFault"]["properties"])
    assert set(SCHEMAS["Expectation"]["properties"]) == {*Criteria.__annotations__, "times"}
    assert set(SCHEMAS["State"]["properties"]) == set(WorldStateSchema().fields)
    for name in double.SCHEMAS:
        if name == "Verified":
            continue
        for field, schema in SCHEMAS[name]["properties"].items():
            assert schema.get("description") or "$ref" in schema, f"{name}.{field}"


def test_every_example_is_one() -> None:
    found = [pair for path in DOCUMENT["paths"] if "__double__" in path for pair in examples(DOCUMENT["paths"][path])]
    found += [pair for name in double.SCHEMAS for pair in examples(SCHEMAS[name])]
    assert len(found) > 60
    for schema, example in found:
        check(schema, example)


def test_the_service_itself_says_nothing_of_it() -> None:
    service = describe([(route.method, route.path) for route in ROUTES], SERVER)
    assert "__double__" not in json.dumps(service)
    assert not set(double.SCHEMAS) & set(service["components"]["schemas"])
    assert "Test double" not in [tag["name"] for tag in service["tags"]]
    rest = json.loads(json.dumps(DOCUMENT))
    rest["tags"] = [tag for tag in rest["tags"] if tag["name"] != "Test double"]
    rest["paths"] = {path: item for path, item in rest["paths"].items() if "__double__" not in path}
    for name in double.SCHEMAS:
        del rest["components"]["schemas"][name]
    assert rest == service


def test_the_double_shows_it_also_in_a_namespace(server: DeployServer) -> None:
    for base in ("", "/ns/feature-7"):
        status, text = ask(server, "GET", f"{base}/api/openapi.json")
        assert status == 200
        assert json.loads(text) == {**DOCUMENT, "servers": [{"url": server.url + base, "description": "This server"}]}
        status, page = ask(server, "GET", f"{base}/api/docs")
        assert status == 200
        for route in CONTROL:
            operation = described(route.method, route.path)
            section = page.partition(f'id="{operation["operationId"]}"')[2].partition("</details>")[0]
            assert f"<code>{route.path}</code>" in section
            for name in operation["responses"]:
                assert f'<th scope="row">{name}</th>' in section
        assert "answer | reset | close | hang" in page
        assert "{&#39;" not in page and "None" not in page.replace("If-None-Match", "")


@pytest.mark.parametrize(
    ("method", "path"),
    [key for key, operation in double.OPERATIONS.items() if operation.body is not None],
)
def test_what_the_examples_send_is_answered_as_the_examples_say(server: DeployServer, method: str, path: str) -> None:
    if path.endswith("verify"):
        server.load({"feeds": ["DefaultNuGet"], "deployments": [RECORD]})
    example = described(method, path)["requestBody"]["content"]["application/json"]["example"]
    status, text = ask(server, method, path, example)
    assert status in (200, 201), text
    said = answered(method, path, status)
    check(said["schema"], json.loads(text))
    assert shape(json.loads(text)) == shape(said["example"])


def shape(value: Any) -> Any:
    """Return the names in a document, without its values and what is another one each time."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items() if name not in _OTHERS}
    return [shape(value[0])] if isinstance(value, list) and value and isinstance(value[0], dict) else None


_OTHERS = ("users", "privileges", "fields", "bodyJson", "fault")


def test_what_is_asked_is_answered_as_the_examples_say(server: DeployServer) -> None:
    server.add_feed("DefaultNuGet")
    server.add_key(feed="DefaultNuGet", name="ci", value=KEY)
    server.add_fault("answer", path=PATH, package="Newtonsoft.*", first=2, status=503)
    server.clock.freeze("2021-04-13T10:00:00Z")
    without_version = {name: value for name, value in RECORD.items() if name != "Version"}
    for record in (RECORD, RECORD, without_version, RECORD):
        ask(server, "POST", PATH, record, **{"X-ApiKey": KEY, "Content-Type": "application/json"})
    for path in ("", "/state", "/faults", "/clock", "/recording", "/requests"):
        path = f"/__double__{path}"
        status, text = ask(server, "GET", path)
        said = answered("GET", path, status)
        check(said["schema"], json.loads(text))
        assert shape(json.loads(text)) == shape(said["example"])
    requests = json.loads(text)
    assert [request["answer"]["status"] for request in requests] == [503, 503, 400, 200]
    assert [request["deploymentId"] for request in requests] == [None, None, None, 1]
    status, text = ask(server, "DELETE", "/__double__/faults/1")
    said = answered("DELETE", "/__double__/faults/{id}", status)
    check(said["schema"], json.loads(text))
    assert json.loads(text)["hits"] == 2
    ask(server, "GET", "/ns/feature-7/health")
    assert json.loads(ask(server, "GET", "/__double__")[1])["namespaces"] == ["feature-7"]
    for path in ("/requests", "/faults", "/clock", "/namespaces/feature-7"):
        assert ask(server, "DELETE", f"/__double__{path}") == (204, "")
    assert ask(server, "POST", "/__double__/reset") == (204, "")
    for path in ("/faults/1", "/namespaces/feature-7"):
        assert ask(server, "DELETE", f"/__double__{path}")[0] == 404


@pytest.mark.parametrize("accept", ["text/plain", "application/json"])
def test_what_is_not_so_is_answered_as_the_description_says(server: DeployServer, accept: str) -> None:
    status, text = ask(server, "POST", "/__double__/verify", {"deployed": {"package": "Nothing"}}, Accept=accept)
    assert status == 409
    if accept == "application/json":
        check({"$ref": "#/components/schemas/Problem"}, json.loads(text))
        text = json.loads(text)["detail"]
    assert text.startswith("No deployment was recorded with package Nothing.\n")


@pytest.mark.skipif(
    importlib.util.find_spec("schemathesis") is None, reason="needs schemathesis: the extra test has it"
)
async def test_made_up_requests_to_the_control_api_are_answered_as_described(tmp_path: Path) -> None:
    """Valid and invalid requests by the hundred, made of the description; none of them is answered with 500."""
    with DeployServer() as server:
        # Not in sequences: that a fault is gone because the world was reset would count as an error.
        phases = ("--phases", "examples,coverage,fuzzing")
        only = ("--include-path-regex", "^/__double__")
        await schemathesis(server.url, tmp_path, *only, *phases, "--max-examples", "2")
