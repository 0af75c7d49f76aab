"""Recordings: what they say of requests, that the same requests come back, and that no credential is in them."""

from __future__ import annotations

import base64
import gzip
import json
import re
import time
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, urlencode

import pytest
from conftest import FEED, KEY, PATH, RECORD
from hypothesis import example, given
from hypothesis import strategies as st

from deployserver.api.body import parse_fields
from deployserver.double.journal import Answer, ReceivedRequest
from deployserver.double.recordings.recording import RecordedRequest, dump_recording, load_recording, recording_document
from deployserver.double.recordings.replay import with_credentials
from deployserver.errors import InvalidRequest, InvalidValue

REQUESTS = sorted((Path(__file__).parent / "requests").glob("*.http"))
CI = "API key 1 (ci)"
FORM = ("Content-Type", "application/x-www-form-urlencoded")
JSON = ("Content-Type", "application/json")
PLAIN = [("Content-Type", "text/plain; charset=utf-8"), ("X-Request-Id", "0123456789abcdef")]
FORM_BODY = urlencode(RECORD).encode()
STORED = RECORD | {
    "Id": 7,
    "GroupName": None,
    "UserName": "ci",
    "Url": None,
    "Date": "2026-11-21T10:00:00Z",
    "RecordedAt": "2026-11-21T10:00:00Z",
    "RecordedBy": CI,
}
OK = Answer(200, [("Content-Type", "application/json; charset=utf-8")], json.dumps(STORED).encode())


def received(
    body: bytes = b"",
    *headers: tuple[str, str],
    target: str = PATH,
    method: str = "POST",
    caller: str | None = CI,
    answer: Answer | None = OK,
    **more: Any,
) -> ReceivedRequest:
    return ReceivedRequest(1, 0, method, target, headers, "127.0.0.1", body=body, caller=caller, answer=answer, **more)


def written(*requests: ReceivedRequest) -> str:
    return dump_recording(recording_document(requests))


def entry(request: ReceivedRequest) -> dict[str, Any]:
    (only,) = json.loads(written(request))["requests"]
    assert isinstance(only, dict)
    return only


def round_trip(request: ReceivedRequest, *before: ReceivedRequest, **secrets: str) -> tuple[str, dict[str, str], bytes]:
    """Return what is sent for a request once it has been written, read and given its credentials."""
    recording = load_recording(written(*before, request))
    target, headers, body = with_credentials(
        recording.requests[-1], {name.replace("_", " "): secret for name, secret in secrets.items()}
    )
    return target, dict(headers), body


def arrived(file: Path) -> ReceivedRequest:
    """Return a real client's request as the journal has it."""
    head, _, body = file.read_bytes().partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
    if any(name.lower() == "transfer-encoding" for name, _ in headers):
        body = unchunked(body)
    method, target, _ = first.split(" ")
    caller = "Anonymous" if "go-postform" in file.stem else CI
    return received(body, *headers, target=target, method=method, caller=caller)


def unchunked(data: bytes) -> bytes:
    body = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        body, data = body + data[: int(size, 16)], data[int(size, 16) + 2 :]
    return body


# What is written


def test_a_recorded_form_is_readable() -> None:
    request = received(
        FORM_BODY, ("Host", "h"), ("X-ApiKey", KEY), FORM, ("Content-Length", "9"), ("User-Agent", "x/1")
    )
    assert entry(request) == {
        "method": "POST",
        "target": PATH,
        "caller": CI,
        "headers": ["X-ApiKey: {{key ci}}", "Content-Type: application/x-www-form-urlencoded", "User-Agent: x/1"],
        "body": FORM_BODY.decode(),
        "answer": {
            "status": 200,
            "contentType": "application/json; charset=utf-8",
            "bodyJson": {name: STORED[name] for name in [*RECORD, "GroupName", "Url"]},
        },
    }


def test_the_file_says_what_it_is_and_where_it_comes_from() -> None:
    document = recording_document([], "the pipeline of ProfitCalc")
    assert document == {
        "format": "deployserver recording",
        "version": 1,
        "source": "the pipeline of ProfitCalc",
        "requests": [],
    }
    assert re.fullmatch(r"deployserver \S+", recording_document([])["source"])


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")], ids=["compact", "spaced"])
@pytest.mark.parametrize("ascii_only", [True, False], ids=["escaped", "plain"])
def test_json_on_one_line_is_written_as_json(separators: tuple[str, str], ascii_only: bool) -> None:
    record = RECORD | {"Description": "Zürich", "Version": 12.0, "Url": None}
    body = json.dumps(record, separators=separators, ensure_ascii=ascii_only).encode()
    request = received(body, JSON)
    assert entry(request)["bodyJson"] == record
    assert round_trip(request)[2] == body


@pytest.mark.parametrize("line_end", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_json_as_powershell_7_indents_it_is_written_as_json(line_end: str) -> None:
    record = RECORD | {"Description": "Zürich", "Date": {"value": "x"}}
    body = json.dumps(record, indent=2, ensure_ascii=False).replace("\n", line_end).encode()
    request = received(body, JSON)
    assert entry(request)["bodyJson"] == record
    assert entry(request)["bodyStyle"] == "indented" + ", CRLF" * (line_end != "\n")
    assert round_trip(request)[2] == body


@pytest.mark.parametrize(
    "body",
    [
        b'{"Version": 1.10}',
        b'{"Version": 1e5}',
        b'{"a":1, "b":2}',
        b'{"a":1,"a":2}',
        b'{"a":NaN}',
        b'{"a":"\\u00FC"}',
        b'{"a":"\\/"}',
        b'{"a":',
        b"[" * 100_000,
        b'\xef\xbb\xbf{"a":1}',
        "\ufeff{}".encode("utf-16-le"),
        "\ufeff{}".encode("utf-32-be"),
        b"\xff\xfe{",
        b"a=Z\xfcrich",
        b"a=Z\xc3\xbcrich\r\nb\n",
        b"\n",
        b"\x00\x01\x02",
        b"\x1f\x8b",
        b"a=\xc2\xa0\xe2\x80\xae\xe2\x80\xa8",
        b"",
    ],
    ids=lambda body: repr(body)[:40],
)
@pytest.mark.parametrize("type_", [None, FORM, JSON, ("Content-Type", "application/json; charset=utf-16")], ids=str)
def test_every_byte_of_a_body_comes_back(body: bytes, type_: tuple[str, str] | None) -> None:
    assert round_trip(received(body, *([type_] if type_ else [])))[2] == body


@given(st.binary(), st.sampled_from([(), (FORM,), (JSON,), (("Content-Type", "multipart/form-data; boundary=x"),)]))
def test_whatever_a_body_is_it_comes_back(body: bytes, headers: tuple[tuple[str, str], ...]) -> None:
    if not re.search(rb"key|token|secret|pass", body, re.IGNORECASE):
        assert round_trip(received(body, *headers, caller=None))[2] == body


def test_several_lines_are_written_as_lines() -> None:
    request = received(b'{\r\n  "FeedName":  "DefaultNuGet"\r\n}', JSON)
    assert entry(request)["bodyLines"] == ["{\r\n", '  "FeedName":  "DefaultNuGet"\r\n', "}"]


def test_a_body_in_latin_1_is_readable_too() -> None:
    written = entry(received(b"Target=Z\xfcrich", FORM))
    assert (written["body"], written["bodyCharset"]) == ("Target=Zürich", "latin-1")


def test_a_binary_body_is_base64() -> None:
    assert entry(received(b"\x00\xff"))["bodyBase64"] == "AP8="


def test_what_cannot_be_seen_is_escaped_in_the_file() -> None:
    text = written(received("Target=a\u202eb\ufeff\x85".encode(), FORM))
    assert "a\\u202eb\\ufeff\\u0085" in text or "bodyBase64" in text
    assert "\u202e" not in text


@pytest.mark.parametrize(
    "name",
    ["Host", "content-length", "CONNECTION", "Transfer-Encoding", "Expect", "Upgrade", "Cookie", "X-Request-Id"],
)
def test_headers_of_a_connection_or_a_session_are_left_out(name: str) -> None:
    assert entry(received(b"", (name, "whatever"), ("Accept", "*/*")))["headers"] == ["Accept: */*"]


def test_headers_keep_their_order_and_spelling() -> None:
    headers = [("accept", "a"), ("X-B", "1"), ("x-b", "2"), ("User-Agent", "PowerShell: 7")]
    recording = load_recording(written(received(b"", *headers)))
    assert recording.requests[0].headers == headers


def test_a_record_is_kept_with_what_the_client_sent_of_date_and_user() -> None:
    answer = entry(received(b"", fields={"Date": "2026-11-21", "UserName": "  ", "Url": None}))["answer"]["bodyJson"]
    assert ("Date" in answer, "UserName" in answer, "RecordedAt" in answer, "Id" in answer) == (
        True,
        False,
        False,
        False,
    )


def test_what_only_one_server_or_request_can_have_is_taken_out_of_an_error() -> None:
    text = (
        "There is nothing at /x. Deployments are recorded with POST http://127.0.0.1:4711/ns/a/api/package-deployment/"
    )
    written = entry(received(b"", answer=Answer(404, PLAIN, f"{text} (0123456789abcdef)\n".encode())))
    assert written["answer"]["bodyLines"] == [
        "There is nothing at /x. Deployments are recorded with POST {{url}}/api/package-deployment/ ({{request id}})\n"
    ]


def test_of_an_answer_to_a_question_status_and_type_are_kept() -> None:
    written = entry(received(method="GET", target="/api/deployments"))
    assert written["answer"] == {"status": 200, "contentType": "application/json; charset=utf-8"}


def test_of_a_streamed_answer_status_and_type_are_kept() -> None:
    assert entry(received(answer=Answer(200, [], None)))["answer"] == {"status": 200, "contentType": ""}


def test_two_runs_give_the_same_file() -> None:
    first, second = received(FORM_BODY, FORM), received(FORM_BODY, FORM)
    second.received_at, second.number, second.address = 99, 5, "::1"
    second.answer = Answer(200, OK.headers, json.dumps(STORED | {"Id": 9, "RecordedAt": "later", "Date": "x"}).encode())
    assert written(first) == written(second)


def test_what_a_fault_hit_is_marked_and_not_sent_again() -> None:
    text = written(received(b"", fault="answer 503"), received(b"", answer=None))
    assert json.loads(text)["requests"][0]["fault"] == "answer 503"
    assert [request.skipped for request in load_recording(text).requests] == [
        "a fault had hit it: answer 503",
        "it has no recorded answer",
    ]


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "X-GZIP"])
def test_a_compressed_body_is_written_decompressed_and_says_so(encoding: str) -> None:
    body = b"key=abc12345&" + FORM_BODY
    compress = zlib.compress if encoding == "deflate" else gzip.compress
    request = received(compress(body), FORM, ("Content-Encoding", encoding))
    written = entry(request)
    assert written["decompressedFrom"] == encoding
    assert written["body"] == "key={{key ci}}&" + FORM_BODY.decode()
    assert round_trip(request, key_ci=KEY) == (PATH, dict([FORM]), body)


@pytest.mark.parametrize(
    ("body", "encoding"), [(gzip.compress(b"key=abc12345")[:-4], "gzip"), (b"abc12345", "br")], ids=["cut off", "br"]
)
def test_a_body_that_cannot_be_decompressed_is_left_out(body: bytes, encoding: str) -> None:
    text = written(received(body, FORM, ("Content-Encoding", encoding)))
    (request,) = load_recording(text).requests
    assert request.body == b""
    assert request.skipped == f"its body cannot be decompressed ({encoding}), and is not in the recording"


def test_a_body_with_the_encoding_identity_is_as_it_is() -> None:
    written = entry(received(b"a=b", ("Content-Encoding", "identity")))
    assert (written["body"], "Content-Encoding: identity" in written["headers"]) == ("a=b", True)


# Credentials


@pytest.mark.parametrize("file", REQUESTS, ids=lambda file: file.stem)
def test_the_requests_of_real_clients_come_back_without_their_key_in_the_file(file: Path) -> None:
    request = arrived(file)
    text = written(request)
    assert KEY not in text
    assert base64.b64encode(f"api:{KEY}".encode()).decode() not in text
    target, headers, body = round_trip(request, key_ci=KEY)
    assert target == request.target
    assert body == request.body
    assert headers.items() <= dict(request.headers).items()
    assert {"x-apikey", "authorization", "content-type", "user-agent"} & {
        name.lower() for name, _ in request.headers
    } <= {name.lower() for name in headers}


@pytest.mark.parametrize(
    ("headers", "shown"),
    [
        ([("X-ApiKey", KEY)], "X-ApiKey: {{key ci}}"),
        ([("x-apikey", f"api:{KEY}")], "x-apikey: api:{{key ci}}"),
        (
            [("Authorization", "Basic " + base64.b64encode(f"api:{KEY}".encode()).decode())],
            "Authorization: Basic api:{{key ci}}",
        ),
        (
            [("authorization", "basic  " + base64.b64encode(f"API:{KEY}".encode()).decode())],
            "authorization: basic  API:{{key ci}}",
        ),
    ],
)
def test_a_key_in_a_header_becomes_its_name(headers: list[tuple[str, str]], shown: str) -> None:
    request = received(b"", *headers)
    assert entry(request)["headers"] == [shown]
    (value,) = round_trip(request, key_ci="other-key")[1].values()
    sent = base64.b64decode(value.split()[1]).decode() if " " in value else value
    assert sent == headers[0][1].replace(KEY, "other-key") or sent.lower() == "api:other-key"


@pytest.mark.parametrize(
    ("headers", "shown"),
    [
        ([("X-ApiKey", "Anna:pw 1")], "X-ApiKey: Anna:{{password of anna}}"),
        ([("X-ApiKey", "api:Anna:pw 1")], "X-ApiKey: api:Anna:{{password of anna}}"),
        ([("Authorization", "Basic QW5uYTpwdyAx")], "Authorization: Basic Anna:{{password of anna}}"),
    ],
)
def test_a_password_becomes_the_user_it_belongs_to(headers: list[tuple[str, str]], shown: str) -> None:
    request = received(b"", *headers, caller="user anna")
    assert entry(request)["headers"] == [shown]
    assert round_trip(request, password_of_anna="pw 1")[1] == dict(headers)


@pytest.mark.parametrize(
    ("caller", "name"),
    [
        ("API key 1 (ci)", "key ci"),
        ("API key 1", "key 1"),
        ("user anna, API key 3 (laptop)", "key laptop"),
        ("user anna, API key 3", "key 3"),
        ("API key 1 (a{{b}}=c/ü)", "key a-b-c-"),
        ("API key 1 ({)", "key -"),
        (f"API key 1 ({KEY})", "key 1"),
        ("somebody", "key somebody"),
    ],
)
def test_a_key_is_named_by_its_caller(caller: str, name: str) -> None:
    text = written(received(b"", ("X-ApiKey", KEY), caller=caller))
    assert load_recording(text).credentials == [name]
    assert KEY not in text


def test_two_keys_of_one_name_are_told_apart_and_one_key_is_one() -> None:
    text = written(
        received(b"", ("X-ApiKey", "first-key")),
        received(b"", ("X-ApiKey", "second-key"), caller="API key 2 (ci)"),
        received(b"", target=f"{PATH}?key=first-key"),
        received(b"", ("X-ApiKey", "second-key"), caller=None),
    )
    assert [re.findall(r"\{\{(.*?)\}\}", line) for line in text.splitlines() if "{{" in line] == [
        ["key ci"],
        ["key ci 2"],
        ["key ci"],
        ["key ci 2"],
    ]


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        (("X-ApiKey", "mistyped"), "X-ApiKey: {{unknown key}}"),
        (("X-ApiKey", "anna:mistyped"), "X-ApiKey: {{unknown user}}:{{unknown password}}"),
        (
            ("Authorization", "Basic " + base64.b64encode(b"api:mistyped").decode()),
            "Authorization: Basic api:{{unknown key}}",
        ),
        (
            ("Authorization", "Basic " + base64.b64encode(b"mistyped:").decode()),
            "Authorization: Basic {{unknown user}}:{{unknown password}}",
        ),
        (("Authorization", "Basic " + base64.b64encode(b"mistyped").decode()), "Authorization: Basic {{unknown key}}"),
        (("Authorization", "Basic mistyped"), "Authorization: Basic {{unknown key}}"),
        (("Authorization", "Bearer mistyped"), "Authorization: {{unreadable credential}}"),
        (("Authorization", "mistyped"), "Authorization: {{unreadable credential}}"),
        (("X-API-Key", "mistyped"), "X-API-Key: {{unknown key}}"),
        (("Private-Token", "mistyped"), "Private-Token: {{unknown key}}"),
    ],
)
def test_a_credential_that_nobody_knows_is_hidden_and_stays_wrong(header: tuple[str, str], shown: str) -> None:
    body = b'{"Description": "mistyped", "Url": "mistyped%20"}'
    text = written(received(body, header, JSON, caller=None, answer=Answer(403, PLAIN, b"mistyped\n")))
    assert "mistyped" not in text
    assert shown in json.loads(text)["requests"][0]["headers"]
    assert load_recording(text).credentials == []
    value = with_credentials(load_recording(text).requests[0], {})[1][0][1]
    assert "mistyped" not in value
    if "Basic" in value and "{" not in value:
        assert b"unknown" in base64.b64decode(value.split()[1])


def test_an_authorization_that_is_not_base64_is_sent_as_something_that_is_not() -> None:
    request = received(b"", ("Authorization", "Basic mistyped!"), caller=None)
    assert entry(request)["headers"] == ["Authorization: Basic {{unreadable credential}}"]
    assert round_trip(request)[1] == {"Authorization": "Basic {{unreadable credential}}"}


@pytest.mark.parametrize(
    ("body", "content_type", "shown"),
    [
        (b"key=abc12345&a=b", FORM, "key={{key ci}}&a=b"),
        (b"a=b&KEY=%61bc12345", FORM, "a=b&KEY={{key ci}}"),
        (b"%6bey=+abc12345+&a=Z\xfc", FORM, "%6bey={{key ci}}&a=Zü"),
        (b"a=b&api_key=abc12345", FORM, "a=b&api_key={{unknown key}}"),
        (b"a=b\nkey: abc12345", ("Content-Type", "text/plain"), "a=b\nkey: {{unknown key}}"),
        (b"<API_Key>abc12345</API_Key>", ("Content-Type", "text/xml"), "<API_Key>{{unknown key}}</API_Key>"),
        (b'{ "API_Key":"abc12345"}', JSON, '{ "API_Key":"{{key ci}}"}'),
        (b'{ "api_key" : "\\u0061bc12345" }', FORM, '{ "api_key" : "{{key ci}}" }'),
        (b'{ "API_Key":12345678, "a":1.10}', JSON, '{ "API_Key":"{{key ci}}", "a":1.10}'),
        (b'{ "API_Key":"abc12345', JSON, '{ "API_Key":"{{key ci}}'),
        (b"{API_Key:abc12345,a:b}", JSON, "{API_Key:{{unknown key}},a:b}"),
        (b"{'API_Key':'abc12345'}", JSON, "{'API_Key':'{{unknown key}}'}"),
        (b'{ "a": "x, "API_Key": "abc12345"}', JSON, '{ "a": "x, "API_Key": "{{unknown key}}"}'),
        (
            b'{ "key": "abc12345", "a": "\\"key\\": \\"no\\""}',
            JSON,
            '{ "key": "{{unknown key}}", "a": "\\"key\\": \\"no\\""}',
        ),
        (b'{ "API_Key":null}', JSON, '{ "API_Key":null}'),
    ],
    ids=lambda value: repr(value)[:50],
)
def test_a_key_in_a_body_is_hidden_and_the_rest_stays(body: bytes, content_type: tuple[str, str], shown: str) -> None:
    caller = None if "unknown" in shown else CI
    written = entry(received(body, content_type, caller=caller))
    assert "".join(written.get("bodyLines", [written.get("body")])) == shown


MULTIPART = ("Content-Type", "multipart/form-data; boundary=B")
PART = '--B\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'


@pytest.mark.parametrize(
    "content_type", [MULTIPART, ("Content-Type", "multipart/form-data")], ids=["boundary", "without"]
)
@pytest.mark.parametrize("end", ["--B--\r\n", "--B--", ""], ids=["whole", "without line end", "cut off"])
def test_a_key_in_a_multipart_form_is_hidden(content_type: tuple[str, str], end: str) -> None:
    body = (
        PART.format("FeedName", "Zürich") + PART.format("key", KEY) + PART.format("a", "") + "--B\r\n--B\r\nx\r\n" + end
    ).encode()
    request = received(body, content_type, caller=CI)
    text = written(request)
    assert KEY not in text
    assert round_trip(request, key_ci=KEY)[2] == body
    cut = body[: body.index(KEY.encode()) + 6]
    assert KEY[:6] not in written(received(cut, content_type, caller=None))


def test_a_multipart_form_in_another_encoding_gets_its_key_in_utf_8() -> None:
    body = PART.format("Target", "Zürich").encode("latin-1") + PART.format("key", KEY).encode() + b"--B--\r\n"
    sent = round_trip(received(body, MULTIPART), key_ci="schlüssel")[2]
    assert sent == body.replace(KEY.encode(), "schlüssel".encode())


def test_a_key_in_json_of_another_encoding_is_hidden() -> None:
    body = '\ufeff{"API_Key":"abc12345","Target":"Zürich"}'.encode("utf-16-le")
    request = received(body, JSON)
    assert KEY not in written(request)
    assert entry(request)["bodyCharset"] == "utf-16-le"
    assert round_trip(request, key_ci=KEY)[2] == body


def test_a_known_key_is_hidden_wherever_else_it_stands() -> None:
    key = 'a/b"c+d eü'
    odd = {"Description": f"sent with {key}", "Target": "x" + quote_plus(key) + "y"}
    requests = [
        received(b"", ("X-ApiKey", key)),
        received(
            json.dumps(odd).encode(),
            JSON,
            ("User-Agent", f"x {quote(key)}"),
            ("Referer", f"http://h/?key={quote_plus(key).lower()}"),
            target="/x/" + quote(key, safe=""),
        ),
        received(json.dumps(odd, ensure_ascii=False).encode(), JSON),
        received(urlencode(odd).encode(), FORM, answer=Answer(404, PLAIN, key.encode())),
    ]
    text = written(*requests)
    for encoded in (key, quote(key), quote(key, safe=""), quote_plus(key), json.dumps(key)[1:-1], 'b\\"c', "%C3%BC"):
        assert encoded not in text
    sent = parse_qsl(round_trip(requests[3], requests[0], key_ci=key)[2].decode())
    assert dict(sent) == odd


def test_a_short_password_is_hidden_where_it_belongs_and_words_stay_words() -> None:
    written = entry(received(b"Target=web", FORM, ("X-ApiKey", "anna:web"), caller="user anna"))
    assert (written["body"], written["headers"][1]) == ("Target=web", "X-ApiKey: anna:{{password of anna}}")


@pytest.mark.parametrize(
    "text", ["{{key ci}}", "{{=key ci}}", "{{password of x}}", "{{{{key ci}}}}", "{{unknown key}}"]
)
def test_what_looks_like_a_placeholder_and_is_none_comes_back(text: str) -> None:
    request = received(f"Description: {text}".encode(), ("X-ApiKey", KEY), ("X-Note", text), ("Content-Type", "text/x"))
    _, headers, body = round_trip(request, key_ci=KEY)
    assert headers["X-Note"] == text
    assert body.decode().replace("%7B", "{").replace("%7D", "}").replace("%20", " ") == f"Description: {text}"


PLACES = ("X-ApiKey", "query", "form", "json", "multipart", "basic", "pseudo")


def sent_with(place: str, secret: str) -> ReceivedRequest:
    """Return a request with a credential in a place, whose caller is known."""
    json_body = json.dumps(RECORD).encode()
    if place == "query":
        return received(json_body, JSON, target=f"{PATH}?a=b&key={quote_plus(secret)}")
    if place == "form":
        return received(urlencode({**RECORD, "key": secret}).encode(), FORM)
    if place == "json":
        return received(json.dumps({"API_Key": secret, **RECORD}).encode(), JSON)
    if place == "multipart":
        parts = "".join(PART.format(name, value) for name, value in {**RECORD, "key": secret}.items())
        return received(f"{parts}--B--\r\n".encode(), MULTIPART)
    if place == "basic":
        return received(json_body, JSON, ("Authorization", basic("api", secret)))
    if place == "pseudo":
        return received(json_body, JSON, ("Authorization", basic("anna", secret)), caller="user anna")
    return received(json_body, JSON, ("X-ApiKey", secret))


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def encodings_of(secret: str) -> set[str]:
    data = secret.encode()
    aligned = {base64.b64encode(b"x" * n + data)[4 if n else 0 : -4].decode() for n in range(3)}
    return {
        secret,
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        *(text for text in aligned if len(text) >= 8),
    }


# Visible characters, and among them some that are in no word of the file: finding "application" would prove nothing.
SECRETS = st.builds(
    "{}zQ7{}Vj3{}".format, *[st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=15)] * 3
)


@given(place=st.sampled_from(PLACES), secret=SECRETS)
@example(place="form", secret='+%&= "\\/{}<>:;')
@example(place="json", secret='\\\\""u0041ü€😀')
@example(place="multipart", secret="--B--%0d%0a--B")
@example(place="X-ApiKey", secret="api:api:anna:secret")
@example(place="basic", secret="{{key other}}")
@example(place="query", secret="{{=key other}}{{key")
@example(place="pseudo", secret="a:b:c:d:e:f:g")
def test_no_credential_is_in_the_file_and_the_same_goes_over_the_wire_again(place: str, secret: str) -> None:
    request = sent_with(place, secret)
    text = written(request)
    for encoded in encodings_of(secret):
        assert encoded not in text
        assert json.dumps(encoded, ensure_ascii=False)[1:-1] not in text
    recording = load_recording(text)
    (name,) = recording.credentials
    used = secret.removeprefix("api:") if secret.lower().startswith("api:") and place != "pseudo" else secret
    target, headers, body = with_credentials(recording.requests[0], {name: used})
    sent = ReceivedRequest(1, 0, "POST", target, headers, "", body=body)
    assert sent.query == request.query
    assert dict(headers) == dict(request.headers)
    content_type = request.header("Content-Type") or ""
    assert parse_fields(body, content_type) == parse_fields(request.body, content_type)


PATHOLOGICAL = (
    b"[",
    b'"',
    b'\\"',
    b'{"key":"',
    b"key=",
    b"key:",
    b"&",
    b"=",
    b"http://",
    b"{{key ",
    b"\r\n--B",
    b"\x00",
)


@pytest.mark.parametrize("piece", PATHOLOGICAL, ids=repr)
@pytest.mark.parametrize("content_type", [FORM, JSON, MULTIPART, ("Content-Type", "text/xml")], ids=str)
def test_a_large_strange_body_takes_no_time_that_grows_with_its_square(
    piece: bytes, content_type: tuple[str, str]
) -> None:
    """A square of this many bytes would take minutes."""
    body = (b"{" if content_type == JSON else b"") + piece * (60_000 // len(piece))
    started = time.process_time()
    load_recording(written(received(b"", ("X-ApiKey", KEY)), received(body, content_type)))
    assert time.process_time() - started < 5


# What is read


def document(*entries: Any, **more: Any) -> str:
    return json.dumps({"format": "deployserver recording", "version": 1, "requests": list(entries), **more})


SIMPLE = {"method": "POST", "target": PATH}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("[]", 'it has to be a JSON object with "format": "deployserver recording"'),
        ('{"format": "other"}', 'it has to be a JSON object with "format": "deployserver recording"'),
        ('{"format": "deployserver recording"}', "Recordings of version 1 can be read, this one says None."),
        (document(version=2), "Recordings of version 1 can be read, this one says 2."),
        (document(version=True), "Recordings of version 1 can be read, this one says True."),
    ],
    ids=lambda text: text[:40],
)
def test_what_is_no_recording_is_told_so(text: str, message: str) -> None:
    with pytest.raises(InvalidValue, match=re.escape(message)):
        load_recording(text)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (document(requests={}), "requests", "Not a valid list."),
        (document(1), "requests[1]", "must be a JSON object."),
        (document(SIMPLE, {"target": PATH}), "requests[2].method", "Missing data for required field."),
        (document({**SIMPLE, "method": "P OST"}), "requests[1].method", "must be a method, such as POST."),
        (document({**SIMPLE, "target": "x"}), "requests[1].target", "must begin with a slash"),
        (document({**SIMPLE, "target": "/\n"}), "requests[1].target", "must begin with a slash"),
        (document({**SIMPLE, "headers": ["a"]}), "requests[1].headers[1]", "must be a name, a colon and a value"),
        (document({**SIMPLE, "headers": ["a: b\r\nc: d"]}), "requests[1].headers[1]", "must be a name, a colon"),
        (document({**SIMPLE, "body": 1}), "requests[1].body", "must be a text."),
        (document({**SIMPLE, "boddy": "a"}), "requests[1].boddy", "is not known here."),
        (document({**SIMPLE, "answer": {"status": "200"}}), "requests[1].answer.status", "Not a valid integer."),
        (document({**SIMPLE, "answer": None}), "requests[1].answer", "may not be null"),
        (document({**SIMPLE, "body": "a", "bodyJson": 1}), "requests[1]", "body and bodyJson cannot both be there."),
        (document({**SIMPLE, "bodyBase64": "a"}), "requests[1]", "bodyBase64 is not valid base64."),
        (document({**SIMPLE, "bodyJson": 1, "bodyStyle": "x"}), "requests[1]", "bodyStyle must be one of 'compact'"),
        (document({**SIMPLE, "body": "ü", "bodyCharset": "ascii"}), "requests[1]", "cannot be written in ascii."),
        (document({**SIMPLE, "body": "a", "bodyCharset": "klingon"}), "requests[1]", "there is no charset 'klingon'."),
        (document({**SIMPLE, "body": "a", "bodyCharset": "rot13"}), "requests[1]", "cannot be written in rot13."),
    ],
    ids=lambda text: text[:60],
)
def test_what_is_wrong_in_a_recording_is_named_with_its_place(text: str, place: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        load_recording(text)
    assert message in " ".join(caught.value.errors[place])


def test_a_recording_written_by_hand_needs_little() -> None:
    recording = load_recording(document({**SIMPLE, "bodyJson": {"FeedName": FEED}, "answer": {"status": 404}}))
    (request,) = recording.requests
    assert isinstance(request, RecordedRequest)
    assert (request.body, request.skipped, request.headers) == (b'{"FeedName":"DefaultNuGet"}', None, [])
    assert request.answer is not None
    assert (request.answer.status, request.answer.text) == (404, None)
