"""``deployserver feed``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from deployserver.administration import Administration
from deployserver.cli.output import Row, add_json_option, print_row, print_rows
from deployserver.cli.session import administer
from deployserver.errors import InvalidValue
from deployserver.feeds import add_feed, remove_feed, update_feed
from deployserver.models import FEED_TYPES, Feed

_SWITCH = {"on": True, "off": False}


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    parser = commands.add_parser("feed", parents=[common], help="add, list, update and remove feeds")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    add = actions.add_parser("add", parents=[common], help="add a feed")
    add.add_argument("name", metavar="NAME", help="name; found in any letter case, shown as given here")
    add.add_argument(
        "--type", default="nuget", metavar="TYPE", help=f"feed type (default nuget): {', '.join(FEED_TYPES)}"
    )
    add.add_argument("--anonymous", action="store_true", help="let callers without a key view and record")
    add_json_option(add)
    add.set_defaults(run=_add)

    list_ = actions.add_parser("list", parents=[common], help="list feeds")
    add_json_option(list_)
    list_.set_defaults(run=_list)

    update = actions.add_parser(
        "update", parents=[common], help="rename a feed, switch it or its records off, alias it"
    )
    update.add_argument("name", metavar="NAME", help="any of its names")
    update.add_argument("--rename", metavar="NEW", help="new name; the old one goes on finding the feed")
    update.add_argument("--active", choices=_SWITCH, help="off: posts to the feed are answered with 400")
    update.add_argument(
        "--deployment-records", choices=_SWITCH, help="off: likewise; ProGet's deploymentRecordsEnabled"
    )
    update.add_argument("--add-name", action="append", default=[], metavar="ALIAS", help="add an alternate name")
    update.add_argument("--remove-name", action="append", default=[], metavar="ALIAS", help="remove an alternate name")
    add_json_option(update)
    update.set_defaults(run=_update)

    remove = actions.add_parser("remove", parents=[common], help="remove a feed")
    remove.add_argument("name", metavar="NAME", help="any of its names")
    remove.add_argument("--force", action="store_true", help="remove its deployment records too")
    add_json_option(remove)
    remove.set_defaults(run=_remove)


def _row(feed: Feed) -> Row:
    return {
        "name": feed.name,
        "type": feed.type,
        "active": feed.active,
        "deploymentRecordsEnabled": feed.deployment_records_enabled,
        "alternateNames": list(feed.alternate_names),
    }


def _add(arguments: argparse.Namespace, environ: Mapping[str, str]) -> None:
    feed = administer(
        arguments,
        environ,
        lambda admin: add_feed(admin, arguments.name, arguments.type, anonymous=arguments.anonymous),
    )
    open_to = "open to callers without a key" if arguments.anonymous else "open to keys and users with a privilege"
    print_row(_row(feed), arguments.json, f"Feed {feed.name} ({feed.type}) added, {open_to}.")


def _list(arguments: argparse.Namespace, environ: Mapping[str, str]) -> None:
    access = administer(arguments, environ, Administration.access)
    print_rows([_row(feed) for feed in access.feeds.values()], arguments.json, "No feeds. deployserver feed add NAME")


def _update(arguments: argparse.Namespace, environ: Mapping[str, str]) -> None:
    changes = (arguments.rename, arguments.active, arguments.deployment_records)
    if not any(changes) and not arguments.add_name and not arguments.remove_name:
        raise InvalidValue("There is nothing to change; see deployserver feed update --help.")
    feed = administer(
        arguments,
        environ,
        lambda admin: update_feed(
            admin,
            arguments.name,
            rename=arguments.rename,
            active=_SWITCH.get(arguments.active),
            deployment_records=_SWITCH.get(arguments.deployment_records),
            add_names=arguments.add_name,
            remove_names=arguments.remove_name,
        ),
    )
    state = "active" if feed.active else "inactive"
    records = "on" if feed.deployment_records_enabled else "off"
    names = f", also found as {', '.join(feed.alternate_names)}" if feed.alternate_names else ""
    print_row(
        _row(feed),
        arguments.json,
        f"Feed {feed.name} is {state}, its deployment records are {records}{names}.",
    )


def _remove(arguments: argparse.Namespace, environ: Mapping[str, str]) -> None:
    feed, count = administer(
        arguments, environ, lambda admin: remove_feed(admin, arguments.name, force=arguments.force)
    )
    print_row(
        {"name": feed.name, "deploymentsRemoved": count},
        arguments.json,
        f"Feed {feed.name} removed, with {count} deployment record{'' if count == 1 else 's'}.",
    )
