"""Health as ProGet's own tools, load balancers and monitoring ask for it."""

from __future__ import annotations

import pytest
from conftest import RECORD, Service, StartService

from deployserver import __version__

WELL = {
    "applicationName": "deployserver",
    "databaseStatus": "OK",
    "databaseStatusDetails": None,
    "versionNumber": __version__,
    "releaseNumber": __version__,
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


@pytest.mark.parametrize("path", ["/health", "/health/", "/health/json", "/HEALTH", "/Health/JSON/", "/health?a=b"])
async def test_health_is_progets_own_object(service: Service, path: str) -> None:
    """ProGet's tools read these names, spelt so, and no others."""
    answer = await service.request("GET", path)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json; charset=utf-8")
    assert answer.json == WELL
    assert list(answer.json) == list(WELL)


@pytest.mark.parametrize("path", ["/health?format=text", "/health/json?format=TEXT", "/health?format=Text"])
async def test_health_can_be_one_word(service: Service, path: str) -> None:
    answer = await service.request("GET", path)
    assert (answer.status, answer.text) == (200, "OK\n")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("path", ["/health/live", "/health/live/", "/Health/Live"])
async def test_a_live_server_says_so(service: Service, path: str) -> None:
    answer = await service.request("GET", path)
    assert (answer.status, answer.text) == (200, "OK\n")


@pytest.mark.parametrize("path", ["/health", "/health/json", "/health/live"])
async def test_health_asks_for_no_credential_and_looks_at_none(start: StartService, path: str) -> None:
    """A load balancer has no key; one with a stale key must not lock its own address out."""
    service = await start(security_lockout_failures=1)
    for headers in ({}, {"X-ApiKey": "wrong"}, {"Authorization": "Bearer x"}):
        assert (await service.request("GET", path, headers=headers)).status == 200
    assert (await service.post(RECORD)).status == 200


@pytest.mark.parametrize("path", ["/health", "/health/json", "/health/live"])
async def test_head_answers_like_get_without_a_body(service: Service, path: str) -> None:
    answer = await service.request("HEAD", path)
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["Content-Length"]) == len((await service.request("GET", path)).body)


@pytest.mark.parametrize("path", ["/health", "/health/live"])
async def test_health_is_only_read(service: Service, path: str) -> None:
    answer = await service.request("POST", path)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET,HEAD")


@pytest.mark.parametrize("path", ["/health", "/proget/health", "/ProGet/Health/", "/proget/health/live"])
async def test_health_is_found_with_and_without_the_base_path(start: StartService, path: str) -> None:
    """The proxy asks with it, the probe inside the network without."""
    service = await start(server_base_path="/proget")
    assert (await service.request("GET", path)).status == 200


async def test_a_database_that_cannot_be_written_is_told_until_it_can(service: Service) -> None:
    """Monitoring must see what clients see, and all must be well again without a restart."""
    path = service.store.path
    away = path.with_suffix(".away")
    path.rename(away)
    assert (await service.post(RECORD)).status == 503
    answer = await service.request("GET", "/health")
    assert answer.status == 500
    assert answer.json == WELL | {
        "databaseStatus": "Error",
        "databaseStatusDetails": "The database cannot be written.",
    }
    answer = await service.request("GET", "/health?format=text")
    assert (answer.status, answer.text) == (500, "Error\n")
    assert (await service.request("GET", "/health/live")).status == 200
    away.rename(path)
    assert (await service.request("GET", "/health")).json == WELL
    assert (await service.post(RECORD)).status == 200
