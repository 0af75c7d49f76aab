"""Tests with the product's double."""

from __future__ import annotations

import pytest
from posting import KEY, post

from deployserver.testing import DeployServer

SEEDED = pytest.mark.proget(feeds=["DefaultNuGet"], keys=[{"key": KEY}])


def test_clean(number: int, proget: DeployServer) -> None:
    assert proget.url


@SEEDED
def test_seeded(number: int, proget: DeployServer) -> None:
    assert proget.url


@SEEDED
def test_post(number: int, proget: DeployServer) -> None:
    post(proget.url)


@SEEDED
def test_twenty_posts(number: int, proget: DeployServer) -> None:
    for _ in range(20):
        post(proget.url)
