"""The settings: a file, the environment and the command line, and what is said of mistakes in them."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from pathlib import Path

import pytest
from conftest import database_path

from deployserver import config
from deployserver.config import Configuration
from deployserver.database_urls import hide_password
from deployserver.errors import ConfigurationError
from deployserver.example_config import example_config
from deployserver.settings import OPTIONS, SECTIONS, Option

ROOT = Path(__file__).parents[1]
PORT = ("server", "port")


def write(directory: Path, text: str, encoding: str = "utf-8") -> Path:
    file = directory / "config.ini"
    file.write_bytes(text.encode(encoding))
    return file


def load_text(directory: Path, text: str, **environ: str) -> Configuration:
    return config.load(write(directory, text), environ)


def value_of(configured: Configuration, section: str, name: str) -> object:
    return getattr(getattr(configured.settings, section), name)


def option_of(section: str, name: str) -> Option:
    return next(option for option in OPTIONS if (option.section, option.name) == (section, name))


# What beats what


def test_without_anything_there_are_defaults() -> None:
    configured = config.load()
    assert configured.file is None
    assert {value.source for value in configured.values} == {"the default"}
    settings = configured.settings
    assert (settings.server.host, settings.server.port, settings.server.base_path) == ("127.0.0.1", 8624, "")
    assert settings.server.trusted_proxies == ()
    assert settings.server.tls_certificate is None
    assert settings.database.url == "sqlite:///deployserver.db"
    assert settings.security.pseudo_keys is True
    assert settings.limits.body_bytes == 1024 * 1024
    assert (settings.logging.level, settings.logging.format) == ("info", "auto")


def test_the_command_line_beats_the_environment_beats_the_file_beats_the_default(tmp_path: Path) -> None:
    file = write(tmp_path, "[server]\nport = 1\n")
    environ = {"DEPLOYSERVER_SERVER_PORT": "2"}
    overrides = {PORT: "3"}
    loaded = [
        config.load(),
        config.load(file),
        config.load(file, environ),
        config.load(None, environ),
        config.load(file, environ, overrides),
    ]
    assert [configured.settings.server.port for configured in loaded] == [8624, 1, 2, 2, 3]
    sources = [next(value.source for value in one.values if value.option.name == "port") for one in loaded]
    assert sources == [
        "the default",
        str(file),
        "DEPLOYSERVER_SERVER_PORT",
        "DEPLOYSERVER_SERVER_PORT",
        "the command line",
    ]


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.variable)
def test_every_option_can_be_set_by_the_file_and_by_the_environment(tmp_path: Path, option: Option) -> None:
    texts = {
        bool: "false",
        int: "7",
        float: "7.5",
        "host": "::1",
        "base_path": "/x",
        "trusted_proxies": "10.0.0.0/8",
        "url": "sqlite:///other.db",
        "level": "ERROR",
        "format": "Text",
        "tls_certificate": "c.pem",
        "tls_key": "k.pem",
    }
    text = texts.get(option.name) or texts[type(option.parse(option.default))]
    pair = {"tls_certificate": "tls_key", "tls_key": "tls_certificate"}.get(option.name)
    more = f"{pair} = other.pem\n" if pair else ""
    file = write(tmp_path, f"[{option.section}]\n{option.name} = {text}\n{more}")
    expected = option.parse(text)
    assert expected != option.parse(option.default)
    assert value_of(config.load(file), option.section, option.name) == expected
    file.write_text(f"[{option.section}]\n{more}")
    assert value_of(config.load(file, {option.variable: text}), option.section, option.name) == expected


def test_variables_of_other_programs_are_not_ours(tmp_path: Path) -> None:
    """Kubernetes sets the last ones for a service that is named deployserver."""
    environ = {
        "PORT": "x",
        "DEPLOYSERVER": "x",
        "deployserver_server_port": "x",
        "MY_DEPLOYSERVER_SERVER_PORT": "x",
        "DEPLOYSERVER_CONFIG": "x",
        "DEPLOYSERVER_PORT": "tcp://10.0.0.1:8624",
        "DEPLOYSERVER_PORT_8624_TCP": "tcp://10.0.0.1:8624",
        "DEPLOYSERVER_PORT_8624_TCP_ADDR": "10.0.0.1",
        "DEPLOYSERVER_PORT_8624_TCP_PORT": "8624",
        "DEPLOYSERVER_PORT_8624_TCP_PROTO": "tcp",
        "DEPLOYSERVER_SERVICE_HOST": "10.0.0.1",
        "DEPLOYSERVER_SERVICE_PORT": "8624",
        "DEPLOYSERVER_SERVICE_PORT_HTTP": "8624",
    }
    assert config.load(None, environ).settings == config.load().settings


# The file


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("[server]\nport = 1\n", "utf-8-sig"),  # Notepad's
        ("[server]\r\nport = 1\r\n", "utf-8"),
        ("[server]\nPORT: 1\n", "utf-8"),
        ("# a comment\n; another: Zürich\n\n[server]\n  port=1  \n", "utf-8"),
        ("[server]\nport = 1\n[database]\n[logging]\n", "utf-8"),
    ],
)
def test_a_file_is_read_however_it_was_edited(tmp_path: Path, text: str, encoding: str) -> None:
    assert config.load(write(tmp_path, text, encoding)).settings.server.port == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[server]\nprt = 1\n", r"\[server\] has no option prt; known are host, port, base_path"),
        ("[servers]\nport = 1\n", r"unknown section \[servers\]; known are server, database, security, limits"),
        ("[Server]\nport = 1\n", r"unknown section \[Server\]; known are server"),
        ("[DEFAULT]\nport = 1\n", r"unknown section \[DEFAULT\]"),
        ("[database]\nport = 1\n", r"\[database\] has no option port; known are url, busy_timeout"),
        ("port = 1\n", "not a valid configuration: .*no section headers"),
        ("[server]\nport\n", "not a valid configuration"),
        ("[server\nport = 1\n", "not a valid configuration"),
        ("[server]\nport = 1\nport = 2\n", "not a valid configuration: .*option 'port' .*already exists"),
        ("[server]\nport = 1\n[server]\n", "not a valid configuration: .*section 'server' already exists"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(ConfigurationError, match=re.escape(str(file)) + "(?s:.)*" + said):
        config.load(file)


def test_a_percent_sign_is_a_percent_sign(tmp_path: Path) -> None:
    assert load_text(tmp_path, "[database]\nurl = sqlite:///100%.db\n").settings.database.url == "sqlite:///100%.db"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for file in (tmp_path / "missing.ini", tmp_path, write(tmp_path, "[server]\n# Zürich\n", "latin-1")):
        with pytest.raises(ConfigurationError, match=re.escape(f"{file}: the configuration cannot be read")):
            config.load(file)


def test_the_file_is_the_one_given_or_named_or_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    named = {"DEPLOYSERVER_CONFIG": "named.ini"}
    assert config.find_file(None, {}) is None
    assert config.find_file(None, {"DEPLOYSERVER_CONFIG": ""}) is None
    (tmp_path / "deployserver-data").mkdir()
    (tmp_path / "deployserver-data" / "config.ini").touch()
    assert config.find_file(None, {}) == Path("deployserver-data/config.ini")
    (tmp_path / "config.ini").touch()
    assert config.find_file(None, {}) == Path("config.ini")
    assert config.find_file(None, named) == Path("named.ini")  # though it does not exist: it must be an error then
    assert config.find_file(Path("given.ini"), named) == Path("given.ini")


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///records.db", "{directory}/records.db"),
        ("sqlite:///data/a b.db", "{directory}/data/a b.db"),
        ("sqlite:///../records.db", "{directory}/../records.db"),
        ("sqlite:////var/lib/records.db", "/var/lib/records.db"),
        ("  sqlite:///records.db  ", "{directory}/records.db"),
    ],
)
def test_a_relative_database_is_beside_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, path: str
) -> None:
    """Else a service that starts in another directory would begin with an empty database."""
    configured = load_text(tmp_path, f"[database]\nurl = {url}\n")
    monkeypatch.chdir("/")
    assert str(database_path(configured.settings)) == path.format(directory=tmp_path)


def test_a_relative_configuration_does_not_depend_on_where_the_process_goes_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "[database]\nurl = sqlite:///records.db\n")
    monkeypatch.chdir(tmp_path)
    settings = config.load(Path("config.ini")).settings
    monkeypatch.chdir("/")
    assert database_path(settings) == tmp_path / "records.db"


def test_without_a_file_the_database_is_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert database_path(config.load().settings) == tmp_path / "deployserver.db"


# Values

BAD_VALUES = [
    ("server", "host", "", "must not be empty"),
    ("server", "port", "http", "is 'http'; it must be a whole number from 0 to 65535"),
    ("server", "port", "65536", "is 65536; it must be a whole number from 0 to 65535"),
    ("server", "port", "-1", "is -1; it must be a whole number from 0 to 65535"),
    ("server", "port", "", "is ''; it must be a whole number from 0 to 65535"),
    ("server", "port", "8624 ; the port", "is '8624 ; the port'; it must be a whole number"),
    ("server", "base_path", "proget", "it must be a path such as /proget"),
    ("server", "base_path", "/a b", "it must be a path such as /proget"),
    ("server", "base_path", "/a//b", "it must be a path such as /proget"),
    ("server", "base_path", "http://x/proget", "it must be a path such as /proget"),
    ("server", "trusted_proxies", "proxy", "holds something that is no address or network: 'proxy'"),
    ("server", "trusted_proxies", "10.0.0.1/8", "holds something that is no address or network: 10.0.0.1/8"),
    ("server", "workers", "0", "is 0; it must be a whole number from 1 to 256"),
    ("server", "workers", "auto", "is 'auto'; it must be a whole number from 1 to 256"),
    ("server", "shutdown_timeout", "-1", "is -1; it must be a number of 0 or more"),
    ("server", "shutdown_timeout", "inf", "is inf; it must be a number of 0 or more"),
    ("server", "shutdown_timeout", "nan", "is nan; it must be a number of 0 or more"),
    ("server", "shutdown_timeout", "30s", "is '30s'; it must be a number of 0 or more"),
    ("database", "url", "", "is ''; it must be sqlite:///FILE"),
    ("database", "url", "records.db", "is 'records.db'; it must be sqlite:///FILE"),
    ("database", "url", "sqlite:///", "is 'sqlite:///'; it must be sqlite:///FILE"),
    ("database", "url", "sqlite://records.db", "it must be sqlite:///FILE"),
    ("database", "url", "mysql://u:secret@host/db", r"is 'mysql://u:\*\*\*@host/db'; it must be sqlite"),
    ("database", "url", "postgresql://u:secret#1@host/db", "holds a #, where it would end; in a user name or password"),
    ("database", "url", "postgresql://u:sec@ret@host/db", "holds more than one @ before the name of the database"),
    ("database", "url", "postgresql://u:sec/ret@host/db", "has a port that is no number from 1 to 65535"),
    ("database", "url", "postgresql://u@host:0/db", "has a port that is no number from 1 to 65535"),
    ("database", "url", "postgresql://u@host/db?sslmode", "is no URL; it must be postgresql://USER:PASSWORD@HOST"),
    ("database", "url", "postgresql://u@host/db?sslmode=yes", "says sslmode=yes; it must be one of disable, allow"),
    (
        "database",
        "url",
        "postgresql://u@h,i/db?target_session_attrs=x",
        "says target_session_attrs=x; it must be one of",
    ),
    ("database", "url", "postgresql://u@host/db?connect_timeout=9", "says connect_timeout, which must be left out"),
    ("security", "pseudo_keys", "maybe", "is 'maybe'; it must be true or false"),
    ("security", "pseudo_keys", "", "is ''; it must be true or false"),
    ("security", "lockout_failures", "-1", "is -1; it must be a whole number of 0 or more"),
    ("security", "lockout_failures", "1.5", "is '1.5'; it must be a whole number of 0 or more"),
    ("security", "lockout_seconds", "0", "is 0; it must be a whole number of 1 or more"),
    ("security", "session_hours", "0", "is 0; it must be a whole number from 1 to 8760"),
    ("limits", "body_bytes", "1M", "is '1M'; it must be a whole number of 1 or more"),
    ("limits", "body_timeout", "0", "is 0; it must be a number of 1 or more"),
    ("limits", "queue", "0", "is 0; it must be a whole number of 1 or more"),
    ("logging", "level", "loud", "is 'loud'; it must be one of debug, info, warning, error"),
    ("logging", "format", "", "is ''; it must be one of auto, text, json"),
]


@pytest.mark.parametrize(("section", "name", "text", "said"), BAD_VALUES)
def test_a_bad_value_is_named_with_its_place(tmp_path: Path, section: str, name: str, text: str, said: str) -> None:
    """Which file or variable, which section, which option, and what would be right."""
    file = write(tmp_path, f"[{section}]\n{name} = {text}\n")
    variable = option_of(section, name).variable
    where = rf"\[{section}\] {name} {'(?s:.)*'}{said}"
    with pytest.raises(ConfigurationError, match=re.escape(f"{file}: ") + where):
        config.load(file)
    with pytest.raises(ConfigurationError, match=f"^{variable}: {where}"):
        config.load(None, {variable: text})
    with pytest.raises(ConfigurationError, match=f"^the command line: {where}"):
        config.load(None, {}, {(section, name): text})


def test_every_option_that_can_be_wrong_is_covered_here() -> None:
    can_be_anything = {("server", "tls_certificate"), ("server", "tls_key"), ("database", "busy_timeout")}
    assert {(option.section, option.name) for option in OPTIONS} == can_be_anything | {bad[:2] for bad in BAD_VALUES}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((word, True) for word in ("true", "True", "YES", "on", "1", " true ")),
        *((word, False) for word in ("false", "No", "OFF", "0")),
    ],
)
def test_true_and_false_have_their_usual_words(text: str, value: bool) -> None:
    assert config.load(None, {"DEPLOYSERVER_SECURITY_PSEUDO_KEYS": text}).settings.security.pseudo_keys is value


@pytest.mark.parametrize("text", ["10.0.0.0/8,::1", "10.0.0.0/8 ::1", " 10.0.0.0/8 , ::1,", "10.0.0.0/8\n ::1"])
def test_networks_are_separated_by_commas_or_blanks(tmp_path: Path, text: str) -> None:
    configured = load_text(tmp_path, f"[server]\ntrusted_proxies = {text}\n")
    assert configured.settings.server.trusted_proxies == (
        ipaddress.ip_network("10.0.0.0/8"),
        ipaddress.ip_network("::1/128"),
    )


@pytest.mark.parametrize(
    ("text", "path"),
    [("", ""), ("/", ""), ("//", ""), ("/proget", "/proget"), ("/proget/", "/proget"), (" /a/b.c ", "/a/b.c")],
)
def test_a_base_path_does_not_end_with_a_slash(text: str, path: str) -> None:
    assert config.load(None, {"DEPLOYSERVER_SERVER_BASE_PATH": text}).settings.server.base_path == path


@pytest.mark.parametrize("name", ["tls_certificate", "tls_key"])
def test_a_certificate_needs_its_key(tmp_path: Path, name: str) -> None:
    """Serving in the clear because one of them is missing would be found out too late."""
    file = write(tmp_path, f"[server]\n{name} = x.pem\n")
    with pytest.raises(ConfigurationError, match="tls_certificate and tls_key go together; only one is set") as caught:
        config.load(file)
    assert str(file) in str(caught.value)


# The environment


@pytest.mark.parametrize(
    ("variable", "known"),
    [
        ("DEPLOYSERVER_SERVER_PRT", "DEPLOYSERVER_SERVER_HOST, DEPLOYSERVER_SERVER_PORT"),
        ("DEPLOYSERVER_DATABASE_URI", "DEPLOYSERVER_DATABASE_URL"),
        ("DEPLOYSERVER_LOGGING_LEVEL_FILE", "DEPLOYSERVER_LOGGING_LEVEL"),
        ("DEPLOYSERVER_LIMITS_", "DEPLOYSERVER_LIMITS_BODY_BYTES"),
    ],
)
def test_a_misspelt_variable_is_an_error(variable: str, known: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{variable} sets no option; known are {known}"):
        config.load(None, {variable: "1"})


def test_a_secret_can_come_from_a_file(tmp_path: Path) -> None:
    """Docker and Kubernetes mount secrets as files, often with a line break at their end."""
    secret = tmp_path / "url"
    secret.write_text("sqlite:///from-file.db\n")
    environ = {"DEPLOYSERVER_DATABASE_URL_FILE": str(secret)}
    file = write(tmp_path, "[database]\nurl = sqlite:///other.db\n")
    configured = config.load(file, environ)
    assert configured.settings.database.url == "sqlite:///from-file.db"
    assert [value.source for value in configured.values if value.option.name == "url"] == [
        "DEPLOYSERVER_DATABASE_URL_FILE"
    ]


def test_a_secret_from_two_places_or_from_none_is_an_error(tmp_path: Path) -> None:
    environ = {"DEPLOYSERVER_DATABASE_URL_FILE": str(tmp_path / "missing")}
    with pytest.raises(ConfigurationError, match="DEPLOYSERVER_DATABASE_URL_FILE: cannot read the file it names"):
        config.load(None, environ)
    (tmp_path / "missing").write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match="DEPLOYSERVER_DATABASE_URL_FILE: cannot read the file it names"):
        config.load(None, environ)
    with pytest.raises(ConfigurationError, match=r"DEPLOYSERVER_DATABASE_URL and .*_FILE are both set; keep one"):
        config.load(None, environ | {"DEPLOYSERVER_DATABASE_URL": "sqlite:///x.db"})


def test_a_bad_secret_from_a_file_names_the_variable_and_not_its_password(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("mysql://user:secret@host/db")
    with pytest.raises(ConfigurationError, match=r"^DEPLOYSERVER_DATABASE_URL_FILE: \[database\] url is") as caught:
        config.load(None, {"DEPLOYSERVER_DATABASE_URL_FILE": str(secret)})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///db",
        "postgres://user@host",
        "postgresql://user:p%40ss@[::1]:5433/db?sslmode=verify-full&sslrootcert=/etc/ca.pem&search_path=records",
        "postgresql://user@one:5432,two:5433/db?target_session_attrs=read-write",
        "postgresql://user@/db?host=/run/postgresql",
    ],
)
def test_urls_of_postgresql_are_taken(url: str) -> None:
    """With all that the driver understands: sockets, several hosts, TLS, settings of the session."""
    assert config.load(None, {"DEPLOYSERVER_DATABASE_URL": url}).settings.database.url == url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://user:secret@host:5432/db", "postgresql://user:***@host:5432/db"),
        ("postgresql://:secret@host/db", "postgresql://:***@host/db"),
        ("postgresql://user:se@cret@host/db", "postgresql://user:***@host/db"),
        ("postgresql://user:se/cret@host/db", "postgresql://user:***@host/db"),
        ("postgresql://user:se:cret@host/db", "postgresql://user:***@host/db"),
        ("postgresql://user@host/db", "postgresql://user@host/db"),
        ("postgresql://h/db?user=u&password=secret&sslmode=a", "postgresql://h/db?user=u&password=***&sslmode=a"),
        ("postgresql://u:se%40cret@[::1]:5/db?sslpassword=x", "postgresql://u:***@[::1]:5/db?sslpassword=***"),
        ("sqlite:///deployserver.db", "sqlite:///deployserver.db"),
        ("sqlite:///C:/data/records.db", "sqlite:///C:/data/records.db"),
        ("sqlite:////srv/a:b@c/records.db", "sqlite:////srv/a:b@c/records.db"),
    ],
)
def test_passwords_in_urls_are_hidden(url: str, shown: str) -> None:
    assert hide_password(url) == shown
    option = option_of("database", "url")
    assert config.Value(option, url, "x").shown == shown


# The example


def test_the_example_is_what_the_options_say() -> None:
    """Run ``python -c 'from deployserver.example_config import *; print(example_config(), end="")'`` to renew it."""
    assert (ROOT / "config.example.ini").read_text("utf-8") == example_config()


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.variable)
def test_the_example_documents_every_option(option: Option) -> None:
    text = example_config()
    section = text.partition(f"\n[{option.section}]\n")[2].partition("\n[")[0]
    assert f"\n#{option.name} = {option.default}".rstrip() + "\n" in section
    assert f"# Environment: {option.variable}" in section
    assert (f"{option.variable}_FILE" in section) is option.secret
    assert option.doc.endswith(".")
    assert option.doc in re.sub(r"\n# ", " ", section)


def test_the_example_has_no_overlong_line() -> None:
    assert max(map(len, example_config().splitlines())) <= 120


def test_the_example_says_the_defaults(tmp_path: Path) -> None:
    """Taking the comment sign away from every option changes nothing."""
    text = re.sub(r"^#(?=\w+ =)", "", example_config(), flags=re.MULTILINE)
    configured = load_text(tmp_path, text)
    assert {value.source for value in configured.values} == {str(tmp_path / "config.ini")}
    assert dataclasses.replace(configured.settings, directory=Path()) == dataclasses.replace(
        config.load().settings, directory=Path()
    )


def test_the_example_sets_what_was_chosen(tmp_path: Path) -> None:
    configured = load_text(tmp_path, example_config({PORT: "1234", ("logging", "level"): "debug"}))
    assert (configured.settings.server.port, configured.settings.logging.level) == (1234, "debug")
    assert sum(value.source != "the default" for value in configured.values) == 2


def test_every_section_and_option_is_declared_once() -> None:
    assert [option.section for option in OPTIONS] == sorted(
        (option.section for option in OPTIONS), key=list(SECTIONS).index
    )
    assert len({option.variable for option in OPTIONS}) == len(OPTIONS)
