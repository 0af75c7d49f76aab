"""Tests with pytest-httpserver, told to answer as the product does."""

from __future__ import annotations

from posting import PATH, post
from pytest_httpserver import HTTPServer

ANSWER = {"Id": 1, "FeedName": "DefaultNuGet", "PackageName": "Newtonsoft.Json", "Version": "12.0.3"}


def test_clean(number: int, httpserver: HTTPServer) -> None:
    assert httpserver.port


def test_seeded(number: int, httpserver: HTTPServer) -> None:
    httpserver.expect_request(PATH, method="POST").respond_with_json(ANSWER)


def test_post(number: int, httpserver: HTTPServer) -> None:
    httpserver.expect_request(PATH, method="POST").respond_with_json(ANSWER)
    post(httpserver.url_for("").rstrip("/"))


def test_twenty_posts(number: int, httpserver: HTTPServer) -> None:
    httpserver.expect_request(PATH, method="POST").respond_with_json(ANSWER)
    for _ in range(20):
        post(httpserver.url_for("").rstrip("/"))
