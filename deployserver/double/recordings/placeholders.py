"""What stands in a recording where a credential stood: ``{{key ci}}``, ``{{password of anna}}``, ``{{unknown key}}``.

A text that a client itself sent and that looks like one gets an equals sign, ``{{=key ci}}``, and loses it again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from deployserver.errors import InvalidValue

SHORTEST_SWEPT = 6
"""A credential of fewer characters is hidden where credentials stand only: elsewhere it may be a word like others."""

LONGEST_SWEPT = 1024
"""Nobody has a longer key, and looking for one would take its time."""
_MOST_UNKNOWN = 50

UNKNOWN_KEY = "{{unknown key}}"
"""Stands for a key that the server did not take; it is sent as it is, and no server takes it."""
UNKNOWN_LOGIN = "{{unknown user}}:{{unknown password}}"
UNREADABLE = "{{unreadable credential}}"

_NAMED = re.compile(r"\{\{(=*)((?:key|password of) [^{}=\r\n]+)\}\}")
_ANY = re.compile(r"\{\{(=*)((?:key|password of) [^{}=\r\n]+|unknown (?:key|user|password)|unreadable credential)\}\}")
_NOT_IN_A_NAME = re.compile(r"[^\w .@()+-]+", re.ASCII)
_CALLER = re.compile(r"(?:user .*, )?API key (?P<id>\d+)(?: \((?P<name>.*)\))?|user (?P<user>.*)", re.DOTALL)
_JSON_ESCAPES = {'"': '\\"', "\\": "\\\\", "/": "\\/"}


class Secrets:
    """The credentials that some requests brought, by the placeholders that they get."""

    def __init__(self) -> None:
        self._placeholders: dict[str, str] = {}
        """By the credential itself."""

    @classmethod
    def of(cls, secrets: Mapping[str, str]) -> Secrets:
        """Return credentials by what is written between the braces, such as ``key ci``."""
        made = cls()
        made._placeholders = {secret: f"{{{{{name}}}}}" for name, secret in secrets.items() if secret}
        return made

    def add(self, credential: str, caller: str) -> None:
        """Note the credential of a known caller, ``RecordedBy`` of their records; a pseudo-key is a user's password."""
        found = _CALLER.fullmatch(caller)
        is_password = found is not None and found["user"] is not None
        if credential[:4].casefold() == "api:":  # as Basic authentication carries a key
            credential = credential[4:]
        if is_password:
            credential = credential.partition(":")[2]
        if not credential or credential in self._placeholders:
            return
        name = caller if found is None else found["user"] if is_password else found["name"] or found["id"]
        if credential in name:
            name = found["id"] if found is not None and found["id"] else "1"
        name = _NOT_IN_A_NAME.sub("-", name).strip() or "-"
        kind = "password of" if is_password else "key"
        taken, number, placeholder = set(self._placeholders.values()), 1, f"{{{{{kind} {name}}}}}"
        while placeholder in taken:
            number += 1
            placeholder = f"{{{{{kind} {name} {number}}}}}"
        self._placeholders[credential] = placeholder

    def placeholder(self, credential: str) -> str:
        """Return what stands for a credential; of a pseudo-key, the user's name stays if its password is known."""
        if credential in self._placeholders:
            return self._placeholders[credential]
        user, colon, password = credential.partition(":")
        if colon and password in self._placeholders:
            return f"{user}:{self._placeholders[password]}"
        if colon and user.casefold() == "api":
            return f"{user}:{self.placeholder(password)}"
        return UNKNOWN_LOGIN if colon else UNKNOWN_KEY

    def hidden(self, text: str, besides: tuple[str, ...] = ()) -> str:
        """Return a text without the credentials, and ``besides`` those of unknown callers, however they are escaped."""
        secrets = {*self._placeholders, *besides[:_MOST_UNKNOWN]}
        swept = [secret for secret in secrets if SHORTEST_SWEPT <= len(secret) <= LONGEST_SWEPT]
        if not swept:
            return _marked(text)
        longest_first = tuple(sorted(swept, key=lambda secret: (-len(secret), secret)))
        pieces, end = [], 0
        for found in _escaped(longest_first).finditer(text):
            secret = longest_first[(found.lastindex or 1) - 1]
            pieces += [_marked(text[end : found.start()]), self.placeholder(secret)]
            end = found.end()
        return "".join([*pieces, _marked(text[end:])])


def names_in(text: str) -> list[str]:
    """Return what is written between the braces of the placeholders that a credential is needed for, in their order."""
    return list(dict.fromkeys(found[2] for found in _NAMED.finditer(text) if not found[1]))


def filled(text: str, secrets: Mapping[str, str], escape: Callable[[str], str] = str) -> str:
    """Return a text with credentials in place of placeholders, by what is written between the braces.

    ``escape`` writes a credential as its place needs it. Raises InvalidValue for one that is not there.
    """

    def credential(found: re.Match[str]) -> str:
        marks, name = found[1], found[2]
        if marks:
            return f"{{{{{marks[1:]}{name}}}}}"
        if name.startswith("un"):
            return escape(found[0])
        if name not in secrets:
            raise InvalidValue(f"The recording needs the {name}.")
        return escape(secrets[name])

    return _ANY.sub(credential, text)


def _marked(text: str) -> str:
    """Return a text whose own look-alikes of placeholders are marked as such."""
    return _NAMED.sub(lambda found: f"{{{{={found[1]}{found[2]}}}}}", text)


@lru_cache(maxsize=64)
def _escaped(secrets: tuple[str, ...]) -> re.Pattern[str]:
    """Find any of some credentials, a group each, with any of their characters escaped as in URLs, forms and JSON."""
    return re.compile("|".join(f"({''.join(map(_any_way, secret))})" for secret in secrets))


def _any_way(character: str) -> str:
    ways = [re.escape(character)]
    for encoding in ("utf-8", "latin-1"):
        try:
            data = character.encode(encoding)
        except UnicodeEncodeError:
            continue
        ways += ["".join(f"(?i:%{byte:02x})" for byte in data), re.escape(data.decode("latin-1"))]
    units = character.encode("utf-16-be", "surrogatepass")
    ways.append("".join(rf"(?i:\\u{units[at]:02x}{units[at + 1]:02x})" for at in range(0, len(units), 2)))
    if character in _JSON_ESCAPES:
        ways.append(re.escape(_JSON_ESCAPES[character]))
    if character == " ":
        ways.append(r"\+")
    return f"(?:{'|'.join(dict.fromkeys(ways))})"
