"""Replays: what is sent to a server again, how its answers are compared, and the command."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from aiohttp import web
from conftest import FEED, KEY, PATH, RECORD, Service, StartService, running, settings_of
from ports import free_port
from test_double_recording import CI, FORM, FORM_BODY, JSON, REQUESTS, arrived, basic, received
from test_server import certificate  # noqa: F401 - a fixture
from waiting import until

from deployserver import cli
from deployserver.cli.replay import assigned
from deployserver.double.journal import Answer, ReceivedRequest
from deployserver.double.recordings.answer import RecordedAnswer, differences
from deployserver.double.recordings.recording import Recording, dump_recording, load_recording, recording_document
from deployserver.double.recordings.replay import Comparison, replay, server_url, summary
from deployserver.errors import InvalidValue
from deployserver.feeds import add_feed, update_feed
from deployserver.users import add_user

KEYS = {"key ci": KEY}


def right() -> ReceivedRequest:
    return received(FORM_BODY, FORM, ("X-ApiKey", KEY))


def wrong() -> ReceivedRequest:
    return received(FORM_BODY, FORM, ("X-ApiKey", "a-wrong-key"), caller=None)


def written(*requests: ReceivedRequest) -> str:
    return dump_recording(recording_document(requests))


def recorded(*requests: ReceivedRequest) -> Recording:
    return load_recording(written(*requests))


async def answered(service: Service, *requests: ReceivedRequest) -> list[ReceivedRequest]:
    """Have a server answer requests, as the journal would have them."""
    for request in requests:
        method, target, headers = request.method, request.target, dict(request.headers)
        for name in (
            "Host",
            "Content-Length",
            "Content-length",
            "Transfer-Encoding",
            "Expect",
            "Connection",
            "Upgrade",
        ):
            headers.pop(name, None)
            headers.pop(name.lower(), None)
        answer = await service.request(
            method,
            target,
            data=io.BytesIO(request.body),
            headers=headers,
            skip_auto_headers=["Content-Type", "User-Agent"],
        )
        request.answer = Answer(answer.status, list(answer.headers.items()), answer.body)
        if request.records and answer.status == 200 and b"Date" in request.body:
            request.fields = {"Date": "sent"}
    return list(requests)


async def settled(service: Service) -> None:
    """Wait until the server has taken notice of a feed that takes no records."""

    async def refuses() -> bool:
        return (await service.post({**RECORD, "Version": ""})).status == 400 and (
            await service.post(RECORD)
        ).status == 400

    await until(refuses)


@asynccontextmanager
async def other_server(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """Run a server that is not ours."""
    server = web.Server(handler)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def answering(response: Callable[[], web.StreamResponse]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handler(request: web.Request) -> web.StreamResponse:
        await request.read()
        return response()

    return handler


# Alike


async def test_what_real_clients_sent_gets_the_same_answers_from_the_same_server(service: Service) -> None:
    journal = await answered(service, *map(arrived, REQUESTS))
    assert {request.answer.status for request in journal if request.answer} == {200, 400, 403}
    before = await service.rows("SELECT description, version, user_name, target FROM deployment_records ORDER BY id")
    results = await replay(recorded(*journal), service.url, KEYS)
    assert [str(result) for result in results if result.outcome != "alike"] == []
    assert len(results) == len(REQUESTS)
    rows = await service.rows("SELECT description, version, user_name, target FROM deployment_records ORDER BY id")
    assert rows == before + before


async def test_errors_that_name_the_server_or_the_request_are_alike_on_another(
    service: Service, tmp_path: Path
) -> None:
    requests = [
        received(method="GET", target=PATH),
        received(method="GET", target="/nowhere"),
        received(b"", FORM, ("X-ApiKey", KEY), ("Accept", "application/json")),
        received(b"{", JSON, ("X-ApiKey", KEY)),
        wrong(),
    ]
    recording = recorded(*await answered(service, *requests))
    (tmp_path / "other").mkdir()
    settings = settings_of(tmp_path / "other", server_base_path="/proget/x", security_lockout_failures=0)
    async with running(settings) as other:
        results = await replay(recording, f"{other.url}/proget/x/", KEYS)
    assert [str(result) for result in results if result.outcome != "alike"] == []


async def test_every_way_to_send_a_credential_is_replayed(service: Service) -> None:
    await add_user(service.admin, "anna", "pw of anna")
    body = json.dumps(RECORD).encode()
    requests = [
        received(body, JSON, ("Authorization", basic("api", KEY))),
        received(body, JSON, target=f"{PATH}?key={KEY}"),
        received(json.dumps({**RECORD, "API_Key": KEY}).encode(), JSON),
        received(f"key={KEY}&".encode() + FORM_BODY, FORM),
        received(body, JSON, ("X-ApiKey", "anna:pw of anna"), caller="user anna"),
        received(body, JSON, ("Authorization", basic("Anna", "pw of anna")), caller="user anna"),
        received(body, JSON, ("Authorization", basic("anna", "wrong password")), caller=None),
        received(body, JSON, ("Authorization", "Basic wrong!"), caller=None),
        received(body, JSON, ("Authorization", "Bearer wrong!"), caller=None),
    ]

    async def knows_anna() -> bool:
        return "lacks the privilege" in (await service.post(RECORD, key="anna:pw of anna")).text

    await until(knows_anna)
    journal = await answered(service, *requests)
    recording = recorded(*journal)
    assert recording.credentials == ["key ci", "password of anna"]
    results = await replay(recording, service.url, {**KEYS, "password of anna": "pw of anna"})
    assert [str(result) for result in results if result.outcome != "alike"] == []


async def test_a_request_arrives_as_it_was_and_with_nothing_added() -> None:
    seen: list[web.BaseRequest] = []

    async def handler(request: web.BaseRequest) -> web.Response:
        seen.append(request)
        assert await request.read() == b"\x00\xff"
        return web.Response(status=302, headers={"Location": "/elsewhere", "Set-Cookie": "a=b"})

    request = received(
        b"\x00\xff", ("x-b", "2"), ("X-A", "1"), ("x-b", "3"), ("Host", "other"), caller=None,
        target="/a%2Fb//..%20?x=%41&y",
        answer=Answer(302, [], None), method="PUT",
    )  # fmt: skip
    async with other_server(handler) as url:  # type: ignore[arg-type]
        results = await replay(recorded(request, request), f"{url}/base", {}, status_only=True)
    assert [result.outcome for result in results] == ["alike", "alike"]
    for got in seen:
        assert (got.method, got.raw_path) == ("PUT", "/base/a%2Fb//..%20?x=%41&y")
        names = [name.decode() for name, _ in got.raw_headers]
        assert names == ["Host", "x-b", "X-A", "x-b", "Content-Length", "Connection"]


async def test_a_large_body_is_sent_again(start: StartService) -> None:
    service = await start(limits_body_bytes=3_000_000)
    body = json.dumps({**RECORD, "Ignored": "x" * 2_000_000}).encode()
    recording = recorded(*await answered(service, received(body, JSON, ("X-ApiKey", KEY))))
    assert [result.outcome for result in await replay(recording, service.url, KEYS)] == ["alike"]


# Different


async def test_a_server_that_is_set_up_differently_is_told_apart_request_by_request(service: Service) -> None:
    other = received(FORM_BODY.replace(FEED.encode(), b"npm"), FORM, ("X-ApiKey", KEY))
    missing = received(FORM_BODY.replace(b"Version", b"Ver"), FORM, ("X-ApiKey", KEY))
    journal = await answered(service, right(), other, missing, wrong())
    recording = recorded(*journal)
    await add_feed(service.admin, "npm")
    await update_feed(service.admin, FEED, active=False)
    await settled(service)
    seen: list[Comparison] = []
    results = await replay(recording, service.url, KEYS, on_result=seen.append)
    assert seen == results
    assert [str(result) for result in results if result.is_difference] == [
        f"request 1, POST {PATH}: status: recorded 200, got 400\n"
        f"request 1, POST {PATH}: the answer says: FeedName names the feed 'DefaultNuGet', which is inactive.",
        f"request 2, POST {PATH}: status: recorded 404, got 403\n"
        f"request 2, POST {PATH}: the answer says: The API key may not record deployments here.",
    ]
    assert [result.outcome for result in results] == ["different", "different", "alike", "alike"]


async def test_a_wrong_key_gives_another_status(service: Service) -> None:
    recording = recorded(*await answered(service, right()))
    (result,) = await replay(recording, service.url, {"key ci": "not-the-key"})
    assert str(result).splitlines()[0] == f"request 1, POST {PATH}: status: recorded 200, got 403"
    (result,) = await replay(recording, service.url, {"key ci": "not-the-key"}, status_only=True)
    assert str(result) == f"request 1, POST {PATH}: status: recorded 200, got 403"


JSON_TYPE = "application/json; charset=utf-8"


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ({"Version": "12.0.3"}, {"Version": "12.0.2"}, ["Version: recorded 12.0.3, got 12.0.2"]),
        ({"a": 1, "Id": 1, "RecordedAt": "x"}, {"a": 1, "Id": 2, "RecordedBy": "y"}, []),
        ({"a": 1}, {"a": 1, "Date": "x", "UserName": "ci"}, []),
        (
            {"Date": "x", "UserName": "a"},
            {"Date": "y"},
            ["Date: recorded x, got y", "UserName: recorded a, got nothing"],
        ),
        ({"Url": None}, {"Url": ""}, ['Url: recorded null, got ""']),
        ({"a": 1}, {"a": "1"}, ['a: recorded 1, got "1"']),
        ({"a": 1}, {"a": True}, ["a: recorded 1, got true"]),
        ({}, {"New": [1]}, ["New: recorded nothing, got [1]"]),
        ({"errors": {"a": "b"}}, {"errors": {"a": "c"}}, ["errors.a: recorded b, got c"]),
        ({"a": "b\n" + "x" * 200}, {"a": "c"}, ["a: recorded b�" + "x" * 98 + "…, got c"]),
    ],
)
def test_records_are_compared_field_by_field(before: Any, after: Any, lines: list[str]) -> None:
    texts = json.dumps(before), json.dumps(after, indent=1)
    answers = [RecordedAnswer(200, JSON_TYPE, text) for text in texts]
    assert list(differences(*answers)) == lines
    assert list(differences(*answers, status_only=True)) == []


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ("one\ntwo\n", "one\r\ntwo", []),
        ("one\ntwo\n", "one\n2\n3\n", [
            'body, line 2: recorded "two", got "2"', 'body, line 3: recorded nothing, got "3"',
        ]),
        ("one", "", ['body, line 1: recorded "one", got nothing']),
        ("x\n" * 15, "y\n" * 15, [
            *(f'body, line {n}: recorded "x", got "y"' for n in range(1, 11)), "body: 5 more lines differ",
        ]),
    ],
)  # fmt: skip
def test_texts_are_compared_line_by_line(before: str, after: str, lines: list[str]) -> None:
    assert (
        list(differences(RecordedAnswer(400, "text/plain", before), RecordedAnswer(400, "text/plain", after))) == lines
    )


def test_content_types_are_compared_as_they_are_meant() -> None:
    one, same = RecordedAnswer(404, "text/plain; charset=utf-8"), RecordedAnswer(404, 'Text/Plain;charset="UTF-8"', "x")
    assert list(differences(one, same)) == []
    assert list(differences(one, RecordedAnswer(404))) == ["content type: recorded text/plain; charset=utf-8, got none"]


def test_answers_of_another_kind_are_not_printed() -> None:
    ours = RecordedAnswer(200, JSON_TYPE, "{}")
    page, nothing = RecordedAnswer(200, "text/html; charset=utf-8", "<html>" * 9), RecordedAnswer(200, "", "")
    assert list(differences(ours, page)) == ["kind of body: recorded a JSON object, got text/html, 54 characters"]
    assert list(differences(ours, nothing)) == ["kind of body: recorded a JSON object, got nothing"]
    assert list(differences(page, ours)) == ["kind of body: recorded text/html, 54 characters, got a JSON object"]


async def test_a_key_that_a_server_repeats_is_not_shown() -> None:
    handler = answering(lambda: web.json_response({"Target": f"my {KEY} is"}))
    async with other_server(handler) as url:
        (result,) = await replay(recorded(right()), url, KEYS)
    assert "Target: recorded localhost, got my {{key ci}} is" in result.differences
    assert KEY not in str(result)


async def test_what_a_fault_had_hit_is_skipped(service: Service) -> None:
    journal = [received(FORM_BODY, FORM, fault="503", caller=None), received(FORM_BODY, FORM, answer=None, caller=None)]
    results = await replay(recorded(*journal), service.url, {})
    assert [str(result) for result in results] == [
        f"request 1, POST {PATH}: skipped: a fault had hit it: 503",
        f"request 2, POST {PATH}: skipped: it has no recorded answer",
    ]
    assert await service.rows() == []
    assert summary(results) == "2 requests: 2 skipped."


# No answer


async def test_a_connection_that_fails_is_a_difference_and_the_rest_goes_on() -> None:
    results = await replay(recorded(right(), right()), f"http://127.0.0.1:{free_port()}", KEYS)
    assert [str(result) for result in results] == [
        f"request {number}, POST {PATH}: connection refused" for number in (1, 2)
    ]
    assert {result.outcome for result in results} == {"unreachable"}


async def test_a_host_without_an_address_is_said_to_have_none() -> None:
    (result,) = await replay(recorded(right()), "http://nowhere.invalid", KEYS)
    assert (result.outcome, result.differences) == ("unreachable", ("the name of the host cannot be found",))


async def test_a_server_that_is_silent_is_given_up_after_the_timeout() -> None:
    async def silent(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    async with other_server(silent) as url:
        (result,) = await replay(recorded(right()), url, KEYS, timeout=0.2)
    assert (result.outcome, result.differences) == ("unanswered", ("no answer within 0.2 seconds",))


@pytest.mark.parametrize(
    ("bytes_", "why"),
    [
        (b"", "the server closed the connection without an answer"),
        (b"garbage\r\n\r\n", "the answer cannot be read: "),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", "the answer cannot be read: "),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", "the answer cannot be read: "),
    ],
)
async def test_an_answer_that_cannot_be_read_is_a_difference(bytes_: bytes, why: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(bytes_)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        (result,) = await replay(recorded(right()), f"http://127.0.0.1:{port}", KEYS)
    assert (result.outcome, result.is_difference) == ("unanswered", True)
    assert result.differences[0].startswith(why)


async def test_a_certificate_that_signs_itself_needs_to_be_let_in(
    start: StartService,
    certificate: tuple[Path, Path],  # noqa: F811 - pytest's way
) -> None:
    service = await start(server_tls_certificate=certificate[0], server_tls_key=certificate[1])
    recording = recorded(wrong())
    (refused,) = await replay(recording, service.url, {}, status_only=True)
    (let_in,) = await replay(recording, service.url, {}, status_only=True, insecure=True)
    assert refused.differences[0].startswith("the certificate is not trusted: ")
    assert list(let_in.differences) == ["status: recorded 200, got 403"]


async def test_nothing_is_sent_without_all_credentials(service: Service) -> None:
    with pytest.raises(InvalidValue, match=r"needs the key ci\."):
        await replay(recorded(wrong(), right()), service.url, {"key other": "x"})
    assert await service.rows() == []


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://host", "'ftp://host' is no address of a server"),
        ("host:8624", "'host:8624' is no address of a server"),
        ("http://", "'http://' is no "),
        ("http://host:port", "'http://host:port' is no URL"),
        ("http://api:key@host", "holds no user and no password"),
        ("http://host/?key=1", "Give the address of the server alone"),
        ("http://host/proget/API/package-deployment/", "Give the address of the server alone"),
    ],
)
def test_a_url_that_is_no_server_is_told_so(url: str, message: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        server_url(url)
    assert message in str(caught.value)


@pytest.mark.parametrize("url", ["http://host", "http://host/", "https://host:8624/proget/"])
def test_a_url_loses_the_slash_at_its_end(url: str) -> None:
    assert server_url(url) == url.rstrip("/")


# The command


@pytest.mark.parametrize(
    ("needed", "given", "secrets"),
    [
        ([], [], {}),
        ([], ["KEY"], {}),
        (["key ci"], ["KEY"], {"key ci": "KEY"}),
        (["key ci"], ["ci=KEY"], {"key ci": "KEY"}),
        (["key ci"], ["K=EY=="], {"key ci": "K=EY=="}),
        (["key ci", "key b"], ["b=2", "1"], {"key ci": "1", "key b": "2"}),
        (["key ci", "key b"], ["1", "2"], {"key ci": "1", "key b": "2"}),
        (["key a", "password of a"], ["password of a=2", "key a=1"], {"key a": "1", "password of a": "2"}),
        (["password of anna"], ["anna=p=w"], {"password of anna": "p=w"}),
    ],
    ids=str,
)  # fmt: skip
def test_keys_are_given_by_name_or_in_order(needed: list[str], given: list[str], secrets: dict[str, str]) -> None:
    assert assigned(needed, given) == secrets


@pytest.mark.parametrize(
    ("needed", "given", "message"),
    [
        (["key ci"], [], "The recording needs the key ci. Give it with --key ci=... or in a --key-file."),
        (["key ci", "password of a"], ["ci=1"], "The recording needs the password of a. Give it with --key a=..."),
        (["key ci"], ["ci="], "The recording needs the key ci."),
        (["key ci"], ["1", "2"], "There are more keys than the recording has names for."),
        (["key a", "password of a"], ["a=1"], "'a' can be key a or password of a: write 'key a=...'."),
    ],
    ids=str,
)
def test_keys_that_do_not_fit_are_told_so(needed: list[str], given: list[str], message: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        assigned(needed, given)
    assert message in str(caught.value)


Run = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``deployserver replay`` in a thread, beside the server that the test runs."""

    async def run_command(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        given = ["replay", *map(str, arguments)]
        try:
            code = await asyncio.to_thread(cli.main, given)
        except SystemExit as error:
            code = int(error.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_command


@pytest.fixture
async def file(tmp_path: Path, service: Service) -> Path:
    """A recording of three requests: a right one, one with a wrong key, and one that a fault had hit."""
    file = tmp_path / "recording.json"
    journal = await answered(service, received(FORM_BODY, FORM, ("X-ApiKey", KEY)), wrong())
    file.write_text(written(*journal, received(caller=None, fault="reset")), "utf-8")
    return file


async def test_the_command_says_ok_request_by_request(run: Run, file: Path, service: Service) -> None:
    assert await run(file, "--url", service.url, "--key", KEY) == (
        0,
        f"   1  POST {PATH}  ok\n"
        f"   2  POST {PATH}  ok\n"
        f"   3  POST {PATH}  skipped: a fault had hit it: reset\n"
        "3 requests: 2 alike, 1 skipped.\n",
        "",
    )
    assert len(await service.rows()) == 2


async def test_the_command_shows_differences_and_exits_with_3(run: Run, file: Path, service: Service) -> None:
    await update_feed(service.admin, FEED, active=False)
    await settled(service)
    code, out, err = await run(file, "--url", service.url, "--key", f"ci={KEY}", "--timeout", "5", "--insecure")
    assert (code, err) == (3, "")
    assert out.startswith(
        f"   1  POST {PATH}  different\n        status: recorded 200, got 400\n        the answer says: "
    )
    assert out.endswith("3 requests: 1 alike, 1 different, 1 skipped.\n")


async def test_a_server_that_answers_otherwise_is_alike_with_status_only(run: Run, file: Path) -> None:
    text = json.loads(file.read_text("utf-8"))
    text["requests"] = text["requests"][:1]
    file.write_text(json.dumps(text), "utf-8")
    async with other_server(answering(lambda: web.Response(text="<p>fine</p>", content_type="text/html"))) as url:
        assert (await run(file, "--url", url, "--key", KEY, "--status-only"))[0] == 0
        code, out, _ = await run(file, "--url", url, "--key", KEY)
    assert code == 3
    assert "kind of body: recorded a JSON object, got text/html, 11 characters\n" in out
    assert "<p>" not in out
    assert "--status-only" in out


async def test_keys_come_from_a_file_or_standard_input(
    run: Run, file: Path, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "keys.txt").write_text(f"\n ci={KEY} \r\n")
    assert (await run(file, "--url", service.url, "--key-file", tmp_path / "keys.txt"))[0] == 0
    monkeypatch.setattr(sys, "stdin", io.StringIO(KEY))
    assert (await run(file, "--url", service.url, "--key-file", "-"))[0] == 0


async def test_a_server_that_cannot_be_reached_is_exit_code_1(run: Run, file: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    code, out, err = await run(file, "--url", url, "--key", KEY)
    assert (code, err) == (1, f"deployserver: The server at {url} cannot be reached: connection refused.\n")
    assert out.count("connection refused") == 2


async def test_wrong_usage_is_exit_code_2(run: Run, file: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text('{"format": "deployserver recording", "version": 1, "requests": [{}]}')
    (tmp_path / "other.json").write_text("[]")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\xff")
    url = ("--url", "http://127.0.0.1:1")
    for arguments, message in [
        ((file,), "--url"),
        ((file, *url), "The recording needs the key ci."),
        ((file, *url, "--key", KEY, "--timeout", "0"), "'0' is no number of seconds above 0"),
        ((file, *url, "--key", KEY, "--timeout", "soon"), "'soon' is no number of seconds above 0"),
        ((file, *url, "--key-file", tmp_path / "none.txt"), "none.txt cannot be read: "),
        ((file, "--url", "127.0.0.1", "--key", KEY), "is no address of a server"),
        ((tmp_path / "none.json", *url), "none.json cannot be read: "),
        ((tmp_path / "binary.json", *url), "binary.json cannot be read: it is no text in UTF-8."),
        ((tmp_path / "other.json", *url), "other.json: This is no recording: "),
        ((tmp_path / "bad.json", *url), "bad.json is no recording that can be read: requests[1].method: "),
    ]:
        code, out, err = await run(*arguments)
        assert (code, out, message in err) == (2, "", True), err


async def test_the_help_says_that_deployments_are_recorded_again(run: Run) -> None:
    code, out, _ = await run("--help")
    assert code == 0
    assert "the deployments are recorded once\nmore on that server" in out
    assert "exit codes:" in out


def test_the_form_that_is_replayed_is_the_documented_one() -> None:
    assert dict(parse_qsl(right().body.decode())) == RECORD
    assert right().caller == CI
