"""Reads the settings, remembers where each value came from, and says what is wrong with it."""

from __future__ import annotations

import configparser
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployserver.database_urls import hide_password
from deployserver.errors import ConfigurationError
from deployserver.settings import ENVIRONMENT_PREFIX, OPTIONS, SECTIONS, Option, Settings

CONFIG_VARIABLE = "DEPLOYSERVER_CONFIG"
QUICKSTART_DIRECTORY = "deployserver-data"
_SEARCHED = (Path("config.ini"), Path(QUICKSTART_DIRECTORY, "config.ini"))


@dataclass(frozen=True, slots=True)
class Value:
    """What an option was set to, as it was written, and by what."""

    option: Option
    text: str
    source: str

    @property
    def shown(self) -> str:
        """The value as it may be shown: without the password of a URL."""
        return hide_password(self.text) if self.option.secret else self.text


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings together with where they came from; ``file`` is None where none was read."""

    settings: Settings
    file: Path | None
    values: tuple[Value, ...]


def find_file(given: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return the configuration file to read: the one given, the one the environment names, or the first found.

    Looked for are ``config.ini`` and ``deployserver-data/config.ini`` (what ``quickstart`` makes).
    """
    if given is not None:
        return given
    if named := environ.get(CONFIG_VARIABLE):
        return Path(named)
    return next((path for path in _SEARCHED if path.is_file()), None)


def load(
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[tuple[str, str], str] | None = None,
) -> Configuration:
    """Read the settings: ``overrides`` (the command line) beat ``environ``, which beats ``file``, which beats defaults.

    Raises ConfigurationError, naming the file or variable, the section and the option.
    """
    environ = environ or {}
    overrides = overrides or {}
    in_file = _read_file(file) if file is not None else {}
    _reject_unknown_variables(environ)
    settled: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    shown: list[Value] = []
    for option in OPTIONS:
        value = _settle(option, in_file, file, environ, overrides)
        try:
            settled[option.section][option.name] = option.parse(value.text)
        except ValueError as error:
            raise ConfigurationError(f"{value.source}: [{option.section}] {option.name} {error}") from None
        shown.append(value)
    settings = Settings(
        **{section: cls(**settled[section]) for section, cls in SECTIONS.items()},
        directory=file.absolute().parent if file is not None else Path.cwd(),
    )
    if (settings.server.tls_certificate is None) != (settings.server.tls_key is None):
        raise ConfigurationError(
            f"{file or 'the environment'}: [server] tls_certificate and tls_key go together; only one is set."
        )
    return Configuration(settings, file, tuple(shown))


def _settle(
    option: Option,
    in_file: Mapping[tuple[str, str], str],
    file: Path | None,
    environ: Mapping[str, str],
    overrides: Mapping[tuple[str, str], str],
) -> Value:
    key = (option.section, option.name)
    if key in overrides:
        return Value(option, overrides[key], "the command line")
    file_variable = f"{option.variable}_FILE"
    if option.secret and file_variable in environ:
        if option.variable in environ:
            raise ConfigurationError(f"{option.variable} and {file_variable} are both set; keep one of them.")
        try:
            return Value(option, Path(environ[file_variable]).read_text("utf-8").strip(), file_variable)
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{file_variable}: cannot read the file it names: {error}") from None
    if option.variable in environ:
        return Value(option, environ[option.variable], option.variable)
    if key in in_file:
        return Value(option, in_file[key], str(file))
    return Value(option, option.default, "the default")


def _read_file(file: Path) -> dict[tuple[str, str], str]:
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    try:
        with file.open(encoding="utf-8-sig") as lines:
            parser.read_file(lines, source=str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file}: the configuration cannot be read: {error}") from None
    except configparser.Error as error:
        raise ConfigurationError(f"{file}: not a valid configuration: {error.message}") from None
    known = {(option.section, option.name) for option in OPTIONS}
    found = {(section, name): value for section in parser.sections() for name, value in parser.items(section)}
    for section in parser.sections():
        if section not in SECTIONS:
            raise ConfigurationError(f"{file}: unknown section [{section}]; known are {_listed(SECTIONS)}.")
    for section, name in found:
        if (section, name) not in known:
            names = _listed(option.name for option in OPTIONS if option.section == section)
            raise ConfigurationError(f"{file}: [{section}] has no option {name}; known are {names}.")
    return found


def _reject_unknown_variables(environ: Mapping[str, str]) -> None:
    """A misspelt variable is an error, as in the file; those of other programs (Kubernetes sets some) are not ours."""
    known = {option.variable for option in OPTIONS}
    known |= {f"{option.variable}_FILE" for option in OPTIONS if option.secret}
    ours = tuple(f"{ENVIRONMENT_PREFIX}{section}_".upper() for section in SECTIONS)
    for variable in environ:
        if variable.startswith(ours) and variable not in known:
            section = variable.removeprefix(ENVIRONMENT_PREFIX).partition("_")[0].lower()
            names = _listed(option.variable for option in OPTIONS if option.section == section)
            raise ConfigurationError(f"The environment variable {variable} sets no option; known are {names}.")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
