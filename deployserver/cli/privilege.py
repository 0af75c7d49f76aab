"""``deployserver privilege``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from deployserver.access import Access
from deployserver.administration import Administration
from deployserver.cli.output import Row, add_json_option, print_row, print_rows
from deployserver.cli.session import administer
from deployserver.errors import NotFound
from deployserver.models import BUILT_IN_PRINCIPALS, DOWNLOAD_PACKAGE, PRIVILEGES, Caller, PrivilegeEntry
from deployserver.privileges import add_privilege, explain, known_privilege, revoke_privilege


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    parser = commands.add_parser("privilege", parents=[common], help="grant, deny, list and explain privileges")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for verb in ("grant", "deny"):
        change = actions.add_parser(
            verb,
            parents=[common],
            help=f"{verb} a privilege",
            description="An entry for the user goes before one for a built-in principal, then one for the feed before "
            "one for all feeds, then a denial before a grant. The first decides; none means no.",
        )
        change.add_argument("principal", metavar="PRINCIPAL", help=f"a user, or {', '.join(BUILT_IN_PRINCIPALS)}")
        change.add_argument("privilege", metavar="PRIVILEGE", help=" or ".join(PRIVILEGES))
        change.add_argument("--feed", metavar="NAME", help="for this feed (default: for all)")
        add_json_option(change)
        change.set_defaults(run=_change, granted=verb == "grant")

    revoke = actions.add_parser("revoke", parents=[common], help="take a grant or denial back")
    revoke.add_argument("id", metavar="ID", type=int, help="its number, as privilege list shows it")
    add_json_option(revoke)
    revoke.set_defaults(run=_revoke)

    list_ = actions.add_parser("list", parents=[common], help="list grants and denials")
    add_json_option(list_)
    list_.set_defaults(run=_list)

    why = actions.add_parser(
        "explain",
        parents=[common],
        help="say who may do what, and which entry decides",
        description="Says whether a caller may record in a feed, and which entry or key decides. Exits with 0 if so, "
        "with 3 if not.",
    )
    who = why.add_mutually_exclusive_group(required=True)
    who.add_argument("--key", metavar="K", help="an API key, or its number")
    who.add_argument("--user", metavar="U", help="a user")
    who.add_argument("--anonymous", action="store_true", help="a caller without a credential")
    why.add_argument("--feed", required=True, metavar="NAME", help="in this feed")
    why.add_argument("--privilege", default=DOWNLOAD_PACKAGE, help=f"default {DOWNLOAD_PACKAGE}, which recording needs")
    add_json_option(why)
    why.set_defaults(run=_explain)


def _row(entry: PrivilegeEntry, access: Access) -> Row:
    return {
        "id": entry.id,
        "principal": entry.principal,
        "privilege": entry.privilege,
        "feed": access.feeds[entry.feed_id].name if entry.feed_id is not None else None,
        "effect": "grant" if entry.granted else "deny",
    }


def _change(arguments: argparse.Namespace, environ: Mapping[str, str]) -> None:
    async def add(admin: Administration) -> tuple[PrivilegeEntry, Access]:
        entry = await add_privilege(
            admin, arguments.principal, arguments.privilege, arguments.feed, granted=arguments.granted
        )
        return entry, await admin.access()

    entry, access = administer(arguments, environ, add)
    row = _row(entry, access)
    verb = "granted to" if entry.granted else "denied to"
    print_row(
        row,
        arguments.json,
        f"{entry.privilege} {verb} {entry.principal} for {row['feed'] or 'all feeds'} (entry {entry.id}).",
    )


def _revoke(arguments: argparse.Namespace, environ: Mapping[str, str]) -> None:
    entry = administer(arguments, environ, lambda admin: revoke_privilege(admin, arguments.id))
    print_row(
        {"id": entry.id},
        arguments.json,
        f"Entry {entry.id} ({entry.privilege}, {entry.principal}) taken back.",
    )


def _list(arguments: argparse.Namespace, environ: Mapping[str, str]) -> None:
    access = administer(arguments, environ, Administration.access)
    rows = [_row(entry, access) for entry in access.privileges]
    print_rows(rows, arguments.json, "No entries. deployserver privilege grant PRINCIPAL PRIVILEGE")


def _explain(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    async def ask(admin: Administration) -> tuple[Access, int]:
        return await admin.access(), admin.clock()

    access, now = administer(arguments, environ, ask)
    caller = _caller(arguments, access)
    feed = access.require_feed(arguments.feed)
    privilege = known_privilege(arguments.privilege)
    decision = explain(access, caller, feed, privilege, now)
    answer = "may" if decision.granted else "may not"
    what = "record in" if privilege == DOWNLOAD_PACKAGE else "view"
    print_row(
        {
            "granted": decision.granted,
            "caller": caller.recorded_by,
            "privilege": privilege,
            "feed": feed.name,
            "reason": decision.reason,
            "entry": decision.entry.id if decision.entry else None,
        },
        arguments.json,
        f"{caller.recorded_by} {answer} {what} {feed.name} ({privilege}): {decision.reason}.",
    )
    return 0 if decision.granted else 3


def _caller(arguments: argparse.Namespace, access: Access) -> Caller:
    if arguments.anonymous:
        return access.anonymous
    if arguments.user is not None:
        return access.user_caller(access.require_user(arguments.user))
    key = access.key(arguments.key)
    if key is None and arguments.key.isdecimal():
        key = access.keys.get(int(arguments.key))
    if key is None:
        raise NotFound("There is no such API key; give the key itself, or its number from deployserver key list.")
    return access.key_caller(key)
