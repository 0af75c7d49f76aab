"""The description of the API is whole, true and well formed, and people can read it."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import FEED, KEY, RECORD, Service, StartService
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from processes import Installation
from programs import schemathesis

from deployserver import health
from deployserver.api import tables
from deployserver.app import ROUTES
from deployserver.description import answers, double
from deployserver.description.document import OPERATIONS, describe
from deployserver.schemas import PROPERTIES

SERVER = "http://127.0.0.1:8624"
SERVICE = {key: said for key, said in OPERATIONS.items() if key not in double.OPERATIONS}
DOCUMENT = describe([(route.method, route.path) for route in ROUTES], SERVER)

READING = {200, 304, 400, 403, 406, 429, 500, 503}
STATUSES = {
    ("POST", "/api/package-deployment/"): {200, 400, 403, 404, 405, 413, 429, 500, 503},
    ("GET", "/api/deployments"): READING,
    ("GET", "/api/deployments/current"): READING,
    ("GET", "/api/deployments/compare"): READING,
    ("GET", "/api/deployments/affected"): READING,
    ("GET", "/api/deployments/frequency"): READING,
    ("GET", "/api/deployments/events"): {200, 400, 403, 429, 500, 503},
    ("GET", "/api/deployments/{id}"): {200, 304, 400, 403, 404, 429, 500, 503},
    ("GET", "/health"): {200, 400, 500},
    ("GET", "/"): {200, 303, 400, 403, 429, 500, 503},
    ("GET", "/deployments"): {200, 303, 400, 403, 429, 500, 503},
    ("GET", "/deployments/{id}"): {200, 303, 400, 403, 404, 429, 500, 503},
    ("GET", "/search"): {200, 303, 400, 403, 429, 500, 503},
    ("GET", "/sign-in"): {200, 400, 500},
    ("POST", "/sign-in"): {200, 303, 400, 403, 413, 429, 500, 503},
    ("POST", "/sign-out"): {200, 303, 400, 403, 413, 500, 503},
}
PROBLEM_TYPES = {"text/plain", "application/problem+json"}

routes = pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")


def described(method: str, path: str) -> Any:
    return DOCUMENT["paths"][path][method.lower()]


def resolved(answer: Any) -> Any:
    return DOCUMENT["components"]["responses"][answer["$ref"].rpartition("/")[2]] if "$ref" in answer else answer


def test_the_description_is_valid() -> None:
    assert [str(error) for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


@routes
def test_every_route_is_described_in_words(route: Any) -> None:
    operation = described(route.method, route.path)
    assert operation["summary"] and operation["description"] and operation["operationId"]
    assert operation["tags"][0] in [tag["name"] for tag in DOCUMENT["tags"]]
    for answer in operation["responses"].values():
        assert resolved(answer)["description"]
    for parameter in operation["parameters"]:
        assert parameter["description"] and parameter["schema"]["type"]
    in_path = [parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"]
    assert in_path == re.findall(r"{(\w+)}", route.path)


@pytest.mark.parametrize("key", [key for key, said in SERVICE.items() if said.query is not None])
def test_every_parameter_of_a_question_is_described(key: tuple[str, str]) -> None:
    query = OPERATIONS[key].query
    assert query is not None
    parameters = [one["name"] for one in described(*key)["parameters"] if one["in"] == "query"]
    assert parameters == list(query().fields)


@pytest.mark.parametrize("key", STATUSES)
def test_every_status_is_described(key: tuple[str, str]) -> None:
    operation = described(*key)
    assert set(map(int, operation["responses"])) == STATUSES[key]
    for status, answer in operation["responses"].items():
        content = set(resolved(answer).get("content", ()))
        if status in ("404", "406", "503") or (status == "500" and "health" not in key[1]):
            assert content == PROBLEM_TYPES | ({"text/html"} if OPERATIONS[key].page else set())
        if status in ("429", "503"):
            assert "Retry-After" in resolved(answer)["headers"]


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [operation["operationId"] for item in DOCUMENT["paths"].values() for operation in item.values()]
    assert len(names) == len(set(names)) == len(ROUTES)


def test_a_route_about_which_nothing_is_said_is_not_passed_over() -> None:
    with pytest.raises(LookupError, match="GET /api/new is not described"):
        describe([("GET", "/api/new")], SERVER)


def test_nothing_is_said_about_routes_that_are_not_there() -> None:
    assert set(SERVICE) == {(route.method, route.path) for route in ROUTES}


def examples(part: Any) -> Iterator[tuple[Any, Any]]:
    """Yield schemas and examples of them."""
    if isinstance(part, dict):
        if "schema" in part and "example" in part:
            yield part["schema"], part["example"]
        if isinstance(part.get("examples"), list) and "type" in part:
            yield from ((part, example) for example in part["examples"])
        for inner in part.values():
            yield from examples(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from examples(inner)


def test_every_example_is_one() -> None:
    found = list(examples(DOCUMENT))
    assert len(found) > 100
    for schema, example in found:
        OAS31Validator({**schema, "components": DOCUMENT["components"]}).validate(example)


def test_the_schemas_are_those_of_what_is_written() -> None:
    for schema, columns in (
        (answers.RecordSchema, tables.DEPLOYMENTS.columns),
        (answers.SuspectSchema, tables.SUSPECTS.columns),
        (answers.PeriodCountSchema, tables.PERIOD_COUNTS.columns),
    ):
        assert set(schema().fields) == set(columns)
    schemas = DOCUMENT["components"]["schemas"]
    assert set(schemas["Submission"]["properties"]) == {*PROPERTIES, "API_Key"}
    assert set(schemas["SubmissionForm"]["properties"]) == {*PROPERTIES, "key"}


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        ("/api/deployments", "Record"),
        ("/api/deployments/current", "Record"),
        ("/api/deployments/compare?target=localhost&target=web01", "Difference"),
        ("/api/deployments/affected?package=Newtonsoft.Json&range=*", "Suspect"),
        ("/api/deployments/frequency", "PeriodCount"),
        ("/api/deployments/1", "Record"),
        ("/health", "Health"),
    ],
)
async def test_answers_have_what_the_description_says_and_no_more(service: Service, path: str, schema: str) -> None:
    await service.post(RECORD)
    answer = await service.request("GET", path, headers={"X-ApiKey": KEY})
    assert answer.status == 200, answer.text
    items = answer.json if isinstance(answer.json, list) else [answer.json]
    assert items
    for item in items:
        reference = {"$ref": f"#/components/schemas/{schema}", "components": DOCUMENT["components"]}
        OAS31Validator(reference).validate(item)
        assert set(item) == set(DOCUMENT["components"]["schemas"][schema]["properties"])


def test_health_is_that_of_proget() -> None:
    assert {health.OK, health.ERROR} == set(
        DOCUMENT["components"]["schemas"]["Health"]["properties"]["databaseStatus"]["enum"]
    )


async def test_events_are_what_the_description_says(service: Service) -> None:
    async with service.session.get(
        f"{service.url}/api/deployments/events", headers={"X-ApiKey": KEY, "Accept": "text/event-stream"}
    ) as stream:
        assert stream.status == 200
        assert stream.content_type in described("GET", "/api/deployments/events")["responses"]["200"]["content"]
        recorded = (await service.post(RECORD)).text
        text = await asyncio.wait_for(stream.content.readuntil(b"}\n\n"), 10)
    assert text.decode().endswith(f"\n\nid: 1\nevent: deployment\ndata: {recorded}\n\n")


async def test_everybody_gets_the_description_of_the_server_they_reached(start: StartService) -> None:
    service = await start(server_base_path="/proget", server_trusted_proxies="127.0.0.1")
    answer = await service.request("GET", "/proget/api/openapi.json", headers={"Accept": "text/html"})
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json; charset=utf-8")
    assert answer.json == {**DOCUMENT, "servers": [{"url": f"{service.url}/proget", "description": "This server"}]}
    forwarded = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "deploy.example"}
    behind = await service.request("GET", "/api/openapi.json", headers=forwarded)
    assert behind.json["servers"][0]["url"] == "https://deploy.example/proget"
    assert behind.headers["ETag"] != answer.headers["ETag"]


async def test_who_has_the_description_is_told_so(service: Service) -> None:
    tag = (await service.request("GET", "/api/openapi.json")).headers["ETag"]
    again = await service.request("GET", "/api/openapi.json", headers={"If-None-Match": tag})
    assert (again.status, again.body, again.headers["ETag"]) == (304, b"", tag)


def test_a_server_that_nobody_asks_does_not_load_what_describes_it() -> None:
    code = (
        "import sys; from deployserver.app import create_app; from deployserver import config;"
        "create_app(config.load(None, {}).settings);"
        "sys.exit(bool({'apispec', 'offapi', 'deployserver.description.document'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


async def test_the_page_lists_everything_without_scripts(service: Service) -> None:
    page = (await service.request("GET", "/api/docs")).text
    for route in ROUTES:
        operation = described(route.method, route.path)
        assert f'id="{operation["operationId"]}"' in page
        section = page.partition(f'id="{operation["operationId"]}"')[2].partition("</details>")[0]
        assert f"<code>{route.path}</code>" in section and operation["summary"].replace("'", "&#39;") in section
        names = {parameter["name"] for parameter in operation["parameters"]} | set(operation["responses"])
        assert {
            name for name in names if not re.search(rf'<th scope="row">(<code>)?{re.escape(name)}<', section)
        } == set()
    assert "Feeds_ViewFeed</code>" in page and "None" not in page.replace("If-None-Match", "")


async def test_the_page_keeps_to_the_policy_of_the_pages(service: Service) -> None:
    """Nothing inline, nothing from elsewhere; every file that it names is there, and is kept for good."""
    answer = await service.request("GET", "/api/docs")
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    assert re.findall(r"<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]*\ssrc=)", answer.text) == []
    files = re.findall(r'(?:src|href)="(/(?:static|api/docs)/[^"]+)"', answer.text)
    assert len(files) == 7
    for file in files:
        answer = await service.request("GET", file)
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        known = await service.request("GET", file, headers={"If-None-Match": answer.headers["ETag"]})
        assert known.status == 304


@pytest.mark.parametrize("name", ["scalar.js", "__init__.py", "url.json", "swagger_preset.js", "..%2f__init__.py"])
async def test_no_other_file_of_the_package_is_served(service: Service, name: str) -> None:
    assert (await service.request("GET", f"/api/docs/{name}")).status == 404


async def test_the_page_knows_who_is_signed_in(service: Service) -> None:
    answer = await service.request("GET", "/api/docs", headers={"X-ApiKey": KEY})
    assert "Signed in as ci" in answer.text
    assert (await service.request("GET", "/api/docs", headers={"X-ApiKey": "wrong"})).status == 403


async def test_the_page_works_below_a_base_path(start: StartService) -> None:
    service = await start(server_base_path="/proget")
    page = (await service.request("GET", "/proget/api/docs")).text
    assert 'data-url="/proget/api/openapi.json" data-server="/proget/"' in page
    assert re.findall(r'(?:src|href|action)="/(?!proget/)', page) == []


@pytest.mark.skipif(
    importlib.util.find_spec("schemathesis") is None, reason="needs schemathesis: the extra test has it"
)
@pytest.mark.parametrize("key", [KEY, None], ids=["with-key", "without-key"])
async def test_made_up_requests_are_answered_as_described(tmp_path: Path, key: str | None) -> None:
    """Valid and invalid requests by the hundred, made of the description, against a real process.

    The events have no end, and a test of their own.
    """
    installation = Installation(tmp_path / "server")
    installation.prepare()
    server = await installation.serve()
    try:
        header = ("--header", f"X-ApiKey: {key}") if key is not None else ()
        await schemathesis(server.url, tmp_path, "--max-examples", "10", *header)
        assert server.unexpected() == []
    finally:
        await installation.close()


def test_the_feed_of_the_examples_is_that_of_the_tests() -> None:
    assert (
        described("POST", "/api/package-deployment/")["requestBody"]["content"]["application/json"]["example"] == RECORD
    )
    assert RECORD["FeedName"] == FEED
