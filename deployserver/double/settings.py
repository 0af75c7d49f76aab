"""The settings that the double runs with: those of the service, but for what would get into a test's way."""

from __future__ import annotations

from deployserver import config
from deployserver.errors import ConfigurationError
from deployserver.settings import Settings

_OVERRIDES = {
    # Tests of wrong keys come from one address and in a hurry; there are faults for who wants a 429.
    ("security", "lockout_failures"): "0",
    ("server", "shutdown_timeout"): "1",
}


def double_settings(host: str, port: int | str, level: str = "warning") -> Settings:
    """Return the settings of a double that listens on an address, and logs what is of a level.

    Raises ConfigurationError for what is no address and no port.
    """
    if not isinstance(host, str):
        raise ConfigurationError(f"host must be the text of an address, such as 127.0.0.1, not {host!r}")
    chosen = {("server", "host"): host, ("server", "port"): str(port), ("logging", "level"): level}
    try:
        return config.load(overrides=_OVERRIDES | chosen).settings
    except ConfigurationError as error:
        # Whoever gave it has no configuration with sections, but an option or an argument of this name.
        raise ConfigurationError(str(error).partition("[server] ")[2] or str(error)) from None
