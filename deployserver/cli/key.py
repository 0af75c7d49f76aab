"""``deployserver key``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from deployserver.access import Access
from deployserver.administration import Administration
from deployserver.api_keys import SHORT_KEY, create_key, revoke_key
from deployserver.cli.output import Row, add_json_option, date, print_json, print_row, print_rows
from deployserver.cli.session import administer
from deployserver.dates import parse_date
from deployserver.errors import InvalidValue
from deployserver.models import FEED_PERMISSIONS, FULL_CONTROL, SYSTEM_APIS, ApiKey, KeyKind


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    parser = commands.add_parser("key", parents=[common], help="create, list and revoke API keys")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    create = actions.add_parser(
        "create",
        parents=[common],
        help="create a key",
        description="Creates a key and prints it, this once: only a hash of it is stored. A system key is for all "
        "feeds, a feed key for some, a personal key may do what its user may do.",
    )
    kind = create.add_mutually_exclusive_group(required=True)
    kind.add_argument("--system", action="store_true", help="for all feeds")
    kind.add_argument("--feed", nargs="+", action="extend", default=[], metavar="NAME", help="for these feeds")
    kind.add_argument("--user", metavar="NAME", help="for what this user may do")
    create.add_argument(
        "--api", nargs="+", action="extend", default=[], metavar="API",
        help=f"of a system key: {FULL_CONTROL} (the default), {', '.join(SYSTEM_APIS[1:])}; the first two may record",
    )  # fmt: skip  # an option with its help is one thought
    create.add_argument(
        "--permission", nargs="+", action="extend", default=[], metavar="PERMISSION",
        help=f"of a feed key: view (the default), {', '.join(FEED_PERMISSIONS[1:])}; view may record",
    )  # fmt: skip  # likewise
    create.add_argument("--name", default="", metavar="TEXT", help="what or whom it is for; shown as the deployer")
    create.add_argument("--expires", metavar="DATE", help="when it stops working, such as 2027-12-31 (midnight UTC)")
    create.add_argument("--value", metavar="TEXT", help="the key itself (default: 40 random hex digits)")
    add_json_option(create)
    create.set_defaults(run=_create)

    list_ = actions.add_parser("list", parents=[common], help="list keys, revoked ones too")
    add_json_option(list_)
    list_.set_defaults(run=_list)

    revoke = actions.add_parser("revoke", parents=[common], help="revoke a key for good, within a second")
    revoke.add_argument("id", metavar="ID", type=int, help="its number, as key list shows it")
    add_json_option(revoke)
    revoke.set_defaults(run=_revoke)


def _create(arguments: argparse.Namespace, environ: Mapping[str, str]) -> None:
    kind: KeyKind = "system" if arguments.system else "personal" if arguments.user is not None else "feed"
    if (kind != "system" and arguments.api) or (kind != "feed" and arguments.permission):
        raise InvalidValue("--api goes with --system, and --permission with --feed.")
    made = administer(
        arguments,
        environ,
        lambda admin: create_key(
            admin,
            kind,
            scopes=arguments.api if kind == "system" else arguments.permission,
            feeds=arguments.feed,
            user=arguments.user,
            name=arguments.name,
            expires_at=_expiry(arguments.expires),
            value=arguments.value,
        ),
    )
    if arguments.value is not None and len(arguments.value) < SHORT_KEY:
        print(
            f"Warning: a key of {len(arguments.value)} characters can be guessed; leave --value out for a random one.",
            file=sys.stderr,
        )
    if arguments.json:
        print_json({"id": made.key.id, "key": made.secret, "kind": kind, "name": made.key.name})
        return
    print(f"API key {made.key.id} created. It is shown this once:", file=sys.stderr)
    print(made.secret)


def _expiry(text: str | None) -> int | None:
    try:
        return None if text is None else parse_date(text)
    except ValueError as error:
        raise InvalidValue(f"--expires {error}") from None


def _list(arguments: argparse.Namespace, environ: Mapping[str, str]) -> None:
    access = administer(arguments, environ, Administration.access)
    rows = [_row(key, access) for key in access.keys.values()]
    print_rows(rows, arguments.json, "No API keys. deployserver key create --feed NAME")


def _row(key: ApiKey, access: Access) -> Row:
    return {
        "id": key.id,
        "kind": key.kind,
        "name": key.name,
        "key": f"{key.hint}…" if key.hint else None,
        "scopes": sorted(key.scopes),
        "feeds": [access.feeds[id_].name for id_ in sorted(key.feed_ids)],
        "user": access.users[key.user_id].name if key.user_id is not None else None,
        "created": date(key.created_at),
        "lastUsed": date(key.last_used_at),
        "expires": date(key.expires_at),
        "revoked": date(key.revoked_at),
    }


def _revoke(arguments: argparse.Namespace, environ: Mapping[str, str]) -> None:
    key = administer(arguments, environ, lambda admin: revoke_key(admin, arguments.id))
    named = f" ({key.name})" if key.name else ""
    print_row({"id": key.id, "name": key.name}, arguments.json, f"API key {key.id}{named} revoked.")
