"""What is logged, how, when, and what never is."""

from __future__ import annotations

import base64
import io
import json
import logging
import re
import threading
from collections.abc import Iterator
from typing import Any, Protocol

import pytest
from conftest import KEY, PATH, RECORD, Service, StartService
from waiting import until

from deployserver.logs import BatchingHandler, RequestLog, configure_logging
from deployserver.settings import LoggingSettings

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
REQUEST = ("abc-1", "POST", PATH, 200, 0.0125, "API key 1 (ci)", "192.0.2.1")


class Configure(Protocol):
    def __call__(self, level: str = "info", format_: str = "json", stream: Any = None) -> io.StringIO: ...


@pytest.fixture
def configure() -> Iterator[Configure]:
    """Configure logging into memory, as a server would into standard error, and undo it after the test."""
    root = logging.getLogger()
    loggers = [root, *(logging.getLogger(name) for name in ("aiosqlite", "asyncio", "aiohttp.server"))]
    levels = [logger.level for logger in loggers]

    def configure(level: str = "info", format_: str = "json", stream: Any = None) -> io.StringIO:
        root.handlers.clear()  # pytest's own, which configure_logging would close
        stream = stream or io.StringIO()
        configure_logging(LoggingSettings(level, format_), BatchingHandler(stream))
        return stream

    yield configure
    root.handlers[:] = [handler for handler in root.handlers if not isinstance(handler, BatchingHandler)]
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


# One line


def test_a_line_is_a_json_object(configure: Configure) -> None:
    stream = configure()
    logging.getLogger("some.module").warning("Zürich: %s", 'a "quoted"\nline')
    (line,) = lines(stream)
    assert list(line) == ["time", "level", "logger", "message"]
    assert re.fullmatch(TIME, line["time"])
    assert (line["level"], line["logger"]) == ("warning", "some.module")
    assert line["message"] == 'Zürich: a "quoted"\nline'
    assert "Z\\u00fcrich" in stream.getvalue()


def test_a_line_is_text_for_people(configure: Configure) -> None:
    """No message can look like two lines, of which the second is forged."""
    stream = configure(format_="text")
    logging.getLogger("some.module").info("Zürich: %s", "one\r\ntwo\x1b[31m")
    assert re.fullmatch(TIME + r" info    Zürich: one  two \[31m\n", stream.getvalue())


@pytest.mark.parametrize(
    ("format_", "terminal", "is_text"),
    [("auto", True, True), ("auto", False, False), ("text", False, True), ("json", True, False)],
)
def test_the_format_follows_the_setting_and_auto_the_terminal(
    configure: Configure, format_: str, terminal: bool, is_text: bool
) -> None:
    stream = configure(format_=format_, stream=Terminal() if terminal else io.StringIO())
    logging.getLogger("x").info("hello")
    RequestLog().write(*REQUEST)
    assert [line.startswith("{") for line in stream.getvalue().splitlines()] == [not is_text] * 2


def test_an_exception_is_logged_whole(configure: Configure) -> None:
    for format_ in ("json", "text"):
        stream = configure(format_=format_)
        try:
            raise ValueError("deep inside")
        except ValueError:
            logging.getLogger("x").exception("it failed")
        if format_ == "json":
            (line,) = lines(stream)
            assert line["message"] == "it failed"
            assert line["exception"].startswith("Traceback") and "ValueError: deep inside" in line["exception"]
        else:
            first, second, *_, last = stream.getvalue().splitlines()
            assert first.endswith("error   it failed")
            assert (second, last) == ("Traceback (most recent call last):", "ValueError: deep inside")


def test_what_json_does_not_know_is_logged_all_the_same(configure: Configure) -> None:
    stream = configure()
    logging.getLogger("x").info("%s %r", object, b"\xff")
    assert lines(stream)[0]["message"] == "<class 'object'> b'\\xff'"


def test_a_message_that_cannot_be_formatted_does_not_stop_the_work(
    configure: Configure, capsys: pytest.CaptureFixture[str]
) -> None:
    configure()
    logging.getLogger("x").info("%d", "no number")
    assert "--- Logging error ---" in capsys.readouterr().err


# Levels


@pytest.mark.parametrize(
    ("level", "logged"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_what_is_below_the_level_is_not_logged(configure: Configure, level: str, logged: list[str]) -> None:
    stream = configure(level)
    for name in ("debug", "info", "warning", "error"):
        logging.getLogger("x").log(getattr(logging, name.upper()), "hello")
    assert [line["level"] for line in lines(stream)] == logged


@pytest.mark.parametrize(
    ("level", "statuses"),
    [("debug", [200, 404, 500, 503]), ("info", [200, 404, 500, 503]), ("warning", [500, 503]), ("error", [500, 503])],
)
def test_requests_are_logged_at_info_and_those_the_server_failed_at_error(
    configure: Configure, level: str, statuses: list[int]
) -> None:
    stream = configure(level)
    log = RequestLog()
    for status in (200, 404, 500, 503):
        log.write("1", "POST", PATH, status, 0.1, "API", "192.0.2.1")
    assert [line["status"] for line in lines(stream)] == statuses
    assert {line["level"] for line in lines(stream) if line["status"] >= 500} == {"error"}


@pytest.mark.parametrize("name", ["aiosqlite", "asyncio", "aiohttp.server"])
def test_libraries_that_repeat_statements_and_bytes_stay_quiet_at_debug(configure: Configure, name: str) -> None:
    stream = configure("debug")
    logging.getLogger(name).debug("a secret")
    assert stream.getvalue() == ""


# Requests


def test_a_request_is_one_json_object(configure: Configure) -> None:
    stream = configure()
    RequestLog().write(*REQUEST)
    (line,) = lines(stream)
    assert re.fullmatch(TIME, line.pop("time"))
    assert line == {
        "level": "info",
        "logger": "deployserver.requests",
        "request_id": "abc-1",
        "method": "POST",
        "path": PATH,
        "status": 200,
        "duration_ms": 12.5,
        "caller": "API key 1 (ci)",
        "address": "192.0.2.1",
    }


def test_a_request_is_one_line_of_text(configure: Configure) -> None:
    stream = configure(format_="text")
    RequestLog().write(*REQUEST)
    line = f"POST {PATH} 200 12.5 ms, API key 1 (ci) from 192.0.2.1, abc-1"
    assert re.fullmatch(TIME + " info    " + re.escape(line) + "\n", stream.getvalue())


@pytest.mark.parametrize("path", ['/a"b\\', "/a\nb", "/a\r\n2026 error forged", "/Zürich/☃", "/\x00\x1f\x7f\x85"])
def test_no_path_breaks_a_line(configure: Configure, path: str) -> None:
    stream = configure()
    RequestLog().write("1", "GET", path, 404, 0, "a\nb", "c\nd")
    (line,) = stream.getvalue().split("\n")[:-1]
    assert (json.loads(line)["path"], json.loads(line)["caller"]) == (path, "a\nb")
    stream = configure(format_="text")
    RequestLog().write("1", "GET", path, 404, 0, "a\nb", "c\nd")
    assert len(stream.getvalue().splitlines()) == 1


def test_without_configuration_nothing_is_logged() -> None:
    RequestLog().write(*REQUEST)


async def test_a_request_is_logged_with_its_id_caller_and_address(configure: Configure, start: StartService) -> None:
    stream = configure()
    service = await start()
    answer = await service.post(RECORD, headers={"X-Request-Id": "build-17/3"})
    assert answer.headers["X-Request-Id"] == "build-17/3"
    refused = await service.post(RECORD, key="wrong", headers={"X-Request-Id": 'not "acceptable"'})
    await service.request("GET", "/nothing/here?key=x")

    async def are_written() -> bool:
        return len(requests(stream)) == 3

    await until(are_written)
    recorded, wrong, nothing = requests(stream)
    assert (recorded["request_id"], recorded["caller"]) == ("build-17/3", "API key 1 (ci)")
    assert (recorded["method"], recorded["path"], recorded["status"]) == ("POST", PATH, 200)
    assert (recorded["address"], recorded["duration_ms"] > 0) == ("127.0.0.1", True)
    assert (wrong["request_id"], wrong["status"]) == (refused.headers["X-Request-Id"], 403)
    assert wrong["caller"] == "unknown"
    assert (nothing["path"], nothing["status"]) == ("/nothing/here", 404)


def requests(stream: io.StringIO) -> list[dict[str, Any]]:
    return [line for line in lines(stream) if line["logger"] == "deployserver.requests" and "status" in line]


# When it is written


async def test_a_line_below_warning_waits_a_moment_for_others(configure: Configure) -> None:
    """One write for many requests: else the log would cost more than the records."""
    stream = configure()
    RequestLog().write(*REQUEST)
    logging.getLogger("x").info("hello")
    assert stream.getvalue() == ""

    async def is_written() -> bool:
        return len(lines(stream)) == 2

    await until(is_written)
    RequestLog().write(*REQUEST)

    async def is_written_too() -> bool:
        return len(lines(stream)) == 3

    await until(is_written_too)


@pytest.mark.parametrize("level", [logging.WARNING, logging.ERROR, logging.CRITICAL])
async def test_a_warning_is_written_at_once_with_all_that_waited_before(configure: Configure, level: int) -> None:
    stream = configure()
    RequestLog().write(*REQUEST)
    logging.getLogger("x").log(level, "trouble")
    assert [line.get("message") for line in lines(stream)] == [None, "trouble"]


async def test_a_failed_request_is_written_at_once(configure: Configure) -> None:
    stream = configure()
    RequestLog().write("1", "POST", PATH, 503, 0.1, "API", "192.0.2.1")
    assert len(lines(stream)) == 1


async def test_a_line_from_another_thread_is_written(configure: Configure) -> None:
    stream = configure()
    thread = threading.Thread(target=logging.getLogger("x").info, args=("hello",))
    thread.start()
    thread.join()
    assert len(lines(stream)) == 1


async def test_what_waits_is_written_at_the_end(configure: Configure) -> None:
    stream = configure()
    logging.getLogger("x").info("hello")
    for handler in logging.getLogger().handlers:
        handler.flush()  # as logging.shutdown does
    assert len(lines(stream)) == 1


class FullDisk(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("status", [200, 503])
def test_a_log_that_cannot_be_written_does_not_stop_the_work(configure: Configure, status: int) -> None:
    """A full disk under the log must not turn recorded deployments into errors."""
    configure(stream=FullDisk())
    RequestLog().write("1", "POST", PATH, status, 0.1, "API", "192.0.2.1")


# What never gets into a log

SECRETS = {
    name: f"{name}-7f3a9c"
    for name in ("apikey", "querykey", "query", "formkey", "jsonkey", "password", "username", "bearer", "body", "value")
}
BASIC = base64.b64encode(f"{SECRETS['username']}:{SECRETS['password']}".encode()).decode()
HEAD = f"POST {PATH}?key={SECRETS['querykey']} HTTP/1.1\r\nHost: x\r\nX-ApiKey: {SECRETS['apikey']}\r\n".encode()
RAW_REQUESTS = {
    "no HTTP": f"{SECRETS['apikey']}\r\n\r\n".encode(),
    "broken request line": f"POST {PATH}?key={SECRETS['querykey']} and more HTTP/1.1\r\n\r\n".encode(),
    "broken version": f"POST {PATH}?key={SECRETS['querykey']} HTTP/x\r\n\r\n".encode(),
    "broken header": HEAD + f"X-ApiKey {SECRETS['apikey']}\r\n\r\n".encode(),
    "control character in a header": HEAD + f"Other: \x01{SECRETS['value']}\r\n\r\n".encode(),
    "overlong header": HEAD + f"Other: {SECRETS['value'] * 2000}\r\n\r\n".encode(),
    "overlong request line": f"POST {PATH}?key={SECRETS['querykey'] * 2000} HTTP/1.1\r\n\r\n".encode(),
    "broken length": HEAD + f"Content-Length: {SECRETS['value']}\r\n\r\n".encode(),
    "broken chunks": HEAD + f"Transfer-Encoding: chunked\r\n\r\n{SECRETS['body']}\r\n".encode(),
    "broken compression": HEAD
    + f"Content-Encoding: gzip\r\nContent-Length: {len(SECRETS['body'])}\r\n\r\n{SECRETS['body']}".encode(),
    "unknown encoding": HEAD
    + f"Content-Encoding: {SECRETS['value']}\r\nContent-Length: 1\r\n\r\n{SECRETS['body']}".encode(),
}
FORM = RECORD | {"Description": SECRETS["body"], "key": SECRETS["formkey"]}
REQUESTS: dict[str, dict[str, Any]] = {
    "recorded": {"data": RECORD | {"Description": SECRETS["body"]}, "headers": {"X-ApiKey": KEY}},
    "wrong header": {"data": FORM, "headers": {"X-ApiKey": SECRETS["apikey"]}},
    "wrong query": {"data": FORM, "params": {"key": SECRETS["querykey"], "other": SECRETS["query"]}},
    "wrong form": {"data": FORM},
    "wrong JSON": {"json": RECORD | {"API_Key": SECRETS["jsonkey"]}},
    "wrong pseudo-key": {"data": RECORD, "headers": {"X-ApiKey": f"{SECRETS['username']}:{SECRETS['password']}"}},
    "wrong Basic": {"data": RECORD, "headers": {"Authorization": f"Basic {BASIC}"}},
    "broken Basic": {"data": RECORD, "headers": {"Authorization": f"Basic {SECRETS['password']}!"}},
    "Bearer": {"data": RECORD, "headers": {"Authorization": f"Bearer {SECRETS['bearer']}"}},
    "nobody": {"data": RECORD | {"Description": SECRETS["body"]}},
    "bad fields": {
        "data": RECORD | {"Url": SECRETS["body"], "Date": SECRETS["value"], "Version": ""},
        "headers": {"X-ApiKey": KEY},
    },
    "unknown feed": {"data": RECORD | {"FeedName": SECRETS["value"]}, "headers": {"X-ApiKey": KEY}},
    "bad JSON": {"data": b'{"x": ' + SECRETS["body"].encode(), "headers": {"Content-Type": "application/json"}},
    "bad type": {"data": SECRETS["body"].encode(), "headers": {"Content-Type": "image/png"}},
    "bad multipart": {
        "data": SECRETS["body"].encode(),
        "headers": {"Content-Type": "multipart/form-data; boundary=x"},
    },
    "too large": {"data": (SECRETS["body"] * 1000).encode()},
    "wrong method": {"method": "GET", "params": {"key": SECRETS["querykey"]}},
    "wrong path": {"path": "/nothing", "params": {"key": SECRETS["querykey"]}, "data": FORM},
}


@pytest.mark.parametrize("format_", ["json", "text"])
async def test_no_key_password_query_or_body_is_ever_logged(
    configure: Configure, start: StartService, format_: str
) -> None:
    """Logs are shipped to places that may not see what opens this server."""
    stream = configure("debug", format_)
    broken = False

    def clock() -> int:
        if broken:
            raise RuntimeError("the clock is broken")
        return 1_700_000_000_000_000

    service = await start(clock=clock, security_lockout_failures=0, limits_body_bytes=2000)
    statuses = [await post(service, options) for options in REQUESTS.values()]
    for request in RAW_REQUESTS.values():
        answer = await service.raw(request)
        assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))
    broken = True
    statuses.append(await post(service, REQUESTS["recorded"]))
    broken = False
    service.store.path.rename(service.store.path.with_suffix(".away"))
    statuses.append(await post(service, REQUESTS["recorded"]))
    assert set(statuses) == {200, 400, 403, 404, 405, 413, 500, 503}

    async def are_written() -> bool:
        return stream.getvalue().count(PATH) >= len(REQUESTS) - 1

    await until(are_written)
    logged = stream.getvalue()
    assert "RuntimeError: the clock is broken" in logged
    assert [secret for secret in (KEY, BASIC, *SECRETS.values()) if secret in logged] == []
    assert "ProfitCalc" not in logged


async def post(service: Service, options: dict[str, Any]) -> int:
    options = {"method": "POST", "path": PATH} | options
    return (await service.request(options.pop("method"), options.pop("path"), **options)).status


async def test_what_went_wrong_inside_is_in_the_log_under_the_id_the_client_got(
    configure: Configure, start: StartService
) -> None:
    stream = configure()
    broken = False

    def clock() -> int:
        if broken:
            raise RuntimeError("the clock is broken")
        return 1

    service = await start(clock=clock)
    broken = True
    answer = await service.post(RECORD)
    assert answer.status == 500
    assert "clock" not in answer.text
    request_id = answer.headers["X-Request-Id"]
    assert request_id in answer.text
    messages = [line for line in lines(stream) if request_id in line.get("message", "")]
    assert [line["level"] for line in messages] == ["error"]
    assert "RuntimeError: the clock is broken" in messages[0]["exception"]
    assert requests(stream)[-1]["request_id"] == request_id
    broken = False
