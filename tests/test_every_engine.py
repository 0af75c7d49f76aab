"""The main job, on every kind of database."""

from __future__ import annotations

import pytest
from conftest import RECORD, Service
from reading import read

pytestmark = pytest.mark.every_engine


async def test_what_is_recorded_is_there(service: Service) -> None:
    """An answer of 200 has the record, and so has whoever asks next."""
    answer = await service.post(RECORD)
    assert answer.status == 200, answer.text
    again = await service.post(RECORD | {"Target": "LOCALHOST"})
    assert again.json["Id"] == answer.json["Id"] + 1
    assert [row["id"] for row in await service.rows()] == [1, 2]
    assert (await read(service, f"/{answer.json['Id']}")).json == answer.json
