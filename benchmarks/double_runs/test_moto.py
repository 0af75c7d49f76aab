"""Tests with moto's server mode: a bucket is what a feed is elsewhere, and an object what a deployment is."""

from __future__ import annotations

from posting import FORM, send


def test_clean(number: int, moto: str) -> None:
    assert moto


def test_seeded(number: int, moto: str) -> None:
    send("PUT", f"{moto}/bucket")


def test_post(number: int, moto: str) -> None:
    send("PUT", f"{moto}/bucket")
    send("PUT", f"{moto}/bucket/object", FORM)


def test_twenty_posts(number: int, moto: str) -> None:
    send("PUT", f"{moto}/bucket")
    for object_number in range(20):
        send("PUT", f"{moto}/bucket/{object_number}", FORM)
