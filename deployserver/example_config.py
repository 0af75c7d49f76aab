"""The commented configuration file: ``config.example.ini``, and the one that ``quickstart`` writes."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from deployserver.config import CONFIG_VARIABLE
from deployserver.settings import ENVIRONMENT_PREFIX, OPTIONS

_HEAD = f"""\
# Configuration of deployserver.
#
# Every option is shown with its default, commented out. Each can also be set by the environment, as
# {ENVIRONMENT_PREFIX}<SECTION>_<OPTION>; the environment beats this file, the command line beats both.
# deployserver finds this file as --config FILE, by {CONFIG_VARIABLE}, or as config.ini or
# deployserver-data/config.ini in the working directory.
"""


def example_config(chosen: Mapping[tuple[str, str], str] | None = None) -> str:
    """Return the text of a configuration file that documents every option and sets those in ``chosen``."""
    chosen = chosen or {}
    lines = [_HEAD]
    section = ""
    for option in OPTIONS:
        if option.section != section:
            section = option.section
            lines.append(f"[{section}]\n")
        lines.extend(
            textwrap.wrap(option.doc, 104, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)
        )
        lines.append(f"# Environment: {option.variable}" + (f" or {option.variable}_FILE" if option.secret else ""))
        given = chosen.get((option.section, option.name))
        lines.append(
            f"{option.name} = {given}\n" if given is not None else f"#{option.name} = {option.default}".rstrip() + "\n"
        )
    return "\n".join(lines)
