"""Questions that nobody asks by accident, and what a browser asks by itself."""

from __future__ import annotations

import base64

import pytest
from conftest import KEY, RECORD, Service

pytestmark = pytest.mark.every_engine

READER = {"X-ApiKey": KEY}


def cursor(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


async def test_a_browsers_event_source_is_let_in(service: Service) -> None:
    """EventSource sends this Accept header, and no script can change it."""
    headers = {**READER, "Accept": "text/event-stream"}
    answer = await service.request("HEAD", "/api/deployments/events", headers=headers)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/event-stream; charset=utf-8")


async def test_an_id_with_more_digits_than_python_reads_is_not_found(service: Service) -> None:
    answer = await service.request("GET", f"/api/deployments/{'9' * 5000}", headers=READER)
    assert answer.status == 404


async def test_a_last_event_id_with_more_digits_than_python_reads_is_refused(service: Service) -> None:
    headers = {**READER, "Last-Event-ID": "9" * 5000}
    answer = await service.request("HEAD", "/api/deployments/events", headers=headers)
    assert answer.status == 400


@pytest.mark.parametrize(("key", "id_", "status"), [("", 1, 403), (KEY, 77, 404), (KEY, 1, 304)])
async def test_a_record_is_not_modified_only_for_who_may_see_it(
    service: Service, key: str, id_: int, status: int
) -> None:
    await service.post(RECORD)
    headers = {"X-ApiKey": key, "If-None-Match": "*"}
    answer = await service.request("GET", f"/api/deployments/{id_}", headers=headers)
    assert answer.status == status


@pytest.mark.parametrize(
    "path",
    [
        "/api/deployments?cursor=" + cursor("[" * 3000),
        "/api/deployments/current?cursor=" + cursor(r'["current","\ud800","x",3]'),
    ],
    ids=["nested", "surrogate"],
)
async def test_a_cursor_that_was_made_up_is_refused(service: Service, path: str) -> None:
    answer = await service.request("GET", path, headers=READER)
    assert (answer.status, answer.text) == (400, "cursor is not one that the Link header of such an answer gave.\n")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("&".join(["feed="] * 101), "feed is given more than 100 times.\n"),
        ("&".join(["q=", *["target=web01"] * 101]), "target is given more than 100 times.\n"),
    ],
    ids=["empty", "the same"],
)
async def test_a_parameter_counts_each_time_that_it_is_given(service: Service, query: str, message: str) -> None:
    """Also where it says nothing, or nothing new: that is the only rule which a description of the API can have."""
    answer = await service.request("GET", f"/api/deployments?{query}", headers=READER)
    assert (answer.status, answer.text) == (400, message)


async def test_a_difference_and_a_time_count_each_time_too(service: Service) -> None:
    query = "&".join(["target=a", *["difference=same"] * 101, *["as_of=7d"] * 3])
    answer = await service.request("GET", f"/api/deployments/compare?{query}", headers=READER)
    assert (answer.status, answer.text.splitlines()) == (
        400,
        ["as_of may be given twice at most.", "difference is given more than 100 times."],
    )
