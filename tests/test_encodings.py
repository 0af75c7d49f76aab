"""Text arrives as it was meant, whatever the sender says of its encoding."""

from __future__ import annotations

import codecs
import json
from urllib.parse import quote_from_bytes

import pytest
from conftest import RECORD, Service
from hypothesis import given, settings
from hypothesis import strategies as st
from test_bodies import FORM, JSON, MULTIPART, multipart, post_as, recorded

from deployserver.api.body import parse_fields
from deployserver.api.encodings import decode, without_byte_order_mark
from deployserver.errors import MalformedBody

MEANT = "Zürich"
LATIN = MEANT.encode("latin-1")
UTF_8 = MEANT.encode()

# Bytes, the charset that is declared for them, and the text they stand for.
ENCODED = [
    (UTF_8, None, MEANT),
    (UTF_8, "utf-8", MEANT),
    (UTF_8, "utf8", MEANT),
    (UTF_8, "us-ascii", MEANT),
    (UTF_8, "ascii", MEANT),
    (UTF_8, "nonsense", MEANT),
    (UTF_8, "x" * 5000, MEANT),
    (UTF_8, "hex", MEANT),
    (UTF_8, "base64", MEANT),
    (UTF_8, "rot13", MEANT),
    (UTF_8, "zlib", MEANT),
    (UTF_8, "idna", MEANT),
    (UTF_8, "punycode", MEANT),
    (UTF_8, "undefined", MEANT),
    (UTF_8, "unicode_escape", MEANT),
    (UTF_8, "raw-unicode-escape", MEANT),
    (UTF_8, "ütf-8", MEANT),
    (UTF_8, "../utf-8", MEANT),
    (LATIN, None, MEANT),
    (LATIN, "utf-8", MEANT),
    (LATIN, "us-ascii", MEANT),
    (LATIN, "nonsense", MEANT),
    (LATIN, "iso-8859-1", MEANT),
    (LATIN, "latin1", MEANT),
    (LATIN, "windows-1252", MEANT),
    (UTF_8, "iso-8859-1", "ZÃ¼rich"),
    (UTF_8, "windows-1252", "ZÃ¼rich"),
    (b"5 \x80 \x96 x", None, "5 € – x"),
    (b"5 \x80 \x96 x", "iso-8859-1", "5 € – x"),
    ("Łódź".encode("iso-8859-2"), "iso-8859-2", "Łódź"),
    ("Łódź".encode("cp1250"), "windows-1250", "Łódź"),
    ("Київ".encode("koi8-u"), "koi8-u", "Київ"),
    ("Москва".encode("cp1251"), "windows-1251", "Москва"),
    ("東京".encode("shift_jis"), "Shift_JIS".lower(), "東京"),
    ("東京".encode("euc-jp"), "euc-jp", "東京"),
    ("北京".encode("gb18030"), "gb18030", "北京"),
    ("北京 😀".encode(), "utf-8", "北京 😀"),
    ("€".encode("iso-8859-15"), "iso-8859-15", "€"),
    (MEANT.encode("utf-16-le"), "utf-16le", MEANT),
    (MEANT.encode("utf-16-be"), "utf-16be", MEANT),
    (MEANT.encode("utf-16"), "utf-16", MEANT),
    (b"plain", None, "plain"),
    (b"plain", "utf-8", "plain"),
    (b"plain", "nonsense", "plain"),
    (b"", "utf-8", ""),
    (b"", None, ""),
]


@pytest.mark.parametrize(("data", "charset", "meant"), ENCODED)
def test_the_declared_charset_counts_only_if_the_bytes_agree(data: bytes, charset: str | None, meant: str) -> None:
    assert decode(data, charset) == meant


@pytest.mark.parametrize("data", [b"\x81", b"Z\xfcrich \x8d", b"\x90\x9d"])
@pytest.mark.parametrize("charset", [None, "utf-8", "iso-8859-1", "us-ascii"])
def test_bytes_that_are_text_in_no_way_are_refused(data: bytes, charset: str | None) -> None:
    with pytest.raises(MalformedBody, match="send UTF-8"):
        decode(data, charset)


@pytest.mark.parametrize("charset", ["punycode", "idna", "unicode_escape", "raw_unicode_escape"])
def test_a_codec_of_python_that_is_no_charset_is_not_used(charset: str) -> None:
    """Punycode takes seconds over a mebibyte, on behalf of somebody who has shown no key yet."""
    data = b"a\\u0041-" + b"a" * 1_000_000 + b"-" + b"a" * 40_000
    assert decode(data, charset) == data.decode()


@given(st.text())
@settings(max_examples=100, deadline=None, derandomize=True, database=None)
def test_utf_8_always_arrives_as_it_was_sent(text: str) -> None:
    assert decode(text.encode(), None) == decode(text.encode(), "utf-8") == text


@given(st.binary(), st.one_of(st.none(), st.text(max_size=12)))
@settings(max_examples=300, deadline=None, derandomize=True, database=None)
def test_any_bytes_under_any_charset_are_text_or_refused(data: bytes, charset: str | None) -> None:
    try:
        decode(data, charset)
    except MalformedBody:
        return


# Forms, over the wire


FORMS = [
    ("powershell 5.1 sends raw Latin-1 without saying so", LATIN, FORM),
    ("powershell 7.3 sends raw Latin-1 and says UTF-8", LATIN, f"{FORM}; charset=utf-8"),
    ("raw UTF-8", UTF_8, FORM),
    ("raw UTF-8 that says so", UTF_8, f'{FORM}; charset="UTF-8"'),
    ("raw UTF-8 that says ASCII", UTF_8, f"{FORM}; charset=us-ascii"),
    ("raw UTF-8 without a content type", UTF_8, None),
    ("raw Latin-1 without a content type", LATIN, None),
    ("percent-encoded UTF-8", b"Z%C3%BCrich", FORM),
    ("percent-encoded UTF-8 in lower case", b"Z%c3%bcrich", FORM),
    ("Apache HttpClient 4 percent-encodes Latin-1", b"Z%FCrich", f"{FORM}; charset=ISO-8859-1"),
    ("percent-encoded Latin-1 without saying so", b"Z%FCrich", FORM),
    ("percent-encoded Latin-1 that says UTF-8", b"Z%fcrich", f"{FORM}; charset=utf-8"),
    ("percent-encoded by its charset", b"Z%FCrich", f"{FORM}; charset=iso-8859-15"),
]


@pytest.mark.parametrize(("value", "content_type"), [case[1:] for case in FORMS], ids=[case[0] for case in FORMS])
async def test_umlauts_in_a_form_arrive(service: Service, value: bytes, content_type: str | None) -> None:
    fields = {name: text.encode() for name, text in RECORD.items()} | {"Description": value}
    body = b"&".join(name.encode() + b"=" + data for name, data in fields.items())
    record = await recorded(service, await post_as(service, content_type, body))
    assert record["Description"] == MEANT


async def test_an_umlaut_does_not_need_to_be_in_the_description(service: Service) -> None:
    body = b"&".join(b"%s=%s" % (n.encode(), LATIN if n != "FeedName" else b"DefaultNuGet") for n in RECORD)
    record = await recorded(service, await post_as(service, FORM, body))
    assert {record[name] for name in RECORD if name != "FeedName"} == {MEANT}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
async def test_a_form_may_begin_with_a_byte_order_mark(service: Service, encoding: str) -> None:
    """Windows editors write one, and curl sends the file as it is."""
    body = "&".join(f"{name}={value}" for name, value in (RECORD | {"Description": MEANT}).items()).encode(encoding)
    record = await recorded(service, await post_as(service, FORM, body))
    assert record["Description"] == MEANT


async def test_a_form_that_is_text_in_no_way_is_refused(service: Service) -> None:
    body = b"&".join(f"{name}={value}".encode() for name, value in RECORD.items()) + b"\x81"
    answer = await post_as(service, FORM, body)
    assert (answer.status, await service.rows()) == (400, [])
    assert "send UTF-8" in answer.text


@given(st.dictionaries(st.sampled_from(list(RECORD)), st.text(), min_size=1))
@settings(max_examples=100, deadline=None, derandomize=True, database=None)
def test_an_escaped_form_arrives_as_it_was_sent(fields: dict[str, str]) -> None:
    body = "&".join(f"{name}={quote_from_bytes(value.encode())}" for name, value in fields.items())
    assert parse_fields(body.encode(), FORM).values == fields


# JSON


MARKED = {
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}


def json_text(description: str = MEANT, padding: str = "") -> str:
    return json.dumps(RECORD | {"Description": description}, ensure_ascii=False) + padding


@pytest.mark.parametrize("encoding", MARKED)
@pytest.mark.parametrize("charset", ["", "; charset=utf-8", "; charset=utf-16", "; charset=utf-32", "; charset=latin1"])
@pytest.mark.parametrize("padding", ["", " ", "  ", "   "])
def test_json_with_a_byte_order_mark_is_what_the_mark_says(encoding: str, charset: str, padding: str) -> None:
    body = MARKED[encoding] + json_text(padding=padding).encode(encoding)
    assert parse_fields(body, JSON + charset).values["Description"] == MEANT


@pytest.mark.parametrize("encoding", MARKED)
@pytest.mark.parametrize("content_type", [JSON, FORM, None])
async def test_marked_json_is_recorded_under_any_label(
    service: Service, encoding: str, content_type: str | None
) -> None:
    body = MARKED[encoding] + json_text().encode(encoding)
    record = await recorded(service, await post_as(service, content_type, body))
    assert record["Description"] == MEANT


@pytest.mark.parametrize(
    ("encoding", "charset"),
    [
        ("utf-8", ""),
        ("utf-8", "; charset=utf-8"),
        ("utf-8", "; charset=us-ascii"),
        ("latin-1", ""),
        ("latin-1", "; charset=utf-8"),
        ("latin-1", "; charset=iso-8859-1"),
        ("cp1252", "; charset=nonsense"),
        ("iso-8859-15", "; charset=iso-8859-15"),
        ("utf-16-le", "; charset=utf-16le"),
        ("utf-16", "; charset=utf-16"),
    ],
)
async def test_umlauts_in_json_arrive(service: Service, encoding: str, charset: str) -> None:
    record = await recorded(service, await post_as(service, JSON + charset, json_text().encode(encoding)))
    assert record["Description"] == MEANT


async def test_escaped_characters_in_json_arrive(service: Service) -> None:
    body = json.dumps(RECORD | {"Description": f"{MEANT} 😀"}).encode()
    assert (await recorded(service, await post_as(service, JSON, body)))["Description"] == f"{MEANT} 😀"


@pytest.mark.parametrize(
    "body",
    [
        codecs.BOM_UTF16_LE + b"{",
        codecs.BOM_UTF16_LE + b"\x00\xd8{\x00",
        codecs.BOM_UTF32_LE + b"{",
        codecs.BOM_UTF32_BE + b"\xff\xff\xff\xff",
        codecs.BOM_UTF8 + b"{\xff}",
    ],
)
def test_a_byte_order_mark_that_lies_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedBody, match="byte order mark"):
        parse_fields(body, JSON)


def test_without_a_byte_order_mark_the_bytes_stay_as_they_are() -> None:
    assert without_byte_order_mark(LATIN) == LATIN


# multipart


async def multipart_description(service: Service, value: bytes, content_type: str, part_type: str = "") -> str:
    headers = f"Content-Type: {part_type}\r\n" if part_type else ""
    body = multipart(**RECORD | {"Description": "DESCRIPTION"}, headers=headers).replace(b"DESCRIPTION", value)
    description: str = (await recorded(service, await post_as(service, content_type, body)))["Description"]
    return description


@pytest.mark.parametrize(
    ("value", "content_type", "part_type"),
    [
        (UTF_8, MULTIPART, ""),
        (LATIN, MULTIPART, ""),
        (UTF_8, MULTIPART, "text/plain; charset=utf-8"),
        (LATIN, MULTIPART, "text/plain; charset=utf-8"),
        (LATIN, MULTIPART, "text/plain; charset=iso-8859-1"),
        (LATIN, f"{MULTIPART}; charset=utf-8", 'text/plain; charset="ISO-8859-1"'),
        (UTF_8, MULTIPART, "text/plain; charset=nonsense"),
        (UTF_8, MULTIPART, "text/plain"),
        (UTF_8, MULTIPART, "nonsense"),
        (MEANT.encode("cp850"), MULTIPART, "text/plain; charset=cp850"),
    ],
)
async def test_every_part_has_a_charset_of_its_own(
    service: Service, value: bytes, content_type: str, part_type: str
) -> None:
    """PowerShell's -Form names one in every part, curl's -F in none."""
    assert await multipart_description(service, value, content_type, part_type) == MEANT


@given(st.dictionaries(st.sampled_from(list(RECORD)), st.text().filter(lambda text: "XYZ" not in text), min_size=1))
@settings(max_examples=100, deadline=None, derandomize=True, database=None)
def test_a_multipart_body_arrives_as_it_was_sent(fields: dict[str, str]) -> None:
    assert parse_fields(multipart(**fields), MULTIPART).values == fields
